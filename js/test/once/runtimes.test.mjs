// The package in other runtimes than Node: each runs the same checks and the shared vectors.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
/** By the first that is there: the packages differ by processor. */
const first = (...paths) => paths.map((path) => at(`../../node_modules/${path}`)).find(existsSync);

const deno = first("@deno/linux-x64-glibc/deno", "@deno/linux-arm64-glibc/deno");
const bun = first("@oven/bun-linux-x64/bin/bun", "@oven/bun-linux-aarch64/bin/bun");

/** What a script printed last, as JSON. */
async function run(program, args) {
  assert.ok(program, "the runtime is there");
  const options = { cwd: at("../.."), maxBuffer: 1 << 26, timeout: 120_000 };
  const { stdout } = await promisify(execFile)(program, args, options);
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

const corpus = process.env.COUNTERSIGN_CORPUS;
for (const [name, program, free, reading, serving] of [
  // Without a permission: importing reads and fetches nothing.
  ["Deno", deno, ["run", "--no-prompt"], ["run", "--no-prompt", "--allow-read", "--allow-env"], ["run", "--no-prompt", "--allow-net"]],
  ["Bun", bun, ["run"], ["run"], ["run"]],
]) {
  test(`${name}: the whole interface`, async () => {
    const { found } = await run(program, [...free, at("../runtime.mjs")]);
    assert.deepEqual(found, []);
  });

  test(`${name}: what a client writes into Host lets nothing pass`, async () => {
    const { found } = await run(program, [...serving, at("../runtime-hosts.mjs")]);
    assert.deepEqual(found, []);
  });

  test(`${name}: the shared vectors, and Project Wycheproof's by its own verifier`, async (t) => {
    const { found, ...result } = await run(program, [...reading, at("../runtime-vectors.mjs"), ...(corpus ? [corpus] : [])]);
    t.diagnostic(JSON.stringify(result));
    assert.deepEqual(found, []);
  });
}
