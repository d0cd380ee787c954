// What the page can do. Everything a phone does goes through the API; nothing here knows its rules.

import { Away, blob, call, PREFIX, system, upload } from "./api.js";
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
    .catch((error) => {
      if (error instanceof Away) state.away = true;
      else announce((state.problem = error.message));
    })
    .finally(() => {
      state.busy -= 1;
      look();
      changed();
    });
  changed();
  return turn;
}

// Members

export function chooseMember(id) {
  sessionStorage.setItem("member", id);
  Object.assign(state, unknown(), { memberId: id });
  changed();
  look();
}

/** Show another member beside the chosen one, or none. */
export function beside(id) {
  state.otherId = id;
  changed();
  look();
}

export const changeMember = (details) => doing(() => system("/members", "PUT", { id: state.memberId, ...details }));

export const makeMember = (details) =>
  doing(async () => {
    const id = `page-${crypto.randomUUID()}`;
    state.members = await system("/members", "PUT", { id, ...details });
    chooseMember(id);
  });

export function reset() {
  if (confirm("Forget all that members did, and make the first members anew?")) doing(() => system("/reset", "POST"));
}

// Calls

/** Put a call into the console, as if it had been written there. */
export function prepare(name, sample = "", { authorization = "Bearer SAMPLE_TOKEN", body = "" } = {}) {
  state.request = { function: name, sample, authorization, body };
  changed();
}

/** What the console holds now, with the member who sends it, and whose token stands for the samples' own. */
export const held = () => ({
  ...state.request,
  authorization: state.request.authorization.replace("SAMPLE_TOKEN", member().token),
  memberId: state.memberId,
});

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
  prepare(name, "", { body: body && JSON.stringify(body, null, 2) });
  return send();
}

export const pressSample = (name) =>
  press(name, JSON.parse(endpoint(name).samples.find((each) => each.name === "valid").body));

/** Create the profile or the preferences, or update them. */
export const save = (part, body) => press(`${state[part] ? "update" : "create"}_${part}`, body);

export const extend = (additionalMinutes) =>
  press("extend_session", { additionalMinutes, expiresAt: liveSession()?.expiresAt });

export function goLive(duration) {
  const { latitude, longitude } = placeOf(state.memberId);
  return press("start_session", { duration, latitude, longitude });
}

// Time

export const letTimePass = (until) =>
  doing(async () => {
    const session = liveSession();
    if (!session) throw new Error("No session is live: there is no end to bring near.");
    await system(`/sessions/${session.id}/time`, "POST", { until });
    announce("Time has passed.");
  });

// Photos

export async function sendSamplePhoto(name) {
  const photo = await doing(() => blob(`/system/pictures/${name}`));
  if (photo) await sendPhoto(new File([photo], name));
}

/** What an app does: ask for a form, and post the file with it straight to S3. */
export function sendPhoto(file) {
  const sent = { name: file.name, seen: null, problem: null };
  state.file = sent;
  system("/pictures", "POST", file)
    .then((seen) => (sent.seen = seen), (error) => (sent.name = error.message))
    .finally(changed);
  prepare("request_photo_upload");
  const request = held();
  return doing(async () => {
    const form = (await transmitted(request)).body?.upload;
    if (!form) return;
    sent.problem = await refusal(form, file);
    if (sent.problem) announce(sent.problem);
    else readLog("process_photo", state.calls.at(-1).at.getTime());
  });
}

/** Send the file, unless it is larger than the form allows. Returns why it was not taken; null when it was. */
async function refusal(form, file) {
  if (file.size <= form.maxBytes) return upload(form, file);
  return `It was not sent: it has ${file.size} bytes, and maxBytes allows ${form.maxBytes}.`;
}
