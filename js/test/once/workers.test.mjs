// The examples that are Workers, bundled by esbuild and served by workerd, end to end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { authorizationServerMetadata, challenges, protectedResourceMetadata } from "countersign";

import { bundle } from "../bundle.mjs";
import { startCountersign } from "../countersign.mjs";
import { freePort, startIssuer } from "../issuer.mjs";
import { mcpHeaders, rpc } from "../support.mjs";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const workerd = ["64", "arm64"]
  .map((cpu) => at(`../../node_modules/@cloudflare/workerd-linux-${cpu}/bin/workerd`))
  .find(existsSync);
const RESOURCE = "https://mcp.example.com/mcp";

let issuer, dir;
before(async () => {
  issuer = await startIssuer();
  dir = mkdtempSync(join(tmpdir(), "countersign-workers-"));
});
after(() => {
  issuer.stop();
  rmSync(dir, { recursive: true });
});

/** Serves a Worker; gives how to ask it. */
async function serve(name, vars) {
  const { script, wasm } = await bundle(name);
  const port = await freePort();
  const path = (end) => join(dir, `${name}.${end}`);
  writeFileSync(path("js"), script);
  const { copyFileSync } = await import("node:fs");
  copyFileSync(wasm, join(dir, "core_bg.wasm"));
  const bindings = Object.entries(vars).map(([name, text]) => `(name = "${name}", text = "${text}")`);
  writeFileSync(
    path("capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      compatibilityDate = "2026-07-01",
      modules = [
        (name = "worker.js", esModule = embed "${name}.js"),
        (name = "core_bg.wasm", wasm = embed "core_bg.wasm"),
      ],
      bindings = [${bindings.join(", ")}],
    )),
    (name = "internet", network = (allow = ["private", "public"])),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:${port}", service = "main",
     http = (forwardedProtoHeader = "x-forwarded-proto")),
  ],
);
`,
  );
  const child = spawn(workerd, ["serve", path("capnp")], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stdout.on("data", (data) => (log += data));
  child.stderr.on("data", (data) => (log += data));
  const ask = async (path, { method = "GET", headers = {}, body } = {}) => {
    const sent = { host: "mcp.example.com", "x-forwarded-proto": "https", ...headers };
    const request = httpRequest({ port, method, path, headers: sent });
    request.end(body);
    const [response] = await once(request, "response");
    const text = Buffer.concat(await response.toArray()).toString();
    return { status: response.statusCode, headers: response.headers, text };
  };
  for (let turn = 0; ; turn++) {
    try {
      await ask("/");
      break;
    } catch (error) {
      if (turn > 1200 || child.exitCode !== null) throw new Error(log, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const post = (body, token, headers = {}) =>
    ask("/mcp", {
      method: "POST",
      headers: {
        ...mcpHeaders(token),
        ...headers,
      },
      body,
    });
  return { ask, post, log: () => log, stop: () => child.kill() };
}

const call = (name, args = {}) => rpc("tools/call", { name, arguments: args });
const message = ({ status, text }) => {
  assert.equal(status, 200, text);
  return JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text);
};

/** A remote MCP server; `seen` is told of each request's headers. */
async function startUpstream(seen) {
  const { handler } = await import("../../examples/tools-v2.mjs");
  const { toNodeHandler } = await import("@modelcontextprotocol/node");
  const handle = toNodeHandler(handler);
  const upstream = createServer((request, response) => {
    seen.push(request.headers);
    handle(request, response);
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    upstream.closeAllConnections();
    upstream.close();
  };
  return { UPSTREAM: `http://127.0.0.1:${upstream.address().port}`, stop };
}

describe("worker.mjs, a remote MCP server, and countersign serve", () => {
  const seen = [];
  let upstream, worker, issuer;
  before(async () => {
    upstream = await startUpstream(seen);
    issuer = await startCountersign(RESOURCE, { "mcp:use": "Use", "files:read": "Read", "files:write": "Write" });
    worker = await serve("worker.mjs", { ISSUER: issuer.issuer, RESOURCE, UPSTREAM: upstream.UPSTREAM });
  });
  after(async () => {
    worker?.stop();
    upstream.stop();
    await issuer?.stop();
  });

  test("from the challenge to the tool, as a client goes", async () => {
    const asked = await worker.post(call("read_file", { path: "a" }));
    assert.equal(asked.status, 401);
    const [challenge] = challenges.parse(asked.headers["www-authenticate"]);
    const url = challenge.parameters.resource_metadata;
    assert.equal(url, protectedResourceMetadata.url(RESOURCE));
    const { text } = await worker.ask(new URL(url).pathname);
    // A client would stop here: the resource is an https one by name, and its issuer an http one on the loopback.
    assert.throws(() => protectedResourceMetadata.parse(text, RESOURCE), /authorization_servers is malformed or not secure/);
    const { authorization_servers: authorizationServers } = JSON.parse(text);
    const [where] = authorizationServerMetadata.urls(authorizationServers[0]);
    const metadata = authorizationServerMetadata.parse(await (await fetch(where)).text(), authorizationServers[0]);
    assert.equal(metadata.token_endpoint, `${issuer.issuer}/token`);
    assert.deepEqual(metadata.code_challenge_methods_supported, ["S256"]);

    const { client, access_token } = await issuer.token("mcp:use files:read");
    const { result } = message(await worker.post(call("read_file", { path: "a" }), access_token));
    assert.equal(result.content[0].text, "what is in a");
    assert.equal(seen.at(-1)["x-mcp-client"], client);
    assert.equal(seen.at(-1).authorization, undefined);
    const count = seen.length;
    const refused = await worker.post(call("write_file", { path: "a" }), access_token);
    assert.equal(refused.status, 403);
    assert.equal(challenges.parse(refused.headers["www-authenticate"])[0].parameters.scope, "mcp:use files:write");
    assert.equal((await worker.post(call("read_file", { path: "a" }), `${access_token.slice(0, -8)}AAAAAAAA`)).status, 401);
    assert.equal(seen.length, count, "the server has seen neither");
  });
});

