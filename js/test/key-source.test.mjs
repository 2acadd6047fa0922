// Keys by functions, waiting for keys, and how many may.
import assert from "node:assert/strict";
import { before, mock, test } from "node:test";

import { PolicyError, createGuard } from "countersign";

import { ISSUER, JWKS_URI, NOW, now, policy, post, serving, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token();
  mock.method(console, "warn", () => {});
});

const found = (issuer = ISSUER) => policy({ issuer: { issuer, jwks_uri: undefined } });
const unused = () => { throw new Error("nothing is to be fetched"); };

for (const issuer of [ISSUER, `${ISSUER}/tenant`, `${ISSUER}/tenant/`, "http://127.0.0.1:8090"]) {
  test(`keys of ${issuer} by a function, called once for all who wait`, async () => {
    let calls = 0;
    const keys = { [issuer]: async () => (calls++, key.jwks) };
    const guard = createGuard(found(issuer), { now, fetch: unused, keys });
    const mine = await key.token({ iss: issuer });
    const outcomes = await Promise.all([1, 2, 3].map(() => guard.check(post(mine))));
    assert.deepEqual(outcomes.map(({ reason }) => reason), [null, null, null]);
    assert.equal(calls, 1);
  });
}

test("a function that throws, hangs or gives no keys is a 503", async (t) => {
  for (const source of [
    () => { throw new Error("no"); },
    async () => undefined,
    () => ({ keys: {} }),
    () => "keys",
    () => { const loop = {}; loop.loop = loop; return loop; },
  ]) {
    const guard = createGuard(found(), { now, fetch: unused, keys: { [ISSUER]: source } });
    const { reason, response } = await guard.check(post(token));
    assert.deepEqual([reason, response.status], ["keys_unavailable", 503]);
  }
});

test("mistakes in keys are told", () => {
  const path = `options.keys["${ISSUER}"]`;
  for (const [document, keys, expected] of [
    [found(), { [ISSUER]: key.jwks }, path],
    [found(), { "https://other.example.com": unused }, 'options.keys["https://other.example.com"]'],
    [policy(), { [ISSUER]: unused }, path],
    [policy({ issuer: { jwks_uri: undefined, jwks: key.jwks } }), { [ISSUER]: unused }, path],
    [found(), "keys", "options.keys"],
    // The policy's own mistake comes first.
    [{ issuers: 7 }, { [ISSUER]: unused }, "$.issuers"],
  ]) {
    assert.throws(() => createGuard(document, { keys }), (error) => {
      assert.ok(error instanceof PolicyError);
      assert.equal(error.path, expected);
      return true;
    });
  }
  for (const keyCache of [7, {}, { get: unused }, null]) {
    assert.throws(() => createGuard(policy(), { keyCache }), { path: "options.keyCache" });
  }
});

test("a fetch that was lost with its request is sent once more, by one of those who wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const settle = async () => { for (let i = 0; i < 20; i++) await new Promise(setImmediate); };
  const answers = [];
  const fetch = () => new Promise((resolve) => answers.push(() => resolve(Response.json(key.jwks))));
  const guard = createGuard(policy(), { now, fetch });
  const first = guard.check(post(token));
  const others = [1, 2, 3].map(() => guard.check(post(token)));
  await settle();
  assert.equal(answers.length, 1);
  t.mock.timers.tick(1900);
  await settle();
  assert.equal(answers.length, 1);
  t.mock.timers.tick(200);
  await settle();
  assert.equal(answers.length, 2, "not once for each who waits, nor by who began it");
  answers[1]();
  await settle();
  for (const outcome of await Promise.all([first, ...others])) assert.ok(outcome.allowed);
  // The first one's answer, late, does no harm.
  answers[0]();
  await settle();
  assert.ok((await guard.check(post(token))).allowed);
});

test("no more than 1024 requests wait for keys: the next gets its 503 at once", async () => {
  let answer;
  const fetch = () => new Promise((resolve) => (answer = resolve));
  const guard = createGuard(policy(), { now, fetch });
  // None of them gives up, however slow the machine is.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = () => 0;
  const waiting = Array.from({ length: 1024 }, () => guard.check(post(token)));
  await new Promise(setImmediate);
  globalThis.setTimeout = setTimeout;
  const { reason, response } = await guard.check(post(token));
  assert.deepEqual([reason, response.status], ["keys_unavailable", 503]);
  assert.match(response.headers.get("retry-after"), /^[1-9]/);
  // Whoever needs no keys is not kept.
  assert.equal((await guard.check(post(undefined))).reason, "token_missing");
  answer(Response.json(key.jwks));
  const outcomes = await Promise.all(waiting);
  assert.equal(outcomes.filter(({ allowed }) => allowed).length, 1024);
  assert.ok((await guard.check(post(token))).allowed);
});

test("requests that a host ended while they waited do not count for ever", async () => {
  let time = NOW;
  let use = () => new Promise(() => {});
  const guard = createGuard(policy(), { now: () => time, fetch: (...args) => use(...args) });
  // Their promises never settle, as on a host that drops them.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = () => 0;
  for (let count = 0; count < 1024; count++) guard.check(post(token));
  await new Promise(setImmediate);
  assert.equal((await guard.check(post(token))).reason, "keys_unavailable");
  globalThis.setTimeout = setTimeout;
  time += 60;
  use = serving(key.jwks);
  // The engine takes the lost fetch for one that failed, and rests for a second.
  assert.equal((await guard.check(post(token))).reason, "keys_unavailable");
  time += 2;
  assert.ok((await guard.check(post(token))).allowed);
});
