// Mistakes in policies and options are told where they stand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import { PolicyError, createGuard, explain, minimalScopes, verifyAccessToken } from "countersign";

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

test("what JSON would lose of a policy is a mistake, with its path", async () => {
  class Rules {
    write_file = ["files:write"];
  }
  const loop = {};
  loop.loop = loop;
  const scopes = (tools) => ({ ...policy(), resources: [{ resource: RESOURCE, scopes: { tools } }] });
  const resource = (more) => ({ ...policy(), resources: [{ resource: RESOURCE, ...more }] });
  const tools = "$.resources[0].scopes.tools";
  for (const [document, path, message] of [
    [scopes(new Map([["write_file", ["files:write"]]])), tools, /Map: expected a plain object/],
    [scopes(new Rules()), tools, /Rules: expected a plain object/],
    [scopes(Object.create({ write_file: ["files:write"] })), tools, /plain object/],
    [scopes({ "write_*": undefined }), `${tools}["write_*"]`, /undefined/],
    [scopes({ write_file: new Set(["files:write"]) }), `${tools}.write_file`, /Set/],
    [scopes({ write_file: ["files:write", undefined] }), `${tools}.write_file[1]`, /undefined/],
    [scopes({ write_file: ["files:write", , "x"] }), `${tools}.write_file[1]`, /undefined/],
    [scopes({ write_file: () => ["files:write"] }), `${tools}.write_file`, /a function is not JSON/],
    [scopes({ write_file: Symbol("x") }), `${tools}.write_file`, /a symbol is not JSON/],
    [scopes({ write_file: [new String("files:write")] }), `${tools}.write_file[0]`, /String/],
    [scopes({ toJSON: () => ({}), write_file: [] }), `${tools}.toJSON`, /a function/],
    [scopes(loop), `${tools}.loop`, /inside of itself/],
    [resource({ session_secret: process.env.COUNTERSIGN_NO_SUCH_VARIABLE }), "$.resources[0].session_secret", /undefined/],
    [resource({ dpop: undefined }), "$.resources[0].dpop", /undefined/],
    [resource({ resource: new URL(RESOURCE) }), "$.resources[0].resource", /URL/],
    [{ ...policy(), leeway: NaN }, "$.leeway", /NaN is not JSON/],
    [{ ...policy(), leeway: -Infinity }, "$.leeway", /-Infinity is not JSON/],
    [{ ...policy(), leeway: 30n }, "$.leeway", /a bigint is not JSON/],
    [{ ...policy(), limits: new Date(0) }, "$.limits", /Date/],
    [new Map(Object.entries(policy())), "$", /Map/],
    [() => policy(), "$", /a function/],
  ]) {
    assert.throws(() => createGuard(document), failsAt(path, message));
    assert.throws(() => minimalScopes(document, []), failsAt(path, message));
    await assert.rejects(explain(document, { url: RESOURCE }), (error) => (failsAt(path, message)(error), true));
  }
  // Whoever gives other values the second time is taken at the first.
  let asked = 0;
  const turning = { ...policy(), get leeway() { return asked++ === 0 ? 30 : undefined; } };
  assert.ok(createGuard(turning) && asked === 1);
  // Objects of another realm, as in edge runtimes, or without prototype are objects too.
  assert.ok(createGuard(runInNewContext(`(${JSON.stringify(policy())})`)));
  assert.ok(createGuard(Object.assign(Object.create(null), policy())));
  // A name that means something to objects is one like any other.
  const odd = JSON.parse(`{"__proto__":1,${JSON.stringify(policy()).slice(1)}`);
  assert.throws(() => createGuard(odd), failsAt("$.__proto__", /unknown member/));
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