describe("worker.mjs in front of a remote MCP server", () => {
  const seen = [];
  let upstream, worker, reader;
  before(async () => {
    upstream = await startUpstream(seen);
    const { UPSTREAM } = upstream;
    worker = await serve("worker.mjs", { ISSUER: issuer.issuer, RESOURCE, UPSTREAM });
    reader = await issuer.token(RESOURCE, { scope: "mcp:use files:read" });
  });
  after(() => {
    worker.stop();
    upstream.stop();
  });

  test("challenge and metadata", async () => {
    const { status, headers } = await worker.post(call("whoami"));
    assert.equal(status, 401);
    const metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
    assert.match(headers["www-authenticate"], new RegExp(`resource_metadata="${metadata}"`));
    const { text } = await worker.ask("/.well-known/oauth-protected-resource/mcp");
    assert.equal(JSON.parse(text).resource, RESOURCE);
    assert.equal(seen.length, 0, "the server has seen nothing");
  });

  test("the server gets the caller's name and not the token, and answers through", async () => {
    const { result } = message(await worker.post(call("read_file", { path: "ü€𝄞" }), reader, { "x-mcp-subject": "mallory" }));
    assert.equal(result.content[0].text, "what is in ü€𝄞");
    const headers = seen.at(-1);
    assert.equal(headers["x-mcp-subject"], "alice");
    assert.equal(headers.authorization, undefined);
  });

  test("tools by scope, in calls and in the list", async () => {
    const refused = await worker.post(call("write_file", { path: "a" }), reader);
    assert.equal(refused.status, 403);
    assert.match(refused.headers["www-authenticate"], /scope="mcp:use files:write"/);
    const { result } = message(await worker.post(rpc("tools/list"), reader));
    assert.deepEqual(result.tools.map(({ name }) => name).sort(), ["read_file", "whoami"]);
    assert.match(worker.log(), /reason=scope_insufficient/);
  });

  test("many at once", async () => {
    const tokens = await Promise.all(Array.from({ length: 40 }, (_, jti) => issuer.token(RESOURCE, { scope: "mcp:use files:read", jti: `${jti}` })));
    const answers = await Promise.all(tokens.map((token) => worker.post(call("read_file", { path: "a" }), token)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  });
});

describe("workers-oauth-provider.mjs", () => {
  let worker;
  before(async () => (worker = await serve("workers-oauth-provider.mjs", { ISSUER: issuer.issuer, RESOURCE })));
  after(() => worker.stop());

  test("its own challenge and metadata", async () => {
    assert.equal((await worker.post(call("whoami"))).status, 401);
    const { text } = await worker.ask("/.well-known/oauth-protected-resource/mcp");
    assert.deepEqual(JSON.parse(text).authorization_servers, [issuer.issuer]);
  });

  test("tokens of our issuer open it, others do not", async () => {
    const token = await issuer.token(RESOURCE, { scope: "mcp:use" });
    const { result } = message(await worker.post(call("whoami"), token));
    assert.equal(result.content[0].text, "alice by client-1");
    for (const bad of ["opaque", await issuer.token("https://other.example.com/mcp"), `${token.slice(0, -8)}AAAAAAAA`]) {
      const refused = await worker.post(call("whoami"), bad);
      assert.equal(refused.status, 401);
      assert.match(refused.headers["www-authenticate"], /error="invalid_token"/);
    }
  });

  test("keys out of reach are its 503", async () => {
    const other = await startIssuer();
    other.ways.jwks = (response) => response.writeHead(500).end();
    const down = await serve("workers-oauth-provider.mjs", { ISSUER: other.issuer, RESOURCE });
    assert.equal((await down.post(call("whoami"), await other.token(RESOURCE))).status, 503);
    down.stop();
    other.stop();
  });
});
