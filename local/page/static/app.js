// The page: the state drawn with lit-html, and what makes it change by itself.

import { html, render } from "/lib/lit-html/lit-html.js";
import { chooseMember, hear, loadMembers, lookAtSession, lookBehind, prepareSample, reset } from "./actions.js";
import { listen, system } from "./api.js";
import { consoleCard } from "./console.js";
import { eventsCard, momentOf } from "./events.js";
import { logCard } from "./log.js";
import { memberCard } from "./member.js";
import { photoCard } from "./photo.js";
import { sessionCard } from "./session.js";
import { changed, member, onChange, remainingSeconds, state } from "./state.js";
import { story } from "./story.js";

const page = document.getElementById("page");

function draw() {
  if (!member()) return;
  page.setAttribute("aria-busy", String(Boolean(state.busy)));
  render(
    html`
      ${state.problem ? html`<p class="problem" role="alert">${state.problem}</p>` : null}
      ${story()}
      <div class="cards">
        ${memberCard()} ${sessionCard()} ${eventsCard()} ${photoCard()} ${consoleCard()} ${logCard()}
      </div>
    `,
    page,
  );
}

/** Count down, and read again when time alone changes something: at the end, and when a schedule has fired. */
function tick() {
  if (state.session) changed();
  const fired = state.backstage?.schedules.some(({ expression }) => momentOf(expression) < new Date());
  const look = state.session && remainingSeconds() === 0 ? lookAtSession : fired ? lookBehind : null;
  look?.().catch(() => {}); // the next call says what is wrong
}

/** Reload a page that is older than the running local system: its tokens and addresses are no longer valid. */
async function reopened() {
  changed((state.listening = true));
  if ((await system("")).instance !== state.system.instance) location.reload();
}

async function start() {
  onChange(draw);
  document.getElementById("reset").addEventListener("click", () => {
    if (confirm("Let everyone leave, and make the first members anew?")) reset();
  });
  try {
    state.system = await system("");
    page.replaceChildren();
    prepareSample("create_profile", "valid");
    state.memberId = sessionStorage.getItem("member");
    await loadMembers();
  } catch (error) {
    page.textContent = error.message;
    return;
  }
  listen({
    onEvent: hear,
    onOpen: reopened,
    onLost: () => changed((state.listening = false)),
  });
  setInterval(tick, 1000);
  await chooseMember(state.memberId);
}

start();
