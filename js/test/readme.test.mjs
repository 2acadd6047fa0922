// What README.md shows works.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createGuard } from "countersign";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the policy of the example is one", async () => {
  const [, policy] = /createGuard\((\{\n[\s\S]*?\n\})\);/.exec(readme);
  const fetch = async () => new Response("{}", { status: 404 });
  const guard = createGuard(new Function(`return ${policy}`)(), { fetch });
  const outcome = await guard.check(new Request("https://mcp.example.com/mcp"));
  assert.equal(outcome.reason, "token_missing");
  const metadata = "https://mcp.example.com/.well-known/oauth-protected-resource";
  assert.equal((await guard.check(new Request(metadata))).response.status, 200);
});
