// What the page can do. Everything a phone does goes through the API; nothing here knows its rules.

import { blob, call, patch, post, system, upload as sendForm } from "./api.js";
import { bearer, doing, failed, loadMembers, look, lookAtPhoto, lookBehind, PREFIX, readPhoto } from "./reading.js";
import { announce, changed, endpoint, liveSession, pause, state, unknown, whereabouts } from "./state.js";

const PHOTO_LOOKS_APART_MILLISECONDS = 1000;
const LOG_LOOKS = 20;
const LOG_LOOKS_APART_MILLISECONDS = 500;
const CALLS_KEPT = 20;

const otherTabs = new BroadcastChannel("after-hours");

/** Read the state again, because another tab or another tester may have changed it. */
async function lookAgain() {
  if (state.away) return;
  try {
    await loadMembers();
    await look();
  } catch (error) {
    failed(error);
  }
}

export function lookWhereOthersChangeThings() {
  otherTabs.addEventListener("message", lookAgain);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && lookAgain());
}

const tellOtherTabs = () => otherTabs.postMessage("changed");

// Members

export function chooseMember(id) {
  return doing(async () => {
    sessionStorage.setItem("member", id);
    sent += 1; // a call that is under way is the former member's
    Object.assign(state, unknown(), { memberId: id });
    if (state.otherId === id) beside(null);
    changed();
    await look();
  });
}

/** Show another member beside the chosen one, or none. */
export function beside(id) {
  sessionStorage.setItem("other", id ?? "");
  Object.assign(state, { otherId: id || null, other: undefined });
  changed();
  return id ? doing(lookBehind) : undefined;
}

/** Play as the member beside; the one who played so far stands beside then. */
export function swap() {
  const { memberId, otherId } = state;
  state.otherId = memberId;
  sessionStorage.setItem("other", memberId);
  state.other = undefined;
  return chooseMember(otherId);
}

export function changeMember(details) {
  return doing(async () => {
    await patch(`/members/${encodeURIComponent(state.memberId)}`, details);
    tellOtherTabs();
    await loadMembers();
    await look();
  });
}

export async function makeMember(details) {
  const made = await doing(async () => {
    const { id } = await post("/members", details);
    tellOtherTabs();
    await loadMembers();
    return id;
  });
  if (made) await chooseMember(made);
}

/** Begin anew. The server ends all streams of events, by which other tabs find out. */
export function reset() {
  return doing(async () => {
    await system("/reset", { method: "POST" });
    location.reload();
  });
}

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
  prepare(name, { sample, authorization, body: pretty(found.body) });
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** What the console will send as the Authorization header: the member's token, unless a sample has its own. */
export function authorization() {
  const own = state.request.authorization;
  if (own === "none") return undefined;
  return own || bearer();
}

let sent = 0;
let turn = Promise.resolve();

/** Calls go out one after another, in the order of the clicks: who joins and goes live at once has joined first. */
function inTurn(work) {
  const own = turn.then(work);
  turn = own.catch(() => {});
  return own;
}

