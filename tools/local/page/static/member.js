// Who is playing, and what the main app knows of them.

import { html } from "/lib/lit-html/lit-html.js";
import { about } from "./about.js";
import { changeMember, chooseMember, makeMember } from "./actions.js";
import { options, people } from "./parts.js";
import { member, state } from "./state.js";

const SWITCHES = [
  ["subscribed", "Premium", "an active subscription"],
  ["verified", "ID verified", "has shown an ID"],
  ["consenting", "Consent", "has agreed to After Hours"],
];

export function memberCard() {
  const chosen = member();
  return html`
    <section class="card" id="member" tabindex="-1" aria-labelledby="member-title">
      <h2 id="member-title">Member</h2>
      <div class="row">
        <label class="grow">
          <span class="unseen">Who is playing</span>
          <select @change=${(event) => chooseMember(event.target.value)}>
            ${people(state.members, state.memberId)}
          </select>
        </label>
        <button type="button" class="plain" @click=${openDialog}>New…</button>
      </div>
      <div class="switches">
        ${SWITCHES.map(
          ([name, label, hint]) => html`
            <label class="switch">
              <span>${label} <small>${hint}</small></span>
              <input
                type="checkbox"
                role="switch"
                .checked=${Boolean(chosen?.[name])}
                @change=${(event) => changeMember({ [name]: event.target.checked })}
              />
            </label>
          `,
        )}
      </div>
      ${known()} ${about()} ${newMember()}
    </section>
  `;
}

function known() {
  const { refusal, profile, preferences } = state;
  if (refusal) {
    return html`<p class="note">
      <span class="status bad">${refusal.status}</span> <code>${refusal.code}</code><br />${refusal.error}
    </p>`;
  }
  return html`
    <dl class="facts">
      <dt>Profile</dt>
      <dd>${said(profile, ({ description }) => description ?? "without a text", "none yet")}</dd>
      <dt>Seeks</dt>
      <dd>${said(preferences, wishes, "nothing said yet")}</dd>
    </dl>
  `;
}

const wishes = ({ seekingGender, minAge, maxAge, maxDistanceKm }) =>
  `${seekingGender}, ${minAge}–${maxAge}, within ${maxDistanceKm} km`;

const said = (value, text, none) => (value === undefined ? "looking…" : value === null ? none : text(value));

const dialog = () => document.getElementById("new-member");
const openDialog = () => dialog().showModal();

function newMember() {
  return html`
    <dialog id="new-member" aria-labelledby="new-member-title">
      <form method="dialog" @submit=${submitted}>
        <h2 id="new-member-title">A new member</h2>
        <label>Name <input name="name" required maxlength="100" value="Robin" autocomplete="off" /></label>
        <label>Age <input name="age" type="number" min="18" max="99" required value="27" /></label>
        <label>Gender <select name="gender">${options(["Female", "Male", "Non-Binary"], "Female")}</select></label>
        <label>
          Orientation in the main profile
          <select name="sexualPreference">${options(["Straight", "Gay", "Bisexual", "Pansexual"], "Straight")}</select>
        </label>
        <div class="row end">
          <button type="button" class="plain" @click=${() => dialog().close()}>Cancel</button>
          <button>Make them</button>
        </div>
      </form>
    </dialog>
  `;
}

function submitted(event) {
  const details = Object.fromEntries(new FormData(event.target));
  makeMember({ ...details, age: Number(details.age) });
}
