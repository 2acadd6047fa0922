// The shared vectors: the package must say what the native engine and Envoy say.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";

import { createGuard } from "countersign";

import * as inside from "../dist/shared.js";
import { Engine } from "../dist/shared.js";
import { runAll } from "./vectors.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../tests/vectors/guard.json", import.meta.url)));

test("tests/vectors/guard.json", async (t) => {
  mock.method(console, "warn", () => {});
  const { requests, heads, failures } = await runAll(vectors, { createGuard, Engine, headers: inside });
  t.diagnostic(`${requests} cases as Request, ${heads} below it`);
  assert.deepEqual(failures, []);
  assert.equal(requests + heads, vectors.cases.length);
  assert.ok(requests > heads, "most cases are requests that a Request can be");
});
