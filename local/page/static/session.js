// The live session as a clock, and the place that others are shown.

import { html, svg } from "/lib/lit-html/lit-html.js";
import { end, extend, goLive, letTimePass } from "./actions.js";
import { map, whereabouts } from "./map.js";
import { remainingSeconds, state } from "./state.js";

const LENGTHS = [15, 30, 60];
const RADIUS = 88;
const ROUND = 2 * Math.PI * RADIUS;

export function sessionCard() {
  const { session } = state;
  return html`
    <section class="card session" aria-labelledby="session-title">
      <h2 id="session-title">Session</h2>
      <div class="halves">
        ${clock()} ${map()}
      </div>
      <div class="controls">
        ${group("Go live", !session, LENGTHS.map((minutes) => button(`${minutes} min`, () => goLive(minutes))))}
        ${group("From latitude, longitude", !session, whereabouts())}
        ${group("Extend, or end", session, [
          ...LENGTHS.map((minutes) => button(`+${minutes}`, () => extend(minutes))),
          button("End now", end),
        ])}
        ${group("Let time pass", session, [
          button("to the warning", () => letTimePass("warning")),
          button("to the end", () => letTimePass("end")),
        ])}
      </div>
    </section>
  `;
}

const button = (text, act) => html`<button type="button" @click=${act}>${text}</button>`;

const group = (label, useful, buttons) => html`
  <div class="group ${useful ? "" : "quiet"}" role="group" aria-label=${label}>
    <span aria-hidden="true">${label}</span>
    <div>${buttons}</div>
  </div>
`;

function clock() {
  const { session, backstage } = state;
  const left = remainingSeconds();
  const whole = session ? session.durationMinutes * 60 : 1;
  const warned = session && backstage?.id === session.id && backstage.warned;
  const mood = !session ? "off" : warned ? "warned" : "live";
  return html`
    <figure class="clock ${mood}">
      <svg viewBox="0 0 200 200" aria-hidden="true">
        <circle class="track" cx="100" cy="100" r=${RADIUS} />
        ${session
          ? svg`<circle class="left" cx="100" cy="100" r=${RADIUS} transform="rotate(-90 100 100)"
              stroke-dasharray=${ROUND} stroke-dashoffset=${ROUND * (1 - Math.min(1, left / whole))} />`
          : null}
      </svg>
      <figcaption>
        ${session
          ? html`
              <span class="time" role="timer" aria-label="Time left">${clockFace(left)}</span>
              <span class="mood">${warned ? "ends soon" : "live"}</span>
              <span class="until">until ${timeOf(session.expiresAt)}</span>
            `
          : html`<span class="time off">0:00</span><span class="mood">${backstage?.ended ? "over" : "not live"}</span>`}
      </figcaption>
    </figure>
  `;
}

function clockFace(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ""}${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

export const timeOf = (moment) => new Date(moment).toLocaleTimeString([], { hourCycle: "h23" });
