// Writes dist/core_b64.js: the module as a base64 text, for hosts that give JavaScript no better way
// to load it. Run by `cargo xtask build js`.
import { readFileSync, writeFileSync } from "node:fs";

const dist = new URL("../dist/", import.meta.url);
const base64 = readFileSync(new URL("core_bg.wasm", dist)).toString("base64");
writeFileSync(new URL("core_b64.js", dist), `export default "${base64}";\n`);
