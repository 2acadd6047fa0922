// Scripts for Workers, bundled by esbuild.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";

/** Bundles a script of `js/examples` as wrangler does: the module stays a file of its own. */
export async function bundle(name) {
  const wasm = [];
  const beside = {
    name: "wasm",
    setup(build) {
      build.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
        wasm.push(join(resolveDir, path));
        return { path: `./${basename(path)}`, external: true };
      });
    },
  };
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL(`../examples/${name}`, import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:workers", "node:*"],
    plugins: [beside],
    logLevel: "silent",
  });
  assert.equal(wasm.length, 1, "the module comes once");
  return { script: outputFiles[0].text, wasm: wasm[0] };
}
