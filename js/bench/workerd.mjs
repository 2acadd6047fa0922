// What verifying an access token costs in workerd, beside jose and hono/jwt. Run by `cargo xtask bench js`; arguments:
// how many rounds. A Worker cannot measure its own time: what is measured is the processor time of its process, all
// threads together, less that of requests with no tokens.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { ISSUER, RESOURCE, signer } from "../test/support.mjs";

const ROUNDS = Number(process.argv[2] ?? 5);
const COUNT = 400;
const WARMING = 4000;
const NAMES = ["countersign", "jose", "hono/jwt"];

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const workerd = ["64", "arm64"]
  .map((cpu) => at(`../node_modules/@cloudflare/workerd-linux-${cpu}/bin/workerd`))
  .find(existsSync);
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const now = Math.floor(Date.now() / 1000);
const dir = mkdtempSync(join(tmpdir(), "countersign-bench-"));

await build({
  entryPoints: [at("worker.mjs")],
  outfile: join(dir, "worker.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  conditions: ["workerd", "worker", "browser"],
  external: ["*.wasm"],
  logLevel: "error",
});
writeFileSync(join(dir, "core_bg.wasm"), readFileSync(at("../dist/core_bg.wasm")));
const free = createServer().listen(0, "127.0.0.1");
await once(free, "listening");
const { port } = free.address();
free.close();
await once(free, "close");
writeFileSync(
  join(dir, "bench.capnp"),
  `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    compatibilityDate = "2026-07-01",
    modules = [
      (name = "worker.js", esModule = embed "worker.js"),
      (name = "core_bg.wasm", wasm = embed "core_bg.wasm"),
    ],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", service = "main")],
);
`,
);
const child = spawn(workerd, ["serve", join(dir, "bench.capnp")], { stdio: ["ignore", "inherit", "inherit"] });

/** Processor time of all threads so far, in µs. */
function used() {
  const tasks = readdirSync(`/proc/${child.pid}/task`);
  const one = (task) => Number(readFileSync(`/proc/${child.pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  return tasks.reduce((sum, task) => sum + one(task), 0) / 1000;
}

async function ask(name, key, tokens, times = 1) {
  const body = JSON.stringify({ tokens, times, alg: key.alg, jwk: key.jwk, issuer: ISSUER, audience: RESOURCE });
  const before = used();
  const answer = await fetch(`http://127.0.0.1:${port}/${name.replace("/jwt", "")}`, { method: "POST", body });
  const good = Number(await answer.text());
  if (good !== tokens.length * times) throw new Error(`${name}: ${good} of ${tokens.length * times} ${key.alg} tokens`);
  return used() - before;
}

try {
  for (const end = Date.now() + 30_000; ; ) {
    if (await fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false)) break;
    if (Date.now() > end) throw new Error("workerd does not answer");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  console.log(`workerd; ${ROUNDS} rounds; µs of processor time a token; medians.\n`);
  console.log(`| | ${NAMES.join(" | ")} | to jose |\n|---|${"---:|".repeat(NAMES.length + 1)}`);
  for (const alg of ["ES256", "RS256", "EdDSA"]) {
    const signing = await signer(alg, alg);
    const key = { alg, jwk: signing.jwk };
    let number = 0;
    const fresh = (count) =>
      Promise.all(Array.from({ length: count }, () => signing.token({ jti: `${number++}`, iat: now - 10, exp: now + 3600 })));
    const figures = { "new tokens": NAMES.map(() => []), "one token": NAMES.map(() => []) };
    for (let round = -1; round < ROUNDS; round++) {
      const tokens = await fresh(round < 0 ? WARMING : COUNT);
      for (const [index, name] of NAMES.entries()) {
        const idle = await ask(name, key, []);
        const each = ((await ask(name, key, tokens)) - idle) / tokens.length;
        const times = 10 * COUNT;
        const same = ((await ask(name, key, [tokens[0]], times)) - idle) / times;
        if (round >= 0) {
          figures["new tokens"][index].push(each);
          figures["one token"][index].push(same);
        }
      }
    }
    for (const [kind, found] of Object.entries(figures)) {
      const cells = found.map(median);
      const shown = cells.map((value) => (value < 10 ? value.toFixed(1) : value.toFixed(0)));
      console.log(`| ${alg}, ${kind} | ${shown.join(" | ")} | ${(cells[0] / cells[1]).toFixed(2)} |`);
    }
  }
} finally {
  child.kill();
  rmSync(dir, { recursive: true });
}
