// The page looks once a second. One call reads what is behind the API; where that differs, the API is asked, too.

import { Away, blob, call, PREFIX, storage, system } from "./api.js";
import { announce, changed, member, pause, state } from "./state.js";

const LOOKS_APART_MILLISECONDS = 1000;
const LOG_LOOKS_APART_MILLISECONDS = 500;

let due = Promise.withResolvers();

/** Look at once, and not only when the second is over. */
export const look = () => due.resolve();

/** Keep the page as the system is. While that does not answer, this goes on. */
export async function watch() {
  for (;;) {
    due = Promise.withResolvers();
    try {
      state.catalogue ??= await system("/catalogue");
      await lookOnce();
      Object.assign(state, { away: false, unread: null });
    } catch (error) {
      if (error instanceof Away) state.away = true;
      else state.unread = error.message;
    }
    changed();
    await Promise.race([due.promise, pause(LOOKS_APART_MILLISECONDS)]);
  }
}

async function lookOnce() {
  const { memberId, otherId, instance } = state;
  const shown = [memberId, otherId].filter(Boolean).map((id) => ["member", id]);
  const found = await system(`/state?${new URLSearchParams([["after", state.events.length], ...shown])}`);
  if (instance && found.instance !== instance) {
    location.reload();
    await new Promise(() => {}); // nothing more is done here
  }
  if (memberId !== state.memberId) return look();
  for (const { session } of Object.values(found.behind)) if (session) session.receivedAt = performance.now();
  const { members, behind } = found;
  Object.assign(state, { instance: found.instance, members, behind, events: [...state.events, ...found.events] });
  if (instance) found.events.forEach(hear);
  if (!member()) {
    state.memberId = members[0].id;
    return look();
  }
  changed();
  const { subscribed, verified, consenting } = member();
  const digest = [behind[memberId].digest, subscribed, verified, consenting].join();
  if (digest === state.digest) return;
  await ask();
  if (memberId === state.memberId) state.digest = digest;
}

/** Ask the API for all that it tells the member. Another member may be chosen meanwhile. */
async function ask() {
  const { id, token } = member();
  const get = (path) => call("GET", PREFIX + path, { authorization: `Bearer ${token}` });
  const keep = (part) => {
    if (id === state.memberId) changed(Object.assign(state, part));
  };
  const { status, body } = await get("/profile");
  if (status === 403) {
    return keep({ refusal: { status, ...body }, profile: undefined, preferences: undefined, photo: undefined });
  }
  const profile = found({ status, body }, "profile");
  keep({ refusal: null, profile, ...(profile ? {} : { photo: null, shown: null, file: null }) });
  const photo = profile ? get("/profile/photo").then((answer) => found(answer, "photo")) : null;
  await Promise.all([
    get("/preferences").then((answer) => keep({ preferences: found(answer, "preferences") })),
    photo?.then((newest) => keep({ photo: newest })),
  ]);
  await seeShownPhoto((await photo)?.photoUrl, keep);
}

/** What an answer holds; null where there is none. Throws an Error when it says neither. */
function found({ status, body }, name) {
  if (status === 200) return body[name];
  if (status === 404) return null;
  throw new Error(`The API answered ${status} ${body?.code ?? ""} when it was asked for the ${name}.`);
}

/** Fetch the photo that is shown, unless it was fetched last, and read its metadata. */
async function seeShownPhoto(url, keep) {
  const address = url && storage(url);
  if (!address) return keep({ shown: null });
  if (state.shown?.address === address) return;
  keep({ shown: { address, facts: null } });
  keep({ shown: { address, facts: await system("/pictures", { method: "POST", body: await blob(address) }) } });
}

/** Say what happened to the member, and show what the scheduler's function wrote. */
function hear({ "detail-type": kind, detail, time }) {
  if (detail.userId !== state.memberId) return;
  announce(`${kind} ${detail.reason ?? ""}`);
  if (kind === "SessionExpiring" || detail.reason === "expired") readLog("expire_session", Date.parse(time) - 5000);
}

/** Show what the function wrote in its last call since then; it writes when it is through, so this may take a while. */
export async function readLog(name, since = 0) {
  const log = { function: name, lines: [], duration: null, isAwaited: since > 0 };
  state.log = log;
  do {
    Object.assign(log, await system(`/logs/${name}?since=${since}`).catch(() => ({ isAwaited: false })));
    changed();
    await pause(LOG_LOOKS_APART_MILLISECONDS);
  } while (log.isAwaited && !log.duration && state.log === log);
}
