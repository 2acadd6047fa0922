// Answers that are given again. The engine decides each time: what JavaScript keeps lets nothing live longer.
import assert from "node:assert/strict";
import { before, mock, test } from "node:test";
import { deflateSync } from "node:zlib";

import { createGuard, verifyAccessToken } from "countersign";

import { CLAIMS, ISSUER, NOW, RESOURCE, TOOL_RULES, base64url, now, policy, post, rpc, signer } from "./support.mjs";

let key;
before(async () => {
  key = await signer();
  mock.method(console, "warn", () => {});
});

const inline = (more = {}) => policy({ ...more, issuer: { jwks_uri: undefined, jwks: key.jwks, ...more.issuer } });
const options = (more) => ({ issuer: ISSUER, audience: RESOURCE, jwks: key.jwks, now, ...more });
const reasonOf = (promise) => promise.then(() => null, (error) => error.reason);

test("the same token gives the same claims, which nobody can change", async () => {
  const token = await key.token({ deep: { list: [{ a: 1 }] }, ["__proto__"]: { admin: true } });
  const same = options();
  const [first, second] = [await verifyAccessToken(token, same), await verifyAccessToken(token, same)];
  assert.equal(first, second);
  for (const part of [first, first.deep, first.deep.list, first.deep.list[0]]) assert.ok(Object.isFrozen(part));
  assert.throws(() => { first.sub = "mallory"; }, TypeError);
  assert.throws(() => first.deep.list.push(1), TypeError);
  assert.equal(first.admin, undefined);
  assert.equal((await verifyAccessToken(token, same)).sub, CLAIMS.sub);
});

test("a token whose time is over is refused although it is known", async () => {
  const token = await key.token({ nbf: NOW });
  let time = NOW;
  const moving = options({ now: () => time, leeway: 0 });
  const guard = createGuard(inline({ leeway: 0 }), { now: () => time });
  const both = async () => [await reasonOf(verifyAccessToken(token, moving)), (await guard.check(post(token))).reason];
  assert.deepEqual(await both(), [null, null]);
  assert.deepEqual(await both(), [null, null]);
  time = CLAIMS.exp - 1;
  assert.deepEqual(await both(), [null, null]);
  time = CLAIMS.exp;
  assert.deepEqual(await both(), ["token_expired", "token_expired"]);
  assert.deepEqual(await both(), ["token_expired", "token_expired"]);
});

test("a time that somebody else asks for leaves nothing behind", async () => {
  const reason = (token, time) => reasonOf(verifyAccessToken(token, options({ now: () => time })));
  // Asked whether it will be good, and good then: not yet now.
  const early = await key.token({ jti: "early", nbf: NOW + 300 });
  assert.deepEqual([await reason(early, NOW + 400), await reason(early, NOW)], [null, "token_not_yet_valid"]);
  assert.deepEqual([await reason(early, NOW + 270), await reason(early, NOW + 269)], [null, "token_not_yet_valid"]);
  // Asked whether it will be good tomorrow: still good today.
  const good = await key.token({ jti: "good" });
  assert.deepEqual([await reason(good, NOW + 86_400), await reason(good, NOW)], ["token_expired", null]);
  assert.deepEqual([await reason(good, NOW + 86_400), await reason(good, NOW)], ["token_expired", null]);
  let time = NOW + 86_400;
  const guard = createGuard(inline(), { now: () => time });
  assert.equal((await guard.check(post(good))).reason, "token_expired");
  time = NOW;
  assert.equal((await guard.check(post(good))).reason, null);
  assert.equal((await guard.check(post(early))).reason, "token_not_yet_valid");
});

test("one that was revoked meanwhile", async () => {
  const uri = `${ISSUER}/status/1`;
  let revoked = 0;
  let time = NOW;
  const list = () =>
    key.token(
      { sub: uri, iat: time, exp: time + 60, ttl: 30, status_list: { bits: 1, lst: base64url(deflateSync(Uint8Array.of(revoked))) } },
      { typ: "statuslist+jwt" },
    );
  const fetch = async () => new Response(await list(), { headers: { "content-type": "application/statuslist+jwt" } });
  const guard = createGuard(inline(), { now: () => time, fetch });
  const token = await key.token({ status: { status_list: { idx: 0, uri } } });
  const reason = async () => (await guard.check(post(token))).reason;
  assert.deepEqual([await reason(), await reason()], [null, null]);
  revoked = 1;
  time += 61;
  assert.equal(await reason(), "token_revoked");
  assert.equal(await reason(), "token_revoked");
});

