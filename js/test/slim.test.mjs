// countersign/slim: the module comes from elsewhere.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createGuard, init, initSync, pkce } from "countersign/slim";

import { JWKS_URI, now, policy, post, signer } from "./support.mjs";

const bytes = readFileSync(new URL("../dist/core_bg.wasm", import.meta.url));

test("without the module nothing works, and says so", async () => {
  assert.throws(() => createGuard(policy()), /give it the module first/);
  assert.throws(() => pkce.generate(), /give it the module first/);
  await assert.rejects(init(new Response("", { status: 404 })), /answers 404/);
  await assert.rejects(init(new Response("<html>")), WebAssembly.CompileError);
  await assert.rejects(init(Promise.reject(new Error("down"))), /down/);
  assert.throws(() => initSync(new Uint8Array(8)), WebAssembly.CompileError);
  assert.throws(() => createGuard(policy()), /give it the module first/);
});

test("with it everything does, and once is enough", async () => {
  await init(Promise.resolve(new Response(bytes)));
  initSync(bytes);
  initSync(new WebAssembly.Module(bytes));
  const key = await signer();
  const guard = createGuard(policy(), { now, fetch: async (url) => Response.json(url === JWKS_URI ? key.jwks : {}) });
  assert.ok((await guard.check(post(await key.token()))).allowed);
  const { verifier, challenge } = pkce.generate();
  assert.ok(pkce.verify(verifier, challenge));
});

test("it does not come with the module", () => {
  const source = readFileSync(new URL("../dist/slim.js", import.meta.url), "utf8");
  assert.doesNotMatch(source, /import .*(core_b64|core_bg)/);
});
