// Every endpoint with a body to edit, its last answer, and the log of its function. The call and a report can be copied.

import { html } from "/lib/lit-html/lit-html.js";
import { doing, held, prepare, send } from "./actions.js";
import { PREFIX } from "./api.js";
import { button, card, form, select } from "./parts.js";
import { announce, changed, endpoint, member, state } from "./state.js";
import { readLog } from "./watch.js";

const LEFT_OUT_OF_REPORTS = ["token", "shownPlace", "upload"];
const SIGNATURES = /([?&]X-Amz-[\w-]+=)[^&\s"]+/gi;

export function consoleCard() {
  const { request, catalogue } = state;
  const { method, summary, samples } = endpoint(request.function);
  const choices = samples.map(({ name, outcome }) => [name, `${name.replaceAll("_", " ")} → ${outcome}`]);
  return card(
    "console",
    "API",
    html`
      <div class="halves">
        ${form(
          "Send",
          html`
            ${select("Endpoint", request.function, catalogue.endpoints.map((each) => [each.function, line(each)]), (name) =>
              choose(name, "valid"))}
            <p class="soft">${summary}.</p>
            ${select("Sample", request.sample, [["", "your own"], ...choices], (name) => choose(request.function, name))}
            <label>Authorization <input .value=${request.authorization} @input=${edit("authorization")} /></label>
            ${["POST", "PATCH"].includes(method)
              ? html`<label>Body <textarea rows="5" .value=${request.body} @input=${edit("body")}></textarea></label>`
              : null}
          `,
          send,
          button("Copy as curl", copyAsCurl),
        )}
        ${answer(state.answer)}
      </div>
    `,
  );
}

const line = ({ method, path }) => `${method} ${path.replace(PREFIX, "")}`;

const choose = (name, sample) => prepare(name, sample, endpoint(name).samples.find((each) => each.name === sample));

const edit = (part) => (event) => changed(Object.assign(state.request, { [part]: event.target.value, sample: "" }));

function answer(last) {
  if (!last) return html`<p class="answer soft">The answer will stand here.</p>`;
  const mood = last.status < 300 ? "good" : last.status < 500 ? "warn" : "bad";
  return html`
    <div class="answer">
      <p>
        <span class="status ${mood}">${last.status}</span> <code>${line(last)}</code>
        <span class="soft">${last.milliseconds} ms</span>
      </p>
      <pre tabindex="0" role="region" aria-label="The answer's body">${
        last.body ? JSON.stringify(last.body, null, 2) : "no body"
      }</pre>
    </div>
  `;
}

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

const copy = (text) =>
  doing(async () => {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
  });

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function copyAsCurl() {
  const { function: name, authorization, body } = held();
  const { method, path } = endpoint(name);
  const words = ["curl", "-i", "-X", method, quoted(state.catalogue.apiUrl + path)];
  if (authorization) words.push("-H", quoted(`Authorization: ${authorization}`));
  if (body) words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(body));
  copy(words.join(" "));
}

/** What another person needs to understand a fault. No token, no place, no address that lets one in. */
export function copyReport() {
  const { memberId, behind, calls, log } = state;
  const report = { at: new Date(), member: member(), ...behind[memberId], calls, log };
  const kept = (name, value) => (LEFT_OUT_OF_REPORTS.includes(name) ? undefined : value);
  copy(JSON.stringify(report, kept, 2).replace(SIGNATURES, "$1…"));
}
