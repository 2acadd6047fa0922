// What README.md shows works.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createGuard } from "countersign";

import { MARKS, sizes } from "../../build/sizes.mjs";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the policy of the example is one", async () => {
  const [, policy] = /createGuard\((\{\n[\s\S]*?\n\})\);/.exec(readme);
  const fetch = async () => new Response("{}", { status: 404 });
  const guard = createGuard(new Function(`return ${policy}`)(), { fetch });
  const outcome = await guard.check(new Request("https://mcp.example.com/mcp"));
  assert.equal(outcome.reason, "token_missing");
  const metadata = "https://mcp.example.com/.well-known/oauth-protected-resource";
  assert.equal((await guard.check(new Request(metadata))).response.status, 200);
});

/** No more than this, in bytes by gzip: whoever makes the package larger has to say so here. */
const LIMITS = [375_000, 25_000, 510_000];

test("the sizes are those that are said, and within their limits", async () => {
  const said = readme.slice(readme.indexOf(MARKS[0]), readme.indexOf(MARKS[1])).split("\n").slice(3, -1);
  const found = await sizes();
  assert.equal(said.length, found.length);
  for (const [row, [name, ...bytes]] of found.entries()) {
    const [, told, ...numbers] = said[row].split("|").map((cell) => cell.trim());
    assert.equal(told, name);
    for (const [column, actual] of bytes.entries()) {
      const number = Number.parseInt(numbers[column], 10) * 1000;
      // What compilers make of the same source differs a little.
      assert.ok(Math.abs(number - actual) <= 0.03 * actual + 1000, `${name}: ${actual}; node js/build/sizes.mjs --write`);
    }
    assert.ok(bytes[1] <= LIMITS[row], `${name}: ${bytes[1]} by gzip`);
  }
});
