// Parts that several cards share.

import { html } from "/lib/lit-html/lit-html.js";

/** A card: its name is also its class. */
export const card = (name, title, content) => html`
  <section class="card ${name}" aria-labelledby="${name}-title">
    <h2 id="${name}-title">${title}</h2>
    ${content}
  </section>
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

/** A choice among pairs of value and text. */
export const select = (label, chosen, choices, choose) => html`
  <label>
    ${label}
    <select @change=${(event) => choose(event.target.value)}>
      ${choices.map(([value, text]) => option(value, text, chosen))}
    </select>
  </label>
`;

export const option = (value, text, chosen) =>
  html`<option value=${value} .selected=${value === chosen}>${text}</option>`;

export const options = (words, chosen) => words.map((word) => option(word, word, chosen));

export const people = (members) => members.map(({ id, name, age, gender }) => [id, `${name}, ${age}, ${gender}`]);
