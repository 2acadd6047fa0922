// The adapters for Node at the edges: bodies that others read, headers in all the ways that Node has.
import assert from "node:assert/strict";
import { once } from "node:events";
import { IncomingMessage, ServerResponse, createServer, request as httpRequest } from "node:http";
import * as http2 from "node:http2";
import { after, before, describe, test } from "node:test";

import { createGuard } from "countersign";
import { protect } from "countersign/express";

import { TOOL_RULES, now, policy, rpc, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token();
});

const RULES = { ...TOOL_RULES, origins: ["https://app.example.com"] };
const guardOf = (resource = RULES, options) =>
  createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, resource }), { now, ...options });

const servers = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections?.();
    server.close();
  }
});

/** A server behind the guard; gives how to ask it. */
async function serve(guard, handler, options) {
  const middleware = protect(guard, options);
  const failures = [];
  const server = createServer((request, response) =>
    middleware(request, response, (error) => {
      if (error) {
        failures.push(error);
        return response.writeHead(500).end("failed");
      }
      return handler(request, response);
    }),
  );
  servers.push(server);
  const begun = once(server, "request");
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const ask = async ({ method = "POST", path = "/mcp", headers = {}, body, parts } = {}) => {
    const request = httpRequest({ port, method, path, headers: { host: "mcp.example.com", ...headers } });
    for (const part of parts ?? []) {
      request.write(part);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    request.end(body);
    const [response] = await once(request, "response");
    const chunks = await response.toArray();
    return { status: response.statusCode, message: response.statusMessage, headers: response.headers, raw: response.rawHeaders, body: Buffer.concat(chunks).toString() };
  };
  return { ask, begun, failures, port };
}

/** Without a comparison line by line, which takes minutes. */
const same = (actual, expected) =>
  assert.ok(actual === expected, `${actual.slice(0, 100)}… of ${actual.length}, expected ${expected.length}`);

const authorized = (headers) => ({
  authorization: `Bearer ${token}`,
  "content-type": "application/json",
  ...headers,
});

/** Reads a request's body in the two ways that there are. */
const readers = {
  events: (request) =>
    new Promise((resolve, reject) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => resolve(Buffer.concat(chunks).toString()));
      request.on("error", reject);
    }),
  iteration: async (request) => Buffer.concat(await request.toArray()).toString(),
  later: async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return readers.events(request);
  },
};

for (const [name, read] of Object.entries(readers)) {
  test(`a body that the guard read is there for who reads it by ${name}`, async () => {
    const { ask } = await serve(guardOf(), async (request, response) => response.end(await read(request)));
    const body = rpc("tools/call", { name: "read_file", arguments: { text: "ü€𝄞".repeat(20_000) } });
    const bytes = Buffer.from(body);
    for (const parts of [[bytes], [bytes.subarray(0, 1), bytes.subarray(1)], [bytes.subarray(0, 90_001), bytes.subarray(90_001)]]) {
      const answer = await ask({ headers: authorized(), parts });
      assert.equal(answer.status, 200);
      same(answer.body, body);
    }
    const whole = await ask({ headers: authorized({ "content-length": bytes.length }), body: bytes });
    same(whole.body, body);
  });
}

test("without rules for operations the body is not touched", async () => {
  const { ask } = await serve(guardOf({}), async (request, response) => {
    assert.equal(request.readableFlowing, null);
    response.end(await readers.events(request));
  });
  assert.equal((await ask({ headers: authorized(), body: "not JSON" })).body, "not JSON");
});

test("in shadow mode a body that would be refused arrives whole", async () => {
  const shadow = { ...RULES, mode: "shadow" };
  const reasons = [];
  const guard = guardOf(shadow, { onDecision: ({ reason }) => reasons.push(reason) });
  const { ask } = await serve(guard, async (request, response) => response.end(await readers.events(request)));
  const body = `[${" ".repeat(300_000)}]`;
  const bytes = Buffer.from(body);
  const answer = await ask({ headers: authorized(), parts: [bytes.subarray(0, 1000), bytes.subarray(1000)] });
  same(answer.body, body);
  assert.deepEqual(reasons, ["batch_unsupported"]);
});

