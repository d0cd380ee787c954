// The page reads the member's state and what is behind the API. It retries while the system does not answer.

import { Away, blob, call, storage, system } from "./api.js";
import { announce, changed, member, pause, state } from "./state.js";

export const PREFIX = "/api/after-hours";
const SEARCHES_APART_MILLISECONDS = 2000;

export const bearer = () => `Bearer ${member()?.token}`;
const quietly = (path) => call("GET", PREFIX + path, { authorization: bearer() });
const stateOf = (id) => system(`/members/${encodeURIComponent(id)}/state`);

/** Do something that takes a moment, and show what went wrong on the way. */
export async function doing(work) {
  state.busy += 1;
  state.problem = null;
  changed();
  try {
    return await work();
  } catch (error) {
    failed(error);
  } finally {
    state.busy -= 1;
    changed();
  }
}

/** Show what went wrong. While the system is away that is all there is to say, and the page looks for it. */
export function failed(error) {
  if (error instanceof Away) {
    lost();
  } else {
    state.problem = error.message;
    announce(error.message);
    changed();
  }
}

export function lost() {
  if (state.away) return;
  state.away = true;
  state.problem = null;
  changed();
  search();
}

async function search() {
  while (state.away) {
    await pause(SEARCHES_APART_MILLISECONDS);
    try {
      await sameSystem();
      await loadMembers();
      await look();
      state.away = false;
      announce("The system answers again.");
    } catch {
      // not yet
    }
  }
  changed();
}

/** Reload when this is another system than the one that the page was opened on, or one that began anew. */
export async function sameSystem() {
  if ((await system("")).instance === state.system.instance) return;
  location.reload();
  await new Promise(() => {}); // nothing more is done here
}

export async function loadMembers() {
  state.members = await system("/members");
  if (!member()) state.memberId = state.members[0]?.id ?? null;
  changed();
}

/** A read whose answers may overtake each other, or come when another member is chosen: only the newest counts. */
function newest(read, keep) {
  let last = 0;
  return async () => {
    const own = ++last;
    const { memberId } = state;
    const found = await read();
    if (own !== last || memberId !== state.memberId) return;
    keep(found);
    changed();
  };
}

/** What an answer holds; null where there is none. Throws an Error when it says neither. */
function found({ status, body }, name) {
  if (status === 200) return body[name];
  if (status === 404) return null;
  throw new Error(`The API answered ${status} ${body?.code ?? ""} when it was asked for the ${name}.`);
}

const readProfile = newest(
  () => quietly("/profile"),
  ({ status, body }) => {
    state.refusal = status === 403 ? { status, ...body } : null;
    state.profile = state.refusal ? undefined : found({ status, body }, "profile");
    if (state.profile === null) state.file = null;
  },
);

const readPreferences = newest(
  () => (state.refusal ? null : quietly("/preferences")),
  (answer) => (state.preferences = answer ? found(answer, "preferences") : undefined),
);

export const readPhoto = newest(
  () => (state.profile ? quietly("/profile/photo") : null),
  (answer) => (state.photo = answer ? found(answer, "photo") : state.profile),
);

const received = (behind) => {
  if (behind.session) behind.session.receivedAt = performance.now();
  return behind;
};

/** Read what the API does not tell: the session as the database has it, the shown place, and the schedules. */
export const lookBehind = newest(
  async () => Promise.all([state.memberId, state.otherId].map((id) => id && stateOf(id).then(received))),
  ([behind, other]) => Object.assign(state, { behind, other: other ?? undefined }),
);

/** Look, once at a time: whoever asks meanwhile waits for one more look. */
function onceAtATime(work) {
  let running = null;
  let next = null;
  return function once() {
    if (!running) return (running = work().finally(() => (running = null)));
    next ??= running.catch(() => {}).then(() => ((next = null), once()));
    return next;
  };
}

/** Read anew what the page shows of the member. */
export const look = onceAtATime(async () => {
  await Promise.all([readProfile(), lookBehind()]);
  await Promise.all([readPreferences(), lookAtPhoto()]);
});

export async function lookAtPhoto() {
  await readPhoto();
  await lookAtShownPhoto();
}

/** Fetch the photo that is shown, unless it is the one that was fetched last, and see what it says. */
async function lookAtShownPhoto() {
  const address = state.photo?.photoUrl ? storage(state.photo.photoUrl) : null;
  if (state.shown?.address === address) return;
  const shown = address && { address, facts: null };
  state.shown = shown;
  changed();
  if (!shown) return;
  shown.facts = await system("/pictures", { method: "POST", body: await blob(address) });
  changed();
}
