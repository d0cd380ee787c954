// The story in eight steps: what a member does first, and what happens then. Each step is a button.

import { html } from "/lib/lit-html/lit-html.js";
import { extend, goLive, join, leave, letTimePass, seek, sendSamplePhoto } from "./actions.js";
import { eventsOf, state } from "./state.js";

const warn = () => letTimePass("warning");
const expire = () => letTimePass("end");

const STEPS = [
  { name: "Join", what: "make a profile", act: join, done: ({ profile }) => profile },
  { name: "Seek", what: "say whom", act: seek, done: ({ preferences }) => preferences },
  { name: "Photo", what: "send one", act: () => sendSamplePhoto("phone.jpg"), done: ({ photo }) => photo },
  { name: "Live", what: "for 30 minutes", act: () => goLive(30), done: ({ session }) => session },
  { name: "Extend", what: "by 15 minutes", act: () => extend(15), done: ({ isExtended }) => isExtended },
  { name: "Warned", what: "let time pass", act: warn, done: ({ session }) => session?.isWarned },
  { name: "Ended", what: "let time pass", act: expire, done: ({ session }) => session && !session.isLive },
  { name: "Leave", what: "and leave nothing", act: leave, done: ({ hasLeft }) => hasLeft },
];

/** What has happened to the member since they joined, as any tab can read it: one evening is told, the latest. */
function soFar() {
  const { profile, preferences, photo, behind } = state;
  const newest = behind?.session;
  // Time that passes moves the start, but not the end, before the profile.
  const isTheirs = newest?.isLive || new Date(newest?.endsAt) > new Date(profile?.createdAt);
  const session = profile && isTheirs ? newest : null;
  const isExtended =
    session &&
    eventsOf(state.memberId).some(
      (event) => event["detail-type"] === "SessionExtended" && event.detail.sessionId === session.id,
    );
  return {
    profile,
    preferences,
    photo: photo?.photoUrl,
    session,
    isExtended,
    hasLeft: profile === null && behind?.hasLeft,
  };
}

export function story() {
  const happened = soFar();
  const done = STEPS.map((step) => Boolean(step.done(happened)));
  const isKnown = [state.profile, state.preferences, state.photo, state.behind].every((part) => part !== undefined);
  const next = happened.hasLeft || !isKnown ? -1 : done.lastIndexOf(true) + 1;
  return html`
    <nav class="story" aria-label="The story, step by step">
      <ol>
        ${STEPS.map(
          ({ name, what, act }, number) => html`
            <li class=${done[number] ? "done" : number === next ? "next" : ""}>
              <button type="button" aria-current=${number === next ? "step" : "false"} @click=${act}>
                <span class="number" aria-hidden="true">${done[number] ? "✓" : number + 1}</span>
                <span class="name">${name}</span>
                <span class="what">${what}</span>
                ${done[number] ? html`<span class="unseen">, done</span>` : null}
              </button>
            </li>
          `,
        )}
      </ol>
    </nav>
  `;
}
