// The Worker of bench/workerd.mjs: verifies the tokens that it is sent by the verifier that its path names.
import { verifyAccessToken } from "countersign";
import { verify as honoVerify } from "hono/jwt";
import { importJWK, jwtVerify } from "jose";

const made = new Map();

async function verifier(name, { alg, jwk, issuer, audience }) {
  switch (name) {
    case "countersign": {
      const options = { issuer, audience, jwks: { keys: [jwk] } };
      return (token) => verifyAccessToken(token, options);
    }
    case "jose": {
      const key = await importJWK(jwk, alg);
      return (token) => jwtVerify(token, key, { issuer, audience, typ: "at+jwt" });
    }
    default:
      return (token) => honoVerify(token, jwk, { alg, iss: issuer, aud: audience, typ: "at+jwt" });
  }
}

export default {
  async fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    const { tokens, times, ...key } = await request.json();
    const id = `${name} ${key.jwk.kid}`;
    if (!made.has(id)) made.set(id, await verifier(name, key));
    const verify = made.get(id);
    let good = 0;
    for (let turn = 0; turn < times; turn++) {
      for (const token of tokens) {
        good += await verify(token).then(() => 1, () => 0);
      }
    }
    return new Response(`${good}`);
  },
};
