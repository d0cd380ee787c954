// What members say of themselves and whom they seek, as forms: saved by POST the first time, by PATCH afterwards.

import { html } from "/lib/lit-html/lit-html.js";
import { keyed } from "/lib/lit-html/directives/keyed.js";
import { describe, prefer } from "./actions.js";
import { options } from "./parts.js";
import { state } from "./state.js";

/** The forms are made anew when another member or other values are shown; what is typed meanwhile stays. */
export function about() {
  const { profile, preferences, memberId } = state;
  return html`
    <details class="edit">
      <summary>Edit the description</summary>
      ${keyed(`${memberId} ${profile?.description}`, description(profile))}
    </details>
    <details class="edit">
      <summary>Edit the preferences</summary>
      ${keyed(`${memberId} ${JSON.stringify(preferences)}`, wishes(preferences))}
    </details>
  `;
}

const description = (profile) => html`
  <form @submit=${(event) => submitted(event, ({ text }) => describe(text))}>
    <label>Description <textarea name="text" rows="3" .value=${profile?.description ?? ""}></textarea></label>
    <button ?disabled=${profile === undefined}>Save the description</button>
  </form>
`;

const wishes = (preferences) => html`
  <form @submit=${(event) => submitted(event, (fields) => prefer(chosen(fields)))}>
    <label>Seeks ${select("seekingGender", preferences)}</label>
    <div class="row">
      <label class="grow">Age from ${number("minAge", preferences)}</label>
      <label class="grow">to ${number("maxAge", preferences)}</label>
      <label class="grow">Kilometres ${number("maxDistanceKm", preferences)}</label>
    </div>
    <label>Own orientation ${select("sexualOrientation", preferences, html`<option value="null">none</option>`)}</label>
    <button ?disabled=${preferences === undefined}>Save the preferences</button>
  </form>
`;

const select = (name, preferences, none = null) => html`
  <select name=${name}>
    ${preferences ? null : html`<option value="">not said</option>`} ${none}
    ${options(state.system.choices[name], preferences?.[name])}
  </select>
`;

const number = (name, preferences) =>
  html`<input name=${name} inputmode="numeric" .value=${String(preferences?.[name] ?? "")} />`;

/** The fields that say something. Numbers are sent as they are: the API answers odd ones. */
function chosen(fields) {
  const said = Object.entries(fields).filter(([, value]) => value !== "");
  return Object.fromEntries(said.map(([name, value]) => [name, value === "null" ? null : numberOr(value)]));
}

const numberOr = (text) => (Number.isNaN(Number(text)) ? text : Number(text));

function submitted(event, save) {
  event.preventDefault();
  save(Object.fromEntries(new FormData(event.target)));
}
