// Lists in responses: what the caller may not use is gone, and nothing waits that need not.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { createGuard } from "countersign";

import { TOOL_RULES, now, policy, post, rpc, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token();
});

const LISTS = { scopes: { ...TOOL_RULES.scopes, filter_lists: true } };
const guardOf = (options, rest) =>
  createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, resource: LISTS, ...rest }), {
    now,
    ...options,
  });
const tools = (...names) => ({ tools: names.map((name) => ({ name })) });
const answer = (result) => JSON.stringify({ jsonrpc: "2.0", id: 1, result });

test("protect shows what the caller may use", async () => {
  let asked;
  const handler = guardOf().protect((request) => {
    asked = request.headers.get("accept-encoding");
    return Response.json({ jsonrpc: "2.0", id: 1, result: tools("write_a", "read_file", "x") }, {
      headers: { etag: '"1"', "content-length": "93", "x-own": "1" },
    });
  });
  const response = await handler(post(token, undefined, { headers: { "accept-encoding": "gzip" } }));
  assert.equal(asked, "identity");
  assert.equal(response.headers.get("etag"), null);
  assert.equal(response.headers.get("content-length"), null);
  assert.equal(response.headers.get("x-own"), "1");
  const { result } = await response.json();
  assert.deepEqual(result, { cacheScope: "private", ...tools("read_file", "x") });
});

test("check gives a filter for lists only", async () => {
  const guard = guardOf();
  assert.equal((await guard.check(post(token, rpc("ping")))).filterResponse, null);
  const { filterResponse } = await guard.check(post(token));
  const response = filterResponse(new Response(answer(tools("write_a")), {
    headers: { "content-type": "application/json" },
  }));
  assert.deepEqual((await response.json()).result, { cacheScope: "private", tools: [] });
  assert.throws(() => filterResponse(new Response()));
});

test("events go on as soon as they are there", async () => {
  let push;
  const handler = guardOf().protect(() => {
    const body = new ReadableStream({ start: (controller) => (push = controller) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const response = await handler(post(token));
  const reader = response.body.getReader();
  const send = (text) => push.enqueue(new TextEncoder().encode(text));
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  send(": ping\n\n");
  assert.equal(await next(), ": ping\n\n");
  const list = answer(tools("write_a", "x"));
  send(`data: ${list.slice(0, 40)}`);
  send(`${list.slice(40)}\n`);
  send("\n");
  assert.equal(await next(), `data: {"jsonrpc":"2.0","id":1,"result":{"cacheScope":"private","tools":[{"name":"x"}]}}\n\n`);
  push.close();
  assert.ok((await reader.read()).done);
});

test("a reader that goes away is told to the server", async () => {
  let cancelled;
  const handler = guardOf().protect(() => {
    const body = new ReadableStream({ cancel: (reason) => void (cancelled = reason) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const response = await handler(post(token));
  await response.body.cancel("gone");
  assert.equal(cancelled, "gone");
});

test("what cannot be read is an error, and the log is told", async () => {
  for (const [headers, body, status] of [
    [{ "content-type": "application/json", "content-encoding": "gzip" }, answer(tools("x")), 502],
    [{ "content-type": "text/html" }, "<h1>tools</h1>", 502],
    [{ "content-type": "application/json" }, '{"result":{"tools":[],"tools":[]}}', 200],
    [{ "content-type": "application/json" }, answer({ tools: [], pad: "x".repeat(2000) }), 200],
  ]) {
    const told = [];
    const onDecision = (decision) => {
      assert.ok(Object.isFrozen(decision), "the same object may be given to others");
      told.push(decision.reason);
    };
    const guard = guardOf({ onDecision }, { limits: { body_bytes: 1024 } });
    const handler = guard.protect(() => new Response(body, { headers }));
    const response = await handler(post(token));
    assert.equal(response.status, status);
    const { id, error } = await response.json();
    assert.deepEqual([id, error.code], [1, -32603]);
    assert.deepEqual(told, [null, "list_unreadable"]);
  }
});

test("a response that breaks off breaks off", async () => {
  const handler = guardOf().protect(() => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
    return new Response(body, { headers: { "content-type": "application/json" } });
  });
  await assert.rejects((await handler(post(token))).text(), /reset/);
});

test("many lists at once do not mix", async () => {
  const writer = await key.token({ scope: "mcp:use files:write" });
  const handler = guardOf().protect(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: tools("read_file", "write_a", "x") }),
  );
  const seen = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const response = await handler(post(index % 2 ? writer : token));
      const { result } = await response.json();
      return result.tools.map((tool) => tool.name).join();
    }),
  );
  seen.forEach((names, index) => assert.equal(names, index % 2 ? "write_a,x" : "read_file,x"));
});
