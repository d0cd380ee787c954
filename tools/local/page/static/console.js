// Every endpoint, with a body to edit; what it answered last.

import { html } from "/lib/lit-html/lit-html.js";
import { held, prepare, send } from "./actions.js";
import { PREFIX } from "./api.js";
import { button, card, form, select } from "./parts.js";
import { announce, changed, endpoint, state } from "./state.js";

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
          button("Copy as curl", copy),
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

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

async function copy() {
  const { function: name, authorization, body } = held();
  const { method, path } = endpoint(name);
  const words = ["curl", "-i", "-X", method, quoted(state.catalogue.apiUrl + path)];
  if (authorization) words.push("-H", quoted(`Authorization: ${authorization}`));
  if (body) words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(body));
  await navigator.clipboard.writeText(words.join(" "));
  announce("Copied.");
}
