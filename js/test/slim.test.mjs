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

/** The files that one of the package's comes with; `countersign` for its main entry. */
function closure(file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  const source = file === "countersign" ? "" : readFileSync(new URL(`../dist/${file}`, import.meta.url), "utf8");
  for (const [, from] of source.matchAll(/^(?:import|export)\b(?:[^;"'`]*\bfrom)? ["']([^"']+)["'];$/gm)) closure(from.replace(/^\.\//, ""), seen);
  return seen;
}

test("of the adapters only those bring the module that the README names", () => {
  const adapters = ["express", "fastify", "hono", "mcp", "next", "workers-oauth-provider"];
  const bringing = adapters.filter((name) => {
    const files = closure(`${name}.js`);
    return ["countersign", "inline.js", "core_b64.js", "workerd.js", "edge-light.js"].some((file) => files.has(file));
  });
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, ...named] = /`countersign\/([a-z-]+)` and `countersign\/([a-z-]+)` verify by the main entry/.exec(readme);
  assert.deepEqual(bringing, named);
  assert.ok(closure("index.js").has("core.js"));
});

test("the main entry is few files, since each takes time to find", () => {
  const files = ["inline.js", "core.js", "core_b64.js", "shared.js", "index.js"];
  assert.deepEqual([...closure("inline.js")].sort(), files.sort());
});

test("the others take its guard", async () => {
  initSync(bytes);
  const { protect } = await import("countersign/hono");
  const key = await signer();
  const guard = createGuard(policy(), { now, fetch: async () => Response.json(key.jwks) });
  const kept = new Map();
  const context = { req: { raw: post(await key.token()) }, set: (name, value) => kept.set(name, value) };
  await protect(guard)(context, async () => {
    context.res = new Response("ok");
  });
  assert.equal(kept.get("identity")?.subject, "alice");
});

test("it does not come with the module", () => {
  const files = closure("slim.js");
  assert.ok(files.has("core.js"));
  assert.deepEqual([...files].filter((file) => /core_b64|core_bg/.test(file)), []);
});
