// Fetching keys: shared flights, refreshes, and servers that do all they can to be a nuisance.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { before, mock, test } from "node:test";

import { createGuard, verifyAccessToken } from "countersign";

import { ISSUER, JWKS_URI, NOW, RESOURCE, now, policy, post, serving, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token();
  mock.method(console, "warn", () => {});
});

/** Advances node's mocked timers until a promise is settled. */
async function hurry(t, promise, step = 500) {
  let settled = false;
  const end = () => (settled = true);
  promise.then(end, end);
  for (let turn = 0; turn < 100 && !settled; turn++) {
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    if (!settled) t.mock.timers.tick(step);
  }
  return promise;
}

function assertUnavailable(outcome) {
  assert.equal(outcome.allowed, false);
  assert.equal(outcome.reason, "keys_unavailable");
  assert.equal(outcome.response.status, 503);
  assert.match(outcome.response.headers.get("retry-after"), /^[1-9][0-9]*$/);
  assert.equal(outcome.response.headers.get("www-authenticate"), null);
}

test("keys are fetched once, for all requests that wait for them", async () => {
  const fetch = serving(key.jwks);
  const guard = createGuard(policy(), { now, fetch });
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => guard.check(post(token))));
  assert.ok(outcomes.every((outcome) => outcome.allowed));
  assert.deepEqual(fetch.urls, [JWKS_URI]);
  assert.ok((await guard.check(post(token))).allowed);
  assert.equal(fetch.urls.length, 1);
});

test("the fetch says what it wants: JSON, from the issuer itself, no redirects, and an end", async () => {
  let init;
  const fetch = async (_url, given) => {
    init = given;
    return Response.json(key.jwks);
  };
  assert.ok((await createGuard(policy(), { now, fetch }).check(post(token))).allowed);
  assert.equal(init.redirect, "manual");
  const accept = "application/json, application/jwk-set+json, application/statuslist+jwt";
  assert.deepEqual([init.headers, init.cache], [{ accept, "cache-control": "no-cache" }, "no-store"]);
  assert.ok(init.signal instanceof AbortSignal);
});

test("key sets and metadata are asked for past caches, status lists are not", async () => {
  const seen = new Map();
  const server = createServer((request, response) => {
    seen.set(request.url, request.headers["cache-control"]);
    const issuer = `http://${request.headers.host}`;
    const document = request.url === "/jwks" ? key.jwks : { issuer, jwks_uri: `${issuer}/jwks` };
    response.writeHead(request.url === "/status/1" ? 404 : 200).end(JSON.stringify(document));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const guard = createGuard(policy({ issuer: { issuer, jwks_uri: undefined } }), { now });
    const listed = await key.token({ iss: issuer, status: { status_list: { idx: 0, uri: `${issuer}/status/1` } } });
    assert.equal((await guard.check(post(listed))).reason, "status_unavailable");
    assert.deepEqual([...seen], [["/.well-known/oauth-authorization-server", "no-cache"], ["/jwks", "no-cache"], ["/status/1", undefined]]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("hosts without modes for caches get the header, browsers the mode alone", async (t) => {
  const given = [];
  const fetch = async (_url, { headers, cache }) => {
    given.push([headers["cache-control"], cache]);
    return Response.json(key.jwks);
  };
  const names = ["Request", "navigator"];
  const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  t.after(() => before.forEach(([name, found]) => found ? Object.defineProperty(globalThis, name, found) : delete globalThis[name]));
  const set = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true });
  const { Request } = globalThis;
  const request = post(token);
  set("Request", class { constructor() { throw new TypeError("The 'cache' field is not implemented."); } });
  assert.ok((await createGuard(policy(), { now, fetch }).check(request)).allowed);
  set("Request", Request);
  set("navigator", { userAgent: "Mozilla/5.0 (X11)" });
  assert.ok((await createGuard(policy(), { now, fetch }).check(post(token))).allowed);
  assert.deepEqual(given, [["no-cache", undefined], [undefined, "no-store"]]);
});

test("keys are found by the issuer's metadata, one document after the other", async () => {
  const urls = [];
  const fetch = async (url) => {
    urls.push(url);
    if (url.endsWith("/openid-configuration")) {
      return Response.json({ issuer: ISSUER, jwks_uri: JWKS_URI });
    }
    return url === JWKS_URI ? Response.json(key.jwks) : new Response("no", { status: 404 });
  };
  const guard = createGuard(policy({ issuer: { jwks_uri: undefined } }), { now, fetch });
  const outcomes = await Promise.all([guard.check(post(token)), guard.check(post(token))]);
  assert.deepEqual(outcomes.map((outcome) => outcome.allowed), [true, true]);
  assert.deepEqual(urls, [
    `${ISSUER}/.well-known/oauth-authorization-server`,
    `${ISSUER}/.well-known/openid-configuration`,
    JWKS_URI,
  ]);
});

const endless = () =>
  new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) });
const followed = (response) => Object.defineProperty(response, "redirected", { value: true });

