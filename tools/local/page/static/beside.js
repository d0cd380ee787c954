// Two members side by side, each with the point that the other is shown.

import { html } from "/lib/lit-html/lit-html.js";
import { beside, swap } from "./actions.js";
import { distance, map } from "./map.js";
import { button, card, looking, option, people } from "./parts.js";
import { clockFace } from "./session.js";
import { liveSession, named, remainingSeconds, state, whereabouts } from "./state.js";

export function besideCard() {
  const { memberId, otherId } = state;
  const other = named(otherId);
  return card(
    "beside",
    "Side by side",
    html`
      <div class="row">
        <label>
          <span class="unseen">Who stands beside</span>
          <select @change=${(event) => beside(event.target.value)}>
            ${option("", "no other member", other ? otherId : "")}
            ${people(state.members.filter(({ id }) => id !== memberId), otherId)}
          </select>
        </label>
        ${other ? button(`Play as ${other.name}`, swap) : null}
      </div>
      ${other
        ? html`<div class="halves">${side(memberId, otherId)} ${side(otherId, memberId)}</div>`
        : html`<p class="soft">Choose a second member to see whom each of them is shown.</p>`}
    `,
  );
}

/** A member with the point that the other one is shown of them. */
function side(id, otherId) {
  const { name } = named(id);
  const session = liveSession(id);
  if (session === undefined) return html`<div><h3>${name}</h3>${looking}</div>`;
  const [stood, shown] = [whereabouts(id), session?.shownPlace];
  return html`
    <div>
      <h3>${name} ${session ? html`<span class="status">${clockFace(remainingSeconds(session))}</span>` : null}</h3>
      ${map(stood, shown, told(name, stood, shown, named(otherId).name, whereabouts(otherId)))}
    </div>
  `;
}

function told(name, stood, shown, other, otherStood) {
  if (!shown) return `${name} is not live: ${other} is shown nothing.`;
  const point = stood ? `${distance(shown, stood)} m from where ${name} stands` : `somewhere within 500 m of ${name}`;
  const apart = otherStood ? ` For ${other} that is ${distance(shown, otherStood)} m away.` : "";
  return `${other} is shown the point, ${point}.${apart}`;
}
