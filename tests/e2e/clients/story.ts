/** The whole story through openapi-fetch and the types that openapi-typescript makes of docs/openapi.json. */

import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string | undefined> };

type Start = components["schemas"]["StartSession"];
type Photo = components["schemas"]["Photo"];

const START: Start = { duration: 15, latitude: 40.7411, longitude: -73.9897 };
const PHOTO_MILLISECONDS = 300_000;

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function client(token: string) {
  return createClient<paths>({ baseUrl: setting("API_URL"), headers: { authorization: `Bearer ${token}` } });
}

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not as promised: ${what}`);
}

/** Return what an answer holds, which must be a success. */
function success<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const member = client(setting("TOKEN"));

async function refusals(): Promise<void> {
  const { error: unknown } = await client("no token").GET("/session");
  expect(unknown?.code === "UNAUTHORIZED", "401");
  const { error: denied } = await client(setting("TOKEN_NO_PREMIUM")).GET("/session");
  expect(denied?.code === "PREMIUM_REQUIRED", "403");
  expect(denied.upgrade, "an offer");
}

async function join(): Promise<void> {
  const { error } = await member.POST("/session/start", { body: START });
  expect(error?.code === "PROFILE_REQUIRED", "a profile first");
  const { profile } = success(await member.POST("/profile", { body: {} }));
  expect(profile.photoStatus === "none", "no photo yet");
  const described = success(await member.PATCH("/profile", { body: { description: "late ramen" } }));
  expect(described.profile.description === "late ramen", "a description");
  const { preferences } = success(await member.POST("/preferences", { body: { maxDistanceKm: null } }));
  expect(preferences.maxDistanceKm === 10, "10 km");
  const changed = success(await member.PATCH("/preferences", { body: { maxDistanceKm: 25, sexualOrientation: null } }));
  expect(changed.preferences.sexualOrientation === null, "cleared");
  const stored = success(await member.GET("/preferences"));
  expect(stored.preferences.maxDistanceKm === changed.preferences.maxDistanceKm, "what was changed");
  const { error: crossed } = await member.PATCH("/preferences", { body: { minAge: 99, maxAge: 18 } });
  expect(crossed?.code === "VALIDATION_ERROR" && crossed.errors[0]?.field === "maxAge", "ages that cross");
}

async function settled(): Promise<Photo> {
  const deadline = Date.now() + PHOTO_MILLISECONDS;
  for (;;) {
    const { photo } = success(await member.GET("/profile/photo"));
    if (photo.status !== "pending" && photo.status !== "processing") return photo;
    expect(Date.now() < deadline, `a photo in time, not ${photo.status}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function show(file: Blob): Promise<void> {
  const { upload } = success(await member.POST("/profile/photo"));
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...upload.fields, "Content-Type": "image/jpeg" })) form.set(name, value);
  form.set("file", file);
  expect((await fetch(upload.url, { method: "POST", body: form })).ok, "S3 takes the form");
  const photo = await settled();
  expect(photo.status === "ready" && photo.photoId === upload.photoId, `a photo that is ready, not ${photo.status}`);
  const { profile } = success(await member.GET("/profile"));
  expect(profile.photoUrl !== null && (await fetch(profile.photoUrl)).ok, "a photo to look at");
}

async function goLive(): Promise<void> {
  expect(!success(await member.GET("/session")).active, "not live yet");
  const { session } = success(await member.POST("/session/start", { body: START }));
  const now = success(await member.GET("/session"));
  expect(now.active && now.session?.id === session.id, "live");
  const { error: second } = await member.POST("/session/start", { body: START });
  expect(second?.code === "SESSION_ALREADY_ACTIVE" && second.session.id === session.id, "one session at a time");
  const body = { additionalMinutes: 30, expiresAt: session.expiresAt } as const;
  const extended = success(await member.POST("/session/extend", { body })).session;
  expect(extended.extendedByMinutes === 30 && extended.durationMinutes === 45, "more time");
  const { error: again } = await member.POST("/session/extend", { body });
  expect(again?.code === "SESSION_CHANGED", "extended once only");
  const ended = success(await member.POST("/session/end")).session;
  expect(ended.endedAt <= ended.expiresAt && ended.remainingSeconds === 0, "over");
}

async function leave(): Promise<void> {
  expect((await member.DELETE("/profile/photo")).response.status === 204, "the photo is off");
  expect(success(await member.GET("/profile/photo")).photo.photoUrl === null, "no photo to look at");
  expect((await member.DELETE("/profile")).response.status === 204, "gone");
  const { error } = await member.GET("/profile");
  expect(error?.code === "PROFILE_NOT_FOUND", "nothing left");
}

await refusals();
await join();
await show(await (await fetch(`data:image/jpeg;base64,${setting("PHOTO")}`)).blob());
await goLive();
await leave();
console.log("The story is told.");
