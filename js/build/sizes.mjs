// What the package weighs, as the table of README.md: run by hand after a build, `--write` puts it there.
// js/test/once/readme.test.mjs holds README.md to it.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Bundled and minified, as an application has it; the module is not part of it where it stays a file. */
async function bundled(entry, external) {
  const { outputFiles } = await build({
    entryPoints: [at(`dist/${entry}.js`)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    external,
    logLevel: "error",
  });
  return outputFiles[0].contents;
}

/** Name, then bytes as they are, by gzip and by brotli, which takes long. */
export async function sizes({ brotli = false } = {}) {
  const all = {
    "the module (`core_bg.wasm`), for workerd and edge-light": readFileSync(at("dist/core_bg.wasm")),
    "the JavaScript beside it, bundled and minified": await bundled("workerd", ["*.wasm"]),
    "both in one file (Node, Deno, Bun, browsers, bundlers), bundled and minified": await bundled("inline", []),
  };
  return Object.entries(all).map(([name, bytes]) => [
    name,
    bytes.length,
    gzipSync(bytes, { level: 9 }).length,
    ...(brotli ? [brotliCompressSync(bytes).length] : []),
  ]);
}

const kilobytes = (bytes) => `${Math.round(bytes / 1000)} KB`;

/** Between these two lines of README.md. */
export const MARKS = ["<!-- sizes -->", "<!-- /sizes -->"];

export function table(rows) {
  const lines = rows.map(([name, ...bytes]) => `| ${name} | ${bytes.map(kilobytes).join(" | ")} |`);
  return ["| | raw | gzip | brotli |", "|---|---:|---:|---:|", ...lines].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = table(await sizes({ brotli: true }));
  console.log(text);
  if (process.argv.includes("--write")) {
    const readme = readFileSync(at("README.md"), "utf8");
    const [start, end] = MARKS.map((mark) => readme.indexOf(mark));
    writeFileSync(at("README.md"), `${readme.slice(0, start + MARKS[0].length)}\n${text}\n${readme.slice(end)}`);
  }
}
