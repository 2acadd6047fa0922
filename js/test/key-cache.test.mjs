// Key caches: what another isolate has fetched is used, as old as it is, and never instead of something newer.
import assert from "node:assert/strict";
import { before, mock, test } from "node:test";
import { deflateSync } from "node:zlib";

import { createGuard, keyCaches, verifyAccessToken } from "countersign";
import { validateToken } from "countersign/workers-oauth-provider";

import { ISSUER, JWKS_URI, NOW, RESOURCE, policy, post, serving, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token({ exp: NOW + 200_000, iat: NOW - 10 });
  mock.method(console, "warn", () => {});
});

const LONG = { max_lifetime: 1_000_000 };

/** A guard in an isolate of its own, whose clock stands so many seconds after NOW. */
function isolate(cache, fetch, seconds = 0, rest = {}) {
  const kept = [];
  const clock = { now: NOW + seconds };
  const guard = createGuard(policy({ issuer: { ...LONG, ...rest } }), { now: () => clock.now, fetch, keyCache: cache });
  const check = async (signed = token) => {
    const outcome = await guard.check(post(signed), { waitUntil: (work) => kept.push(work) });
    return outcome.reason ?? "allowed";
  };
  return { check, clock, rest: () => Promise.all(kept) };
}

/** A cache that counts. */
function counting(cache = keyCaches.memory()) {
  const seen = { got: [], put: [] };
  return {
    seen,
    get: (url) => (seen.got.push(url), cache.get(url)),
    put: (url, document) => (seen.put.push([url, document.fetchedAt]), cache.put(url, document)),
  };
}

/** KV and the Cache API as Cloudflare has them, as far as they are used. */
function kvNamespace() {
  const values = new Map();
  return {
    values,
    get: async (name) => values.get(name) ?? null,
    put: async (name, value, { expirationTtl }) => {
      assert.ok(expirationTtl >= 60 && typeof value === "string");
      assert.ok(Buffer.byteLength(name) <= 512);
      values.set(name, value);
    },
  };
}
function webCache() {
  const responses = new Map();
  return {
    responses,
    match: async (url) => responses.get(url)?.clone(),
    put: async (url, response) => {
      assert.match(response.headers.get("cache-control"), /max-age=[1-9]/);
      responses.set(new URL(url).href, response);
    },
  };
}

for (const [name, make] of [
  ["memory", () => keyCaches.memory()],
  ["KV", () => keyCaches.kv(kvNamespace())],
  ["the Cache API", () => keyCaches.cacheApi(webCache())],
]) {
  test(`${name}: the second isolate fetches nothing`, async () => {
    const cache = make();
    const fetch = serving(key.jwks);
    const first = isolate(cache, fetch);
    assert.equal(await first.check(), "allowed");
    await first.rest();
    const second = isolate(cache, fetch, 100);
    assert.deepEqual([await second.check(), await second.check()], ["allowed", "allowed"]);
    assert.deepEqual(fetch.urls, [JWKS_URI]);
  });
}

test("caches.default is used where there is one, and nothing where there is none", async () => {
  const cache = keyCaches.cacheApi();
  const fetch = serving(key.jwks);
  const run = async () => {
    const one = isolate(cache, fetch);
    assert.equal(await one.check(), "allowed");
    await one.rest();
  };
  await run();
  await run();
  assert.equal(fetch.urls.length, 2);
  globalThis.caches = { default: webCache() };
  await run();
  await run();
  assert.equal(fetch.urls.length, 3);
  delete globalThis.caches;
});

test("an old document is used at once and fetched anew behind it", async () => {
  const cache = counting();
  const fetch = serving(key.jwks);
  const first = isolate(cache, fetch);
  await first.check();
  await first.rest();
  const second = isolate(cache, fetch, 1000);
  assert.equal(await second.check(), "allowed");
  await second.rest();
  assert.equal(fetch.urls.length, 2);
  assert.deepEqual(cache.seen.put.map(([, at]) => at), [NOW, NOW + 1000]);
});

test("its age counts from when it was fetched, wherever it came from", async () => {
  const cache = keyCaches.memory();
  const first = isolate(cache, serving(key.jwks));
  await first.check();
  await first.rest();
  const down = async () => { throw new Error("down"); };
  // Used while the issuer is down …
  const second = isolate(cache, down, 80_000);
  assert.equal(await second.check(), "allowed");
  // … but not past its time, neither by who has it nor by who gets it.
  second.clock.now = NOW + 86_401;
  assert.equal(await second.check(), "keys_unavailable");
  assert.equal(await isolate(cache, down, 86_401).check(), "keys_unavailable");
  const strict = { jwks_cache: { fresh: 60, stale: 600 } };
  assert.equal(await isolate(cache, down, 599, strict).check(), "allowed");
  assert.equal(await isolate(cache, down, 601, strict).check(), "keys_unavailable");
});

