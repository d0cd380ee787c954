// A map of nothing but what counts: the disc of 500 m, and the point that others are shown.

import { html, svg } from "/lib/lit-html/lit-html.js";
import { changed, placeOf, state } from "./state.js";

const METRES_IN_A_DEGREE = 111_195;
const REACH = 500;

/** Draw the member's true place, where it is known, and the point that other members are shown, if there is one. */
export function map(stood, shown, caption) {
  const point = shown && metres(shown, stood ?? shown);
  return html`
    <figure class="map">
      <svg viewBox="-540 -510 1080 1160" aria-hidden="true">
        <circle class="disc" r=${REACH} />
        <path class="rule" d="M0 555H500M0 540V570M500 540V570" />
        <text x="250" y="630">500 m</text>
        ${stood ? svg`<path class="stood" d="M-26 0H26M0 -26V26" />` : null}
        ${point ? svg`<circle class="shown" cx=${point.x} cy=${-point.y} r="26" />` : null}
      </svg>
      <figcaption class="soft">${caption}</figcaption>
    </figure>
  `;
}

/** Where the chosen member stands: what the next start is sent from. */
export const placeInputs = () => [input("latitude", "Latitude"), input("longitude", "Longitude")];

function input(name, label) {
  const { latitude, longitude } = placeOf(state.memberId);
  const move = ({ target }) => {
    state.places[state.memberId] = { latitude, longitude, [name]: target.valueAsNumber };
    changed();
  };
  const value = String(placeOf(state.memberId)[name]);
  return html`<input aria-label=${label} type="number" step="any" .value=${value} @change=${move} />`;
}

/** How many metres are between two places. */
export function distance(place, from) {
  const { x, y } = metres(place, from);
  return Math.round(Math.hypot(x, y));
}

/** How far east (x) and north (y) a place is of another, in metres; flat, which is right for a kilometre. */
function metres(place, from) {
  const east = ((place.longitude - from.longitude + 540) % 360) - 180;
  return {
    x: east * METRES_IN_A_DEGREE * Math.cos((from.latitude * Math.PI) / 180),
    y: (place.latitude - from.latitude) * METRES_IN_A_DEGREE,
  };
}
