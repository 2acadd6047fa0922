// What verifying an access token costs, beside jose, aws-jwt-verify, fast-jwt and hono/jwt: one after the other in
// each round, in one process. Run by `cargo xtask bench js`; arguments: how many rounds.
//
// All get the same tokens, and check signature, issuer, audience and times. What only we check (the profile of RFC
// 9068, exclusive audiences) is part of our figure.
import { spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { fileURLToPath } from "node:url";

import { JwtVerifier } from "aws-jwt-verify";
import { verifyAccessToken } from "countersign";
import { createVerifier } from "fast-jwt";
import { verify as honoVerify } from "hono/jwt";
import { importJWK, jwtVerify } from "jose";

import { ISSUER, RESOURCE, signer } from "../test/support.mjs";

const ROUNDS = Number(process.argv[2] ?? 5);
/** Tokens of a round, which are new to everybody. */
const COUNT = 300;
/** Those before the first round, for the compilers: a server is measured as it runs, not as it starts. */
const WARMING = 3000;

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const now = Math.floor(Date.now() / 1000);

/** The verifiers for a key: each takes a token, and throws or rejects for one that is not good. */
async function verifiers(alg, key) {
  const jose = await importJWK(key.jwk, alg);
  const pem = createPublicKey({ key: key.jwk, format: "jwk" }).export({ format: "pem", type: "spki" });
  const checks = { allowedIss: ISSUER, allowedAud: RESOURCE, algorithms: [alg] };
  const [plain, cached] = [false, 4096].map((cache) => createVerifier({ key: pem, cache, ...checks }));
  const aws = JwtVerifier.create({ issuer: ISSUER, audience: RESOURCE, jwksUri: `${ISSUER}/jwks` });
  aws.cacheJwks(key.jwks);
  const options = { issuer: ISSUER, audience: RESOURCE, jwks: key.jwks };
  return {
    countersign: (token) => verifyAccessToken(token, options),
    jose: (token) => jwtVerify(token, jose, { issuer: ISSUER, audience: RESOURCE, typ: "at+jwt" }),
    "aws-jwt-verify": (token) => aws.verifySync(token),
    "fast-jwt": (token) => plain(token),
    "fast-jwt, cache": (token) => cached(token),
    "hono/jwt": (token) => honoVerify(token, key.jwk, { alg, iss: ISSUER, aud: RESOURCE, typ: "at+jwt" }),
  };
}

/** Time and processor time of all, in µs each. */
async function timed(tokens, verify, atOnce) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let at = 0; at < tokens.length; at += atOnce) {
    if (atOnce === 1) await verify(tokens[at]);
    else await Promise.all(tokens.slice(at, at + atOnce).map(verify));
  }
  const took = (performance.now() - start) * 1000;
  const { user, system } = process.cpuUsage(cpu);
  return [took / tokens.length, (user + system) / tokens.length];
}

const rows = [];
for (const alg of ["ES256", "RS256", "EdDSA"]) {
  const key = await signer(alg);
  const all = await verifiers(alg, key);
  let number = 0;
  let warm = false;
  const fresh = (count) =>
    Promise.all(Array.from({ length: count }, () => key.token({ jti: `${number++}`, iat: now - 10, exp: now + 3600 })));
  const [one] = await fresh(1);
  // All of them must accept it, and none another's signature.
  const [head, claims] = one.split(".");
  const forged = [head, claims, (await fresh(1))[0].split(".")[2]].join(".");
  for (const [name, verify] of Object.entries(all)) {
    await verify(one);
    const refused = await (async () => verify(forged))().then(() => false, () => true);
    if (!refused) throw new Error(`${name} takes a forged ${alg} token`);
  }
  const kinds = { "new tokens": [1], "new tokens, 64 at once": [64], "one token": [1, one] };
  for (const [kind, [atOnce, same]] of Object.entries(kinds)) {
    const found = Object.fromEntries(Object.keys(all).map((name) => [name, []]));
    for (let round = -1; round < ROUNDS; round++) {
      const count = round < 0 && !warm ? WARMING : COUNT;
      warm = true;
      const tokens = same ? Array(10 * count).fill(same) : await fresh(count);
      for (const [name, verify] of Object.entries(all)) {
        const figures = await timed(tokens, verify, atOnce);
        if (round >= 0) found[name].push(figures);
      }
    }
    rows.push([`${alg}, ${kind}`, Object.values(found).map((all) => [0, 1].map((at) => median(all.map((one) => one[at]))))]);
  }
}

const names = Object.keys(await verifiers("ES256", await signer()));
const figure = (value) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)}`;
const runtime = globalThis.Deno ? `Deno ${Deno.version.deno}` : globalThis.Bun ? `Bun ${Bun.version}` : `Node ${process.versions.node}`;
console.log(`${runtime}; ${ROUNDS} rounds; µs a token, and in brackets of processor time; medians.\n`);
console.log(`| | ${names.join(" | ")} | to jose, processor time |`);
console.log(`|---|${"---:|".repeat(names.length + 1)}`);
for (const [name, figures] of rows) {
  const cells = figures.map(([wall, cpu]) => `${figure(wall)} (${figure(cpu)})`);
  console.log(`| ${name} | ${cells.join(" | ")} | ${(figures[0][1] / figures[1][1]).toFixed(2)} |`);
}

/** How long a new process takes for an import, less one that imports nothing; the least of several. */
function importing(name) {
  const run = () => {
    const script = `const start = performance.now(); ${name && `await import(${JSON.stringify(name)});`} console.log(performance.now() - start);`;
    const options = { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8" };
    return Number(spawnSync(process.execPath, ["--input-type=module", "-e", script], options).stdout);
  };
  return Math.min(...Array.from({ length: 2 * ROUNDS + 1 }, run));
}
// How long an import takes in the other runtimes has to be asked of them in another way.
if (!runtime.startsWith("Node")) process.exit(0);
console.log("\n| import, ms | |\n|---|---:|");
for (const name of ["countersign", "jose", "aws-jwt-verify", "fast-jwt", "hono/jwt"]) {
  console.log(`| ${name} | ${importing(name).toFixed(1)} |`);
}
