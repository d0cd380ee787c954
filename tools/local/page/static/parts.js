// Parts that several cards share.

import { html } from "/lib/lit-html/lit-html.js";

/** In place of what is not known yet. */
export const looking = html`<p class="soft">Looking…</p>`;

/** A card: its name is also its class. */
export const card = (name, title, content) => html`
  <section class="card ${name}" id=${name} tabindex="-1" aria-labelledby="${name}-title">
    <h2 id="${name}-title">${title}</h2>
    ${content}
  </section>
`;

/** Buttons, or inputs, that belong together; `useful` is whether they would do something now. */
export const group = (label, content, useful = true) => html`
  <div class="group ${useful ? "" : "quiet"}" role="group" aria-label=${label}>
    <span aria-hidden="true">${label}</span>
    <div class="row">${content}</div>
  </div>
`;

export const button = (text, act) => html`<button type="button" @click=${act}>${text}</button>`;

/** A form whose fields `save` gets by name; `also` is a further button. */
export const form = (title, fields, save, also = null) => html`
  <form @submit=${(event) => {
    event.preventDefault();
    save(Object.fromEntries(new FormData(event.target)));
  }}>
    ${fields}
    <div class="row"><button>${title}</button>${also}</div>
  </form>
`;

export const option = (value, text, chosen) =>
  html`<option value=${value} .selected=${value === chosen}>${text}</option>`;

export const options = (words, chosen) => words.map((word) => option(word, word, chosen));

export const people = (members, chosen) =>
  members.map(({ id, name, age, gender }) => option(id, `${name}, ${age}, ${gender}`, chosen));
