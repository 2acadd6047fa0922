// The first request of a process, in a module whose memory is just full.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createGuard } from "countersign";

import { now, policy, post } from "./support.mjs";

test("the memory may have to grow for it", async () => {
  const guard = createGuard(policy(), { now });
  const { initSync } = await import("../dist/core.js");
  const { memory, __wbindgen_malloc: take } = initSync({ module: new Uint8Array() });
  // Until nothing is free but what it has just grown by, 64 KiB; then most of that: too little is left for the
  // 32 KiB in which requests are put.
  const KIB = 1024;
  for (const before = memory.buffer; before.byteLength > 0; ) take(KIB, 1);
  take(40 * KIB, 1);
  const before = memory.buffer;
  const { reason } = await guard.check(post(undefined));
  assert.equal(reason, "token_missing");
  assert.equal(before.byteLength, 0, "it has grown");
});
