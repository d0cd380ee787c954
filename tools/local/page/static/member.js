// The choice of a member, and forms for what the main app knows of this member, for the profile and for preferences.

import { html } from "/lib/lit-html/lit-html.js";
import { keyed } from "/lib/lit-html/directives/keyed.js";
import { changeMember, chooseMember, makeMember, save } from "./actions.js";
import { card, form, options, people, select } from "./parts.js";
import { member, state } from "./state.js";

const SWITCHES = { subscribed: "Premium", verified: "ID verified", consenting: "Consent" };

/** The forms are made anew when another member or other values are shown; what is typed meanwhile stays. */
export function memberCard() {
  const { profile, preferences, memberId } = state;
  return card(
    "member",
    "Member",
    html`
      ${select("Playing as", memberId, people(state.members), chooseMember)}
      <div class="row">${Object.entries(SWITCHES).map(toggle)}</div>
      ${known()}
      ${opens("Edit the description", keyed(`${memberId} ${profile?.description}`, description(profile)))}
      ${opens("Edit the preferences", keyed(`${memberId} ${JSON.stringify(preferences)}`, wishes(preferences)))}
      ${opens("Make a new member", newMember())}
    `,
  );
}

const opens = (title, content) => html`<details class="edit"><summary>${title}</summary>${content}</details>`;

const toggle = ([name, label]) => html`
  <label class="switch">
    <input
      type="checkbox"
      role="switch"
      .checked=${member()[name]}
      @change=${(event) => changeMember({ [name]: event.target.checked })}
    />
    ${label}
  </label>
`;

function known() {
  const { refusal, profile, preferences } = state;
  if (refusal) {
    return html`<p>
      <span class="status bad">${refusal.status}</span> <code>${refusal.code}</code><br />${refusal.error}
    </p>`;
  }
  return html`
    <dl class="facts">
      <dt>Profile</dt>
      <dd>${said(profile, ({ description: text }) => text ?? "without a text", "none yet")}</dd>
      <dt>Seeks</dt>
      <dd>${said(preferences, sought, "nothing said yet")}</dd>
    </dl>
  `;
}

const said = (value, text, none) => (value === undefined ? "looking…" : value === null ? none : text(value));

const sought = ({ seekingGender, minAge, maxAge, maxDistanceKm }) =>
  `${seekingGender}, ${minAge}–${maxAge}, within ${maxDistanceKm} km`;

const description = (profile) =>
  form(
    "Save the description",
    html`<label>Description <textarea name="description" rows="3" .value=${profile?.description ?? ""}></textarea></label>`,
    (fields) => save("profile", fields),
  );

const wishes = (preferences) =>
  form(
    "Save the preferences",
    html`
      <label>Seeks ${choice("seekingGender", preferences)}</label>
      <label>Age from ${number("minAge", preferences)}</label>
      <label>to ${number("maxAge", preferences)}</label>
      <label>Kilometres ${number("maxDistanceKm", preferences)}</label>
      <label>
        Own orientation ${choice("sexualOrientation", preferences, html`<option value="null">none</option>`)}
      </label>
    `,
    (fields) => save("preferences", chosen(fields)),
  );

const choice = (name, preferences, none = null) => html`
  <select name=${name}>
    ${preferences ? null : html`<option value="">not said</option>`} ${none}
    ${options(state.catalogue.choices[name], preferences?.[name])}
  </select>
`;

const number = (name, preferences) =>
  html`<input name=${name} inputmode="numeric" .value=${String(preferences?.[name] ?? "")} />`;

/** The fields that were filled in. What is no number is sent as it is: the API answers it. */
const chosen = (fields) =>
  Object.fromEntries(Object.entries(fields).flatMap(([name, text]) => (text ? [[name, meant(text)]] : [])));

const meant = (text) => (text === "null" ? null : Number.isNaN(Number(text)) ? text : Number(text));

const newMember = () =>
  form(
    "Make them",
    html`
      <label>Name <input name="name" required value="Robin" /></label>
      <label>Age <input name="age" type="number" min="18" max="99" required value="27" /></label>
      <label>Gender <select name="gender">${options(["Female", "Male", "Non-Binary"], "Female")}</select></label>
      <label>
        Orientation in the main profile
        <select name="sexual_preference">${options(["Straight", "Gay", "Bisexual", "Pansexual"], "Straight")}</select>
      </label>
    `,
    (fields) => makeMember({ ...fields, age: Number(fields.age) }),
  );
