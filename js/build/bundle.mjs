// Makes the package's files in dist/ of what tsc has put into target/js: all that is inside goes into one of them,
// shared.js, so that who imports the package loads five files instead of thirty, in half the time. Run by `cargo xtask
// build js`.
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const { build } = createRequire(new URL("../../tests/", import.meta.url))("esbuild");
const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

const { exports } = JSON.parse(readFileSync(at("package.json"), "utf8"));
const exported = JSON.stringify(exports).match(/(?<=\.\/dist\/)[\w-]+\.js(?=")/g);
/** What stays a file: the entries, and what they all give out. */
const entries = [...new Set([...exported, "index.js"])];
const inside = readdirSync(at("../target/js")).filter((file) => !entries.includes(file));

const { metafile } = await build({
  stdin: { contents: inside.map((file) => `export * from "./${file}";\n`).join(""), resolveDir: at("../target/js") },
  outfile: at("dist/shared.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  // The glue, which another step makes.
  external: ["./core.js"],
  metafile: true,
  logLevel: "warning",
});
const [shared] = Object.values(metafile.outputs);

for (const file of entries) {
  const text = readFileSync(at(`../target/js/${file}`), "utf8");
  const made = text.replaceAll(/^((?:import|export)\b[^;"']*)"\.\/([\w-]+\.js)"/gm, (whole, before, name) => {
    if (!inside.includes(name)) return whole;
    const names = /\{([^}]*)\}/.exec(before)?.[1].split(",").map((name) => name.trim().split(" as ")[0]);
    // esbuild leaves out what two files call the same.
    const missing = (names ?? ["*"]).filter((name) => name && !shared.exports.includes(name));
    if (missing.length > 0) throw new Error(`${file} takes ${missing} of ${name}: not in shared.js`);
    return `${before}"./shared.js"`;
  });
  const left = inside.filter((name) => new RegExp(`["'\`]\\./${name}["'\`]`).test(made));
  if (left.length > 0) throw new Error(`${file} still names ${left}`);
  writeFileSync(at(`dist/${file}`), made);
}

const files = [...entries, "shared.js", "core.js", "core_b64.js"];
for (const file of readdirSync(at("dist")).filter((file) => file.endsWith(".js") && !files.includes(file))) {
  rmSync(at(`dist/${file}`));
}
