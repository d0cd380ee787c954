// "Copy a report": what somebody else needs to understand what happened here. No token, no address that lets one in.

import { doing } from "./actions.js";
import { system } from "./api.js";
import { announce, eventsOf, member, state } from "./state.js";

const SECRETS = [
  [/eyJ[\w-]+\.[\w-]+\.[\w-]*/g, "(token)"],
  [/([?&]X-Amz-[\w-]+=)[^&\s"]+/gi, "$1…"],
];

export const copyReport = () =>
  doing(async () => {
    const text = SECRETS.reduce((all, [secret, instead]) => all.replace(secret, instead), await report());
    await navigator.clipboard.writeText(text);
    announce("The report is copied.");
  });

async function report() {
  const functions = [...new Set(state.calls.map((call) => call.function))];
  const logs = await Promise.all(functions.map(logOf));
  return [
    `# After Hours, ${new Date().toISOString()}`,
    `${location.origin} · ${navigator.userAgent}`,
    "## Member",
    ...about(),
    "## Last calls, the newest last",
    ...state.calls.map(line),
    "## Events of the member",
    ...eventsOf(state.memberId).slice(-20).map(heard),
    ...logs.flat(),
    "",
  ].join("\n");
}

function about() {
  const { id, name, age, gender, subscribed, verified, consenting } = member();
  const { profile, photo, behind, refusal } = state;
  const session = behind[id]?.session;
  const said = (value) => (value === undefined ? "not known" : value === null ? "none" : value);
  return [
    `${id} (${name}, ${age}, ${gender}); premium: ${subscribed}, verified: ${verified}, consent: ${consenting}`,
    ...(refusal ? [`refused: ${refusal.status} ${refusal.code}`] : []),
    `profile: ${said(profile && `since ${profile.createdAt}`)}`,
    `photo: ${said(photo && `${photo.photoId ?? ""} ${photo.status} ${photo.reason ?? ""}`.trim())}`,
    `session: ${said(session && `${session.id}, ${session.isLive ? "live" : "over"}, until ${session.expiresAt}`)}`,
    ...(session?.schedules ?? []).map(({ name: schedule, expression }) => `schedule: ${schedule} ${expression}`),
  ];
}

const heard = ({ detail, ...event }) => `${detail.occurredAt} ${event["detail-type"]} ${detail.reason ?? ""}`;

const line = ({ at, method, path, status, body, milliseconds, requestId, memberId }) =>
  `${at.toISOString()} ${method} ${path} → ${status} ${body?.code ?? ""} ` +
  `(${milliseconds} ms, request ${requestId ?? "unknown"}, ${memberId})`;

/** What the function wrote when it was last called by this page. */
async function logOf(name) {
  const since = state.calls.findLast((call) => call.function === name).at.getTime();
  const { lines } = await system(`/logs/${name}?since=${since}`);
  return [`## Log of ${name}, its last call`, ...lines];
}
