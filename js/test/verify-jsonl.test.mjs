// The script for corpora of tokens gives the same verdicts and reasons as `countersign verify --jsonl`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(import.meta.resolve("countersign/verify-jsonl"));
const corpus = readFileSync(new URL("../../tests/vectors/attacks.jsonl", import.meta.url));

/** Runs the script with these pieces of input; gives what it prints. */
async function run(pieces) {
  const child = spawn(process.execPath, [script], { stdio: "pipe" });
  const read = async (stream) => Buffer.concat(await stream.toArray()).toString();
  const ended = new Promise((resolve) => child.on("close", resolve));
  const output = Promise.all([read(child.stdout), read(child.stderr)]);
  for (const piece of pieces) {
    child.stdin.write(piece);
  }
  child.stdin.end();
  const [stdout, stderr] = await output;
  return { code: await ended, stdout, stderr };
}

const answers = (text) => text.trimEnd().split("\n").map((line) => JSON.parse(line));

test("the corpus of attacks: each answered in order, as it says itself", async () => {
  const lines = answers(corpus.toString()).filter((line) => line.expect);
  const { code, stdout, stderr } = await run([corpus]);
  assert.equal(stderr, "");
  assert.equal(code, 0);
  const verdicts = answers(stdout);
  assert.equal(verdicts.length, lines.length);
  for (const [at, { id, result, reason, ms }] of verdicts.entries()) {
    assert.deepEqual({ id, result, reason }, { id: lines[at].id, ...lines[at].expect });
    assert.ok(ms >= 0);
  }
});

test("lines come in whatever pieces, and are not all lines", async () => {
  const pieces = ['{"config":{"issuer":1}}\r', '\n\n{"id"', ':"a"}\nnonsense\n{"id":7,"se', 't":"s","token":"x"}'];
  const { code, stdout, stderr } = await run(pieces);
  assert.equal(code, 0);
  assert.match(stderr, /^countersign: line 1: config\.issuer: /);
  assert.deepEqual(
    answers(stdout).map(({ id, reason }) => [id, reason]),
    [["a", "line_malformed"], [null, "line_malformed"], [7, "config_invalid"]],
  );
});