for (const [name, fetch] of [
  ["rejects", async () => Promise.reject(new TypeError("fetch failed"))],
  ["throws", () => { throw new Error("not even a promise"); }],
  ["throws what is no error", () => { throw undefined; }],
  ["gives no response", async () => undefined],
  ["gives something else", async () => ({ status: 200, body: "keys" })],
  ["redirects", async () => Response.redirect("https://evil.example.com/jwks")],
  ["was redirected", async () => followed(Response.json(key.jwks))],
  ["answers 500", async () => new Response("{}", { status: 500 })],
  ["answers 204", async () => new Response(null, { status: 204 })],
  ["answers HTML", async () => new Response("<!doctype html><title>Login</title>")],
  ["answers 5 MB", async () => new Response(new Uint8Array(5_000_000).fill(32))],
  ["never ends its answer", async () => new Response(endless())],
  ["breaks off", async () => new Response(new ReadableStream({
    start(controller) { controller.enqueue(new Uint8Array([123])); },
    pull(controller) { controller.error(new Error("reset")); },
  }))],
  ["sends text for bytes", async () => ({ status: 200, body: new ReadableStream({
    start(controller) { controller.enqueue("{}"); controller.close(); },
  }) })],
]) {
  test(`a fetch that ${name} is a 503`, async () => {
    const guard = createGuard(policy(), { now, fetch });
    assertUnavailable(await guard.check(post(token)));
    // Nor does the next request get through, or make it fetch again at once.
    assertUnavailable(await guard.check(post(token)));
  });
}

for (const [name, fetch] of [
  ["hangs", () => new Promise(() => {})],
  ["hangs in the body", async () => new Response(new ReadableStream())],
  ["trickles", async () => new Response(new ReadableStream({
    pull: (controller) => new Promise((resolve) => setTimeout(() => {
      controller.enqueue(new Uint8Array([32]));
      resolve();
    }, 400)),
  }))],
]) {
  test(`a fetch that ${name} is a 503, after a while`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const guard = createGuard(policy(), { now, fetch });
    const checks = [guard.check(post(token)), guard.check(post(token))];
    for (const outcome of await hurry(t, Promise.all(checks))) assertUnavailable(outcome);
  });
}

test("a hanging fetch is told that nobody waits for it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let signal;
  const fetch = (_url, init) => {
    signal = init.signal;
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  assertUnavailable(await hurry(t, createGuard(policy(), { now, fetch }).check(post(token))));
  assert.ok(signal.aborted);
});

test("a flight that was lost without a word does not keep others on the ground", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  // A worker's runtime drops the timers and fetches of a request that it ends.
  let time = NOW;
  const fetch = () => new Promise(() => {});
  const guard = createGuard(policy(), { now: () => time, fetch: (...args) => use(...args) });
  let use = fetch;
  const lost = guard.check(post(token));
  const second = guard.check(post(token));
  for (const outcome of await hurry(t, Promise.all([lost, second]))) assertUnavailable(outcome);
  use = serving(key.jwks);
  time += 60;
  assert.ok((await guard.check(post(token))).allowed);
});

test("an unknown key name causes one fetch per cool-down", async () => {
  const fetch = serving(key.jwks);
  let time = NOW;
  const guard = createGuard(policy(), { now: () => time, fetch });
  await guard.check(post(token));
  time += 31;
  const rolled = await signer("ES256", "k2");
  fetch.jwks = { keys: [key.jwk, rolled.jwk] };
  const outcomes = [rolled, rolled, rolled].map(async (signed) => guard.check(post(await signed.token())));
  assert.ok((await Promise.all(outcomes)).every((outcome) => outcome.allowed));
  assert.equal(fetch.urls.length, 2);
  const stranger = await signer("ES256", "k3");
  for (let turn = 0; turn < 10; turn++) {
    const outcome = await guard.check(post(await stranger.token()));
    assert.equal(outcome.reason, "key_unknown");
    assert.equal(outcome.response.status, 401);
  }
  assert.equal(fetch.urls.length, 2);
});

test("old keys are refreshed behind the request that shows their age", async () => {
  const fetch = serving(key.jwks);
  let time = NOW;
  const guard = createGuard(policy(), { now: () => time, fetch });
  await guard.check(post(token));
  time += 301;
  const kept = [];
  const handler = guard.protect(() => new Response("ok"));
  const ctx = { waitUntil: (work) => kept.push(work) };
  assert.equal((await handler(post(token), {}, ctx)).status, 200);
  assert.equal(kept.length, 1);
  await Promise.all(kept);
  assert.equal(fetch.urls.length, 2);
  // The issuer is down: held keys stay good, and nothing is rejected.
  time += 301;
  fetch.jwks = "no key set";
  assert.equal((await handler(post(token), {}, ctx)).status, 200);
  await Promise.all(kept);
  assert.equal(fetch.urls.length, 3);
  assert.ok((await guard.check(post(token), undefined)).allowed);
});

test("a revoked key no longer opens, also for tokens that were verified before", async () => {
  const fetch = serving(key.jwks);
  let time = NOW;
  const guard = createGuard(policy(), { now: () => time, fetch });
  assert.ok((await guard.check(post(token))).allowed);
  fetch.jwks = (await signer("ES256", "k2")).jwks;
  time += 301;
  const kept = [];
  await guard.check(post(token), { waitUntil: (work) => kept.push(work) });
  await Promise.all(kept);
  assert.equal((await guard.check(post(token))).reason, "key_unknown");
});

test("nothing of all this is an unhandled rejection", async () => {
  const rejections = [];
  const note = (reason) => rejections.push(reason);
  process.on("unhandledRejection", note);
  const fetch = async () => Promise.reject(new Error("down"));
  await createGuard(policy(), { now, fetch }).check(post(token));
  await verifyAccessToken(token, { issuer: ISSUER, audience: RESOURCE, jwks: JWKS_URI, now, fetch })
    .catch((error) => assert.equal(error.reason, "keys_unavailable"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off("unhandledRejection", note);
  assert.deepEqual(rejections, []);
});
