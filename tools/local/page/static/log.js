// What a function wrote to its log when it was last called.

import { html } from "/lib/lit-html/lit-html.js";
import { readLog } from "./actions.js";
import { card, options } from "./parts.js";
import { state } from "./state.js";

export function logCard() {
  const { log } = state;
  return card(
    "log",
    "Log of the last call",
    html`
      <label>
        Function
        <select @change=${(event) => readLog(event.target.value)}>
          ${options(state.system.functions, log.function)}
        </select>
      </label>
      <div class="scroll" tabindex="0" role="region" aria-label="Lines of the log">
        ${log.lines.map(line)}
        <p class="soft">${outcome(log)}</p>
      </div>
    `,
  );
}

const line = ({ level, message, details }) => html`
  <p class="line ${level}">
    <span class="level">${level}</span> ${message}
    ${Object.entries(details).map(([name, value]) => html`<span><i>${name}</i> ${valueOf(value)}</span> `)}
  </p>
`;

function outcome({ duration, busy }) {
  if (duration) return `It took ${duration}.`;
  return busy ? "Looking; it writes when it is through…" : "It was not called yet.";
}

/** A metric is written as a list of what was counted. */
function valueOf(value) {
  if (Array.isArray(value) && value.length === 1) return valueOf(value[0]);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
