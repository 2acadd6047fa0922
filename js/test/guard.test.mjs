// createGuard: what is let through, what is answered, and what the server is told.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { createGuard } from "countersign";

import {
  CLAIMS, ISSUER, NOW, RESOURCE, TOOL_RULES, echo, now, policy, post, rpc, serving, signer,
} from "./support.mjs";

const METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

let es256;
before(async () => {
  es256 = await signer();
});

const guardOf = (parts, options) =>
  createGuard(policy({ issuer: { jwks_uri: undefined, jwks: es256.jwks }, ...parts }), {
    now,
    ...options,
  });

test("a request without token gets a challenge that points to the metadata", async () => {
  const outcome = await guardOf().check(post(undefined));
  assert.equal(outcome.allowed, false);
  assert.equal(outcome.identity, null);
  assert.equal(outcome.request, null);
  assert.equal(outcome.reason, "token_missing");
  assert.equal(outcome.response.status, 401);
  const challenge = outcome.response.headers.get("www-authenticate");
  assert.equal(challenge, `Bearer resource_metadata="${METADATA}"`);
  assert.equal(outcome.response.headers.get("cache-control"), "no-store");
});

test("the handler gets the identity, in headers and as argument, and no token", async () => {
  const env = { name: "env" };
  const seen = [];
  const handler = guardOf().protect(async (request, ...rest) => {
    seen.push(request, ...rest);
    return new Response(await request.text());
  });
  const request = post(await es256.token(), "{}", {
    headers: { "X-Mcp-Subject": "mallory", "x-other": "kept" },
  });
  const response = await handler(request, env, undefined);
  assert.equal(await response.text(), "{}");
  const [forwarded, seenEnv, ctx, identity] = seen;
  assert.equal(seenEnv, env);
  assert.equal(ctx, undefined);
  assert.deepEqual(identity, {
    issuer: ISSUER,
    subject: "alice",
    clientId: "client-1",
    scope: ["mcp:use", "files:read"],
    tokenId: "token-1",
    expiresAt: NOW + 600,
    claims: CLAIMS,
  });
  assert.equal(forwarded.url, RESOURCE);
  assert.equal(forwarded.method, "POST");
  assert.deepEqual(Object.fromEntries(forwarded.headers), {
    "content-type": "application/json",
    "x-mcp-client": "client-1",
    "x-mcp-scope": "mcp:use files:read",
    "x-mcp-subject": "alice",
    "x-other": "kept",
  });
});

for (const alg of ["RS256", "EdDSA"]) {
  test(`${alg} verifies, and a changed signature does not`, async () => {
    const key = await signer(alg);
    const guard = createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks } }), { now });
    const token = await key.token();
    assert.equal((await guard.check(post(token))).allowed, true);
    const start = token.lastIndexOf(".") + 1;
    const changed = token[start] === "A" ? "B" : "A";
    const forged = token.slice(0, start) + changed + token.slice(start + 1);
    assert.equal((await guard.check(post(forged))).reason, "signature_invalid");
  });
}

test("tokens that are not for us, too old, or of another key are refused with their reason", async () => {
  const guard = guardOf();
  const other = await signer();
  for (const [token, reason] of [
    [await es256.token({ aud: "https://other.example.com" }), "audience_mismatch"],
    [await es256.token({ aud: [RESOURCE, "https://other.example.com"] }), "audience_mismatch"],
    [await es256.token({ exp: NOW - 31 }), "token_expired"],
    [await es256.token({ iss: "https://evil.example.com" }), "issuer_unknown"],
    [await es256.token({}, { typ: "JWT" }), "token_type_unsupported"],
    [await es256.token({}, { kid: "k2" }), "key_unknown"],
    [await other.token(), "signature_invalid"],
    ["not-a-token", "token_malformed"],
  ]) {
    const outcome = await guard.check(post(token));
    assert.equal(outcome.reason, reason);
    assert.equal(outcome.response.status, 401);
    assert.match(outcome.response.headers.get("www-authenticate"), /error="invalid_token"/);
  }
});

test("a tool without its scope gets 403 and all scopes that it needs", async () => {
  const guard = guardOf({ resource: TOOL_RULES });
  const call = (name) => rpc("tools/call", { name, arguments: {} });
  const allowed = await echo(guard)(post(await es256.token(), call("read_file")));
  assert.equal((await allowed.json()).body, call("read_file"));
  const refused = await guard.check(post(await es256.token(), call("write_file")));
  assert.equal(refused.reason, "scope_insufficient");
  assert.equal(refused.response.status, 403);
  const challenge = refused.response.headers.get("www-authenticate");
  assert.match(challenge, /error="insufficient_scope"/);
  assert.match(challenge, /scope="mcp:use files:write"/);
});

test("metadata and preflights are answered, whatever the credentials", async () => {
  const guard = guardOf({ resource: { origins: ["https://app.example.com"] } });
  const metadata = await guard.check(new Request(METADATA));
  assert.equal(metadata.reason, null);
  assert.equal(metadata.decision.verdict, "metadata");
  assert.equal((await metadata.response.json()).resource, RESOURCE);
  const headers = { origin: "https://app.example.com", "access-control-request-method": "POST" };
  const preflight = await guard.check(new Request(RESOURCE, { method: "OPTIONS", headers }));
  assert.equal(preflight.response.status, 204);
  assert.equal(preflight.response.body, null);
  assert.equal(preflight.decision.verdict, "preflight");
});

