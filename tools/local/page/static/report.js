// "Copy a report": what another person needs to understand a fault. No token, no place, no address that
// lets one in.

import { doing } from "./actions.js";
import { announce, member, state } from "./state.js";

const LEFT_OUT = ["token", "shownPlace", "upload"];
const SIGNATURES = /([?&]X-Amz-[\w-]+=)[^&\s"]+/gi;

export const copyReport = () =>
  doing(async () => {
    const { memberId, behind, calls, log } = state;
    const report = { at: new Date(), member: member(), ...behind[memberId], calls, log };
    const kept = (name, value) => (LEFT_OUT.includes(name) ? undefined : value);
    await navigator.clipboard.writeText(JSON.stringify(report, kept, 2).replace(SIGNATURES, "$1…"));
    announce("The report is copied.");
  });
