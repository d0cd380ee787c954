// A photo as it was sent and as it is shown, side by side, with the metadata of each file.

import { html } from "/lib/lit-html/lit-html.js";
import { sendPhoto, sendSamplePhoto } from "./actions.js";
import { button, card, group } from "./parts.js";
import { changed, looking, state } from "./state.js";

const SAMPLES = [
  ["phone.jpg", "JPEG from a phone"],
  ["phone.heic", "HEIC"],
  ["not-a-picture.jpg", "not a picture"],
];

let dragging = false;

export function photoCard() {
  const { photo, file, shown, refusal } = state;
  const isKnown = photo !== undefined || refusal;
  return card(
    "photo",
    html`Photo ${photo && photo.status !== "none" ? statusOf(photo) : null}`,
    html`
      <div class="halves">
        ${side("As it is sent", file?.name ?? "no file yet", file?.before, file?.before?.preview, file?.unreadable)}
        ${side("As it is shown", isKnown ? "nothing yet" : looking, shown?.facts, shown?.address)}
      </div>
      ${file?.refused ? html`<p class="problem" role="alert">${file.refused}</p>` : null}
      <label
        class="drop ${dragging ? "over" : ""}"
        @dragover=${(event) => over(event, true)}
        @dragleave=${(event) => over(event, false)}
        @drop=${(event) => {
          over(event, false);
          if (event.dataTransfer.files.length) sendPhoto(event.dataTransfer.files[0]);
        }}
      >
        <input type="file" accept="image/*,.heic,.heif" class="unseen" @change=${picked} />
        <span>Choose a photo, or drop one here</span>
      </label>
      ${group("Or send a sample", SAMPLES.map(([name, text]) => button(text, () => sendSamplePhoto(name))))}
    `,
  );
}

function statusOf({ status, reason }) {
  const mood = status === "ready" ? "good" : ["rejected", "failed"].includes(status) ? "bad" : "";
  return html`<span class="status ${mood}">${status}${reason ? ` ${reason}` : ""}</span>`;
}

function side(title, name, facts, picture, problem) {
  return html`
    <figure class="side">
      <div class="frame">${picture ? html`<img src=${picture} alt="The photo, ${title.toLowerCase()}" />` : null}</div>
      <figcaption>
        <strong>${title}</strong>
        <span class="soft">${facts ? size(facts) : name}</span>
        ${problem ? html`<span class="soft">${problem}</span>` : null}
        ${facts ? says(facts.metadata) : null}
      </figcaption>
    </figure>
  `;
}

const size = ({ format, width, height, bytes }) =>
  `${format}, ${width} × ${height}, ${kilobytes(bytes)}`;

const kilobytes = (bytes) => `${Math.max(1, Math.round(bytes / 1024)).toLocaleString()} kB`;

function says(metadata) {
  if (metadata.length === 0) return html`<p class="clean">Says nothing else.</p>`;
  return html`<dl class="says">${metadata.map(({ name, value }) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function over(event, isOver) {
  event.preventDefault();
  dragging = isOver;
  changed();
}

function picked(event) {
  const [file] = event.target.files;
  if (file) sendPhoto(file);
  event.target.value = ""; // so that the same file can be chosen again
}
