// The story in seven steps: what a member does first, and what happens then. Each step is a button.

import { html } from "/lib/lit-html/lit-html.js";
import { extend, goLive, join, leave, letTimePass, sendSamplePhoto } from "./actions.js";
import { state } from "./state.js";

const STEPS = [
  { name: "Join", what: "make a profile", act: join, done: ({ joined }) => joined },
  { name: "Photo", what: "send one", act: () => sendSamplePhoto("phone.jpg"), done: ({ photo }) => photo },
  { name: "Live", what: "for 30 minutes", act: () => goLive(30), done: ({ told }) => told("SessionStarted") },
  { name: "Extend", what: "by 15 minutes", act: () => extend(15), done: ({ told }) => told("SessionExtended") },
  { name: "Warned", what: "let time pass", act: () => letTimePass("warning"), done: ({ told }) => told("SessionExpiring") },
  { name: "Ended", what: "let time pass", act: () => letTimePass("end"), done: ({ told }) => told("SessionEnded") },
  { name: "Leave", what: "and leave nothing", act: leave, done: ({ left }) => left },
];

/** What has happened to the member since they joined. */
function soFar() {
  const theirs = state.events.filter(
    ({ number, detail }) => number > state.storyFrom && detail.userId === state.memberId,
  );
  // One evening is told: from the latest start on.
  const evening = theirs.slice(theirs.findLastIndex((event) => event["detail-type"] === "SessionStarted"));
  return {
    joined: Boolean(state.profile) || state.left,
    photo: state.photo?.status === "ready" || theirs.some((event) => event["detail-type"] === "PhotoReady"),
    told: (name) => theirs.length > 0 && evening.some((event) => event["detail-type"] === name),
    left: state.left,
  };
}

export function story() {
  const happened = soFar();
  const done = STEPS.map((step) => Boolean(step.done(happened)));
  const next = happened.left ? -1 : done.lastIndexOf(true) + 1;
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
