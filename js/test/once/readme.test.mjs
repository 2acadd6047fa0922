// What README.md shows works.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { challenges, createGuard, explain } from "countersign";

import { CLAIMS, signer } from "../support.mjs";
import { MARKS, sizes } from "../../build/sizes.mjs";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The policy of the first example, the only one. */
const policy = () => new Function(`return ${/createGuard\((\{\n[\s\S]*?\n\})\);/.exec(readme)[1]}`)();

/** The example in the section of this name, without its imports; it gives what it calls by these names. */
function example(section, given, names) {
  const [, code] = new RegExp(`\n## ${section}\n[\\s\\S]*?\n\`\`\`js\n([\\s\\S]*?)\n\`\`\``).exec(readme);
  const { constructor: AsyncFunction } = async () => {};
  const body = code.replaceAll(/^import .*;$/gm, "");
  return [body, new AsyncFunction(...Object.keys(given), `${body}\nreturn { ${names} };`)(...Object.values(given))];
}

test("the policy of the example is one", async () => {
  const fetch = async () => new Response("{}", { status: 404 });
  const guard = createGuard(policy(), { fetch });
  const outcome = await guard.check(new Request("https://mcp.example.com/mcp"));
  assert.equal(outcome.reason, "token_missing");
  const metadata = "https://mcp.example.com/.well-known/oauth-protected-resource";
  assert.equal((await guard.check(new Request(metadata))).response.status, 200);
});

test("the example of explain does what it says", async () => {
  const key = await signer();
  const time = Math.floor(Date.now() / 1000);
  const token = await key.token({ ...CLAIMS, scope: "mcp:use", iat: time - 10, exp: time + 600 });
  const [code, done] = example("Why", { explain, policy: policy(), token, jwks: key.jwks }, "reason, text");
  const { reason, text } = await done;
  const [first, ...told] = code.slice(code.lastIndexOf("});")).split("\n").slice(1).map((line) => line.replace("// ", ""));
  assert.equal(first, `"${reason}", and`);
  const lines = told.filter((line) => line !== "\u2026");
  assert.equal(lines.length, 2);
  for (const line of lines) assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
});

test("the example of challenges", async () => {
  const read = (headers) => {
    const line = /^const \[challenge\] = .*;$/m.exec(readme)[0];
    return new Function("challenges", "response", `${line} return challenge;`)(challenges, new Response(null, { headers }));
  };
  const value = 'Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"';
  const { scheme, token68, parameters } = read({ "www-authenticate": value });
  assert.deepEqual([scheme, token68, Object.keys(parameters)], ["Bearer", null, ["resource_metadata"]]);
  assert.equal(read({}), undefined);
});

/** No more than this, in bytes by gzip: whoever makes the package larger has to say so here. */
const LIMITS = [320_000, 13_500, 440_000];

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
