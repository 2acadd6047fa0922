// Input that is meant to do harm: an error that is ours, or a refusal, and never a pass or an unhandled rejection.
import assert from "node:assert/strict";
import { after, before, mock, test } from "node:test";

import { AuthError, createGuard, pkce, verifyAccessToken } from "countersign";

import { ISSUER, JWKS_URI, NOW, RESOURCE, TOOL_RULES, now, policy, post, rpc, serving, signer } from "./support.mjs";

let key, token;
const unhandled = [];
const note = (reason) => unhandled.push(reason);
before(async () => {
  key = await signer();
  token = await key.token();
  process.on("unhandledRejection", note);
  mock.method(console, "warn", () => {});
});
after(async () => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off("unhandledRejection", note);
  assert.deepEqual(unhandled, []);
});

const inline = (parts = {}) => policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, ...parts });
const options = (rest) => ({ issuer: ISSUER, audience: RESOURCE, jwks: key.jwks, now, ...rest });

test("tokens that are no texts, and texts that are no tokens", async () => {
  const proxy = new Proxy({}, { get: () => { throw new Error("touched"); } });
  for (const bad of [
    undefined, null, true, 1, 1n, Symbol("token"), [], [token], {}, () => token, new String(token), proxy,
    { toString: () => token }, new Uint8Array(10), NaN,
    "", " ", ".", "..", "...", "a.b", "a.b.c.d", ".".repeat(100_000), token.replaceAll(".", ""),
    `${token}\n`, `\t${token}`, `${token},${token}`, `${token}\0`, `\ufeff${token}`, `${token}=`,
    token.replace(".", "\ud800."), `${token}\udc00`, token.split("").reverse().join(""),
    token.normalize("NFKD") + "\u0301", `Bearer ${token}`,
    `${"a".repeat(10_000_000)}`, `${token}${"A".repeat(10_000_000)}`, "\u{1f511}".repeat(1_000_000),
  ]) {
    await assert.rejects(verifyAccessToken(bad, options()), (error) => {
      assert.ok(error instanceof AuthError, `${typeof bad}: ${error}`);
      assert.ok(error.status === 401 || error.status === 400, error.reason);
      assert.match(error.reason, /^[a-z0-9_]+$/);
      assert.ok(error.message.length < 200, "the token is not in it");
      return true;
    });
  }
});

test("options that are no options", async () => {
  for (const bad of [
    undefined, null, 7, "options", [], options({ issuer: undefined }), options({ issuer: 7 }), options({ issuer: { toString: () => ISSUER } }),
    options({ audience: undefined }), options({ audience: [] }), options({ audience: "" }), options({ audience: {} }), options({ jwks: undefined }),
    options({ jwks: null }), options({ jwks: 7 }), options({ jwks: [] }), options({ jwks: { keys: 7 } }), options({ jwks: "not a URL" }),
    options({ jwks: "ftp://auth.example.com/jwks" }), options({ leeway: -1 }), options({ leeway: "60" }), options({ leeway: Infinity }),
    options({ algorithms: ["none"] }), options({ algorithms: "ES256" }), options({ algorithms: [] }), options({ algorithms: ["HS256"] }),
    options({ unknown: 1 }), options({ fetch: 7 }), options({ now: 7 }), options({ keyCache: 7 }),
    options({ jwks: (() => { const loop = {}; loop.keys = [loop]; return loop; })() }),
    Object.defineProperty(options(), "issuer", { get: () => { throw new Error("getter"); } }),
  ]) {
    await assert.rejects(verifyAccessToken(token, bad), (error) => {
      assert.ok(!(error instanceof AuthError), `${error}`);
      return true;
    });
  }
});

/** What has the shape of a request as far as it is asked. */
const fake = (parts) => ({ method: "GET", url: RESOURCE, headers: new Headers(), body: null, ...parts });
const pairs = (...all) => ({ [Symbol.iterator]: () => all[Symbol.iterator]() });

test("headers that are hostile objects", async () => {
  const guard = createGuard(inline(), { now });
  let passed = 0;
  const handler = guard.protect(() => {
    passed++;
    return new Response();
  });
  const endless = { *[Symbol.iterator]() { for (let at = 0; at < 100_000; at++) yield [`x-${at}`, "a"]; } };
  for (const headers of [
    undefined, null, 7, {}, pairs(7), pairs(null), pairs([]), pairs(["authorization"]), pairs([7, 7]), pairs(["authorization", 7]),
    pairs(["authorization", { toString: () => `Bearer ${token}` }]), pairs(["authorization", Symbol("x")]), pairs(["authorization", ["Bearer"]]),
    pairs(["authorization", `Bearer ${token}`], ["Authorization", `Bearer ${token}`]),
    pairs(["authorization", "Bearer \ud800"]), pairs(["authorization", `Bearer ${"a".repeat(10_000_000)}`]),
    pairs([{ toString: () => "authorization" }, `Bearer ${token}`]), endless,
    { [Symbol.iterator]: () => { throw new Error("no"); } }, { [Symbol.iterator]: () => ({ next: () => 7 }) },
    new Proxy(new Headers(), { get: () => { throw new Error("touched"); } }),
  ]) {
    const answer = await handler(fake({ headers })).catch((error) => error);
    if (answer instanceof Response) assert.ok(answer.status >= 400, `${answer.status}`);
    else assert.ok(answer instanceof Error);
  }
  assert.equal(passed, 0);
});

