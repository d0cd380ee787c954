// A photo as it was sent and as it is shown, side by side, with the metadata of each file.

import { html } from "/lib/lit-html/lit-html.js";
import { sendPhoto, sendSamplePhoto } from "./actions.js";
import { button, card } from "./parts.js";
import { state } from "./state.js";

const SAMPLES = { "phone.jpg": "JPEG from a phone", "phone.heic": "HEIC", "not-a-picture.jpg": "not a picture" };

export function photoCard() {
  const { photo, file, shown, refusal } = state;
  const nothing = refusal ? `not shown: ${refusal.code}` : photo === undefined ? "Looking…" : "nothing yet";
  return card(
    "photo",
    html`Photo ${photo && photo.status !== "none" ? statusOf(photo) : null}`,
    html`
      <div class="halves">
        ${side("As it is sent", file?.name ?? "no file yet", file?.seen, file?.seen?.preview)}
        ${side("As it is shown", nothing, shown?.seen, shown?.address)}
      </div>
      ${file?.problem ? html`<p class="problem" role="alert">${file.problem}</p>` : null}
      <label>Send a photo <input type="file" accept="image/*,.heic,.heif" @change=${picked} /></label>
      <div class="row">
        ${Object.entries(SAMPLES).map(([name, text]) => button(text, () => sendSamplePhoto(name)))}
      </div>
    `,
  );
}

function statusOf({ status, reason }) {
  const mood = status === "ready" ? "good" : ["rejected", "failed"].includes(status) ? "bad" : "";
  return html`<span class="status ${mood}">${status} ${reason}</span>`;
}

const side = (title, instead, seen, picture) => html`
  <figure>
    <div class="frame">${picture ? html`<img src=${picture} alt="The photo, ${title.toLowerCase()}" />` : null}</div>
    <figcaption>
      <b>${title}</b>
      ${seen
        ? html`<dl>${Object.entries(seen.facts).map(([name, value]) => html`<dt>${name}</dt><dd>${String(value)}</dd>`)}</dl>`
        : html`<p class="soft">${instead}</p>`}
    </figcaption>
  </figure>
`;

function picked({ target }) {
  if (target.files[0]) sendPhoto(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
}
