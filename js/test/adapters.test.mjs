// Adapters that have no example of their own, and what examples do not show.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { test } from "node:test";

import connect from "connect";
import { createGuard } from "countersign";
import { protect as expressProtect } from "countersign/express";
import { protect as honoProtect } from "countersign/hono";
import { authInfo, tokenVerifier } from "countersign/mcp";
import { metadata, protect as nextProtect } from "countersign/next";
import { validateToken } from "countersign/workers-oauth-provider";
import { Hono } from "hono";

import { ISSUER, NOW, RESOURCE, TOOL_RULES, now, policy, post, rpc, serving, signer } from "./support.mjs";

const key = await signer();
const token = await key.token();
const RULES = { ...TOOL_RULES, origins: ["https://app.example.com"] };
const guardOf = (resource = RULES, options) =>
  createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, resource }), { now, ...options });
const METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
const call = (name) => rpc("tools/call", { name });

test("Connect", async () => {
  const app = connect();
  app.use(expressProtect(guardOf()));
  app.use("/mcp", async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    response.end(JSON.stringify({ body, identity: request.identity, url: request.url }));
  });
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const ask = async (body) => {
    const headers = { host: "mcp.example.com", authorization: `Bearer ${token}`, "content-type": "application/json" };
    const request = httpRequest({ port: server.address().port, method: "POST", path: "/mcp", headers });
    request.end(body);
    const [response] = await once(request, "response");
    return [response.statusCode, Buffer.concat(await response.toArray()).toString()];
  };
  const [status, text] = await ask(call("read_file"));
  assert.equal(status, 200);
  const { body, identity } = JSON.parse(text);
  assert.equal(body, call("read_file"));
  assert.equal(identity.subject, "alice");
  assert.equal((await ask(call("write_file")))[0], 403);
  server.closeAllConnections();
  server.close();
});

test("Hono: refusals, metadata, CORS, and what the handler gets", async () => {
  const app = new Hono();
  app.use(honoProtect(guardOf()));
  app.post("/mcp", async (context) => {
    context.header("vary", "Accept");
    return context.json({
      identity: context.get("identity"),
      scopes: context.get("auth").scopes,
      subject: context.req.header("x-mcp-subject"),
      token: context.req.header("authorization") ?? null,
      body: await context.req.text(),
    });
  });
  const origin = { origin: "https://app.example.com" };
  const answer = await app.fetch(post(token, call("read_file"), { headers: { ...origin, "x-mcp-subject": "mallory" } }));
  assert.equal(answer.headers.get("vary"), "Accept, Origin");
  assert.equal(answer.headers.get("access-control-allow-origin"), origin.origin);
  const { identity, ...rest } = await answer.json();
  assert.equal(identity.subject, "alice");
  assert.deepEqual(rest, { scopes: ["mcp:use", "files:read"], subject: "alice", token: null, body: call("read_file") });
  assert.equal((await app.fetch(post(token, call("write_file")))).status, 403);
  assert.equal((await app.fetch(post(undefined))).status, 401);
  assert.equal((await (await app.fetch(new Request(METADATA))).json()).resource, RESOURCE);
  // With the context of a Worker the fetch of keys goes on after the response.
  const kept = [];
  const fetching = new Hono();
  fetching.use(honoProtect(createGuard(policy(), { now, fetch: serving(key.jwks) })));
  fetching.post("/mcp", (context) => context.text("ok"));
  const context = { waitUntil: (work) => kept.push(work), passThroughOnException() {} };
  assert.equal((await fetching.fetch(post(token), {}, context)).status, 200);
  assert.equal(kept.length, 1);
});

test("Hono: lists are filtered, also where the handler gave a response of its own", async () => {
  const scopes = { ...RULES.scopes, unlisted: "deny", filter_lists: true, methods: { "tools/list": [] } };
  const app = new Hono();
  app.use(honoProtect(guardOf({ scopes })));
  const tools = ["read_file", "write_file"].map((name) => ({ name, inputSchema: {} }));
  app.post("/mcp", () => Response.json({ jsonrpc: "2.0", id: 1, result: { tools } }));
  const { result } = await (await app.fetch(post(token, rpc("tools/list")))).json();
  assert.deepEqual(result.tools.map(({ name }) => name), ["read_file"]);
});

test("Next.js: route handlers", async () => {
  const handler = nextProtect(guardOf(), async (request, { params }, identity) =>
    Response.json({ params, subject: identity.subject, body: await request.text() }),
  );
  const context = { params: { a: 1 } };
  const answer = await handler(post(token, call("read_file")), context);
  assert.deepEqual(await answer.json(), { params: { a: 1 }, subject: "alice", body: call("read_file") });
  assert.equal((await handler(post(undefined), context)).status, 401);
  // Next.js gives URLs with the server's own name; whom the client means is in Host.
  const inner = (token, host) => new Request("http://localhost:3000/mcp?a=1", post(token, call("read_file"), { headers: { host } }));
  assert.equal((await handler(inner(token, "mcp.example.com"), context)).status, 200);
  assert.equal((await handler(inner(token, "other.example.com"), context)).status, 404);
  assert.equal((await handler(inner(token, "mcp.example.com/evil?"), context)).status, 404);
  const route = metadata(guardOf());
  assert.equal((await (await route(new Request(METADATA))).json()).resource, RESOURCE);
});

