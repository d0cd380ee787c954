// What a function wrote to its log when it was last called.

import { html } from "/lib/lit-html/lit-html.js";
import { card, select } from "./parts.js";
import { state } from "./state.js";
import { readLog } from "./watch.js";

export function logCard() {
  const { lines, duration, isAwaited, function: name } = state.log;
  const instead = isAwaited ? "Looking; it writes when it is through…" : "It was not called yet.";
  return card(
    "log",
    "Log of the last call",
    html`
      ${select("Function", name, state.catalogue.functions.map((each) => [each, each]), readLog)}
      <div class="scroll" tabindex="0" role="region" aria-label="Lines of the log">
        ${lines.map((line) => html`<p><code>${line}</code></p>`)}
        <p class="soft">${duration ? `It took ${duration}.` : instead}</p>
      </div>
    `,
  );
}
