// Each example is started, against its real framework, and asked over HTTP.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { freePort, startIssuer } from "./issuer.mjs";
import { mcpHeaders, rpc } from "./support.mjs";

let issuer;
before(async () => (issuer = await startIssuer()));
after(() => issuer.stop());

/** Starts an example; gives how to ask it, and what it logged. */
async function start(name) {
  const port = await freePort();
  const path = fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
  const env = { ...process.env, PORT: `${port}`, ISSUER: issuer.issuer };
  const child = spawn(process.execPath, [path], { env, stdio: ["ignore", "pipe", "inherit"] });
  const log = { text: "" };
  child.stdout.on("data", (data) => (log.text += data));
  while (!log.text.includes("listening on ")) {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${log.text}`);
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  }
  const origin = `http://127.0.0.1:${port}`;
  const url = `${origin}/mcp`;
  const post = async (body, token, headers = {}) =>
    fetch(url, {
      method: "POST",
      headers: {
        ...mcpHeaders(token),
        ...headers,
      },
      body,
    });
  return { origin, url, post, log, stop: () => child.kill() };
}

/** The JSON-RPC message of an answer, by JSON or as an event. */
async function message(response) {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text);
}

const call = (name, args = {}) => rpc("tools/call", { name, arguments: args });
const INITIALIZE = rpc("initialize", {
  protocolVersion: "2025-06-18",
  capabilities: {},
  clientInfo: { name: "test", version: "1" },
});

for (const name of ["express.mjs", "fastify.mjs", "hono.mjs"]) {
  describe(name, () => {
    let server;
    let reader;
    before(async () => {
      server = await start(name);
      reader = await issuer.token(server.url, { scope: "mcp:use files:read" });
    });
    after(() => server.stop());

    test("without a token: a challenge, and the metadata that it names", async () => {
      const refused = await server.post(INITIALIZE);
      assert.equal(refused.status, 401);
      const [, address] = /resource_metadata="([^"]+)"/.exec(refused.headers.get("www-authenticate"));
      assert.equal(address, `${server.origin}/.well-known/oauth-protected-resource/mcp`);
      const metadata = await (await fetch(address)).json();
      assert.equal(metadata.resource, server.url);
      assert.deepEqual(metadata.authorization_servers, [issuer.issuer]);
    });

    test("with one: the SDK's server answers, and knows who calls", async () => {
      const { result } = await message(await server.post(INITIALIZE, reader));
      assert.equal(result.serverInfo.name, "example");
      const who = await message(await server.post(call("whoami"), reader));
      assert.equal(who.result.content[0].text, "alice by client-1");
      const read = await message(await server.post(call("read_file", { path: "ü€𝄞" }), reader));
      assert.equal(read.result.content[0].text, "what is in ü€𝄞");
    });

    test("a tool beyond the token's scopes: 403 with what it needs", async () => {
      const refused = await server.post(call("write_file", { path: "a" }), reader);
      assert.equal(refused.status, 403);
      assert.match(refused.headers.get("www-authenticate"), /error="insufficient_scope".*scope="mcp:use files:write"/);
      assert.match(server.log.text, /reason=scope_insufficient/);
    });

    test("the list of tools has only those that the token may call", async () => {
      const { result } = await message(await server.post(rpc("tools/list"), reader));
      assert.deepEqual(result.tools.map((tool) => tool.name).sort(), ["read_file", "whoami"]);
      const writer = await issuer.token(server.url, { scope: "mcp:use files:write files:read" });
      const all = await message(await server.post(rpc("tools/list"), writer));
      assert.equal(all.result.tools.length, 3);
    });

    test("tokens for others, expired ones, and bodies that are no message", async () => {
      const other = await issuer.token("https://other.example.com/mcp");
      assert.equal((await server.post(INITIALIZE, other)).status, 401);
      const old = await issuer.token(server.url, { exp: Math.floor(Date.now() / 1000) - 60 });
      assert.equal((await server.post(INITIALIZE, old)).status, 401);
      assert.equal((await server.post("[]", reader)).status, 400);
      assert.equal((await server.post("{", reader)).status, 400);
    });

    test("a body that comes in parts arrives whole", async () => {
      const body = call("read_file", { path: "x".repeat(90_000) });
      const parts = new ReadableStream({
        async start(controller) {
          for (let at = 0; at < body.length; at += 20_000) {
            controller.enqueue(new TextEncoder().encode(body.slice(at, at + 20_000)));
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          controller.close();
        },
      });
      const response = await fetch(server.url, {
        method: "POST",
        duplex: "half",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          authorization: `Bearer ${reader}`,
        },
        body: parts,
      });
      const { result } = await message(response);
      assert.equal(result.content[0].text.length, "what is in ".length + 90_000);
    });

    // The last: it ends its connection.
    test("a body that cannot become right is refused before its end", async () => {
      assert.equal((await server.post("x".repeat(1_100_000), reader)).status, 400);
    });
  });
}

for (const name of ["mcp-v1.mjs", "mcp-v2.mjs"]) {
  describe(name, () => {
    let server;
    before(async () => (server = await start(name)));
    after(() => server.stop());

    test("the SDK's middleware with our verifier", async () => {
      const refused = await server.post(INITIALIZE);
      assert.equal(refused.status, 401);
      const reader = await issuer.token(server.url, { scope: "mcp:use" });
      const who = await message(await server.post(call("whoami"), reader));
      assert.equal(who.result.content[0].text, "alice by client-1");
      const scopeless = await issuer.token(server.url, { scope: "other" });
      assert.equal((await server.post(INITIALIZE, scopeless)).status, 403);
      for (const token of [
        "not-a-token",
        await issuer.token("https://other.example.com"),
        await issuer.token(server.url, { exp: 1_000_000_000, iat: 999_999_000 }),
        `${reader.slice(0, -8)}AAAAAAAA`,
      ]) {
        const refused = await server.post(INITIALIZE, token);
        assert.equal(refused.status, 401);
        const challenge = refused.headers.get("www-authenticate");
        assert.match(challenge, /error="invalid_token", error_description="The access token is not accepted"/);
        assert.match(challenge, /resource_metadata="http/);
      }
    });

    test("keys out of reach are a server's error, not a reason to log in", async () => {
      const fresh = await start(name);
      const { jwks } = issuer.ways;
      issuer.ways.jwks = (response) => response.writeHead(500).end();
      try {
        const reader = await issuer.token(fresh.url, { scope: "mcp:use" });
        const answer = await fresh.post(INITIALIZE, reader);
        assert.equal(answer.status, 500);
        assert.equal(answer.headers.get("www-authenticate"), null);
        assert.equal((await answer.json()).error, "server_error");
      } finally {
        issuer.ways.jwks = jwks;
        fresh.stop();
      }
    });
  });
}
