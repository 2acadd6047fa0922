// explain: why, check by check, without a server and without the token.
import assert from "node:assert/strict";
import { before, mock, test } from "node:test";

import { createGuard, explain } from "countersign";

import { CLAIMS, JWKS_URI, NOW, RESOURCE, TOOL_RULES, now, policy, post, rpc, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token();
});

const rules = () => policy({ resource: TOOL_RULES });
const answers = () => ({ [JWKS_URI]: key.jwks });
const ask = (more, options) => explain(rules(), { url: RESOURCE, token, ...more }, { answers: answers(), now, ...options });
const check = ({ trace }, name) => trace.find((entry) => entry.check === name);

test("a request that would pass, and one that lacks a scope", async () => {
  const passed = await ask({ tool: "read_file" });
  assert.deepEqual([passed.verdict, passed.reason, passed.operation, passed.rule], ["allow", null, 'tools/call "read_file"', 'tools["read_file"]']);
  assert.ok(passed.trace.every(({ outcome }) => outcome !== "failed"));
  assert.ok(passed.answer.remove.includes("authorization"));
  assert.deepEqual(passed.answer.set.find(([name]) => name === "x-mcp-subject"), ["x-mcp-subject", CLAIMS.sub]);
  const refused = await ask({ tool: "write_file" });
  assert.deepEqual([refused.verdict, refused.reason, refused.answer.status], ["deny", "scope_insufficient", 403]);
  assert.match(check(refused, "scopes").text, /missing: files:write/);
  assert.match(refused.text, /^no {2}scopes {10}/m);
  assert.deepEqual(refused.notes, []);
});

test("says the same as the guard", async () => {
  const guard = createGuard(rules(), { now, fetch: async () => Response.json(key.jwks) });
  const other = await signer();
  for (const sent of [
    token, undefined, "x", await key.token({ exp: NOW - 100 }), await key.token({ aud: "https://other.example.com" }),
    await key.token({ iss: "https://other.example.com" }), await key.token({}, { kid: "k2" }), await other.token(), await key.token({}, { typ: "JWT" }),
  ]) {
    const body = rpc("tools/call", { name: "read_file" });
    const outcome = await guard.check(post(sent, body));
    const { reason, verdict, answer } = await ask({ token: sent, body });
    assert.deepEqual([reason, verdict, answer.status], [outcome.reason, outcome.decision.verdict, outcome.response?.status]);
  }
});

test("the token, its proof and its parts are never told", async () => {
  const secret = await key.token({ iss: "https://other.example.com" });
  for (const request of [{ token: secret }, { token, proof: `${token.slice(0, 40)}.x.y` }, { token: "opaque-secret" }, { token, url: `${RESOURCE}?access_token=${token}` }]) {
    const text = JSON.stringify(await ask(request));
    for (const part of [...secret.split("."), ...token.split("."), "opaque-secret"]) assert.ok(!text.includes(part), part);
  }
});

test("what would have to be fetched is a note, and nothing is fetched", async (t) => {
  const fetched = t.mock.method(globalThis, "fetch", () => assert.fail("fetched"));
  const warned = mock.method(console, "warn", () => {});
  const { reason, answer, notes } = await explain(rules(), { url: RESOURCE, token }, { now });
  assert.deepEqual([reason, answer.status], ["keys_unavailable", 503]);
  assert.deepEqual(notes, [`the guard fetches ${JWKS_URI}: give its answer in answers, or a fetch`]);
  const broken = await ask({}, { answers: { [JWKS_URI]: "<html>" } });
  assert.match(broken.notes.join(), /cannot use the answer of/);
  assert.equal((await ask({}, { answers: {}, fetch: async () => Response.json(key.jwks) })).reason, null);
  assert.deepEqual([fetched.mock.callCount(), warned.mock.callCount()], [0, 0]);
  warned.mock.restore();
});

test("mistakes have a path", async () => {
  for (const [request, path] of [
    [undefined, "request"], [{}, "request.url"], [{ url: "mcp" }, "request.url"], [{ url: RESOURCE, uri: "" }, "request.uri"],
    [{ url: RESOURCE, token: 7 }, "request.token"], [{ url: RESOURCE, tool: "a", body: {} }, "request.tool"],
  ]) {
    await assert.rejects(explain(rules(), request), { name: "PolicyError", path });
  }
  await assert.rejects(explain({}, { url: RESOURCE }), { path: "$" });
  await assert.rejects(explain(rules(), { url: RESOURCE }, { answer: {} }), { path: "options.answer" });
  for (const bad of [null, "x"]) {
    await assert.rejects(explain(rules(), { url: RESOURCE, headers: bad }), { name: "PolicyError", path: "request.headers" });
    await assert.rejects(explain(rules(), { url: RESOURCE }, { answers: bad }), { name: "PolicyError", path: "options.answers" });
  }
  await assert.rejects(explain(rules(), { url: RESOURCE, headers: { "x-a": 7 } }), { name: "PolicyError", path: 'request.headers["x-a"]' });
  const { reason } = await explain(rules(), { url: "https://h", method: "GET", headers: { "x-zoë": "Zoë\u{1d11e}" } });
  assert.equal(reason, "resource_unknown");
});

test("texts of every kind go over the wire as UTF-8", async () => {
  for (const name of ["Zoë", "€", "\u{1d11e}"]) {
    for (const [url, method, expected] of [
      [`https://${name}.example/`, "GET", "resource_unknown"], [`https://mcp.example.com/${name}`, "GET", "path_ambiguous"], ["https://h", name, "resource_unknown"],
    ]) {
      const { reason, text } = await explain(rules(), { url, method, headers: { [name]: name } });
      assert.equal(reason, expected);
      assert.ok(text.includes(name), text);
    }
  }
});
