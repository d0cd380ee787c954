// The story in eight steps: what a member does first, and what happens then. Each step is a button.

import { html } from "/lib/lit-html/lit-html.js";
import { extend, goLive, letTimePass, press, pressSample, sendSamplePhoto } from "./actions.js";
import { eventsOf, state } from "./state.js";

const STEPS = [
  ["Join", "make a profile", () => pressSample("create_profile"), ({ profile }) => profile],
  ["Seek", "say whom", () => pressSample("create_preferences"), ({ preferences }) => preferences],
  ["Photo", "send one", () => sendSamplePhoto("phone.jpg"), ({ photo }) => photo?.photoUrl],
  ["Live", "for 30 minutes", () => goLive(30), ({ session }) => session],
  ["Extend", "by 15 minutes", () => extend(15), ({ isExtended }) => isExtended],
  ["Warned", "let time pass", () => letTimePass("warning"), ({ session }) => session?.isWarned],
  ["Ended", "let time pass", () => letTimePass("end"), ({ session }) => session && !session.isLive],
  ["Leave", "and leave nothing", () => press("delete_profile"), ({ hasLeft }) => hasLeft],
];

/** What has happened to the member since they joined, as any tab can read it: one evening is told, the latest. */
function soFar() {
  const { profile, preferences, photo } = state;
  const behind = state.behind[state.memberId];
  const newest = behind?.session;
  // Time that passes moves the start, but not the end, before the profile.
  const isTheirs = newest?.isLive || new Date(newest?.endsAt) > new Date(profile?.createdAt);
  const session = profile && isTheirs ? newest : null;
  const isExtended = eventsOf(state.memberId).some(
    (event) => event["detail-type"] === "SessionExtended" && event.detail.sessionId === session?.id,
  );
  return { profile, preferences, photo, session, isExtended, hasLeft: profile === null && behind?.hasLeft };
}

export function story() {
  const happened = soFar();
  const done = STEPS.map(([, , , isDone]) => Boolean(isDone(happened)));
  const isKnown = [state.profile, state.preferences, state.photo].every((part) => part !== undefined);
  const next = happened.hasLeft || !isKnown ? -1 : done.lastIndexOf(true) + 1;
  const step = ([name, what, act], number) => html`
    <li class=${done[number] ? "done" : ""}>
      <button type="button" aria-current=${number === next ? "step" : "false"} @click=${act}>
        <b>${done[number] ? html`✓ <span class="unseen">done:</span>` : `${number + 1} `} ${name}</b>
        <small>${what}</small>
      </button>
    </li>
  `;
  return html`<nav class="story" aria-label="The story, step by step"><ol>${STEPS.map(step)}</ol></nav>`;
}
