// What the bus tells chat and push services, as it arrives, and what the scheduler holds for the live session.

import { html } from "/lib/lit-html/lit-html.js";
import { repeat } from "/lib/lit-html/directives/repeat.js";
import { json } from "./json.js";
import { eventsOf, looking, state, timeOf } from "./state.js";

export function eventsCard() {
  const theirs = eventsOf(state.memberId).reverse();
  const isKnown = (state.events.at(-1)?.number ?? 0) >= state.system.heard;
  return html`
    <section class="card events" aria-labelledby="events-title">
      <h2 id="events-title">
        Domain events ${state.listening || !state.opened ? null : html`<span class="status bad">interrupted</span>`}
      </h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Domain events, the newest first">
        ${theirs.length > 0
          ? null
          : isKnown
            ? html`<p class="soft">Nothing has happened yet. Chat and push services hear of it here.</p>`
            : looking}
        <ol class="timeline">
          ${repeat(theirs, ({ number }) => number, drawn)}
        </ol>
      </div>
      <h3>Schedules</h3>
      ${schedules()}
    </section>
  `;
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
  return html`
    <ul class="schedules">
      ${held.map(
        ({ name, expression }) => html`
          <li title=${name}>
            <b>${name.split("-")[0]}</b> <time>${timeOf(momentOf(expression))}</time>
            <span class="soft">${MEANINGS[name.split("-")[0]]}</span>
          </li>
        `,
      )}
    </ul>
  `;
}

/** The time in `at(2026-11-25T16:37:20)`, which is UTC. */
export const momentOf = (expression) => new Date(`${expression.slice(3, -1)}Z`);
