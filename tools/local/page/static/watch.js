// The page looks once a second. One call reads what is behind the API; where that differs, the API is asked, too.

import { Away, blob, call, PREFIX, storage, system } from "./api.js";
import { changed, member, state, unknown } from "./state.js";

let due = Promise.withResolvers();

/** Look at once, and not only when the second is over. */
export const look = () => due.resolve();

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

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
    await Promise.race([due.promise, pause(1000)]);
  }
}

async function lookOnce() {
  const { memberId, otherId } = state;
  const shown = [memberId, otherId].filter(Boolean).map((id) => ["member", id]);
  const { members, behind } = await system(`/state?${new URLSearchParams(shown)}`);
  if (memberId !== state.memberId) return look();
  for (const { session } of Object.values(behind)) if (session) session.receivedAt = performance.now();
  Object.assign(state, { members, behind });
  if (!member()) {
    Object.assign(state, unknown(), { memberId: members[0].id });
    return look();
  }
  changed();
  const { digest } = behind[memberId];
  if (digest === state.digest) return;
  await ask();
  if (memberId === state.memberId) state.digest = digest;
}

/** Ask the API for all that it tells the member. Another member may be chosen meanwhile. */
async function ask() {
  const { id, token } = member();
  const keep = (part) => {
    if (id === state.memberId) changed(Object.assign(state, part));
  };
  /** What the API holds at a path; null where there is nothing. */
  const get = async (path, name) => {
    const { status, body } = await call("GET", PREFIX + path, { authorization: `Bearer ${token}` });
    if (status === 200 || status === 404) return body[name] ?? null;
    if (status !== 403) throw new Error(`The API answered ${status} ${body?.code} when it was asked for the ${name}.`);
    keep({ refusal: { status, ...body }, profile: undefined, preferences: undefined, photo: undefined, shown: null });
  };
  const profile = await get("/profile", "profile");
  if (profile === undefined) return;
  keep({ refusal: null, profile, ...(profile ? {} : { photo: null, shown: null, file: null }) });
  await Promise.all([
    get("/preferences", "preferences").then((preferences) => keep({ preferences })),
    profile && get("/profile/photo", "photo").then((photo) => see(photo, keep)),
  ]);
}

/** Show the newest photo's state, and read the metadata of the photo that others are shown, unless it was read last. */
async function see(photo, keep) {
  keep({ photo });
  const address = photo?.photoUrl && storage(photo.photoUrl);
  if (!address) return keep({ shown: null });
  if (state.shown?.address === address) return;
  keep({ shown: { address, seen: await system("/pictures", "POST", await blob(address)) } });
}

/** Show what the function wrote in its last call since then; it writes when it is through, so this may take a while. */
export async function readLog(name, since = 0) {
  const log = { function: name, lines: [], duration: null, isAwaited: since > 0 };
  state.log = log;
  do {
    Object.assign(log, await system(`/logs/${name}?since=${since}`).catch(() => ({ isAwaited: false })));
    changed();
    await pause(500);
  } while (log.isAwaited && !log.duration && state.log === log);
}
