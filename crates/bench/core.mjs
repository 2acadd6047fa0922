// Node's side of `cargo xtask bench core`: measures what its standard input names, one line at a time.
// Arguments: the folder with the module and its glue, and jose's.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { serve } from "./measure.mjs";

const [, , moduleDir, joseDir] = process.argv;
const url = (...parts) => pathToFileURL(resolve(...parts)).href;
const { initSync, WasmSuite } = await import(url(moduleDir, "core.js"));
const jose = await import(url(joseDir, "dist/webapi/index.js"));
initSync({ module: readFileSync(join(moduleDir, "core_bg.wasm")) });

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
    wasm: (name) => (count) => suite.run(name, count),
    peer: (name) => peers[name],
  };
}

await serve(prepare);
