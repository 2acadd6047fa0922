// Filtered answers in Node: by HTTP/1 and HTTP/2, however and however often the server ends them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import * as http2 from "node:http2";
import { after, before, describe, mock, test } from "node:test";

import { createGuard } from "countersign";
import { protect } from "countersign/express";
import { countersign } from "countersign/fastify";
import Fastify from "fastify";

import { WasmListFilter } from "../dist/core.js";
import { TOOL_RULES, mcpHeaders, now, policy, post, rpc, signer } from "./support.mjs";

const scopes = { ...TOOL_RULES.scopes, filter_lists: true };
const list = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools: ["read_file", "write_x"].map((name) => ({ name, inputSchema: {} })) } });
const names = (body) => JSON.parse(body).result.tools.map(({ name }) => name);
const JSON_TYPE = { "content-type": "application/json" };
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let token, guard;
before(async () => {
  const key = await signer();
  token = await key.token();
  guard = createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, resource: { scopes } }), { now });
});

const closing = [];
after(() => closing.forEach((close) => close()));

async function listening(server) {
  closing.push(() => (server.closeAllConnections?.(), server.close()));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

/** How to ask a server by each version of HTTP; gives the response's body. */
const asks = {
  async "HTTP/1.1"(port) {
    const request = httpRequest({ port, method: "POST", path: "/mcp", headers: { host: "mcp.example.com", ...mcpHeaders(token) } });
    request.end(rpc("tools/list"));
    const [response] = await once(request, "response");
    return Buffer.concat(await response.toArray()).toString();
  },
  async "HTTP/2"(port) {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    closing.push(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": "/mcp", ":authority": "mcp.example.com", ...mcpHeaders(token) });
    stream.end(rpc("tools/list"));
    await once(stream, "response");
    return Buffer.concat(await stream.toArray()).toString();
  },
};

for (const [version, ask] of Object.entries(asks)) {
  const serve = (handler) => {
    const middleware = protect(guard);
    const listener = (request, response) => middleware(request, response, (error) => (error ? response.destroy(error) : handler(response)));
    return listening(version === "HTTP/2" ? http2.createServer(listener) : createServer(listener));
  };

  describe(version, () => {
    for (const [name, answer] of [
      ["in one part", (response) => response.writeHead(200, JSON_TYPE).end(list)],
      ["with its length", (response) => response.writeHead(200, { ...JSON_TYPE, "content-length": list.length }).end(list)],
      ["without a reason", (response) => response.writeHead(200, undefined, JSON_TYPE).end(list)],
      ["in parts", (response) => {
        response.writeHead(200, JSON_TYPE);
        response.write(list.slice(0, 40));
        response.write(list.slice(40));
        response.end();
      }],
      ["with a last part", (response) => {
        response.writeHead(200, JSON_TYPE);
        response.write(list.slice(0, 40));
        response.end(Buffer.from(list.slice(40)), () => {});
      }],
      ["ended twice", (response) => {
        response.writeHead(200, JSON_TYPE).end(list);
        response.end();
      }],
      ["ended again by somebody who has the functions from before", (response) => {
        const { write, end } = response;
        response.writeHead(200, JSON_TYPE).end(list);
        end.call(response);
        write.call(response, list);
      }],
      ["ended again, and written to, when it is closed", (response) => {
        response.on("close", () => (response.end(), response.end(list), response.write(list)));
        response.writeHead(200, JSON_TYPE).end(list);
      }],
    ]) {
      test(name, async () => {
        let sent;
        const port = await serve((response) => ((sent = response), answer(response)));
        const [body] = await Promise.all([ask(port), (async () => {
          while (!sent) await later(1);
          if (!sent.destroyed && !sent.writableFinished) await once(sent, "close");
        })()]);
        assert.deepEqual(names(body), ["read_file"], body);
        // Whatever would end the process does so by then.
        await later(5);
      });
    }

    test("an answer that cannot be read is one error, ended twice", async () => {
      const port = await serve((response) => {
        const { end } = response;
        response.writeHead(200, { ...JSON_TYPE, "content-encoding": "gzip" }).end("not for the client");
        end.call(response);
      });
      const body = await ask(port);
      assert.ok(JSON.parse(body).error && !body.includes("not for"), body);
    });

    test("a client that hangs up: the filter is freed, and late parts go nowhere", async () => {
      const free = mock.method(WasmListFilter.prototype, "free");
      let sent;
      const port = await serve((response) => {
        sent = response;
        response.writeHead(200, { "content-type": "text/event-stream" }).write(": ping\n\n");
      });
      const session = version === "HTTP/2" ? http2.connect(`http://127.0.0.1:${port}`) : undefined;
      const headers = { ...mcpHeaders(token) };
      const request = session
        ? session.request({ ":method": "POST", ":path": "/mcp", ":authority": "mcp.example.com", ...headers })
        : httpRequest({ port, method: "POST", path: "/mcp", headers: { host: "mcp.example.com", ...headers } });
      request.on("error", () => {});
      request.end(rpc("tools/list"));
      await once(request, "response");
      const closed = once(sent, "close");
      request.destroy();
      session?.destroy();
      await closed;
      await later(5);
      assert.equal(free.mock.callCount(), 1);
      sent.write(": ping\n\n");
      sent.end(list);
      assert.equal(free.mock.callCount(), 1);
      free.mock.restore();
    });
  });
}

test("Fastify, by HTTP/2", async () => {
  const app = Fastify({ http2: true });
  closing.push(() => app.close());
  await app.register(countersign, { guard });
  app.post("/mcp", async () => JSON.parse(list));
  await app.listen({ port: 0, host: "127.0.0.1" });
  assert.deepEqual(names(await asks["HTTP/2"](app.server.address().port)), ["read_file"]);
});

test("the standard's responses: a filter is freed when the answer ends, breaks off, or is wanted no more", async () => {
  const free = mock.method(WasmListFilter.prototype, "free");
  const answered = async (source) => {
    const handler = guard.protect(() => new Response(new ReadableStream(source), { headers: { "content-type": "text/event-stream" } }));
    return (await handler(post(token))).body;
  };
  const ping = (controller) => controller.enqueue(new TextEncoder().encode(": ping\n\n"));
  const gone = await answered({ pull: ping });
  await gone.cancel("gone");
  assert.equal(free.mock.callCount(), 1);
  const read = (await answered({ pull: ping })).getReader();
  await read.read();
  await read.cancel();
  assert.equal(free.mock.callCount(), 2);
  const broken = await answered({ pull: (controller) => controller.error(new Error("reset")) });
  await assert.rejects(new Response(broken).text(), /reset/);
  assert.equal(free.mock.callCount(), 3);
  const noBytes = await answered({ pull: (controller) => controller.enqueue("text") });
  await assert.rejects(new Response(noBytes).text(), /bytes/);
  assert.equal(free.mock.callCount(), 4);
  const whole = await answered({ pull: (controller) => (ping(controller), controller.close()) });
  assert.equal(await new Response(whole).text(), ": ping\n\n");
  assert.equal(free.mock.callCount(), 5);
  free.mock.restore();
});
