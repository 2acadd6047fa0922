// Node's side of `cargo xtask bench verify`: measures what its standard input names, one line at a time.
// Argument: the folder with the module and its glue.
import { constants, createPublicKey, verify, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { serve } from "./measure.mjs";

const [, , moduleDir] = process.argv;
const { initSync, WasmVerifySuite } = await import(pathToFileURL(resolve(moduleDir, "core.js")).href);
initSync({ module: readFileSync(join(moduleDir, "core_bg.wasm")) });

// For each algorithm: how WebCrypto imports the key, how it verifies, and what node:crypto wants.
const ecdsa = (curve, bits) => ({
  import: { name: "ECDSA", namedCurve: curve },
  subtle: { name: "ECDSA", hash: `SHA-${bits}` },
  digest: `sha${bits}`,
  options: { dsaEncoding: "ieee-p1363" },
});
const algorithms = {
  ES256: ecdsa("P-256", 256),
  ES384: ecdsa("P-384", 384),
  EdDSA: { import: { name: "Ed25519" }, subtle: { name: "Ed25519" }, digest: null, options: {} },
  RS256: {
    import: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    subtle: { name: "RSASSA-PKCS1-v1_5" },
    digest: "sha256",
    options: {},
  },
  PS256: {
    import: { name: "RSA-PSS", hash: "SHA-256" },
    subtle: { name: "RSA-PSS", saltLength: 32 },
    digest: "sha256",
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  },
};

const must = (verified) => {
  if (!verified) throw new Error("not verified");
};

serve(async (input) => {
  const suite = new WasmVerifySuite(input.lines);
  const subtle = {};
  const node = {};
  for (const { name, alg, jwk, message, signature } of input.peers) {
    const algorithm = algorithms[alg];
    const [text, signed] = [message, signature].map((part) => Buffer.from(part, "base64url"));
    const cryptoKey =
      await webcrypto.subtle.importKey("jwk", jwk, algorithm.import, false, ["verify"]);
    subtle[name] = async (count) => {
      for (let i = 0; i < count; i++) {
        must(await webcrypto.subtle.verify(algorithm.subtle, cryptoKey, signed, text));
      }
    };
    const key = { key: createPublicKey({ key: jwk, format: "jwk" }), ...algorithm.options };
    node[name] = (count) => {
      for (let i = 0; i < count; i++) must(verify(algorithm.digest, text, key, signed));
    };
  }
  return {
    about: { version: process.version, tableBytes: [...suite.tableBytes()] },
    ours: (name) => (count) => suite.run("ours", name, count),
    reference: (name) => (count) => suite.run("reference", name, count),
    former: (name) => (count) => suite.run("former", name, count),
    subtle: (name) => subtle[name],
    node: (name) => node[name],
  };
});
