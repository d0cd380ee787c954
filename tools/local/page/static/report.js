// "Copy a report": what another person needs to understand a fault. No token, no place, no address that
// lets one in.

import { doing } from "./actions.js";
import { system } from "./api.js";
import { announce, eventsOf, member, state } from "./state.js";

const LEFT_OUT = ["token", "shownPlace", "upload"];
const SIGNATURES = /([?&]X-Amz-[\w-]+=)[^&\s"]+/gi;

export const copyReport = () =>
  doing(async () => {
    const kept = (name, value) => (LEFT_OUT.includes(name) ? undefined : value);
    const text = JSON.stringify(await report(), kept, 2).replace(SIGNATURES, "$1…");
    await navigator.clipboard.writeText(text);
    announce("The report is copied.");
  });

async function report() {
  const { memberId, refusal, profile, preferences, photo, behind, calls } = state;
  const functions = [...new Set(calls.map((call) => call.function))];
  return {
    at: new Date(),
    page: location.origin,
    browser: navigator.userAgent,
    member: member(),
    refusal,
    profile,
    preferences,
    photo,
    session: behind[memberId]?.session,
    events: eventsOf(memberId).slice(-20),
    calls,
    logs: Object.fromEntries(await Promise.all(functions.map(logOf))),
  };
}

/** What the function wrote when it was last called by this page. */
async function logOf(name) {
  const since = state.calls.findLast((call) => call.function === name).at.getTime();
  return [name, (await system(`/logs/${name}?since=${since}`)).lines];
}
