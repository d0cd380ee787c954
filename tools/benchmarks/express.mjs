// An Express app that does what two of our endpoints do, written as such apps usually are: middleware for the token and
// the access check, a connection pool, a line of JSON in the log for each request. It prints its port, and logs to stderr.
import { createHmac } from "node:crypto";
import express from "express";
import jwt from "jsonwebtoken";
import pg from "pg";

const { connection, secret, locationKey, entitlements, start, settle } = JSON.parse(process.env.SETUP);
const pool = new pg.Pool({ ...connection, max: 1 });
const METRES_A_DEGREE = 111_195;

function authenticate(request, response, next) {
  try {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")[1];
    request.userId = jwt.verify(token, secret, { algorithms: ["HS256"] }).userId;
  } catch {
    return response.status(401).json({ success: false, code: "UNAUTHORIZED", error: "Please sign in again." });
  }
  next();
}

async function requireAccess(request, response, next) {
  const { rows } = await pool.query(filled(entitlements, { user_id: request.userId }));
  const missing = ["premium", "verified", "consenting"].find((entitlement) => rows[0]?.[entitlement] !== true);
  if (missing) return response.status(403).json({ success: false, code: `${missing.toUpperCase()}_REQUIRED` });
  next();
}

function log(request, response, next) {
  const began = performance.now();
  response.on("finish", () => {
    const milliseconds = Math.round(performance.now() - began);
    const line = { level: "INFO", message: "request", timestamp: new Date().toISOString(), user_id: request.userId };
    console.error(JSON.stringify({ ...line, route: `${request.method} ${request.path}`, status: response.statusCode, milliseconds }));
  });
  next();
}

// Puts parameters into a statement as psycopg2 does, since several statements share one round trip only without them.
function filled(statement, parameters) {
  return statement.replace(/%\((\w+)\)s/g, (_, name) => {
    const value = parameters[name];
    if (value === null || value === undefined) return "NULL";
    return typeof value === "number" || typeof value === "boolean" ? String(value) : pg.escapeLiteral(String(value));
  });
}

function session(row) {
  return {
    id: row.id,
    startedAt: row.started_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    durationMinutes: Math.round((row.expires_at - row.started_at) / 60_000),
    remainingSeconds: Math.max(0, Math.floor((row.expires_at - row.read_at) / 1000)),
  };
}

// One keyed hash for a point in the disc; ours ranks some hundred candidates (docs/decisions/fuzzed-location.md).
function fuzz(userId, latitude, longitude) {
  const cell = `${userId} ${latitude.toFixed(3)} ${longitude.toFixed(3)}`;
  const hash = createHmac("sha256", locationKey).update(cell).digest();
  const metres = 500 * Math.sqrt(hash.readUInt32BE(0) / 2 ** 32);
  const angle = (hash.readUInt32BE(4) / 2 ** 32) * 2 * Math.PI;
  const north = (metres * Math.cos(angle)) / METRES_A_DEGREE;
  const east = (metres * Math.sin(angle)) / (METRES_A_DEGREE * Math.cos((latitude * Math.PI) / 180));
  return [Number((latitude + north).toFixed(3)), Number((longitude + east).toFixed(3))];
}

const within = (number, most) => typeof number === "number" && Number.isFinite(number) && Math.abs(number) <= most;
const short = (text, most) => text == null || (typeof text === "string" && text.length <= most);

function isValid({ duration, latitude, longitude, deviceFingerprint: device }) {
  const texts = [[device?.deviceId, 255], [device?.deviceModel, 100], [device?.platform, 20]];
  const place = within(latitude, 90) && within(longitude, 180);
  return [15, 30, 60].includes(duration) && place && texts.every(([text, most]) => short(text, most));
}

const app = express();
app.get("/nothing", (request, response) => response.json({ success: true }));
app.get("/cpu", (request, response) => response.json(process.cpuUsage()));
app.use(log, express.json(), authenticate, requireAccess);

app.get("/session", async (request, response) => {
  const { rows } = await pool.query(
    `SELECT id, started_at, expires_at, now() AS read_at FROM after_hours_sessions
     WHERE user_id = $1 AND ended_at IS NULL AND expires_at > now()`,
    [request.userId],
  );
  response.json({ success: true, active: rows.length > 0, session: rows.length ? session(rows[0]) : null });
});

app.post("/session/start", async (request, response) => {
  if (!isValid(request.body)) return response.status(400).json({ success: false, code: "VALIDATION_ERROR" });
  const { duration, latitude, longitude, deviceFingerprint: device } = request.body;
  const [fuzzed_latitude, fuzzed_longitude] = fuzz(request.userId, latitude, longitude);
  const results = await pool.query(
    filled(start, {
      user_id: request.userId, duration, fuzzed_latitude, fuzzed_longitude,
      device_id: device?.deviceId, device_model: device?.deviceModel, platform: device?.platform,
    }),
  );
  const [row] = results.at(-1).rows;
  if (!row.has_profile) return response.status(400).json({ success: false, code: "PROFILE_REQUIRED" });
  if (!row.started) return response.status(409).json({ success: false, code: "SESSION_ALREADY_ACTIVE", session: session(row) });
  const { key, version } = row.event;
  await pool.query(
    filled(settle, {
      kinds: "{event,schedules}", keys: `{${key},${row.id}}`, versions: `{${version},${version}}`, done: "{true,true}",
    }),
  );
  response.status(201).json({ success: true, session: session(row) });
});

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
server.keepAliveTimeout = 0; // a connection may be idle for long while the other side is measured
