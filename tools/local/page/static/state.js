// The page's state, in one place. `changed` draws the page anew after a change of it.

/** What is known of a member just chosen: undefined is not known yet, null is none. */
export const unknown = () => ({
  digest: null, // of what the parts below were read from
  refusal: null, // why the member may not come in: {status, code, error}
  profile: undefined,
  preferences: undefined,
  photo: undefined,
  shown: null, // the photo that is shown: {address, seen}
  file: null, // the photo that was sent: {name, seen, problem}
  answer: null, // the API's last one
});

export const state = {
  catalogue: null, // endpoints, functions, choices, and the API's own address
  away: false, // whether the system does not answer
  members: [],
  memberId: sessionStorage.getItem("member"),
  otherId: null, // the member beside
  behind: {}, // by member: {hasLeft, session, events}; the newest session as database and scheduler have it
  ...unknown(),
  places: {}, // where each member stands, by id; with the session that was started there, which only this page knows
  request: { function: "get_session", sample: "valid", authorization: "Bearer SAMPLE_TOKEN", body: "" },
  calls: [], // those of this page, the oldest first
  log: { function: "get_session", lines: [], duration: null },
  busy: 0, // how many actions are under way
  problem: null, // why the last action failed
  unread: null, // why the state cannot be read
};

let draw = () => {};

export function onChange(redraw) {
  draw = redraw;
}

export const changed = () => draw();

export const named = (id) => state.members.find((each) => each.id === id);
export const member = () => named(state.memberId);
export const endpoint = (name) => state.catalogue.endpoints.find((each) => each.function === name);
export const eventsOf = (id) => state.behind[id]?.events ?? [];

/** A member's live session, or null; undefined while it is not known. */
export function liveSession(id = state.memberId) {
  const behind = state.behind[id];
  return behind && (behind.session?.isLive ? behind.session : null);
}

const SOMEWHERE = { latitude: 52.520008, longitude: 13.404954 };

/** What the next start of a session is sent from. */
export const placeOf = (id) => state.places[id] ?? SOMEWHERE;

/** Where a member stands, if this page knows: during a session, where it was started. */
export function whereabouts(id) {
  const session = liveSession(id);
  const isKnown = session === null || (session && state.places[id]?.session === session.id);
  return isKnown ? placeOf(id) : null;
}

/** Tell screen readers what happened. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

export const timeOf = (moment) => new Date(moment).toLocaleTimeString([], { hourCycle: "h23" });
