// Mistakes in policies and options are told where they stand.
import assert from "node:assert/strict";
import { test } from "node:test";

import { PolicyError, createGuard, verifyAccessToken } from "countersign";

import { ISSUER, JWKS_URI, RESOURCE, policy, post } from "./support.mjs";

const failsAt = (path, message) => (error) => {
  assert.ok(error instanceof PolicyError && error instanceof TypeError, String(error));
  assert.equal(error.path, path);
  assert.match(error.message, message);
  assert.ok(error.message.startsWith(`${path}: `), error.message);
  return true;
};

test("policy mistakes have a JSON path", () => {
  for (const [document, path, message] of [
    [policy({ issuer: { jwksuri: "x" } }), "$.issuers[0].jwksuri", /unknown member/],
    [policy({ resource: { scopes: { tools: { "a*b*": [] } } } }),
      '$.resources[0].scopes.tools["a*b*"]', /pattern/],
    [policy({ leeway: "30" }), "$.leeway", /expected a number/],
    [policy({ resource: { dpop: "always" } }), "$.resources[0].dpop", /expected one of/],
    [{ issuers: [], resources: [] }, "$.issuers", /at least one/],
    ["{", "$", /not strict JSON/],
    ['{"issuers":[],"issuers":[]}', "$", /duplicate/],
    [null, "$", /expected an object/],
    [undefined, "$", /not strict JSON/],
  ]) {
    assert.throws(() => createGuard(document), failsAt(path, message));
  }
});

test("a policy may be JSON text", () => {
  assert.ok(createGuard(JSON.stringify(policy())));
});

test("unknown options are refused", () => {
  assert.throws(() => createGuard(policy(), { keycache: 1 }), failsAt("options.keycache", /known are/));
  assert.throws(() => createGuard(policy(), { now: 1 }), failsAt("options.now", /a function/));
  assert.throws(() => createGuard(policy(), { fetch: {} }), failsAt("options.fetch", /a function/));
  assert.throws(() => createGuard(policy(), { onDecision: 1 }), failsAt("options.onDecision", /a func/));
  assert.throws(() => createGuard(policy(), { clientAddress: "1" }), failsAt("options.clientAddress", /a func/));
  assert.throws(() => createGuard(policy(), null), failsAt("options", /an object/));
});

test("options of verifyAccessToken are told by their own names", async () => {
  const good = { issuer: ISSUER, audience: RESOURCE, jwks: JWKS_URI };
  for (const [wrong, path] of [
    [{ audience: "authenticated" }, "options.audience"],
    [{ audience: undefined }, "options.audience"],
    [{ audience: [] }, "options.audience"],
    [{ audience: [RESOURCE, 1] }, "options.audience[1]"],
    [{ issuer: "http://auth.example.com" }, "options.issuer"],
    [{ issuer: undefined }, "options.issuer"],
    [{ jwks: undefined }, "options.jwks"],
    [{ jwks: { keys: [] } }, "options.jwks"],
    [{ jwks: "ftp://auth.example.com/jwks" }, "options.jwks"],
    [{ algorithms: ["HS256"] }, "options.algorithms[0]"],
    [{ leeway: 1e9 }, "options.leeway"],
    [{ audiences: [RESOURCE] }, "options.audiences"],
  ]) {
    await assert.rejects(verifyAccessToken("x", { ...good, ...wrong }), failsAt(path, /./));
  }
  await assert.rejects(verifyAccessToken("x"), failsAt("options", /an object/));
});

test("a clock in milliseconds is a mistake, not a time at which every token is expired", async () => {
  const guard = createGuard(policy(), { now: Date.now });
  await assert.rejects(guard.check(post("x")), /in seconds/);
  await assert.rejects(createGuard(policy(), { now: () => NaN }).check(post("x")), TypeError);
});