test("one whose key is in the set no more", async () => {
  const other = await signer("ES256", "k2");
  let time = NOW;
  let keys = key.jwks;
  const own = options({ now: () => time, jwks: async () => keys });
  const token = await key.token({ exp: NOW + 50_000 });
  const reason = () => reasonOf(verifyAccessToken(token, own));
  assert.deepEqual([await reason(), await reason()], [null, null]);
  keys = other.jwks;
  // Refreshed behind the back of a request; then the key is gone.
  time = NOW + 400;
  let found = await reason();
  for (const end = Date.now() + 30_000; found === null && Date.now() < end; found = await reason()) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(found, "key_unknown");
});

test("another resource, and another tool, are another question", async () => {
  const elsewhere = "https://other.example.com/mcp";
  const document = inline({ resource: TOOL_RULES });
  document.resources.push({ resource: elsewhere });
  const guard = createGuard(document, { now });
  const token = await key.token();
  const call = (name) => post(token, rpc("tools/call", { name }));
  for (let time = 0; time < 3; time++) {
    const allowed = await guard.check(call("read_file"));
    assert.deepEqual([allowed.reason, allowed.decision.rule], [null, 'tools["read_file"]']);
    assert.equal((await guard.check(call("write_file"))).reason, "scope_insufficient");
    const listed = await guard.check(post(token));
    assert.deepEqual([listed.reason, listed.decision.operation], [null, "tools/list"]);
    const there = new Request(elsewhere, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await guard.check(there)).reason, "audience_mismatch");
  }
  // The same token under a policy that asks for more.
  const stricter = createGuard(inline({ resource: { scopes: { baseline: ["admin"] } } }), { now });
  assert.equal((await stricter.check(post(token))).reason, "scope_insufficient");
});

test("more tokens than are remembered each have their own claims", async () => {
  const same = options();
  const guard = createGuard(inline({ limits: { cached_tokens: 64 } }), { now });
  const tokens = await Promise.all(Array.from({ length: 700 }, (_, at) => key.token({ jti: `t${at}`, sub: `s${at % 7}` })));
  for (let turn = 0; turn < 2; turn++) {
    for (const [at, token] of tokens.entries()) {
      const claims = await verifyAccessToken(token, same);
      assert.deepEqual([claims.jti, claims.sub], [`t${at}`, `s${at % 7}`]);
      if (at % 5 > 0) continue;
      const { identity, request } = await guard.check(post(token));
      assert.deepEqual([identity.tokenId, identity.claims.jti], [`t${at}`, `t${at}`]);
      assert.equal(request.headers.get("x-mcp-subject"), `s${at % 7}`);
    }
  }
});

test("an engine that remembers no tokens gives their answers all the same", async () => {
  const guard = createGuard(inline({ limits: { cached_tokens: 0 } }), { now });
  const token = await key.token();
  for (let turn = 0; turn < 2; turn++) assert.equal((await guard.check(post(token))).identity.subject, CLAIMS.sub);
});

test("heads that are long, not ASCII, or hold separators go the other way, to the same end", async () => {
  const guard = createGuard(inline(), { now });
  const token = await key.token();
  const reason = async (headers) => (await guard.check(post(token, undefined, { headers }))).reason;
  assert.equal(await reason({ cookie: "c".repeat(100_000) }), null);
  assert.equal(await reason({ "x-name": "Zo\u00eb" }), null);
  assert.equal(await reason({}), null);
  // A head as Node's adapters give it: what a value holds cannot become a header of its own.
  const { partsOf } = await import("../dist/shared.js");
  const { engine } = partsOf(guard);
  const head = (value) => ({ method: "POST", authority: "mcp.example.com", path: "/mcp", headers: [["x", value]], hasBody: false });
  const host = { now, readBody: async () => undefined, keep: () => {} };
  for (const value of [`a\0authorization\0Bearer ${token}`, `\0authorization\0Bearer ${token}\0y\0`]) {
    assert.equal((await engine.decide(head(value), host)).decision.reason, "token_missing");
  }
  for (const value of [7, { toString: () => "x" }, undefined, Symbol("x")]) {
    assert.throws(() => engine.decide(head(value), host), TypeError);
  }
});

test("the module's memory may grow between requests", async () => {
  const { initSync } = await import("../dist/core.js");
  const { memory } = initSync({ module: new Uint8Array() });
  const token = await key.token();
  const same = options();
  await verifyAccessToken(token, same);
  memory.grow(1);
  assert.equal((await verifyAccessToken(token, same)).sub, CLAIMS.sub);
});
