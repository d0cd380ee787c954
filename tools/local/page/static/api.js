// The two ways out of this page: the API, as a phone calls it, and the local system, of which no phone knows.

export const PREFIX = "/api/after-hours";

/** The system, or the page's server, does not answer. */
export class Away extends Error {}

async function fetched(path, options) {
  const answer = await fetch(path, options).catch(() => null);
  if (!answer || answer.headers.get("x-system") === "away") throw new Away();
  return answer;
}

/** Call the API. Returns its status and body (parsed, or null), `requestId` and `milliseconds`. */
export async function call(method, path, { authorization, body } = {}) {
  const headers = {};
  if (authorization) headers.authorization = authorization;
  if (body) headers["content-type"] = "application/json";
  const start = performance.now();
  const answer = await fetched(path, { method, headers, body: body || undefined });
  const text = await answer.text();
  return {
    status: answer.status,
    body: text ? JSON.parse(text) : null,
    requestId: answer.headers.get("apigw-requestid"),
    milliseconds: Math.round(performance.now() - start),
  };
}

/** Ask the local system. Returns the body of its answer, or throws an Error with its message. */
export async function system(path, method = "GET", body = undefined) {
  const sent = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const answer = await fetched(`/system${path}`, { method, body: sent });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.status === 204 ? null : answer.json();
}

/** The path by which this page's server forwards to a presigned URL of S3 or R2. */
export function storage(url) {
  const { pathname, search } = new URL(url);
  return `/storage${pathname}${search}`;
}

/** Post a file with its form straight to S3. Returns S3's reason when it is refused, else null. */
export async function upload({ url, fields }, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file);
  const answer = await fetched(storage(url), { method: "POST", body: form });
  return answer.ok ? null : `S3 answered ${answer.status}: ${await answer.text()}`;
}

export const blob = async (path) => (await fetched(path)).blob();
