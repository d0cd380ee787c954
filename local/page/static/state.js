// The page's state, in one place. Whoever changes it calls `changed`, and the page is drawn anew.

export const state = {
  system: null, // endpoints, functions and the API's own address
  members: [],
  memberId: null,
  refusal: null, // why the member may not come in: {status, code, error}
  profile: null,
  preferences: null,
  photo: null,
  session: null, // the live one, as the API said it, and `receivedAt` on this page's clock
  backstage: null, // the newest one, as database and scheduler have it
  place: { latitude: 52.520008, longitude: 13.404954 }, // where the member stands
  sentFrom: null, // the place that the live session was started from: only this page still knows
  events: [], // of all members, the oldest first
  listening: true, // whether the stream of events is open
  request: { function: "create_profile", sample: "valid", authorization: "", body: "" },
  answer: null,
  file: null, // the photo that was sent: {name, before, problem}
  shown: null, // the photo that is shown: {address, facts}
  log: { function: "create_profile", lines: [], duration: null, busy: false },
  left: false, // whether the member has left since they last joined
  storyFrom: 0, // the number of the event before the member's present story
  busy: 0, // how many actions are under way
  problem: null, // what the local system could not do
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

export const member = () => state.members.find(({ id }) => id === state.memberId);
export const endpoint = (name) => state.system.endpoints.find((each) => each.function === name);

/** Seconds until the live session's end. The server said how many there were; this page's clock counts them down. */
export function remainingSeconds() {
  const { session } = state;
  if (!session) return 0;
  return Math.max(0, Math.ceil(session.remainingSeconds - (performance.now() - session.receivedAt) / 1000));
}

/** Tell screen readers what happened. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}
