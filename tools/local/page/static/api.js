// The two ways out of this page: the API, as a phone calls it, and the local system, of which no phone knows.

/** The system, or the page's server, does not answer. */
export class Away extends Error {
  constructor() {
    super("The system does not answer.");
  }
}

async function fetched(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new Away();
  });
  if (answer.headers.get("x-system") === "away") throw new Away();
  return answer;
}

/** Call the API. Returns its status and body (parsed, or text, or null), `retryAfter`, `requestId`, `milliseconds`. */
export async function call(method, path, { authorization, body } = {}) {
  const headers = {};
  if (authorization) headers.authorization = authorization;
  if (body) headers["content-type"] = "application/json";
  const start = performance.now();
  const answer = await fetched(path, { method, headers, body: body || undefined });
  const text = await answer.text();
  return {
    status: answer.status,
    body: parsed(text),
    retryAfter: answer.headers.get("retry-after"),
    requestId: answer.headers.get("apigw-requestid"),
    milliseconds: Math.round(performance.now() - start),
  };
}

function parsed(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Ask the local system. Returns the body of its answer, or throws an Error with its message. */
export async function system(path, options = {}) {
  const answer = await fetched(`/system${path}`, options);
  const body = parsed(await answer.text());
  if (!answer.ok) throw new Error(body?.error ?? `The local system answered ${answer.status}.`);
  return body;
}

export const post = (path, body) =>
  system(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export const patch = (path, body) =>
  system(path, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** The path by which this page's server forwards to a presigned URL of S3 or R2. */
export function storage(url) {
  const { pathname, search } = new URL(url);
  return `/storage${pathname}${search}`;
}

/** Post a file with its form straight to S3. Throws an Error with S3's reason when it is refused. */
export async function upload({ url, fields }, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file);
  const answer = await fetched(storage(url), { method: "POST", body: form });
  if (answer.ok) return;
  const said = new DOMParser().parseFromString(await answer.text(), "text/xml");
  const [code, message] = ["Code", "Message"].map((name) => said.querySelector(name)?.textContent ?? "");
  throw new Error(`S3 answered ${answer.status} ${code}: ${message}`);
}

export const blob = async (path) => (await fetched(path)).blob();

/** Receive domain events, also those from before this page was opened. */
export function listen({ onEvent, onOpen, onLost }) {
  const source = new EventSource("/system/events");
  source.onmessage = (message) => onEvent(Number(message.lastEventId), JSON.parse(message.data));
  source.onopen = onOpen;
  source.onerror = onLost;
}
