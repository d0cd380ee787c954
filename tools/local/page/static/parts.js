// Parts that several cards share.

import { html } from "/lib/lit-html/lit-html.js";

/** A card: its name is also its class. */
export const card = (name, title, content) => html`
  <section class="card ${name}" aria-labelledby="${name}-title">
    <h2 id="${name}-title">${title}</h2>
    ${content}
  </section>
`;

/** Buttons, or inputs, that belong together; `useful` is whether they would do something now. */
export const group = (label, content, useful = true) => html`
  <div class="group ${useful ? "" : "quiet"}" role="group" aria-label=${label}>
    <span aria-hidden="true">${label}</span>
    <div>${content}</div>
  </div>
`;

export const button = (text, act) => html`<button type="button" @click=${act}>${text}</button>`;

export const option = (value, text, chosen) =>
  html`<option value=${value} ?selected=${value === chosen}>${text}</option>`;

export const options = (words, chosen) => words.map((word) => option(word, word, chosen));

export const people = (members, chosen) =>
  members.map(({ id, name, age, gender }) => option(id, `${name}, ${age}, ${gender}`, chosen));
