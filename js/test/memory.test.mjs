// The module's memory does not grow with the number of requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { createGuard, pkce } from "countersign";

import { initSync } from "../dist/core.js";
import { partsOf } from "../dist/shared.js";
import { TOOL_RULES, now, policy, post, rpc, signer } from "./support.mjs";

// Used once, the module is initialised: this gives the exports of the running instance.
pkce.generate();
const { memory } = initSync({ module: new Uint8Array() });

/** More by hand: COUNTERSIGN_CHECKS=1000000 node --test js/test/memory.test.mjs */
const CHECKS = Number(process.env.COUNTERSIGN_CHECKS ?? 60_000);

const limits = { cached_tokens: 16, body_bytes: 4096 };

/** What is in use by JavaScript, after all that can go is gone. */
async function heap() {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc");
  // What is freed by a FinalizationRegistry is so in turns of its own.
  for (let turn = 0; turn < 4; turn++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

test("requests of every kind take no more memory than the first ones", async () => {
  const key = await signer();
  const issuer = { jwks_uri: undefined, jwks: key.jwks };
  const guard = createGuard(policy({ issuer, resource: TOOL_RULES, limits }), { now });
  const tokens = await Promise.all(
    Array.from({ length: 32 }, (_, index) => key.token({ jti: `token-${index}` })),
  );
  const call = rpc("tools/call", { name: "read_file", arguments: {} });
  const broken = () =>
    new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
  const requests = [
    () => post(tokens[0], call),
    () => post(tokens[0], rpc("tools/call", { name: "write_file" })),
    () => post(undefined, call),
    () => post(`${tokens[0]}x`, call),
    () => post(tokens[0], "x".repeat(5000)),
    () => post(tokens[0], broken()),
  ];
  const check = (request) => guard.check(request).catch((error) => assert.match(error.message, /reset/));
  const round = async (count) => {
    for (let index = 0; index < count; index++) {
      // Every hundredth token is one that the cache has dropped meanwhile.
      const old = index % 100 === 0 && (() => post(tokens[(index / 100) % tokens.length], call));
      await check((old || requests[index % requests.length])());
    }
  };
  await round(1500);
  const before = memory.buffer.byteLength;
  await round(4500);
  assert.equal(memory.buffer.byteLength, before);
});

test(`${CHECKS} checks in a loop do not grow memory, the module's or JavaScript's`, async () => {
  const key = await signer();
  const issuer = { jwks_uri: undefined, jwks: key.jwks };
  const { engine } = partsOf(createGuard(policy({ issuer, resource: TOOL_RULES, limits }), { now }));
  const tokens = await Promise.all(Array.from({ length: 64 }, (_, jti) => key.token({ jti: `${jti}` })));
  const body = new TextEncoder().encode(rpc("tools/call", { name: "read_file", arguments: {} }));
  // Below `Request`, which takes most of a check's time in Node.
  const check = (index) => {
    const forged = index % 50 === 49 ? "x" : "";
    const headers = [["authorization", `Bearer ${tokens[(index >> 3) % tokens.length]}${forged}`], ["content-type", "application/json"]];
    const hasBody = index % 4 === 0;
    let part = body;
    const readBody = async () => {
      const read = part;
      part = undefined;
      return read;
    };
    return engine.decide({ method: hasBody ? "POST" : "GET", authority: "mcp.example.com", path: "/mcp", headers, hasBody }, { now, readBody, keep: () => {} });
  };
  let allowed = 0;
  const round = async (count) => {
    for (let index = 0; index < count; index++) {
      const answer = check(index);
      allowed += (answer instanceof Promise ? await answer : answer).kind === "forward" ? 1 : 0;
    }
  };
  await round(20_000);
  const before = [memory.buffer.byteLength, await heap()];
  await round(CHECKS);
  assert.equal(memory.buffer.byteLength, before[0]);
  const grown = (await heap()) - before[1];
  assert.ok(grown < 8_000_000, `${grown} bytes more`);
  assert.ok(allowed > CHECKS * 0.9);
});
