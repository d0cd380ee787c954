// The page: the state drawn with lit-html, and what makes it change by itself.

import { html, render } from "/lib/lit-html/lit-html.js";
import { chooseMember, hear, lookWhereOthersChangeThings, prepareSample, readLog, reset } from "./actions.js";
import { listen, system } from "./api.js";
import { besideCard } from "./beside.js";
import { consoleCard } from "./console.js";
import { eventsCard, momentOf } from "./events.js";
import { logCard } from "./log.js";
import { memberCard } from "./member.js";
import { photoCard } from "./photo.js";
import { failed, loadMembers, look, lookBehind, sameSystem } from "./reading.js";
import { copyReport } from "./report.js";
import { sessionCard } from "./session.js";
import { changed, liveSession, member, named, onChange, pause, remainingSeconds, state } from "./state.js";
import { story } from "./story.js";

const OPENINGS_APART_MILLISECONDS = 2000;
const page = document.getElementById("page");

function draw() {
  page.setAttribute("aria-busy", String(Boolean(state.busy)));
  page.classList.toggle("away", state.away);
  render(html`${banner()} ${member() ? cards() : html`<p class="waiting">One moment…</p>`}`, page);
}

function banner() {
  if (state.away) {
    return html`<p class="problem" role="alert">
      The system does not answer. Does <code>make run</code> still run? This page goes on by itself when it does.
    </p>`;
  }
  return state.problem ? html`<p class="problem" role="alert">${state.problem}</p>` : null;
}

const cards = () => html`
  ${story()}
  <div class="cards">
    ${memberCard()} ${sessionCard()} ${eventsCard()} ${photoCard()} ${besideCard()} ${consoleCard()} ${logCard()}
  </div>
`;

/** Count down, and read again when time alone changes something: at an end, and when a schedule has fired. */
function tick() {
  if (state.away || document.hidden) return;
  const live = [state.behind, state.other].map(liveSession).filter(Boolean);
  if (live.length) changed();
  const isDue = ({ schedules }) => schedules.some(({ expression }) => momentOf(expression) < new Date());
  const mayHaveChanged = live.some((session) => remainingSeconds(session) === 0 || isDue(session));
  if (mayHaveChanged) lookBehind().catch(failed);
}

/** The stream of events is open again: what was missed is read. */
async function reopened() {
  const isFirst = !state.opened;
  Object.assign(state, { listening: true, opened: true });
  changed();
  if (isFirst) return;
  try {
    await sameSystem();
    await look();
  } catch (error) {
    failed(error);
  }
}

/** The server has ended the stream, since all began anew, or it is away. */
async function interrupted() {
  changed((state.listening = false));
  try {
    await sameSystem();
  } catch (error) {
    failed(error);
  }
}

async function open() {
  state.system = await system("");
  state.memberId = sessionStorage.getItem("member");
  state.otherId = sessionStorage.getItem("other") || null;
  await loadMembers();
  if (!named(state.otherId)) state.otherId = null;
  prepareSample("create_profile", "valid");
}

async function start() {
  onChange(draw);
  page.replaceChildren();
  document.getElementById("report").addEventListener("click", copyReport);
  document.getElementById("reset").addEventListener("click", () => {
    if (confirm("Let everyone leave, and make the first members anew?")) reset();
  });
  for (let isOpen = false; !isOpen; ) {
    try {
      await open();
      isOpen = true;
    } catch {
      changed((state.away = true));
      await pause(OPENINGS_APART_MILLISECONDS);
    }
  }
  state.away = false;
  listen({ onEvent: hear, onOpen: reopened, onLost: interrupted });
  lookWhereOthersChangeThings();
  setInterval(tick, 1000);
  readLog(state.request.function);
  await chooseMember(state.memberId);
}

start();
