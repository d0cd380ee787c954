// Two members side by side, each with the point that the other is shown.

import { html } from "/lib/lit-html/lit-html.js";
import { beside, swap } from "./actions.js";
import { distance, map } from "./map.js";
import { card, people } from "./parts.js";
import { clockFace } from "./session.js";
import { liveSession, looking, named, remainingSeconds, state, whereabouts } from "./state.js";

export function besideCard() {
  const others = state.members.filter(({ id }) => id !== state.memberId);
  const { otherId } = state;
  return card(
    "beside",
    "Side by side",
    html`
      <div class="row">
        <label class="grow">
          <span class="unseen">Who stands beside</span>
          <select @change=${(event) => beside(event.target.value)}>
            <option value="" ?selected=${!otherId}>nobody</option>
            ${people(others, otherId)}
          </select>
        </label>
        ${otherId ? playAsOther(otherId) : null}
      </div>
      ${otherId ? both() : html`<p class="soft">Choose a second member to see whom each of them is shown.</p>`}
    `,
  );
}

const playAsOther = (id) =>
  html`<button type="button" class="plain" @click=${swap}>Play as ${named(id)?.name}</button>`;

function both() {
  const one = seen(state.memberId, state.behind);
  const two = seen(state.otherId, state.other);
  return html`<div class="halves">${side(one, two)} ${side(two, one)}</div>`;
}

function seen(id, behind) {
  const session = liveSession(behind);
  return { name: named(id)?.name, session, stood: session === undefined ? null : whereabouts(id, session) };
}

/** A member with the point that the other one is shown of them. */
function side({ name, session, stood }, other) {
  if (session === undefined) return html`<div class="side"><h3>${name}</h3>${looking}</div>`;
  const shown = session?.shownPlace;
  return html`
    <div class="side">
      <h3>${name} ${session ? timeLeft(session) : null}</h3>
      ${map(stood, shown, shown ? told(name, other, stood, shown) : nothingShown(name, other))}
    </div>
  `;
}

const timeLeft = (session) =>
  html`<span class="status ${session.isWarned ? "warn" : "good"}">${clockFace(remainingSeconds(session))}</span>`;

const nothingShown = (name, other) => `${name} is not live: ${other.name} is shown nothing.`;

function told(name, other, stood, shown) {
  const point = stood ? `${distance(shown, stood)} m from where ${name} stands` : `somewhere within 500 m of ${name}`;
  const apart = other.stood ? ` For ${other.name} that is ${distance(shown, other.stood)} m away.` : "";
  return `${other.name} is shown the point, ${point}.${apart}`;
}
