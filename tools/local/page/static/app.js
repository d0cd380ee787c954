// The page: the state drawn with lit-html.

import { html, render } from "/lib/lit-html/lit-html.js";
import { reset } from "./actions.js";
import { consoleCard, copyReport, logCard } from "./console.js";
import { eventsCard } from "./events.js";
import { memberCard } from "./member.js";
import { photoCard } from "./photo.js";
import { besideCard, sessionCard } from "./session.js";
import { changed, member, onChange, state } from "./state.js";
import { story } from "./story.js";
import { watch } from "./watch.js";

const page = document.getElementById("page");

onChange(() => {
  page.setAttribute("aria-busy", String(state.busy > 0));
  render(html`${banner()} ${member() ? cards() : html`<p class="waiting">One moment…</p>`}`, page);
});

function banner() {
  const problem = state.away
    ? html`The system does not answer. Does <code>make run</code> still run? This page goes on by itself when it does.`
    : (state.unread ?? state.problem);
  return problem ? html`<p class="problem" role="alert">${problem}</p>` : null;
}

const cards = () => html`
  ${story()}
  <div class="cards">
    ${sessionCard()} ${memberCard()} ${eventsCard()} ${photoCard()} ${besideCard()} ${logCard()} ${consoleCard()}
  </div>
`;

document.getElementById("report").addEventListener("click", copyReport);
document.getElementById("reset").addEventListener("click", reset);
setInterval(changed, 1000);
watch();
