// The page's state, in one place. Whoever changes it calls `changed`, and the page is drawn anew.

import { html } from "/lib/lit-html/lit-html.js";

/** What is known of a member just chosen: undefined is not known yet, null is none. */
export const unknown = () => ({
  refusal: null, // why the member may not come in: {status, code, error}
  profile: undefined,
  preferences: undefined,
  photo: undefined,
  behind: undefined, // {hasLeft, session}: the newest session as database and scheduler have it
  answer: null,
  file: null, // the photo that was sent: {name, before, unreadable, refused}
  shown: null, // the photo that is shown: {address, facts}
});

export const state = {
  system: null, // endpoints, functions, and the API's own address
  away: false, // whether the system does not answer
  members: [],
  memberId: null,
  ...unknown(),
  otherId: null, // the member beside
  other: undefined, // what is behind that one
  places: {}, // where each member stands, by id
  sentFrom: {}, // the place that each member's session was started from: only this page still knows
  events: [], // of all members, the oldest first
  listening: false, // whether the stream of events is open
  opened: false, // whether it ever was
  request: { function: "create_profile", sample: "valid", authorization: "", body: "" },
  calls: [], // those of this page, the oldest first
  log: { function: "create_profile", lines: [], duration: null, busy: true },
  busy: 0, // how many actions are under way
  problem: null, // what went wrong
};

let draw = () => {};
let drawing = false;

export function onChange(redraw) {
  draw = redraw;
}

/** Draw the page soon, once for however many changes. */
export function changed() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    draw();
  });
}

export const named = (id) => state.members.find((each) => each.id === id);
export const member = () => named(state.memberId);
export const endpoint = (name) => state.system.endpoints.find((each) => each.function === name);

/** The member's live session, or null; undefined while it is not known. */
export const liveSession = (behind = state.behind) => behind && (behind.session?.isLive ? behind.session : null);

/** Seconds until a session's end. The database said how many there were; this page's clock counts them down. */
export const remainingSeconds = (session) =>
  Math.max(0, Math.ceil(session.remainingSeconds - (performance.now() - session.receivedAt) / 1000));

const SOMEWHERE = { latitude: 52.520008, longitude: 13.404954 };

/** Where a member stands, as far as this page knows: during a session, where it was started. */
export function whereabouts(id, session) {
  if (!session) return state.places[id] ?? SOMEWHERE;
  return state.sentFrom[id]?.session === session.id ? state.sentFrom[id] : null;
}

/** Tell screen readers what happened. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** The events of a member, the oldest first. */
export const eventsOf = (id) => state.events.filter(({ detail }) => detail.userId === id);

export const timeOf = (moment) => new Date(moment).toLocaleTimeString([], { hourCycle: "h23" });

/** In place of what is not known yet. */
export const looking = html`<p class="soft">Looking…</p>`;

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
