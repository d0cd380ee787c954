// What a function wrote to its log when it was last called.

import { html } from "/lib/lit-html/lit-html.js";
import { readLog } from "./actions.js";
import { state } from "./state.js";

export function logCard() {
  const { log } = state;
  return html`
    <section class="card log" aria-labelledby="log-title">
      <h2 id="log-title">Log of the last call</h2>
      <label>
        Function
        <select @change=${(event) => readLog(event.target.value)}>
          ${state.system.functions.map(
            (name) => html`<option ?selected=${name === log.function}>${name}</option>`,
          )}
        </select>
      </label>
      <div class="scroll" tabindex="0" role="region" aria-label="Lines of the log">
        ${log.lines.map(
          ({ level, message, details }) => html`
            <p class="line ${level}">
              <span class="level">${level}</span> ${message}
              ${Object.entries(details).map(
                ([name, value]) => html`<span class="pair"><i>${name}</i> ${valueOf(value)}</span> `,
              )}
            </p>
          `,
        )}
        <p class="soft">
          ${outcome(log)}
        </p>
      </div>
    </section>
  `;
}

function outcome({ duration, busy }) {
  if (duration) return `It took ${duration}.`;
  return busy ? "Looking; it writes when it is through…" : "It was not called yet.";
}

/** A metric is written as a list of what was counted. */
function valueOf(value) {
  if (Array.isArray(value) && value.length === 1) return valueOf(value[0]);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
