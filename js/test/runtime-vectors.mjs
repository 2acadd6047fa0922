// Run by Deno and Bun: the shared vectors, and a corpus of signatures whose path is given.
import { createGuard } from "countersign";

import * as inside from "../dist/shared.js";
import { Engine, hostSignatures } from "../dist/shared.js";
import vectors from "../../tests/vectors/guard.json" with { type: "json" };
import { findings, judge } from "./corpus.mjs";
import { runAll } from "./vectors.mjs";

console.warn = () => {};
const { requests, heads, failures } = await runAll(vectors, { createGuard, Engine, headers: inside });
const found = [...failures];
if (requests + heads !== vectors.cases.length) found.push("not all cases ran");
const { name, verified } = hostSignatures() ?? {};
const result = { requests, heads, host: name ?? null, verified };
const [, , corpus] = globalThis.process.argv;
if (corpus) {
  const { readFileSync } = await import("node:fs");
  const judged = await judge(readFileSync(corpus, "utf8"), hostSignatures());
  result.asked = judged.asked;
  result.silent = judged.silent;
  found.push(...findings(judged));
}
console.log(JSON.stringify({ ...result, found }));
