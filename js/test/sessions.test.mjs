// Sessions that are bound to whom they were given to (`session_secret`).
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { createGuard } from "countersign";

import { now, policy, post, rpc, serving, signer } from "./support.mjs";

const session_secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const initialize = rpc("initialize");

let key, ada, bob;
before(async () => {
  key = await signer();
  [ada, bob] = [await key.token(), await key.token({ sub: "bob" })];
});

/** A server that begins a session, and shows the one that it was asked in. */
function guarded(id, resource = { session_secret }) {
  const guard = createGuard(policy({ resource }), { now, fetch: serving(key.jwks) });
  return guard.protect(
    (request) =>
      new Response(request.headers.get("mcp-session-id"), { headers: { "mcp-session-id": id } }),
  );
}

const within = (token, session) =>
  post(token, rpc("tools/list"), { headers: { "mcp-session-id": session } });

test("a session stays with its caller", async () => {
  const handler = guarded("server-made-1");
  const begun = await handler(post(ada, initialize));
  const session = begun.headers.get("mcp-session-id");
  assert.match(session, /^server-made-1\.[\w-]{22}$/);
  const seen = await handler(within(ada, session));
  assert.equal(await seen.text(), "server-made-1");
  assert.equal(seen.headers.get("mcp-session-id"), session);
  for (const [token, id] of [[bob, session], [ada, "server-made-1"], [ada, `${session}x`]]) {
    assert.equal((await handler(within(token, id))).status, 404);
  }
});

test("check gives the caller what binds a session", async () => {
  const fetch = serving(key.jwks);
  const guard = createGuard(policy({ resource: { session_secret } }), { now, fetch });
  const { filterResponse } = await guard.check(post(ada, initialize));
  const shown = filterResponse(new Response("{}", { headers: { "mcp-session-id": "s1" } }));
  assert.match(shown.headers.get("mcp-session-id"), /^s1\.[\w-]{22}$/);
  const other = await guard.check(within(bob, shown.headers.get("mcp-session-id")));
  assert.deepEqual([other.reason, other.response.status], ["session_unknown", 404]);
});

test("what cannot be sealed is not shown, and nothing changes without a secret", async () => {
  for (const id of ["has a space", "a, b", ""]) {
    const answer = await guarded(id)(post(ada, initialize));
    assert.equal(answer.headers.get("mcp-session-id"), null, id);
  }
  const answer = await guarded("plain", {})(post(ada, initialize));
  assert.equal(answer.headers.get("mcp-session-id"), "plain");
});
