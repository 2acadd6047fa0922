// What the package contains is what package.json says, and each entry starts.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

const root = new URL("../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", root)));
const require = createRequire(import.meta.url);

test("every export exists", () => {
  const targets = (value) => (typeof value === "string" ? [value] : Object.values(value).flatMap(targets));
  for (const target of targets(manifest.exports)) {
    assert.ok(existsSync(new URL(target.replace("*", ""), root)), target);
  }
});

test("hosts choose by conditions in this order", () => {
  assert.deepEqual(Object.keys(manifest.exports["."]), ["types", "workerd", "edge-light", "default"]);
});

test("the base64 text is the module", () => {
  const text = readFileSync(new URL("dist/core_b64.js", root), "utf8");
  const module = Buffer.from(text.slice(text.indexOf('"') + 1, text.lastIndexOf('"')), "base64");
  assert.deepEqual(module, readFileSync(new URL("dist/core_bg.wasm", root)));
});

test("the module asks for nothing of its host but the glue's functions", () => {
  const module = new WebAssembly.Module(readFileSync(new URL("dist/core_bg.wasm", root)));
  const modules = new Set(WebAssembly.Module.imports(module).map((imported) => imported.module));
  assert.deepEqual([...modules], ["./core_bg.js"]);
});

test("the main entry is the inline one, with the whole interface, for import and require", async () => {
  const main = await import("countersign");
  const names = [
    "AuthError", "PolicyError", "authorizationServerMetadata", "challenges", "createGuard", "explain", "keyCaches",
    "minimalScopes", "pkce", "protectedResourceMetadata", "verifyAccessToken",
  ];
  assert.deepEqual(Object.keys(main).sort(), names);
  assert.equal(main.createGuard, (await import("countersign/inline")).createGuard);
  if (process.features.require_module) {
    assert.equal(require("countersign").createGuard, main.createGuard);
  }
});

test("importing compiles nothing, and does not make Node load its fetch", () => {
  const script = `
    const touched = [];
    for (const name of ["Headers", "Request", "Response", "fetch"])
      Object.defineProperty(globalThis, name, { configurable: true, get: () => touched.push(name) });
    WebAssembly.Module = class { constructor() { touched.push("WebAssembly.Module"); } };
    await import("countersign");
    console.log(JSON.stringify(touched));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: root, encoding: "utf8" });
  assert.equal(stdout, "[]\n");
});

test("importing reads no file and fetches nothing", () => {
  for (const file of ["inline", "index", "shared", "core", "core_b64"]) {
    const source = readFileSync(new URL(`dist/${file}.js`, root), "utf8");
    assert.doesNotMatch(source, /import\.meta\.url|from "(node:|fs)|^await /m, file);
  }
});
