// Two members side by side, each with the point that the other is shown.

import { html } from "/lib/lit-html/lit-html.js";
import { beside } from "./actions.js";
import { distance, map } from "./map.js";
import { card, people, select } from "./parts.js";
import { liveSession, member, state, whereabouts } from "./state.js";

export function besideCard() {
  const others = state.members.filter(({ id }) => id !== state.memberId);
  const other = others.find(({ id }) => id === state.otherId);
  return card(
    "beside",
    "Side by side",
    html`
      ${select("Other member", other?.id ?? "", [["", "none"], ...people(others)], beside)}
      ${other ? html`<div class="halves">${side(member(), other)} ${side(other, member())}</div>` : null}
    `,
  );
}

/** A member with the point that the other one is shown of them. */
function side({ id, name }, other) {
  const [stood, shown, otherStood] = [whereabouts(id), liveSession(id)?.shownPlace, whereabouts(other.id)];
  const apart = otherStood && shown ? `, ${distance(shown, otherStood)} m from ${other.name}` : "";
  const caption = shown ? `${other.name} is shown the point${apart}.` : `${name} is not live.`;
  return html`<div><h3>${name}</h3>${map(stood, shown, liveSession(id) === undefined ? "Looking…" : caption)}</div>`;
}
