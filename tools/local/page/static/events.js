// What the bus tells chat and push services, as it arrives, and what the scheduler holds for the live session.

import { html } from "/lib/lit-html/lit-html.js";
import { repeat } from "/lib/lit-html/directives/repeat.js";
import { card } from "./parts.js";
import { eventsOf, state, timeOf } from "./state.js";

export function eventsCard() {
  const events = eventsOf(state.memberId).toReversed();
  return card(
    "events",
    "Domain events",
    html`
      <div class="scroll" tabindex="0" role="log" aria-label="Domain events, the newest first">
        <ol>${repeat(events, ({ id }) => id, drawn)}</ol>
        ${events.length ? null : html`<p class="soft">Nothing has happened yet.</p>`}
      </div>
      <h3>Schedules</h3>
      ${schedules(state.behind[state.memberId])}
    `,
  );
}

const drawn = ({ "detail-type": name, detail }) => html`
  <li>
    <details>
      <summary>
        <b>${name}</b> <span class="soft">${detail.reason ?? ""}</span>
        <time class="soft" datetime=${detail.occurredAt}>${timeOf(detail.occurredAt)}</time>
      </summary>
      <pre>${JSON.stringify(detail, null, 2)}</pre>
    </details>
  </li>
`;

function schedules(behind) {
  if (!behind) return html`<p class="soft">Looking…</p>`;
  const held = behind.session?.schedules ?? [];
  if (held.length === 0) return html`<p class="soft">EventBridge Scheduler holds nothing for this member.</p>`;
  return html`<ul>${held.map(schedule)}</ul>`;
}

/** A name is `warn-<id>` or `expire-<id>`; an expression is `at(2026-11-25T16:37:20)`, which is UTC. */
const schedule = ({ name, expression }) =>
  html`<li title=${name}><b>${name.split("-")[0]}</b> <time>${timeOf(`${expression.slice(3, -1)}Z`)}</time></li>`;