test("a body that a parser has read is judged by what it made of it", async () => {
  const middleware = protect(guardOf());
  const seen = [];
  const server = createServer(async (request, response) => {
    request.body = JSON.parse(await readers.events(request));
    middleware(request, response, () => {
      seen.push(request.body.params.name);
      response.end("ok");
    });
  });
  servers.push(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const ask = async (body) => {
    const url = `http://127.0.0.1:${server.address().port}/mcp`;
    const request = httpRequest(url, { method: "POST", headers: authorized({ host: "mcp.example.com" }) });
    request.end(body);
    const [response] = await once(request, "response");
    response.resume();
    return response.statusCode;
  };
  assert.equal(await ask(rpc("tools/call", { name: "read_file" })), 200);
  assert.equal(await ask(rpc("tools/call", { name: "write_file" })), 403);
  // The last of two names is what this server would run.
  const doubled = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","name":"write_file"}}';
  assert.equal(await ask(doubled), 403);
  assert.deepEqual(seen, ["read_file"]);
});

for (const later of [0, 50]) {
  test(`a client that goes away in the middle lets nothing pass: ${later} ms after its beginning`, async () => {
    let passed = false;
    const { begun, port, failures } = await serve(guardOf(), () => (passed = true));
    const headers = { host: "mcp.example.com", ...authorized({ "content-length": 1000 }) };
    const request = httpRequest({ host: "127.0.0.1", port, method: "POST", path: "/mcp", headers });
    request.on("error", () => {});
    request.write('{"jsonrpc"');
    await begun;
    await new Promise((resolve) => setTimeout(resolve, later));
    request.destroy();
    for (let turn = 0; turn < 2000 && failures.length === 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(failures.length, 1);
    assert.equal(passed, false);
  });
}

test("the server sees neither the token nor what the client says that it is, in any of Node's forms", async () => {
  let seen;
  const { ask } = await serve(guardOf({}), (request, response) => {
    const { headers, headersDistinct, rawHeaders, identity, auth } = request;
    seen = { headers, headersDistinct, rawHeaders, identity, auth };
    response.end();
  });
  await ask({
    headers: { ...authorized(), "X-MCP-Subject": ["mallory", "eve"], "x-mcp-client": "c", "X-Other": "kept" },
  });
  assert.equal(seen.identity.subject, "alice");
  assert.deepEqual(seen.auth.scopes, ["mcp:use", "files:read"]);
  assert.equal(seen.auth.token, "");
  assert.equal(seen.headers["x-mcp-subject"], "alice");
  assert.deepEqual(seen.headersDistinct["x-mcp-subject"], ["alice"]);
  assert.equal(seen.headers["x-mcp-client"], "client-1");
  assert.equal(seen.headers["x-other"], "kept");
  const text = JSON.stringify(seen);
  for (const word of ["mallory", "eve", token, "Bearer", "uthorization"]) assert.ok(!text.includes(word), word);
  const raw = new Map(seen.rawHeaders.flatMap((name, at) => (at % 2 ? [] : [[name.toLowerCase(), seen.rawHeaders[at + 1]]])));
  assert.equal(raw.get("x-mcp-subject"), "alice");
  assert.equal(raw.get("x-other"), "kept");
});

test("repeated credentials are not joined by commas", async () => {
  const { ask } = await serve(guardOf({}), (_, response) => response.end());
  const answer = await ask({ headers: { Authorization: [`Bearer ${token}`, `Bearer ${token}`] } });
  assert.equal(answer.status, 400);
});

describe("the server's response gets the engine's headers", () => {
  const origin = { origin: "https://app.example.com" };
  for (const [name, answer] of [
    ["implicitly", (response) => (response.setHeader("Vary", "Accept"), response.end("x"))],
    ["by write", (response) => (response.setHeader("vary", "Accept"), response.write("x"), response.end())],
    ["by writeHead with an object", (response) => response.writeHead(200, { Vary: "Accept" }).end("x")],
    ["by writeHead with a reason", (response) => response.writeHead(200, "Fine", { vary: "Accept" }).end("x")],
    ["by writeHead with pairs", (response) => response.writeHead(200, [["Vary", "Accept"]]).end("x")],
    ["by writeHead with a list", (response) => response.writeHead(200, ["Vary", "Accept", "X-A", "1", "X-A", "2"]).end("x")],
    ["by flushHeaders", (response) => (response.setHeader("Vary", "Accept"), response.flushHeaders(), response.end("x"))],
    ["set before by others", (response) => (response.setHeader("Vary", ["Accept"]), response.end("x"))],
  ]) {
    for (const filter_lists of [false, true]) {
      test(`${name}${filter_lists ? ", filtered" : ""}`, async () => {
        const scopes = { ...RULES.scopes, filter_lists };
        const { ask } = await serve(guardOf({ ...RULES, scopes }), (_, response) => answer(response));
        const got = await ask({ headers: authorized(origin), body: rpc("ping") });
        assert.equal(got.status, 200);
        assert.equal(got.body, "x");
        assert.equal(got.headers.vary, "Accept, Origin");
        assert.equal(got.headers["access-control-allow-origin"], "https://app.example.com");
        if (name.includes("reason")) assert.equal(got.message, "Fine");
        if (name.includes("list")) assert.equal(got.headers["x-a"], "1, 2");
      });
    }
  }
});

describe("lists", () => {
  const scopes = { ...RULES.scopes, unlisted: "deny", filter_lists: true, methods: { "tools/list": [] } };
  const guard = () => guardOf({ ...RULES, scopes });
  const tools = ["read_file", "write_file", "other"].map((name) => ({ name, inputSchema: { type: "object" } }));
  const list = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools } });
  const names = (body) => JSON.parse(/^data: (.*)$/m.exec(body)?.[1] ?? body).result.tools.map(({ name }) => name);
  const JSON_TYPE = { "content-type": "application/json" };

  for (const [name, answer] of [
    ["in one part", (response) => response.writeHead(200, JSON_TYPE).end(list)],
    ["with its length", (response) => response.writeHead(200, { ...JSON_TYPE, "content-length": list.length }).end(list)],
    ["in many parts", (response) => {
      response.writeHead(200, JSON_TYPE);
      for (const character of list) response.write(character);
      response.end();
    }],
    ["in latin1 and with callbacks", (response) => {
      response.setHeader("content-type", "application/json");
      response.write(Buffer.from(list).subarray(0, 40), () => response.end(list.slice(40), "latin1", () => {}));
    }],
    ["as events", (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: message\ndata: ${list}\n\n`);
      setTimeout(() => response.end(), 5);
    }],
  ]) {
    test(`${name}: only what the token may call`, async () => {
      const { ask } = await serve(guard(), (_, response) => answer(response));
      const got = await ask({ headers: authorized(), body: rpc("tools/list") });
      assert.deepEqual(names(got.body), ["read_file"], got.body);
    });
  }

  test("one that cannot be read is an error, and is told", async () => {
    const decisions = [];
    const told = guardOf({ ...RULES, scopes }, { onDecision: (decision) => decisions.push(decision.reason) });
    const { ask } = await serve(told, (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, "content-encoding": "gzip", etag: "1" });
      response.write("not for");
      response.end("the client");
    });
    const got = await ask({ headers: authorized(), body: rpc("tools/list") });
    assert.ok(got.status >= 500 || /"error"/.test(got.body), JSON.stringify(got));
    assert.ok(!got.body.includes("not for") && got.headers.etag === undefined);
    assert.equal(decisions.length, 2);
    assert.notEqual(decisions[1], null);
  });

  test("other answers pass as they are", async () => {
    const { ask } = await serve(guard(), (_, response) => response.writeHead(202).end());
    assert.equal((await ask({ headers: authorized(), body: rpc("ping") })).status, 202);
  });
});

test("sessions are bound to their caller", async () => {
  const resource = { ...RULES, session_secret: "c2Vzc2lvbi1zZWNyZXQtb2YtdGhlLXRlc3RzLTEyMzQ" };
  const { ask } = await serve(guardOf(resource), (request, response) => {
    response.setHeader("Mcp-Session-Id", "server-id");
    response.end(request.headers["mcp-session-id"] ?? "none");
  });
  const first = await ask({ headers: authorized(), body: rpc("initialize") });
  const sealed = first.headers["mcp-session-id"];
  assert.notEqual(sealed, "server-id");
  const next = await ask({ headers: authorized({ "mcp-session-id": sealed }), body: rpc("ping") });
  assert.equal(next.body, "server-id");
  const foreign = await ask({
    headers: { ...authorized({ "mcp-session-id": sealed }), authorization: `Bearer ${await key.token({ sub: "bob" })}` },
    body: rpc("ping"),
  });
  assert.equal(foreign.status, 404);
});

test("failures are counted by the address that the option gives", async () => {
  const document = policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, limits: { failures_per_minute: 2 } });
  const { ask } = await serve(createGuard(document, { now }), (_, response) => response.end(), {
    clientAddress: (request) => request.socket.remoteAddress,
  });
  const statuses = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    statuses.push((await ask({ headers: { authorization: "Bearer x.y.z" } })).status);
  }
  assert.deepEqual(statuses, [401, 401, 429, 429]);
});

test("requests that were put together, as by serverless-http, have their headers in one place only", async () => {
  const ask = async (name, more) => {
    const body = Buffer.from(rpc("tools/call", { name }));
    const headers = { host: "mcp.example.com", "content-type": "application/json", "content-length": body.length, ...more };
    const request = Object.assign(new IncomingMessage({ readable: false, destroy() {} }), {
      complete: true, httpVersion: "1.1", httpVersionMajor: "1", httpVersionMinor: "1", method: "POST", url: "/mcp", headers, body,
    });
    request._read = () => (request.push(body), request.push(null));
    const response = new ServerResponse(request);
    return new Promise((resolve, reject) => {
      response.end = (text) => resolve([response.statusCode, text]);
      protect(guardOf())(request, response, (error) =>
        error ? reject(error) : resolve(readers.events(request).then((text) => [text, request])),
      );
    });
  };
  const authorization = `Bearer ${token}`;
  const [text, request] = await ask("read_file", { authorization, "x-mcp-subject": "mallory", "x-other": ["a", "b"] });
  assert.equal(text, rpc("tools/call", { name: "read_file" }));
  assert.equal(request.headers.authorization, undefined);
  assert.deepEqual([request.headers["x-mcp-subject"], request.identity.subject, request.headers["x-other"]], ["alice", "alice", ["a", "b"]]);
  assert.deepEqual(request.rawHeaders, []);
  // Names in any case are read, so they are removed in any.
  const [, other] = await ask("read_file", { Authorization: authorization, "X-Mcp-Subject": "mallory", "X-MCP-Client": "mallory" });
  const names = Object.keys(other.headers).filter((name) => /^(authorization|x-mcp-)/i.test(name));
  assert.deepEqual(names.filter((name) => name !== name.toLowerCase()), []);
  assert.deepEqual([other.headers.authorization, other.headers["x-mcp-subject"], other.identity.subject], [undefined, "alice", "alice"]);
  assert.equal((await ask("write_file", { authorization }))[0], 403);
  assert.equal((await ask("read_file", {}))[0], 401);
  assert.equal((await ask("read_file", { authorization: [authorization, authorization] }))[0], 400);
});

test("HTTP/2, whose requests announce no body", async () => {
  const middleware = protect(guardOf());
  const server = http2.createServer((request, response) =>
    middleware(request, response, async (error) => response.end(error ? "failed" : await readers.events(request))),
  );
  servers.push(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
  const ask = async (body, headers) => {
    const stream = session.request({ ":method": "POST", ":path": "/mcp", ":authority": "mcp.example.com", ...headers });
    stream.end(body);
    const [{ ":status": status }] = await once(stream, "response");
    return [status, Buffer.concat(await stream.toArray()).toString()];
  };
  const body = rpc("tools/call", { name: "read_file" });
  assert.deepEqual(await ask(body, authorized()), [200, body]);
  assert.equal((await ask(rpc("tools/call", { name: "write_file" }), authorized()))[0], 403);
  assert.equal((await ask(body, {}))[0], 401);
  session.destroy();
});

test("whatever the guard throws is the framework's to answer", async () => {
  const guard = guardOf({}, { onDecision: () => { throw new Error("log full"); } });
  const { ask, failures } = await serve(guard, (_, response) => response.end("passed"));
  const answer = await ask({ headers: authorized() });
  assert.equal(answer.body, "failed");
  assert.match(failures[0].message, /log full/);
  // A guard that is none, as by a mistake in a plug-in, lets nothing pass either.
  const none = await serve({ check: async () => ({ allowed: true }) }, (_, response) => response.end("passed"));
  assert.equal((await none.ask({ headers: authorized() })).body, "failed");
  assert.match(none.failures[0].message, /expected a guard/);
});
