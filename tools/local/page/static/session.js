// The live session as a clock, and the place that others are shown; two members side by side.

import { html, svg } from "/lib/lit-html/lit-html.js";
import { beside, extend, goLive, letTimePass, press } from "./actions.js";
import { distance, map, placeInputs } from "./map.js";
import { button, card, people, select } from "./parts.js";
import { liveSession, member, state, timeOf, whereabouts } from "./state.js";

const LENGTHS = [15, 30, 60];
const LEAPS = { "ten minutes": "ten-minutes", "to the warning": "warning", "to the end": "end" };
const RADIUS = 88;
const ROUND = 2 * Math.PI * RADIUS;

export function sessionCard() {
  const session = liveSession();
  const stood = whereabouts(state.memberId);
  const starts = LENGTHS.map((minutes) => button(`${minutes} min`, () => goLive(minutes)));
  const extensions = LENGTHS.map((minutes) => button(`+${minutes}`, () => extend(minutes)));
  const leaps = Object.entries(LEAPS).map(([text, until]) => button(text, () => letTimePass(until)));
  return card(
    "session",
    "Session",
    html`
      <div class="halves">${clock(session)} ${map(stood, session?.shownPlace, caption(session, stood))}</div>
      ${group("Go live", starts)} ${group("From latitude, longitude", placeInputs())}
      ${group("Extend, or end", [...extensions, button("End now", () => press("end_session"))])}
      ${group("Let time pass", leaps)}
    `,
  );
}

const group = (label, content) => html`
  <div role="group" aria-label=${label}>
    <span class="soft" aria-hidden="true">${label}</span>
    <div class="row">${content}</div>
  </div>
`;

function clock(session) {
  const seconds = session ? remainingSeconds(session) : 0;
  const passed = session ? 1 - Math.min(1, seconds / session.seconds) : 1;
  const mood = state.away ? "away" : session?.isWarned ? "warned" : "live";
  return html`
    <figure class="clock ${mood}">
      <svg viewBox="0 0 200 200" aria-hidden="true">
        <circle class="track" cx="100" cy="100" r=${RADIUS} />
        ${session
          ? svg`<circle class="left" cx="100" cy="100" r=${RADIUS} transform="rotate(-90 100 100)"
              stroke-dasharray=${ROUND} stroke-dashoffset=${ROUND * passed} />`
          : null}
      </svg>
      <figcaption>
        ${session ? html`<span class="time" role="timer" aria-label="Time left">${clockFace(seconds)}</span>` : null}
        <b>${state.away ? "no answer" : moodOf(session)}</b>
        ${session ? html`<span class="soft">until ${timeOf(session.expiresAt)}</span>` : null}
      </figcaption>
    </figure>
  `;
}

/** Seconds until a session's end. The database said how many there were; this page's clock counts them down. */
const remainingSeconds = (session) =>
  Math.max(0, Math.ceil(session.remainingSeconds - (performance.now() - session.receivedAt) / 1000));

function moodOf(session) {
  if (session === undefined) return "looking…";
  if (session) return session.isWarned ? "ends soon" : "live";
  return state.behind[state.memberId].session ? "over" : "not live";
}

function clockFace(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

function caption(session, stood) {
  const shown = session?.shownPlace;
  if (session === undefined) return "Looking…";
  if (shown && stood) return `Others are shown the point, ${distance(shown, stood)} m from the cross: where you stand.`;
  if (shown) return "Others are shown the point. You stand somewhere in the disc: nothing here knows where.";
  if (state.behind[state.memberId].session) return "The point is erased. The cross was never stored.";
  return "Where you stand. It is sent once, and never kept.";
}

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
