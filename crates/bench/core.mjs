// Node's side of `cargo xtask bench core`: measures what its standard input names, one line at a time.
// Arguments: the folder with the module and its glue, and jose's.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , moduleDir, joseDir] = process.argv;
const url = (...parts) => pathToFileURL(resolve(...parts)).href;
const { initSync, WasmSuite } = await import(url(moduleDir, "core.js"));
const jose = await import(url(joseDir, "dist/webapi/index.js"));
initSync({ module: readFileSync(join(moduleDir, "core_bg.wasm")) });

// Nanoseconds for one time, over at least 40 ms: the same rule as the native side's.
async function measure(run) {
  for (let count = 1; ; ) {
    const start = process.hrtime.bigint();
    await run(count);
    const ns = Number(process.hrtime.bigint() - start);
    if (ns > 4e7) return ns / count;
    count = Math.min(Math.max(Math.floor((count * 6e7) / Math.max(ns, 1)), count + 1), count * 10);
  }
}

async function prepare(input) {
  const suite = new WasmSuite(input.policy, input.rules, input.jwks, input.tokens);
  const jwks = JSON.parse(input.jwks);
  const options = {
    issuer: input.issuer, audience: input.resource, typ: "at+jwt",
    currentDate: new Date(input.now * 1000),
  };
  const verify = async (index) => {
    const token = input.tokens[index];
    const { kid, alg } = jose.decodeProtectedHeader(token);
    const key = await jose.importJWK(jwks.keys.find((key) => key.kid === kid), alg);
    return async (count) => {
      for (let i = 0; i < count; i++) await jose.jwtVerify(token, key, options);
    };
  };
  const bodies = Object.entries(input.bodies).map(([name, body]) => {
    const bytes = new TextEncoder().encode(body);
    const decoder = new TextDecoder("utf-8", { fatal: true });
    return [name, (count) => {
      for (let i = 0; i < count; i++) JSON.parse(decoder.decode(bytes));
    }];
  });
  const peers = {
    "cold-es256": await verify(0), "cold-rs256": await verify(1), "cold-eddsa": await verify(2),
    jwks: async (count) => {
      for (let i = 0; i < count; i++) {
        for (const key of JSON.parse(input.jwks).keys) await jose.importJWK(key, key.alg);
      }
    },
    ...Object.fromEntries(bodies),
  };
  return {
    wasm: (name) => measure((count) => suite.run(name, count)),
    peer: (name) => measure(peers[name]),
  };
}

let ready;
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (ready === undefined) {
    ready = await prepare(request);
    console.log("{}");
  } else {
    console.log(JSON.stringify({ ns: await ready[request.who](request.name) }));
  }
}