test("an unknown key name is looked for in a newer document only", async () => {
  const cache = counting();
  const fetch = serving(key.jwks);
  const [first, second] = [isolate(cache, fetch), isolate(cache, fetch, 10)];
  await first.check();
  await first.rest();
  assert.equal(await second.check(), "allowed");
  const rolled = await signer("ES256", "k2");
  fetch.jwks = { keys: [key.jwk, rolled.jwk] };
  const next = await rolled.token({ exp: NOW + 600 });
  second.clock.now = NOW + 100;
  assert.equal(await second.check(next), "allowed");
  await second.rest();
  assert.equal(fetch.urls.length, 2, "what it had from the cache was not asked again");
  // The first finds there what the second fetched.
  first.clock.now = NOW + 101;
  assert.equal(await first.check(next), "allowed");
  assert.equal(fetch.urls.length, 2);
});

test("the issuer's metadata is cached too, and a document that is no longer right is fetched", async () => {
  const cache = counting();
  const fetch = async (url) => {
    fetch.urls.push(url);
    return Response.json(url === JWKS_URI ? key.jwks : { issuer: ISSUER, jwks_uri: JWKS_URI });
  };
  fetch.urls = [];
  const found = { jwks_uri: undefined };
  const first = isolate(cache, fetch, 0, found);
  assert.equal(await first.check(), "allowed");
  await first.rest();
  assert.equal(cache.seen.put.length, 2);
  assert.equal(await isolate(cache, fetch, 10, found).check(), "allowed");
  assert.equal(fetch.urls.length, 2);
});

test("what is not in order is never put into a cache", async () => {
  for (const answer of [
    () => new Response("<!doctype html>"),
    () => new Response("{}", { status: 500 }),
    () => Response.json({ keys: "none" }),
  ]) {
    const cache = counting();
    const one = isolate(cache, async () => answer());
    assert.equal(await one.check(), "keys_unavailable");
    await one.rest();
    assert.deepEqual(cache.seen.put, []);
  }
});

const never = () => new Promise(() => {});
for (const [name, get] of [
  ["throws", () => { throw new Error("no"); }],
  ["rejects", async () => { throw new Error("no"); }],
  ["gives null", async () => null],
  ["gives a document without a time", () => ({ body: JSON.stringify({ keys: [] }) })],
  ["gives one of no text", () => ({ body: { keys: [] }, fetchedAt: NOW })],
  ["gives one of another year", () => ({ body: "{}", fetchedAt: NOW - 40_000_000 })],
  ["gives one from the future", () => ({ body: JSON.stringify({ keys: [] }), fetchedAt: NOW + 1 })],
  ["gives one that was fetched never", () => ({ body: "{}", fetchedAt: NaN })],
]) {
  test(`a cache that ${name} is one that has nothing`, async () => {
    const fetch = serving(key.jwks);
    const put = async () => { throw new Error("nor can it write"); };
    const one = isolate({ get, put }, fetch);
    assert.equal(await one.check(), "allowed");
    await one.rest();
    assert.equal(fetch.urls.length, 1);
  });
}

test("a cache that hangs is waited for a second; one that hangs in put keeps nobody waiting", async () => {
  const fetch = serving(key.jwks);
  const started = performance.now();
  assert.equal(await isolate({ get: never, put: never }, fetch).check(), "allowed");
  const took = performance.now() - started;
  assert.ok(took > 900 && took < 20_000, `${took} ms`);
});

test("a poisoned cache is a 503 and not a pass, until the next fetch", async () => {
  const fetch = serving(key.jwks);
  const cache = { get: () => ({ body: "<html>", fetchedAt: NOW }), put: () => {} };
  const one = isolate(cache, fetch);
  assert.equal(await one.check(), "keys_unavailable");
  one.clock.now += 2;
  assert.equal(await one.check(), "allowed");
});

test("verifyAccessToken takes a key cache, and keeps those of different caches apart", async () => {
  const fetch = serving(key.jwks);
  const cache = counting();
  const options = { issuer: ISSUER, audience: RESOURCE, jwks: JWKS_URI, now: () => NOW, fetch };
  const short = await key.token();
  assert.ok(await verifyAccessToken(short, { ...options, keyCache: cache }));
  assert.ok(await verifyAccessToken(short, { ...options, keyCache: cache }));
  assert.deepEqual([cache.seen.got.length, fetch.urls.length], [1, 1]);
  assert.ok(await verifyAccessToken(short, options));
  assert.equal(fetch.urls.length, 2);
});

test("keys of a function are in nobody's cache", async () => {
  const cache = counting();
  const jwks = () => key.jwks;
  const options = { issuer: ISSUER, audience: RESOURCE, now: () => NOW, keyCache: cache };
  assert.ok(await verifyAccessToken(await key.token(), { ...options, jwks }));
  const issuer = { jwks_uri: undefined, ...LONG };
  const guard = createGuard(policy({ issuer }), { now: () => NOW, keyCache: cache, keys: { [ISSUER]: jwks } });
  assert.ok((await guard.check(post(token))).allowed);
  assert.deepEqual(cache.seen, { got: [], put: [] });
});