test("Next.js: what a client writes into Host moves no path", async () => {
  const guard = createGuard(
    {
      issuers: [{ issuer: ISSUER, jwks: key.jwks }],
      resources: [
        { resource: RESOURCE, public_paths: ["/healthz"] },
        { resource: "https://mcp.example.com/admin", scopes: { baseline: ["admin"] } },
      ],
    },
    { now },
  );
  let passed = 0;
  const handler = nextProtect(guard, (request) => (passed++, Response.json(request.url)));
  const ask = async (host, path, sent) => {
    const { method, headers, body } = post(sent, rpc("ping"), { headers: { host } });
    const response = await handler(new Request(`http://localhost:3000${path}`, { method, headers, body, duplex: "half" }), {});
    return response.status;
  };
  for (const end of ["?", "#", "/?", "/#", "/", "/..", "\\", ";", "%2f", "@mcp.example.com", ", mcp.example.com"]) {
    assert.equal(await ask(`mcp.example.com/healthz${end}`, "/mcp"), 404, end);
    assert.equal(await ask(`mcp.example.com/mcp${end}`, "/admin", token), 404, end);
    assert.equal(await ask(`mcp.example.com${end}`, "/mcp", token), 404, end);
  }
  assert.equal(await ask("mcp.example.com", "/admin", token), 401);
  assert.equal(passed, 0);
  // The handler gets the request as Next.js has it.
  assert.equal(await ask("mcp.example.com", "/healthz"), 200);
  assert.equal(passed, 1);
});

test("Next.js: pages may read the metadata, and ask first", async () => {
  const route = metadata(guardOf());
  const headers = {
    origin: "https://inspector.example",
    "access-control-request-method": "GET",
    "access-control-request-headers": "mcp-protocol-version",
  };
  const preflight = await route(new Request(METADATA, { method: "OPTIONS", headers }));
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.match(preflight.headers.get("access-control-allow-headers"), /mcp-protocol-version/i);
  const { origin } = headers;
  assert.equal((await route(new Request(METADATA, { headers: { origin } }))).headers.get("access-control-allow-origin"), "*");
});

test("workers-oauth-provider: validateToken", async () => {
  const options = { issuer: ISSUER, jwks: key.jwks, now };
  const validate = validateToken(options)({}, new Request(RESOURCE));
  const { props, ...rest } = await validate(RESOURCE, token);
  assert.equal(props.claims.jti, "token-1");
  assert.deepEqual(rest, {
    audience: RESOURCE,
    expiresAt: NOW + 600,
    scope: ["mcp:use", "files:read"],
    userId: "alice",
    clientId: "client-1",
  });
  assert.equal(await validate("https://mcp.example.com/other", token), null);
  assert.equal(await validate(RESOURCE, "opaque"), null);
  const byEnv = validateToken((env) => ({ ...options, jwks: env.jwks, acceptAudiences: ["mcp://files"] }));
  const other = await key.token({ aud: "mcp://files" });
  assert.equal((await byEnv({ jwks: key.jwks })(RESOURCE, other)).audience, RESOURCE);
  const down = validateToken({ ...options, jwks: () => { throw new Error("down"); } });
  await assert.rejects(down({})(RESOURCE, token), { reason: "keys_unavailable", status: 503 });
  // A mistake of ours is no bad token.
  const mistaken = validateToken({ ...options, issuer: "not a URL" });
  await assert.rejects(mistaken({})(RESOURCE, token), { name: "PolicyError" });
});

test("the MCP SDK's token verifier: what the wire may not show is in the cause", async () => {
  class OAuthError extends Error {
    constructor(code, message) {
      super(message);
      this.code = code;
    }
  }
  const verifier = tokenVerifier({ issuer: ISSUER, audience: [RESOURCE, "mcp://files"], jwks: key.jwks, now }, { OAuthError });
  const { resource, ...info } = await verifier.verifyAccessToken(token);
  assert.equal(resource.href, RESOURCE);
  assert.equal(info.token, token);
  assert.deepEqual(info.extra.subject, "alice");
  await assert.rejects(verifier.verifyAccessToken(await key.token({ exp: NOW - 60 })), (error) => {
    assert.ok(error instanceof OAuthError);
    assert.deepEqual([error.code, error.cause.reason], ["invalid_token", "token_expired"]);
    assert.ok(!/expired|alice/.test(error.message));
    return true;
  });
  assert.equal(authInfo({ ...info, scope: [], clientId: null }).clientId, "");
});
