// A photo as it was sent and as it is shown, side by side, with the metadata of each file.

import { html } from "/lib/lit-html/lit-html.js";
import { sendPhoto, sendSamplePhoto } from "./actions.js";
import { button, card, group } from "./parts.js";
import { state } from "./state.js";

const SAMPLES = [
  ["phone.jpg", "JPEG from a phone"],
  ["phone.heic", "HEIC"],
  ["not-a-picture.jpg", "not a picture"],
];

export function photoCard() {
  const { photo, file, shown, refusal } = state;
  const nothing = refusal ? `not shown: ${refusal.code}` : photo === undefined ? "Looking…" : "nothing yet";
  return card(
    "photo",
    html`Photo ${photo && photo.status !== "none" ? statusOf(photo) : null}`,
    html`
      <div class="halves">
        ${side("As it is sent", file?.unreadable ?? file?.name ?? "no file yet", file?.before, file?.before?.preview)}
        ${side("As it is shown", nothing, shown?.facts, shown?.address)}
      </div>
      ${file?.refused ? html`<p class="problem" role="alert">${file.refused}</p>` : null}
      <label
        class="drop"
        @dragover=${(event) => event.preventDefault()}
        @drop=${(event) => {
          event.preventDefault();
          chosen(event.dataTransfer.files);
        }}
      >
        Choose a photo, or drop one here
        <input type="file" accept="image/*,.heic,.heif" @change=${picked} />
      </label>
      ${group("Or send a sample", SAMPLES.map(([name, text]) => button(text, () => sendSamplePhoto(name))))}
    `,
  );
}

function statusOf({ status, reason }) {
  const mood = status === "ready" ? "good" : ["rejected", "failed"].includes(status) ? "bad" : "";
  return html`<span class="status ${mood}">${status} ${reason}</span>`;
}

const side = (title, instead, facts, picture) => html`
  <figure>
    <div class="frame">${picture ? html`<img src=${picture} alt="The photo, ${title.toLowerCase()}" />` : null}</div>
    <figcaption>
      <b>${title}</b>
      <p class="soft">${facts ? size(facts) : instead}</p>
      ${facts ? says(facts.metadata) : null}
    </figcaption>
  </figure>
`;

const size = ({ format, width, height, bytes }) =>
  `${format}, ${width} × ${height}, ${Math.ceil(bytes / 1024).toLocaleString()} kB`;

function says(metadata) {
  if (metadata.length === 0) return html`<p class="clean">Says nothing else.</p>`;
  return html`<dl class="says">${metadata.map(({ name, value }) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function picked(event) {
  chosen(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
}

function chosen([file]) {
  if (file) sendPhoto(file);
}
