// What the page can do. Everything a phone does goes through the API; nothing here knows its rules.

import { call, patch, post, storage, system } from "./api.js";
import { announce, changed, endpoint, member, state } from "./state.js";

const PREFIX = "/api/after-hours";
const PHOTO_LOOKS_APART_MILLISECONDS = 1000;
const LOG_LOOKS = 20;
const LOG_LOOKS_APART_MILLISECONDS = 500;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const bearer = (name = state.memberId) => `Bearer ${state.members.find(({ id }) => id === name)?.token}`;

/** Do something that takes a moment, and show what went wrong on the way. */
async function doing(work) {
  state.busy += 1;
  state.problem = null;
  changed();
  try {
    return await work();
  } catch (error) {
    state.problem = error.message;
    announce(error.message);
  } finally {
    state.busy -= 1;
    changed();
  }
}

// Members

export async function loadMembers() {
  state.members = await system("/members");
  if (!member()) state.memberId = state.members[0]?.id ?? null;
  changed();
}

export function chooseMember(id) {
  return doing(async () => {
    sessionStorage.setItem("member", id);
    Object.assign(state, {
      memberId: id, refusal: null, profile: null, preferences: null, photo: null, session: null, backstage: null,
      sentFrom: null, file: null, shown: null, left: false, storyFrom: 0,
    });
    changed();
    await look();
  });
}

export function changeMember(details) {
  return doing(async () => {
    await patch(`/members/${encodeURIComponent(state.memberId)}`, details);
    await loadMembers();
    await look();
  });
}

export async function makeMember(details) {
  const made = await doing(async () => {
    const { id } = await post("/members", details);
    await loadMembers();
    return id;
  });
  if (made) await chooseMember(made);
}

export function reset() {
  return doing(async () => {
    await system("/reset", { method: "POST" });
    await loadMembers();
    Object.assign(state, { answer: null, events: [], log: { ...state.log, lines: [], duration: null } });
    await chooseMember(state.members[0].id);
    announce("Everyone has left. The first members are as they were.");
  });
}

// What the member sees, and what is behind it

const quietly = (path) => call("GET", PREFIX + path, { authorization: bearer() });

/** A read whose answers may overtake each other, as when another member is chosen meanwhile: only the newest counts. */
function newest(read, keep) {
  let last = 0;
  return async () => {
    const own = ++last;
    const found = await read();
    if (own !== last) return;
    keep(found);
    changed();
  };
}

const readProfile = newest(
  () => quietly("/profile"),
  ({ status, body }) => {
    state.refusal = status === 403 ? { status, ...body } : null;
    state.profile = body?.profile ?? null;
  },
);

const readPreferences = newest(
  () => (state.refusal ? null : quietly("/preferences")),
  (answer) => (state.preferences = answer?.body?.preferences ?? null),
);

const readPhoto = newest(
  () => (state.profile ? quietly("/profile/photo") : null),
  (answer) => (state.photo = answer?.body?.photo ?? null),
);

const readSession = newest(
  () => quietly("/session"),
  ({ body }) => {
    state.session = body?.session ? { ...body.session, receivedAt: performance.now() } : null;
    if (!state.session) state.sentFrom = null;
  },
);

/** Read what the API does not tell: the shown place, the warning, and the schedules. */
export const lookBehind = newest(
  () => system(`/members/${encodeURIComponent(state.memberId)}/session`),
  (found) => (state.backstage = found),
);

/** Read anew what the page shows of the member. */
export async function look() {
  await Promise.all([readProfile(), readSession(), lookBehind()]);
  await Promise.all([readPreferences(), readPhoto()]);
  await lookAtShownPhoto();
}

export const lookAtSession = () => Promise.all([readSession(), lookBehind()]);

// Calls

/** Put a call into the console, as if it had been written there. */
export function prepare(name, { sample = "", authorization = "", body = "" } = {}) {
  state.request = { function: name, sample, authorization, body };
  changed();
}

