// The types, as TypeScript and the checkers of packages see them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** Runs a program of the pinned packages; gives what it said, and whether it was content. */
async function run(name, ...args) {
  const program = fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));
  const options = { cwd: root, maxBuffer: 1 << 26 };
  return promisify(execFile)(program, args, options).then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    ({ code, stdout, stderr }) => ({ code, text: `${stdout}${stderr}` }),
  );
}

test("uses of the package and of its adapters with the real frameworks, by tsc --strict", async () => {
  const { code, text } = await run("tsc", "-p", "test/types");
  assert.equal(code, 0, text);
});

test("every public name has a documentation comment", () => {
  const seen = new Set();
  const missing = [];
  const check = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(new URL(`../../dist/${file}`, import.meta.url), "utf8");
    const named = /^export (?:declare )?(?:interface|type|class|function|const|async function) (\w+)/gm;
    for (const { 1: name, index } of text.matchAll(named)) {
      if (!text.slice(0, index).trimEnd().endsWith("*/")) missing.push(`${file}: ${name}`);
    }
  };
  for (const file of ["guard", "verify", "errors", "key-cache", "key-source", "options", "pkce", "scopes", "wire", "policy", "explain", "metadata"]) check(`${file}.d.ts`);
  for (const file of ["express", "fastify", "hono", "mcp", "next", "workers-oauth-provider", "node", "auth-info"]) check(`${file}.d.ts`);
  assert.deepEqual(missing, []);
  assert.ok(seen.size > 10);
});

test("publint --strict", async () => {
  const { code, text } = await run("publint", "--strict");
  assert.equal(code, 0, text);
});

test("attw: every entry's types resolve as its code does", async () => {
  const entries = ["core_bg.wasm", "core_bg.wasm*", "policy.schema.json", "package.json"];
  const { code, text } = await run("attw", "--pack", ".", "--profile", "esm-only", "--exclude-entrypoints", ...entries);
  assert.equal(code, 0, text);
});

test("npm pack: what is built, README and nothing else", async () => {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root });
  const [{ files }] = JSON.parse(stdout);
  const paths = files.map(({ path }) => path);
  const strange = paths.filter((path) => !/^(package\.json|README\.md|LICENSE.*|policy\.schema\.json|dist\/[\w-]+\.(js|d\.ts)|dist\/core_bg\.wasm(\.d\.ts)?)$/.test(path));
  assert.deepEqual(strange, []);
  for (const path of ["package.json", "README.md", "dist/inline.js", "dist/core_bg.wasm", "dist/core_b64.js", "dist/index.d.ts"]) {
    assert.ok(paths.includes(path), path);
  }
});
