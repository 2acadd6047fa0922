// Writes dist/core_b64.js: the module as a base64 text, for hosts that give JavaScript no better way
// to load it; and says the sizes that README.md states. Run by `cargo xtask build js`.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);
const base64 = readFileSync(new URL("core_bg.wasm", dist)).toString("base64");
writeFileSync(new URL("core_b64.js", dist), `export default "${base64}";\n`);

for (const name of ["core_bg.wasm", "core_b64.js"]) {
  const bytes = readFileSync(new URL(name, dist));
  const kilobytes = (length) => `${Math.round(length / 1000)} KB`;
  const gzipped = gzipSync(bytes, { level: 9 }).length;
  console.log(`js/dist/${name}: ${kilobytes(bytes.length)}, gzip ${kilobytes(gzipped)}`);
}
