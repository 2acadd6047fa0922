// Asks the verifier in wasm for each verdict of a corpus; see crates/bench/src/case.rs. Arguments: the folder
// with the module and its glue, and the corpus.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [, , moduleDir, corpus] = process.argv;
const { initSync, judge } = await import(pathToFileURL(resolve(moduleDir, "core.js")).href);
initSync({ module: readFileSync(join(moduleDir, "core_bg.wasm")) });

const lines = readFileSync(corpus, "utf8").trimEnd().split("\n");
let count = 0;
for (let at = 0; at < lines.length; at += 1000) {
  try {
    count += judge(lines.slice(at, at + 1000).join("\n"));
  } catch (error) {
    console.error(`corpus, lines ${at + 1} to ${at + 1000}: ${error}`);
    process.exit(1);
  }
}
console.log(count);
