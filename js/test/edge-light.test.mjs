// The edge-light entry gets a module of another realm, as Next.js gives it.
import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

const LOADER = `
import { readFileSync } from "node:fs";
const source = (path) => \`
  import { readFileSync } from "node:fs";
  import { runInNewContext } from "node:vm";
  const bytes = readFileSync(new URL(\${JSON.stringify(path)}));
  export default runInNewContext("new WebAssembly.Module(bytes)", { bytes });
\`;
export async function load(url, context, next) {
  if (!url.endsWith(".wasm?module")) return next(url, context);
  return { format: "module", shortCircuit: true, source: source(url.replace("?module", "")) };
}`;

test("a module of another realm is taken for what it is", async () => {
  register(`data:text/javascript,${encodeURIComponent(LOADER)}`);
  const { default: module } = await import("../dist/core_bg.wasm?module");
  assert.equal(module instanceof WebAssembly.Module, false);
  const { pkce } = await import("countersign/edge-light");
  const { verifier, challenge } = pkce.generate();
  assert.ok(pkce.verify(verifier, challenge));
});