test("answers about opaque tokens are in nobody's cache", async () => {
  const cache = counting();
  const introspection = { endpoint: `${ISSUER}/introspect`, client_id: "rs", client_secret: "s".repeat(32) };
  const fetch = async () => Response.json({ active: true, sub: "alice", client_id: "c", aud: RESOURCE, exp: NOW + 60, iss: ISSUER });
  const one = isolate(cache, fetch, 0, { introspection, jwks_uri: JWKS_URI });
  await one.check("opaque-token");
  await one.rest();
  assert.ok(cache.seen.got.every((url) => url === JWKS_URI), `${cache.seen.got}`);
});

test("a key that was taken out opens nothing any more a minute later, whatever the cache has", async () => {
  const stolen = await signer("ES256", "stolen");
  const LIST = `${ISSUER}/status-lists/1`;
  const bits = Buffer.from(deflateSync(new Uint8Array(16))).toString("base64url");
  let time = NOW;
  let generation = 1;
  const sets = { 1: { jwks_gen: 1, keys: [key.jwk, stolen.jwk] }, 2: { jwks_gen: 2, keys: [key.jwk] } };
  let fetched = 0;
  const fetch = async (url) => {
    if (url === JWKS_URI) {
      fetched++;
      return Response.json(sets[generation]);
    }
    const claims = { sub: LIST, iat: time, exp: time + 600, ttl: 60, jwks_gen: generation, status_list: { bits: 1, lst: bits }, iss: undefined, aud: undefined };
    return new Response(await key.token(claims, { typ: "statuslist+jwt" }), { headers: { "content-type": "application/statuslist+jwt" } });
  };
  const cache = counting();
  const guards = [1, 2].map(() => createGuard(policy(), { now: () => time, fetch, keyCache: cache }));
  const ask = async (guard, signed) => {
    const claims = { iat: time - 5, exp: time + 3600, status: { status_list: { idx: 3, uri: LIST } } };
    const kept = [];
    const { reason } = await guard.check(post(await signed.token(claims)), { waitUntil: (work) => kept.push(work) });
    await Promise.all(kept);
    return reason ?? "allowed";
  };
  // As in rounds of the same clock: the first guard is in use, and the second keeps the cache newer than what that has.
  for (time of [NOW, NOW + 61, NOW + 122, NOW + 181]) assert.equal(await ask(guards[0], stolen), "allowed");
  time = NOW + 183;
  const unknown = { token: (claims) => key.token(claims, { kid: "unknown" }) };
  for (const signed of [key, unknown]) await ask(guards[1], signed);
  const before = fetched;
  generation = 2;
  const revoked = NOW + 185;
  const after = [];
  for (time = revoked; after.length < guards.length && time < revoked + 600; time += 5) {
    const guard = guards[after.length];
    await ask(guard, key);
    if ((await ask(guard, stolen)) !== "allowed") after.push(time - revoked);
  }
  // The status list lasts a minute.
  assert.ok(after[0] <= 60 + 5, `${after[0]} s`);
  assert.ok(after.length === 2 && fetched <= before + 6, `${fetched - before} fetches`);
  assert.equal(JSON.parse((await cache.get(JWKS_URI)).body).jwks_gen, 2);
});

test("ready-made caches are the same for the same store, so that keys are kept for them", async () => {
  const namespace = kvNamespace();
  const web = webCache();
  assert.equal(keyCaches.kv(namespace), keyCaches.kv(namespace));
  assert.notEqual(keyCaches.kv(namespace), keyCaches.kv(kvNamespace()));
  assert.equal(keyCaches.cacheApi(web), keyCaches.cacheApi(web));
  assert.equal(keyCaches.cacheApi(), keyCaches.cacheApi());
  assert.notEqual(keyCaches.cacheApi(), keyCaches.cacheApi(web));
  assert.notEqual(keyCaches.memory(), keyCaches.memory());
  for (const none of [null, 7, "KEYS"]) assert.throws(() => keyCaches.kv(none), TypeError);
  assert.throws(() => keyCaches.kv(undefined), TypeError);
  let got = 0;
  const KEYS = { ...namespace, get: (name) => (got++, namespace.get(name)) };
  const fetch = serving(key.jwks);
  const validate = validateToken((env) => ({ issuer: ISSUER, jwks: JWKS_URI, now: () => NOW, fetch, keyCache: keyCaches.kv(env.KEYS) }));
  const short = await key.token();
  for (let time = 0; time < 20; time++) assert.ok(await validate({ KEYS })(RESOURCE, short));
  assert.deepEqual([got, fetch.urls.length], [1, 1]);
});
