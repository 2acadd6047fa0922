// The body: read only where the operation must be known, no further than allowed, and never lost.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { createGuard } from "countersign";

import { TOOL_RULES, now, policy, post, rpc, signer } from "./support.mjs";

let key, token;
before(async () => {
  key = await signer();
  token = await key.token();
});

const guardOf = (resource, rest) =>
  createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks }, resource, ...rest }), { now });
const text = (string) => new TextEncoder().encode(string);

/** A body in parts that counts how many were taken, and whether the rest was declined. */
function parts(...chunks) {
  const seen = { taken: 0, cancelled: false };
  const iterator = chunks[Symbol.iterator]();
  seen.stream = new ReadableStream(
    {
      pull(controller) {
        const { done, value } = iterator.next();
        if (done) return controller.close();
        seen.taken++;
        controller.enqueue(value);
      },
      cancel: () => void (seen.cancelled = true),
    },
    { highWaterMark: 0 },
  );
  return seen;
}

test("without rules for operations the body is not touched", async () => {
  const body = parts(text("not"), text(" "), text("JSON"));
  const outcome = await guardOf().check(post(token, body.stream));
  // Node takes one part in advance for the copy of the request.
  assert.ok(body.taken <= 1, `${body.taken} parts were taken`);
  assert.equal(await outcome.request.text(), "not JSON");
});

test("without rules a body streams through while it is still being sent", async () => {
  let push;
  const stream = new ReadableStream({ start: (controller) => (push = controller) });
  const { request } = await guardOf().check(post(token, stream));
  const reader = request.body.getReader();
  push.enqueue(text("first"));
  assert.deepEqual(Buffer.from((await reader.read()).value).toString(), "first");
  push.enqueue(text("second"));
  assert.deepEqual(Buffer.from((await reader.read()).value).toString(), "second");
  push.close();
  assert.ok((await reader.read()).done);
});

test("a body that was read is forwarded byte for byte", async () => {
  const message = rpc("tools/call", { name: "read_file", arguments: { text: "ü€𝄞" } });
  const bytes = text(message);
  const body = parts(bytes.slice(0, 20), bytes.slice(20, 95), bytes.slice(95));
  const outcome = await guardOf(TOOL_RULES).check(post(token, body.stream));
  assert.equal(outcome.decision.rule, 'tools["read_file"]');
  assert.deepEqual(new Uint8Array(await outcome.request.arrayBuffer()), bytes);
});

test("of a refused request no body is read, unless its operation says whether it is refused", async () => {
  for (const [credentials, options] of [
    [undefined, {}],
    [await key.token({ scope: "" }), {}],
    [token, { headers: { "content-type": "text/plain" } }],
  ]) {
    const body = parts(text("{}"));
    const request = post(credentials, body.stream, options);
    assert.equal((await guardOf(TOOL_RULES).check(request)).allowed, false);
    assert.equal(body.taken, 0);
  }
});

test("a body at the limit is read, one byte more is refused and not read on", async () => {
  const guard = guardOf(TOOL_RULES, { limits: { body_bytes: 1024 } });
  const message = (length) => rpc("tools/list", { pad: "" }).replace('""', `"${"x".repeat(length)}"`);
  const room = 1024 - message(0).length;
  assert.ok((await guard.check(post(token, message(room)))).allowed);
  const longer = await guard.check(post(token, message(room + 1)));
  assert.equal(longer.reason, "body_too_large");
  assert.equal(longer.response.status, 413);

  const body = parts(...Array.from({ length: 1000 }, () => new Uint8Array(500).fill(32)));
  assert.equal((await guard.check(post(token, body.stream))).reason, "body_too_large");
  assert.ok(body.taken <= 4, `${body.taken} parts were taken`);
  assert.ok(body.cancelled);
});

test("in shadow mode a body that would be refused arrives whole", async () => {
  const guard = guardOf({ ...TOOL_RULES, mode: "shadow" }, { limits: { body_bytes: 1024 } });
  for (const [first, reason] of [
    ["\n", "body_too_large"],
    ["[", "batch_unsupported"],
    ["{}{", "message_malformed"],
  ]) {
    const space = [" ", "\t", "\r", "\n"];
    const rest = Array.from({ length: 40 }, (_, index) => text(space[index % 4].repeat(100)));
    const chunks = [text(first), ...rest];
    const outcome = await guard.check(post(token, parts(...chunks).stream));
    assert.equal(outcome.reason, reason);
    assert.equal(outcome.allowed, true);
    assert.deepEqual(Buffer.from(await outcome.request.arrayBuffer()), Buffer.concat(chunks));
  }
});

test("a body that cannot be right any more is not read on", async () => {
  const guard = guardOf(TOOL_RULES);
  for (const [first, reason] of [
    ["[", "batch_unsupported"],
    ["\ufeff", "message_malformed"],
    ['{"jsonrpc":"2.0","method":"ping","Method":', "message_malformed"],
  ]) {
    const body = parts(text(first), ...Array.from({ length: 1000 }, () => text(" ")));
    assert.equal((await guard.check(post(token, body.stream))).reason, reason);
    assert.ok(body.taken <= 3, `${body.taken} parts were taken`);
    assert.ok(body.cancelled);
  }
});

test("it does not matter where the parts of a body end", async () => {
  const guard = guardOf(TOOL_RULES);
  const bytes = text(rpc("tools/call", { arguments: { text: "\"ü€𝄞\n" }, name: "write_x" }));
  for (let size = 1; size <= bytes.length; size++) {
    const chunks = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
    const outcome = await guard.check(post(token, parts(...chunks).stream));
    assert.equal(outcome.reason, "scope_insufficient", `${size}`);
    assert.equal(outcome.decision.operation, 'tools/call "write_x"');
  }
});

test("an empty body, and none at all", async () => {
  const guard = guardOf(TOOL_RULES);
  for (const body of [parts().stream, "", null]) {
    assert.equal((await guard.check(post(token, body))).reason, "message_malformed");
  }
  const headers = { authorization: `Bearer ${token}` };
  const get = await guard.check(new Request("https://mcp.example.com/mcp", { headers }));
  assert.ok(get.allowed);
  assert.equal(get.request.body, null);
});

test("a body that breaks off, or is not made of bytes, lets nothing pass", async () => {
  const guard = guardOf(TOOL_RULES);
  let passed = false;
  const handler = guard.protect(() => {
    passed = true;
    return new Response();
  });
  const broken = new ReadableStream({
    start: (controller) => controller.enqueue(text('{"jsonrpc"')),
    pull: (controller) => controller.error(new Error("connection reset")),
  });
  await assert.rejects(handler(post(token, broken)), /connection reset/);
  const strings = new ReadableStream({ start: (controller) => controller.enqueue("{}") });
  await assert.rejects(handler(post(token, strings)), TypeError);
  const used = post(token);
  await used.text();
  await assert.rejects(handler(used), TypeError);
  assert.equal(passed, false);
});
