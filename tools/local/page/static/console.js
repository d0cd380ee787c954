// Every endpoint, with a body to edit; what it answered last.

import { html } from "/lib/lit-html/lit-html.js";
import { authorization, prepareSample, send } from "./actions.js";
import { PREFIX } from "./api.js";
import { button, card, form, option } from "./parts.js";
import { announce, changed, endpoint, member, state } from "./state.js";

export function consoleCard() {
  const { request, catalogue } = state;
  const chosen = endpoint(request.function);
  return card(
    "console",
    "API",
    html`
      <div class="halves">
        ${form(
          "Send",
          html`
            ${select("Endpoint", request.function, endpoints(catalogue), (name) => prepareSample(name, "valid"))}
            <p class="soft">${chosen.summary}.</p>
            ${select("Sample", request.sample, samples(chosen), (name) => prepareSample(request.function, name))}
            ${select("Authorization", request.authorization, tokens(request), (own) => edit({ authorization: own }))}
            ${["POST", "PATCH"].includes(chosen.method) ? body(request) : null}
          `,
          send,
          button("Copy as curl", copy),
        )}
        ${answer()}
      </div>
    `,
  );
}

const select = (label, chosen, choices, choose) => html`
  <label>
    ${label}
    <select @change=${(event) => choose(event.target.value)}>
      ${choices.map(([value, text]) => option(value, text, chosen))}
    </select>
  </label>
`;

const line = ({ method, path }) => `${method} ${path.replace(PREFIX, "")}`;

const endpoints = (catalogue) => catalogue.endpoints.map((each) => [each.function, line(each)]);

const samples = ({ samples: known }) => [
  ["", "your own"],
  ...known.map(({ name, outcome, needs }) => [name, `${name.replaceAll("_", " ")} → ${outcome} (given: ${needs})`]),
];

function tokens({ authorization: own }) {
  const others = [["", `${member().name}'s token`], ["none", "none"]];
  return others.some(([value]) => value === own) ? others : [...others, [own, "the sample's own"]];
}

const body = (request) => html`
  <label>
    Body
    <textarea
      rows="5"
      spellcheck="false"
      .value=${request.body}
      @input=${(event) => edit({ body: event.target.value, sample: "" })}
      @keydown=${(event) => event.key === "Enter" && event.ctrlKey && send()}
    ></textarea>
  </label>
`;

function edit(change) {
  Object.assign(state.request, change);
  changed();
}

function answer() {
  const { answer: last } = state;
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
  const { function: name, body: sent } = state.request;
  const { method, path } = endpoint(name);
  const words = ["curl", "-i", "-X", method, quoted(state.catalogue.apiUrl + path)];
  if (authorization()) words.push("-H", quoted(`Authorization: ${authorization()}`));
  if (sent) words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(sent));
  await navigator.clipboard.writeText(words.join(" "));
  announce("Copied.");
}
