// What the bus tells chat and push services, as it arrives, and what the scheduler holds for the live session.

import { html } from "/lib/lit-html/lit-html.js";
import { repeat } from "/lib/lit-html/directives/repeat.js";
import { json } from "./json.js";
import { card } from "./parts.js";
import { eventsOf, looking, state, timeOf } from "./state.js";

export function eventsCard() {
  const theirs = eventsOf(state.memberId).reverse();
  const isKnown = (state.events.at(-1)?.number ?? 0) >= state.system.heard;
  const nothing = html`<p class="soft">Nothing has happened yet. Chat and push services hear of it here.</p>`;
  const interrupted = state.opened && !state.listening;
  return card(
    "events",
    html`Domain events ${interrupted ? html`<span class="status bad">interrupted</span>` : null}`,
    html`
      <div class="scroll" tabindex="0" role="region" aria-label="Domain events, the newest first">
        ${theirs.length ? null : isKnown ? nothing : looking}
        <ol class="timeline">${repeat(theirs, ({ number }) => number, drawn)}</ol>
      </div>
      <h3>Schedules</h3>
      ${schedules()}
    `,
  );
}

function drawn(event) {
  const name = event["detail-type"];
  return html`
    <li class=${name}>
      <details>
        <summary>
          <b>${name}</b> <span class="soft">${event.detail.reason ?? ""}</span>
          <time datetime=${event.detail.occurredAt}>${timeOf(event.detail.occurredAt)}</time>
        </summary>
        <pre>${json(event.detail)}</pre>
      </details>
    </li>
  `;
}

const MEANINGS = { warn: "warns five minutes before the end", expire: "ends the session" };

function schedules() {
  if (!state.behind) return looking;
  const held = state.behind.session?.schedules ?? [];
  if (held.length === 0) return html`<p class="soft">EventBridge Scheduler holds nothing for this member.</p>`;
  return html`<ul class="schedules">${held.map(schedule)}</ul>`;
}

function schedule({ name, expression }) {
  const [kind] = name.split("-");
  return html`
    <li title=${name}>
      <b>${kind}</b> <time>${timeOf(momentOf(expression))}</time> <span class="soft">${MEANINGS[kind]}</span>
    </li>
  `;
}

/** The time in `at(2026-11-25T16:37:20)`, which is UTC. */
export const momentOf = (expression) => new Date(`${expression.slice(3, -1)}Z`);