/** Send what the console holds, and return the answer. The page shows the answer of the call that was sent last. */
export function send() {
  return doing(async () => {
    const { memberId } = state;
    const { function: name, body } = state.request;
    const { method, path } = endpoint(name);
    const at = new Date();
    const own = ++sent;
    const how = { authorization: authorization(), body };
    const answer = await inTurn(() => call(method, path, how));
    if (own === sent) state.answer = { ...answer, method, path };
    announce(`${method} ${path.replace(PREFIX, "")}: ${answer.status} ${answer.body?.code ?? ""}`);
    const { status } = answer;
    state.calls = [...state.calls, { ...answer, at, memberId, function: name, method, path }].slice(-CALLS_KEPT);
    if (name === "start_session" && status === 201) {
      const { latitude, longitude } = JSON.parse(body);
      state.sentFrom[memberId] = { session: answer.body.session.id, latitude, longitude };
    }
    if (method !== "GET") tellOtherTabs();
    readLog(name, at.getTime());
    await look();
    return answer;
  });
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
  press("extend_session", { additionalMinutes, ...(liveSession() && { expiresAt: liveSession().expiresAt }) });
export const end = () => press("end_session");
export const leave = () => press("delete_profile");

export function goLive(duration) {
  const { latitude, longitude } = whereabouts(state.memberId);
  return press("start_session", { duration, latitude, longitude });
}

// Time

const PASSED = {
  warning: "The warning is seconds away.",
  end: "The end is seconds away.",
  "ten-minutes": "Ten minutes have passed, or the end is seconds away.",
};

export function letTimePass(until) {
  return doing(async () => {
    const session = liveSession();
    if (!session) throw new Error("Nobody is live: there is no end to bring near.");
    await post(`/sessions/${session.id}/time`, { until });
    tellOtherTabs();
    announce(PASSED[until]);
    await lookBehind();
  });
}

// Photos

export async function sendSamplePhoto(name) {
  const photo = await doing(() => blob(`/system/pictures/${name}`));
  if (photo) await sendPhoto(new File([photo], name, { type: photo.type }));
}

/** What an app does: ask for a form, post the file with it straight to S3, and look until the photo is settled. */
export async function sendPhoto(file) {
  const shown = { name: file.name, before: null, unreadable: null, refused: null };
  state.file = shown;
  changed();
  system("/pictures", { method: "POST", body: file })
    .then((seen) => (shown.before = seen), (error) => (shown.unreadable = error.message))
    .finally(changed);
  const since = Date.now();
  const form = (await press("request_photo_upload"))?.body?.upload;
  if (!form) return;
  await doing(async () => {
    shown.refused = await refusal(form, file);
    if (shown.refused) return announce(shown.refused);
    await settle(form.photoId);
    tellOtherTabs();
    readLog("process_photo", since);
    announce(`The photo is ${state.photo?.status}.`);
    await look();
  });
}

/** Send the file, unless it is larger than the form allows. Returns why it was not taken; null when it was. */
async function refusal(form, file) {
  if (file.size > form.maxBytes) {
    const [has, allows] = [file.size, form.maxBytes].map((bytes) => bytes.toLocaleString("en"));
    return `It was not sent: it has ${has} bytes, and maxBytes allows ${allows}.`;
  }
  try {
    await sendForm(form, file);
    return null;
  } catch (error) {
    if (error.message.startsWith("S3")) return error.message;
    throw error;
  }
}

async function settle(photoId) {
  do {
    await pause(PHOTO_LOOKS_APART_MILLISECONDS);
    await readPhoto();
  } while (state.photo?.photoId === photoId && ["pending", "processing"].includes(state.photo.status));
}

// Logs

/** Show what the function wrote when it was last called; it writes when it is through, so this may take some looks. */
export async function readLog(name, since = 0) {
  const log = { function: name, lines: [], duration: null, busy: true };
  state.log = log;
  changed();
  for (let looks = 0; looks < (since ? LOG_LOOKS : 1) && state.log === log && !log.duration; looks++) {
    if (looks) await pause(LOG_LOOKS_APART_MILLISECONDS);
    try {
      Object.assign(log, await system(`/logs/${name}?since=${Math.floor(since)}`));
    } catch {
      break; // the next call says what is wrong
    }
  }
  log.busy = false;
  changed();
}

// Events

const WRITTEN_BY = {
  SessionExpiring: () => "expire_session",
  SessionEnded: ({ reason }) => (reason === "expired" ? "expire_session" : null),
};

/** Keep an event. One that is older than the page changes nothing that the page does not read anyway. */
export function hear(number, event) {
  if (state.events.some((heard) => heard.number === number)) return;
  state.events.push({ number, ...event });
  changed();
  if (number <= state.system.heard || ![state.memberId, state.otherId].includes(event.detail.userId)) return;
  const kind = event["detail-type"];
  (kind.startsWith("Photo") ? lookAtPhoto() : lookBehind()).catch(failed);
  if (event.detail.userId !== state.memberId) return;
  announce(`${kind} ${event.detail.reason ?? ""}`);
  const written = WRITTEN_BY[kind]?.(event.detail);
  if (written) readLog(written, new Date(event.time).getTime() - 5000);
}
