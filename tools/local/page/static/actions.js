// What the page can do. Everything a phone does goes through the API; nothing here knows its rules.

import { Away, blob, call, patch, post, PREFIX, system, upload } from "./api.js";
import { announce, changed, endpoint, liveSession, member, placeOf, state, unknown } from "./state.js";
import { look, readLog } from "./watch.js";

const CALLS_KEPT = 20;

let turn = Promise.resolve();

/** Do something after all that was clicked before, then look what has changed. Show what goes wrong on the way. */
export function doing(work) {
  state.busy += 1;
  state.problem = null;
  turn = turn
    .then(work)
    .catch(failed)
    .finally(() => {
      state.busy -= 1;
      look();
      changed();
    });
  changed();
  return turn;
}

function failed(error) {
  if (error instanceof Away) {
    state.away = true;
  } else {
    state.problem = error.message;
    announce(error.message);
  }
}

// Members

export function chooseMember(id) {
  sessionStorage.setItem("member", id);
  Object.assign(state, unknown(), { memberId: id });
  if (state.otherId === id) beside("");
  changed();
  look();
}

/** Show another member beside the chosen one, or none. */
export function beside(id) {
  sessionStorage.setItem("other", id);
  state.otherId = id;
  changed();
  look();
}

/** Play as the member beside; the one who played so far stands beside then. */
export function swap() {
  const { memberId, otherId } = state;
  chooseMember(otherId);
  beside(memberId);
}

export const changeMember = (details) => doing(() => patch(`/members/${encodeURIComponent(state.memberId)}`, details));

export const makeMember = (details) =>
  doing(async () => {
    const made = await post("/members", details);
    state.members = [...state.members, made];
    chooseMember(made.id);
  });

/** Begin anew. The server is another instance then, by which every tab finds out. */
export const reset = () => doing(() => system("/reset", { method: "POST" }));

// Calls

/** Put a call into the console, as if it had been written there. */
export function prepare(name, { sample = "", authorization = "", body = "" } = {}) {
  state.request = { function: name, sample, authorization, body };
  changed();
}

export function prepareSample(name, sample) {
  const found = endpoint(name).samples.find((each) => each.name === sample);
  if (!found) return prepare(name);
  const authorization = found.authorization === "Bearer SAMPLE_TOKEN" ? "" : (found.authorization ?? "none");
  prepare(name, { sample, authorization, body: found.body });
}

/** What the console will send as the Authorization header: the member's token, unless a sample has its own. */
export function authorization() {
  const own = state.request.authorization;
  if (own === "none") return undefined;
  return own || `Bearer ${member().token}`;
}

/** What the console holds now, with the member who sends it. */
const held = () => ({ ...state.request, authorization: authorization(), memberId: state.memberId });

/** Send what the console holds. */
export function send() {
  const request = held();
  return doing(() => transmitted(request));
}

/** Call the API, keep the answer for the console and the report, and read the log of the function. */
async function transmitted({ function: name, body, authorization, memberId }) {
  const { method, path } = endpoint(name);
  const at = new Date();
  const answer = { ...(await call(method, path, { authorization, body })), method, path };
  if (memberId === state.memberId) state.answer = answer;
  announce(`${method} ${path.replace(PREFIX, "")}: ${answer.status} ${answer.body?.code ?? ""}`);
  state.calls = [...state.calls, { ...answer, at, memberId, function: name }].slice(-CALLS_KEPT);
  if (name === "start_session" && answer.status === 201) {
    state.places[memberId] = { ...JSON.parse(body), session: answer.body.session.id };
  }
  readLog(name, at.getTime());
  return answer;
}

/** Prepare and send at once: what the buttons of the page do. */
export function press(name, body) {
  prepare(name, { body: body ? JSON.stringify(body, null, 2) : "" });
  return send();
}

const sample = (name) => JSON.parse(endpoint(name).samples.find((each) => each.name === "valid").body);

export const join = () => press("create_profile", sample("create_profile"));
export const seek = () => press("create_preferences", sample("create_preferences"));
export const describe = (description) => press(state.profile ? "update_profile" : "create_profile", { description });
export const prefer = (wishes) => press(state.preferences ? "update_preferences" : "create_preferences", wishes);
export const extend = (additionalMinutes) =>
  press("extend_session", { additionalMinutes, expiresAt: liveSession()?.expiresAt });
export const end = () => press("end_session");
export const leave = () => press("delete_profile");

export function goLive(duration) {
  const { latitude, longitude } = placeOf(state.memberId);
  return press("start_session", { duration, latitude, longitude });
}

// Time

export const letTimePass = (until) =>
  doing(async () => {
    const session = liveSession();
    if (!session) throw new Error("Nobody is live: there is no end to bring near.");
    await post(`/sessions/${session.id}/time`, { until });
    announce("Time has passed.");
  });

// Photos

export async function sendSamplePhoto(name) {
  const photo = await doing(() => blob(`/system/pictures/${name}`));
  if (photo) await sendPhoto(new File([photo], name, { type: photo.type }));
}

/** What an app does: ask for a form, and post the file with it straight to S3. */
export function sendPhoto(file) {
  const shown = { name: file.name, before: null, unreadable: null, refused: null };
  state.file = shown;
  system("/pictures", { method: "POST", body: file })
    .then((seen) => (shown.before = seen), (error) => (shown.unreadable = error.message))
    .finally(changed);
  prepare("request_photo_upload");
  const request = held();
  return doing(async () => {
    const form = (await transmitted(request)).body?.upload;
    if (!form) return;
    shown.refused = await refusal(form, file);
    if (shown.refused) announce(shown.refused);
    else readLog("process_photo", state.calls.at(-1).at.getTime());
  });
}

/** Send the file, unless it is larger than the form allows. Returns why it was not taken; null when it was. */
async function refusal(form, file) {
  if (file.size <= form.maxBytes) return upload(form, file);
  const [has, allows] = [file.size, form.maxBytes].map((bytes) => bytes.toLocaleString("en"));
  return `It was not sent: it has ${has} bytes, and maxBytes allows ${allows}.`;
}