test("a browser's response gets the CORS headers, also when it cannot be changed", async () => {
  const guard = guardOf({ resource: { origins: ["https://app.example.com"] } });
  const request = async () =>
    post(await es256.token(), "{}", { headers: { origin: "https://app.example.com" } });
  const vary = { vary: "Accept-Encoding" };
  const own = await guard.protect(() => new Response("x", { headers: vary }))(await request());
  assert.equal(own.headers.get("vary"), "Accept-Encoding, Origin", "the server's own stays");
  for (const response of [new Response("x"), Response.redirect("https://mcp.example.com/", 303)]) {
    const answer = await guard.protect(() => response)(await request());
    assert.equal(answer.status, response.status);
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://app.example.com");
  }
  const outcome = await guard.check(await request());
  assert.ok(outcome.responseAppend.some(([name]) => name === "access-control-expose-headers"));
});

test("claims beyond ASCII go into headers as the UTF-8 bytes that they are", async () => {
  const { request } = await guardOf().check(post(await es256.token({ sub: "Zoë €" })));
  const value = request.headers.get("x-mcp-subject");
  assert.equal(Buffer.from(value, "latin1").toString(), "Zoë €");
});

test("header bytes beyond ASCII reach the engine as bytes", async () => {
  const request = post(undefined, "{}", { headers: { authorization: "Bearer \xff\xfe" } });
  assert.equal((await guardOf().check(request)).reason, "credentials_malformed");
});

test("a claim called __proto__ is only a claim", async () => {
  const token = await es256.token(JSON.parse('{"__proto__":{"admin":true}}'));
  const { identity } = await guardOf().check(post(token));
  assert.equal(identity.claims.admin, undefined);
  assert.equal(Object.getPrototypeOf(identity.claims), Object.prototype);
});

test("public paths are forwarded without identity, and without what only the guard may say", async () => {
  const guard = guardOf({ resource: { public_paths: ["/healthz"] } });
  const headers = { "x-mcp-subject": "mallory", authorization: "Bearer x" };
  const outcome = await guard.check(new Request("https://mcp.example.com/healthz", { headers }));
  assert.equal(outcome.allowed, true);
  assert.equal(outcome.identity, null);
  assert.deepEqual([...outcome.request.headers], []);
});

test("shadow mode lets pass and says why it would not have", async () => {
  const guard = guardOf({ resource: { mode: "shadow" } });
  const outcome = await guard.check(post(undefined));
  assert.equal(outcome.allowed, true);
  assert.equal(outcome.identity, null);
  assert.equal(outcome.reason, "token_missing");
  assert.equal(outcome.decision.verdict, "shadow");
});

test("path and query go in as the URL has them; the fragment is no part of the request", async () => {
  const guard = guardOf();
  const headers = { authorization: `Bearer ${await es256.token()}` };
  for (const [url, reason] of [
    [`${RESOURCE}?access_token=x`, "token_in_query"],
    [`${RESOURCE}/a%2fb`, "path_ambiguous"],
    ["https://mcp.example.com/elsewhere", "resource_unknown"],
    ["https://other.example.com/mcp", "resource_unknown"],
    [`${RESOURCE}?x=1#access_token`, null],
    ["https://mcp.example.com:443/mcp/", null],
  ]) {
    assert.equal((await guard.check(new Request(url, { headers }))).reason, reason, url);
  }
});

test("every decision is told, in a form that is safe to log", async () => {
  const decisions = [];
  const guard = guardOf({}, { onDecision: (decision) => decisions.push(decision) });
  await guard.check(post(undefined));
  await guard.check(post(await es256.token()));
  assert.deepEqual(decisions.map(({ verdict, reason }) => [verdict, reason]), [
    ["deny", "token_missing"],
    ["allow", null],
  ]);
  assert.match(decisions[1].line, /^decision=allow resource=\S+ issuer=\S+ client=client-1 subject=/);
  assert.equal(decisions[1].clientId, "client-1");
});

test("failures are counted by the address that clientAddress gives", async () => {
  const clientAddress = (request) => request.headers.get("cf-connecting-ip");
  const limits = { failures_per_minute: 5 };
  const parts = { issuer: { jwks_uri: undefined, jwks: es256.jwks } };
  const guard = createGuard({ ...policy(parts), limits }, { now, clientAddress });
  const from = (address, token) => {
    const request = post(token);
    if (address) request.headers.set("cf-connecting-ip", address);
    return guard.check(request);
  };
  const good = await es256.token();
  assert.equal((await from("192.0.2.1", good)).allowed, true);
  const reasons = [];
  for (let number = 0; number < 8; number++) {
    reasons.push((await from("192.0.2.1", `bad${number}`)).reason);
  }
  assert.deepEqual(reasons.slice(0, 5), Array(5).fill("token_malformed"));
  assert.deepEqual(reasons.slice(5), Array(3).fill("failures_excessive"));
  const refused = await from("192.0.2.1", await es256.token({ jti: "new" }));
  assert.equal(refused.response.status, 429);
  assert.equal(refused.response.headers.get("retry-after"), "12");
  assert.equal((await from("192.0.2.1", good)).allowed, true);
  for (const address of ["192.0.2.2", "2001:db8::1", "", "unknown"]) {
    assert.equal((await from(address, await es256.token({ jti: `a${address}` }))).allowed, true, address);
  }
});

test("a guard with inline keys never fetches", async () => {
  const fetch = serving({});
  const guard = guardOf({}, { fetch });
  await guard.check(post(await es256.token()));
  await guard.check(post(await es256.token({}, { kid: "k2" })));
  assert.deepEqual(fetch.urls, []);
});
