// The module's memory does not grow with the number of requests.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createGuard, pkce } from "countersign";

import { initSync } from "../dist/core.js";
import { TOOL_RULES, now, policy, post, rpc, signer } from "./support.mjs";

// Used once, the module is initialised: this gives the exports of the running instance.
pkce.generate();
const { memory } = initSync({ module: new Uint8Array() });

test("20 000 checks, of every kind, take no more memory than the first ones", async () => {
  const key = await signer();
  const limits = { cached_tokens: 16, body_bytes: 4096 };
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
  await round(2000);
  const before = memory.buffer.byteLength;
  await round(18_000);
  assert.equal(memory.buffer.byteLength, before);
});