test("requests that are none", async () => {
  const guard = createGuard(inline(), { now });
  const headers = new Headers({ authorization: `Bearer ${token}` });
  for (const request of [
    undefined, null, 7, "GET", {}, fake({ url: undefined }), fake({ url: "", headers }), fake({ url: "mcp", headers }), fake({ url: 7, headers }),
    fake({ url: "https://mcp.example.com", headers }), fake({ method: 7, headers }), fake({ method: "\ud800", headers }),
    fake({ url: "https://other.example.com/mcp", headers }), fake({ url: "https://mcp.example.com@evil.example/mcp", headers }),
    fake({ url: `https://${"a".repeat(1_000_000)}/mcp`, headers }),
    // What Bun and Deno have as URL where a client's Host is no host.
    fake({ url: "/admin?https://mcp.example.com/mcp", headers }), fake({ url: "/admin?://mcp.example.com/mcp", headers }),
    fake({ url: "://mcp.example.com/mcp", headers }), fake({ url: "xhttps://mcp.example.com/mcp", headers }),
    ...["?", "#", "/", "\\", "@x"].map((end) => fake({ headers: new Headers([...headers, ["host", `mcp.example.com${end}`]]) })),
  ]) {
    const outcome = await guard.check(request).catch((error) => error);
    assert.ok(outcome instanceof Error || outcome.allowed === false, JSON.stringify(outcome));
  }
});

test("bodies that are hostile", async () => {
  const guard = createGuard(inline({ resource: TOOL_RULES }), { now });
  const call = rpc("tools/call", { name: "read_file" });
  const bytes = new TextEncoder().encode(call);
  const stream = (pull) => new ReadableStream({ pull });
  for (const body of [
    stream(() => { throw new Error("no"); }),
    stream(() => Promise.reject(undefined)),
    stream((controller) => controller.enqueue(7)),
    stream((controller) => controller.enqueue("{}")),
    stream((controller) => controller.enqueue({ byteLength: 1e15 })),
    stream((controller) => { controller.enqueue(bytes); controller.error(new Error("reset")); }),
  ]) {
    const outcome = await guard.check(post(token, body)).catch((error) => error);
    assert.ok(outcome === undefined || outcome instanceof Error || outcome.allowed === false);
  }
  // An empty part is none, and views of other kinds are bytes too.
  const parts = [new Uint8Array(), new DataView(bytes.buffer, 0, 10), new Uint8Array(), new Uint8Array(bytes.buffer, 10)];
  const good = stream((controller) => (parts.length ? controller.enqueue(parts.shift()) : controller.close()));
  const outcome = await guard.check(post(token, good));
  assert.equal(outcome.reason, null);
  assert.equal(await outcome.request.text(), call);
});

test("clocks that jump, stop, or are none", async () => {
  let time = NOW;
  const guard = createGuard(policy(), { now: () => time, fetch: serving(key.jwks) });
  const reason = async () => (await guard.check(post(token)).catch((error) => error)).reason;
  assert.equal(await reason(), null);
  for (const [at, expected] of [
    [NOW + 500, null],
    // An hour back: a token that was verified before is judged by this time all the same.
    [NOW - 3600, "token_not_yet_valid"],
    [NOW, null],
    // Ten years on, and back: what was fetched is from the future, and is fetched again.
    [NOW + 315_360_000, "token_expired"],
    [NOW, null],
    [NOW + 631, "token_expired"],
    [0, "token_not_yet_valid"],
    [NOW, null],
  ]) {
    time = at;
    assert.equal(await reason(), expected, `${at - NOW}`);
  }
  for (const bad of [NaN, Infinity, -1, undefined, null, "1800000000", Date.now(), 1n, {}, new Date()]) {
    time = bad;
    const thrown = await guard.check(post(token)).catch((error) => error);
    assert.ok(thrown instanceof TypeError, `${String(bad)}: ${thrown}`);
  }
  time = NOW;
  assert.equal(await reason(), null);
  const broken = createGuard(policy(), { now: () => { throw new Error("no clock"); }, fetch: serving(key.jwks) });
  await assert.rejects(broken.check(post(token)), /no clock/);
});

test("PKCE of things that are no texts", () => {
  const { verifier, challenge } = pkce.generate();
  for (const bad of [undefined, null, 7, {}, [], "", "a", "x".repeat(10_000_000), "\ud800".repeat(43), new String(verifier)]) {
    assert.equal(pkce.verify(bad, challenge), false);
    assert.equal(pkce.verify(verifier, bad), false);
  }
});

test("prototypes that were tampered with by what came as JSON", async () => {
  const guard = createGuard(inline(), { now });
  const polluted = await key.token({ __proto__: { admin: true }, constructor: { prototype: { admin: true } } });
  const { identity } = await guard.check(post(polluted));
  assert.equal({}.admin, undefined);
  assert.equal(Object.getPrototypeOf(identity.claims), Object.prototype);
});

test("what was fetched by a fetch that hangs for ever is a 503 in time, for all who wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const guard = createGuard(policy(), { now, fetch: () => new Promise(() => {}) });
  const checks = Promise.all(Array.from({ length: 20 }, () => guard.check(post(token))));
  let settled = false;
  checks.then(() => (settled = true));
  for (let turn = 0; turn < 60 && !settled; turn++) {
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    t.mock.timers.tick(500);
  }
  for (const { reason, response } of await checks) {
    assert.deepEqual([reason, response.status], ["keys_unavailable", 503]);
    assert.match(response.headers.get("retry-after"), /^[1-9]/);
  }
  await assert.rejects(
    verifyAccessToken(token, options({ jwks: JWKS_URI, fetch: async () => new Response("<html>") })),
    { reason: "keys_unavailable", status: 503 },
  );
});