export function prepareSample(name, sample) {
  const found = endpoint(name).samples.find((each) => each.name === sample);
  const authorization = found.authorization?.replace("SAMPLE_TOKEN", "") === "Bearer " ? "" : (found.authorization ?? "none");
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

/** Send what the console holds, and return the answer. The page shows the answer of the call that was sent last. */
export function send() {
  return doing(async () => {
    const { function: name, body } = state.request;
    const { method, path } = endpoint(name);
    const since = Date.now();
    const own = ++sent;
    const answer = await call(method, path, { authorization: authorization(), body });
    if (own === sent) state.answer = { ...answer, method, path };
    announce(`${method} ${path.replace(PREFIX, "")}: ${answer.status} ${answer.body?.code ?? ""}`);
    remember(name, body, answer);
    readLog(name, since);
    await look();
    return answer;
  });
}

/** Prepare and send at once: what the buttons of the page do. */
export function press(name, body) {
  prepare(name, { body: body ? JSON.stringify(body, null, 2) : "" });
  return send();
}

function remember(name, body, { status }) {
  if (name === "start_session" && status === 201) {
    const { latitude, longitude } = JSON.parse(body);
    state.sentFrom = { latitude, longitude };
  }
  if (name === "create_profile" && status === 201) {
    state.left = false;
    state.storyFrom = state.events.at(-1)?.number ?? 0;
  }
  if (name === "delete_profile" && status === 204) {
    state.left = true;
    state.file = null;
  }
}

export const join = () => press("create_profile", JSON.parse(endpoint("create_profile").samples[0].body));
export const goLive = (duration) => press("start_session", { duration, ...state.place });
export const extend = (additionalMinutes) =>
  press("extend_session", { additionalMinutes, ...(state.session && { expiresAt: state.session.expiresAt }) });
export const end = () => press("end_session");
export const leave = () => press("delete_profile");

// Time

export function letTimePass(until) {
  return doing(async () => {
    if (!state.session) throw new Error("Nobody is live: there is no end to bring near.");
    await post(`/sessions/${state.session.id}/time`, { until });
    announce(until === "warning" ? "The warning is seconds away." : "The end is seconds away.");
    await lookAtSession();
  });
}

// Photos

export async function sendSamplePhoto(name) {
  const answer = await fetch(`/system/pictures/${name}`);
  await sendPhoto(new File([await answer.blob()], name, { type: answer.headers.get("content-type") }));
}

/** What an app does: ask for a form, post the file with it straight to S3, and look until the photo is settled. */
export async function sendPhoto(file) {
  const sent = { name: file.name, before: null, problem: null };
  state.file = sent;
  changed();
  system("/pictures", { method: "POST", body: file })
    .then((seen) => (sent.before = seen), (error) => (sent.problem = error.message))
    .finally(changed);
  const since = Date.now();
  const upload = (await press("request_photo_upload"))?.body?.upload;
  if (!upload) return;
  await doing(async () => {
    const form = new FormData();
    for (const [name, value] of Object.entries(upload.fields)) form.append(name, value);
    form.append("file", file);
    const stored = await fetch(storage(upload.url), { method: "POST", body: form });
    if (!stored.ok) throw new Error(`S3 answered ${stored.status} to the form.`);
    await settle(upload.photoId);
    readLog("process_photo", since);
    announce(`The photo is ${state.photo?.status}.`);
    await look();
  });
}

async function settle(photoId) {
  do {
    await pause(PHOTO_LOOKS_APART_MILLISECONDS);
    await readPhoto();
  } while (state.photo?.photoId === photoId && ["pending", "processing"].includes(state.photo.status));
}

/** Fetch the photo that is shown, unless it is the one that was fetched last, and see what it says. */
async function lookAtShownPhoto() {
  const address = state.photo?.photoUrl ? storage(state.photo.photoUrl) : null;
  if (state.shown?.address === address) return;
  const shown = address && { address, facts: null };
  state.shown = shown;
  changed();
  if (!shown) return;
  const photo = await (await fetch(address)).blob();
  shown.facts = await system("/pictures", { method: "POST", body: photo });
  changed();
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

export function hear(number, event) {
  if (state.events.some((heard) => heard.number === number)) return;
  state.events.push({ number, ...event });
  changed();
  if (event.detail.userId !== state.memberId) return;
  announce(`${event["detail-type"]} ${event.detail.reason ?? ""}`);
  const written = WRITTEN_BY[event["detail-type"]]?.(event.detail);
  if (written && Date.now() - new Date(event.time) < 60_000) readLog(written, new Date(event.time).getTime() - 5000);
  lookAtSession().catch(() => {}); // the next call says what is wrong
}
