// An Express app that does what GET /session does, written as such apps usually are: middleware for the token and the
// access check, a connection pool, a line of JSON in the log for each request. It prints its port, and logs to stderr.
import express from "express";
import jwt from "jsonwebtoken";
import pg from "pg";

const { connection, secret, entitlements } = JSON.parse(process.env.SETUP);
const pool = new pg.Pool({ ...connection, max: 1 });

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
  const { rows } = await pool.query(entitlements, [request.userId]);
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

function session(row) {
  return {
    id: row.id,
    startedAt: row.started_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    durationMinutes: Math.round((row.expires_at - row.started_at) / 60_000),
    remainingSeconds: Math.max(0, Math.floor((row.expires_at - row.read_at) / 1000)),
  };
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

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
server.keepAliveTimeout = 0; // a connection may be idle for long while the other side is measured
