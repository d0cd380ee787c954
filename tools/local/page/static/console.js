// Every endpoint, with a body to edit; what it answered last.

import { html } from "/lib/lit-html/lit-html.js";
import { authorization, prepareSample, send } from "./actions.js";
import { json } from "./json.js";
import { card, option } from "./parts.js";
import { PREFIX } from "./reading.js";
import { announce, changed, endpoint, member, state } from "./state.js";

export function consoleCard() {
  const { request } = state;
  const chosen = endpoint(request.function);
  return card(
    "console",
    "API",
    html`
      <div class="halves">
        <form @submit=${sent}>
          <label>
            Endpoint
            <select @change=${(event) => choose(event.target.value)}>
              ${groups().map(
                ([group, endpoints]) => html`
                  <optgroup label=${group}>
                    ${endpoints.map((each) => option(each.function, line(each), request.function))}
                  </optgroup>
                `,
              )}
            </select>
          </label>
          <p class="soft summary">${chosen.summary}.</p>
          <label>
            Sample
            <select .value=${request.sample} @change=${(event) => sampleChosen(event.target.value)}>
              ${option("", "your own", request.sample)}
              ${chosen.samples.map((sample) => option(sample.name, described(sample), request.sample))}
            </select>
          </label>
          <label>
            Authorization
            <select .value=${request.authorization} @change=${(event) => edit({ authorization: event.target.value })}>
              <option value="">${member()?.name}'s token</option>
              <option value="none">none</option>
              ${["", "none"].includes(request.authorization)
                ? null
                : html`<option value=${request.authorization} selected>the sample's own</option>`}
            </select>
          </label>
          ${chosen.takesBody
            ? html`
                <label>
                  Body
                  <textarea
                    rows="5"
                    spellcheck="false"
                    .value=${request.body}
                    @input=${(event) => edit({ body: event.target.value, sample: "" })}
                    @keydown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && sent(event)}
                  ></textarea>
                </label>
              `
            : null}
          <div class="row">
            <button class="primary" aria-keyshortcuts="Control+Enter">Send</button>
            <button type="button" class="plain" @click=${copy}>Copy as curl</button>
          </div>
        </form>
        ${answer()}
      </div>
    `,
  );
}

const line = ({ method, path }) => `${method} ${path.replace(PREFIX, "")}`;

function groups() {
  const named = Object.groupBy(state.system.endpoints, ({ path }) => path.replace(PREFIX, "").split("/")[1]);
  return Object.entries(named);
}

const plain = (name) => name.replaceAll("_", " ");

const described = ({ name, status, code, given }) =>
  `${plain(name)} → ${status} ${code ?? ""}${given.length ? ` (with ${plain(given.join(", "))})` : ""}`;

const sampleChosen = (name) => (name ? prepareSample(state.request.function, name) : edit({ sample: "" }));

const choose = (name) => prepareSample(name, "valid");

function edit(change) {
  Object.assign(state.request, change);
  changed();
}

function sent(event) {
  event.preventDefault();
  send();
}

function answer() {
  const { answer: last } = state;
  if (!last) return html`<div class="answer empty"><p class="soft">The answer will stand here.</p></div>`;
  const { status, body, milliseconds } = last;
  const mood = status < 300 ? "good" : status < 500 ? "warn" : "bad";
  return html`
    <div class="answer">
      <p class="row">
        <span class="status ${mood}">${status}</span>
        <code>${line(last)}</code>
        <span class="soft">${milliseconds} ms</span>
      </p>
      <pre tabindex="0" role="region" aria-label="The answer's body">${body === null ? "no body" : json(body)}</pre>
    </div>
  `;
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

async function copy() {
  const { method, path, takesBody } = endpoint(state.request.function);
  const words = ["curl", "-i", "-X", method, quoted(state.system.apiUrl + path)];
  if (authorization()) words.push("-H", quoted(`Authorization: ${authorization()}`));
  if (takesBody) words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(state.request.body));
  await navigator.clipboard.writeText(words.join(" "));
  announce("Copied.");
}
