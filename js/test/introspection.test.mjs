// Opaque tokens: the issuer is asked about them, by POST, and only about its own.
import assert from "node:assert/strict";
import { before, mock, test } from "node:test";

import { createGuard } from "countersign";

import { RESOURCE, policy, post, now, signer } from "./support.mjs";

const ENDPOINT = "https://auth.example.com/introspect";
const introspection = { endpoint: ENDPOINT, client_id: "guard", client_secret: "se:cret" };

let key;
before(async () => {
  key = await signer();
  mock.method(console, "warn", () => {});
});

/** A `fetch` that knows one token, and what it was called with. */
function issuer() {
  const calls = [];
  const fetch = async (url, init) => {
    if (url !== ENDPOINT) return Response.json(key.jwks);
    calls.push(init);
    const active = { active: true, aud: RESOURCE, sub: "ada", client_id: "app", scope: "mcp:use" };
    const token = new URLSearchParams(init.body).get("token");
    return Response.json(token === "a+b/c" ? active : { active: false });
  };
  return { calls, fetch };
}

test("the issuer is asked once, as RFC 7662 says", async () => {
  const { calls, fetch } = issuer();
  const guard = createGuard(policy({ issuer: { introspection } }), { now, fetch });
  const outcomes = await Promise.all([1, 2, 3].map(() => guard.check(post("a+b/c"))));
  assert.ok(outcomes.every(({ allowed, identity }) => allowed && identity.subject === "ada"));
  assert.equal(calls.length, 1);
  const { signal, ...init } = calls[0];
  assert.ok(signal instanceof AbortSignal);
  assert.deepEqual(init, {
    method: "POST",
    redirect: "manual",
    headers: {
      accept: "application/json, application/jwk-set+json, application/statuslist+jwt",
      authorization: "Basic Z3VhcmQ6c2UlM0FjcmV0",
      "content-type": "application/x-www-form-urlencoded",
    },
    body: "token=a%2Bb%2Fc&token_type_hint=access_token",
  });
});

test("an inactive token is refused, a JWT not shown", async () => {
  const { calls, fetch } = issuer();
  const guard = createGuard(policy({ issuer: { introspection } }), { now, fetch });
  assert.equal((await guard.check(post("made-up"))).reason, "token_inactive");
  assert.equal(calls.length, 1);
  assert.ok((await guard.check(post(await key.token()))).allowed);
  assert.equal(calls.length, 1);
});

test("an issuer that cannot be asked is our fault", async () => {
  for (const answer of [
    async () => { throw new Error("down"); },
    async () => new Response("<!doctype html>"),
    async () => new Response("", { status: 401 }),
    async () => new Response(null, { status: 302, headers: { location: "https://evil.example" } }),
  ]) {
    const guard = createGuard(policy({ issuer: { introspection } }), { now, fetch: answer });
    const outcome = await guard.check(post("opaque"));
    assert.equal(outcome.reason, "introspection_unavailable");
    assert.equal(outcome.response.status, 503);
    assert.ok(outcome.response.headers.has("retry-after"));
  }
});
