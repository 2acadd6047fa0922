// Bundles by esbuild, rollup, Vite and webpack, without plug-ins for us, executed far from any package.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { nodeResolve } from "@rollup/plugin-node-resolve";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import webpack from "webpack";

const entry = fileURLToPath(new URL("../runtime.mjs", import.meta.url));
let out;
before(() => (out = mkdtempSync(join(tmpdir(), "countersign-bundles-"))));
after(() => rmSync(out, { recursive: true }));

/** Runs a bundle: one file, with nothing beside it. */
async function run(name) {
  const dir = join(out, name);
  assert.deepEqual(readdirSync(dir), ["bundle.mjs"]);
  const { stdout } = await promisify(execFile)(process.execPath, ["bundle.mjs"], { cwd: dir, timeout: 60_000 });
  assert.deepEqual(JSON.parse(stdout.trim().split("\n").at(-1)), { found: [] });
}

for (const platform of ["browser", "node", "neutral"]) {
  test(`esbuild for ${platform}`, async () => {
    const name = `esbuild-${platform}`;
    const { warnings } = await esbuild.build({
      entryPoints: [entry],
      bundle: true,
      minify: platform === "browser",
      format: "esm",
      platform,
      outfile: join(out, name, "bundle.mjs"),
      logLevel: "silent",
    });
    assert.deepEqual(warnings, []);
    await run(name);
  });
}

test("rollup", async () => {
  const warnings = [];
  const bundle = await rollup({ input: entry, plugins: [nodeResolve()], onwarn: (warning) => warnings.push(warning) });
  await bundle.write({ file: join(out, "rollup", "bundle.mjs"), format: "es" });
  assert.deepEqual(warnings, []);
  await run("rollup");
});

test("Vite", async () => {
  const { build } = await import("vite");
  await build({
    configFile: false,
    logLevel: "error",
    root: fileURLToPath(new URL(".", import.meta.url)),
    build: {
      lib: { entry, formats: ["es"], fileName: () => "bundle.mjs" },
      outDir: join(out, "vite"),
      emptyOutDir: true,
      target: "es2022",
    },
  });
  await run("vite");
});

for (const target of ["web", "node20"]) {
  test(`webpack for ${target}`, async () => {
    const compiler = webpack({
      mode: "production",
      target: target === "web" ? ["web", "es2022"] : target,
      entry,
      experiments: { outputModule: true },
      performance: false,
      output: { path: join(out, `webpack-${target}`), filename: "bundle.mjs", module: true, library: { type: "module" } },
    });
    const stats = await promisify(compiler.run.bind(compiler))();
    await promisify(compiler.close.bind(compiler))();
    const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
    assert.deepEqual([...errors, ...warnings], []);
    await run(`webpack-${target}`);
  });
}
