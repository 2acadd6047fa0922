// Run by Deno and Bun, and as bundles by whatever runs those: the shared vectors, by the package's main entry.
// Prints what was found as JSON. Given the path of a corpus (crates/bench/src/case.rs), that too.
import { AuthError, createGuard, keyCaches, minimalScopes, pkce, verifyAccessToken } from "countersign";
import { protect } from "countersign/hono";

import { ISSUER, RESOURCE, now, policy, post, rpc, signer } from "./support.mjs";

const found = [];
function equal(actual, expected, what) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) found.push(`${what}: ${left}, expected ${right}`);
}

for (const alg of ["ES256", "ES384", "EdDSA", "RS256", "PS256"]) {
  const key = await signer(alg);
  const token = await key.token();
  const guard = createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks } }), { now });
  const reason = async (token) => (await guard.check(post(token))).reason;
  equal(await reason(token), null, alg);
  const other = await key.token({ jti: "other" });
  equal(await reason([...token.split(".").slice(0, 2), other.split(".")[2]].join(".")), "signature_invalid", alg);
  const options = { issuer: ISSUER, audience: RESOURCE, jwks: key.jwks, now };
  equal((await verifyAccessToken(other, options)).sub, "alice", alg);
  const error = await verifyAccessToken("x", options).catch((error) => error);
  equal([error instanceof AuthError, error.reason], [true, "token_malformed"], alg);
}

// A fetch, a handler, a body that goes through.
const key = await signer();
const cached = keyCaches.memory();
const fetching = createGuard(policy(), { now, keyCache: cached, fetch: async () => Response.json(key.jwks) });
const handler = fetching.protect(async (request, _env, _ctx, identity) => Response.json([identity.subject, await request.text()]));
equal(await (await handler(post(await key.token(), "body"))).json(), ["alice", "body"], "protect");
const { verifier, challenge } = pkce.generate();
equal([pkce.verify(verifier, challenge), pkce.verify(challenge, verifier)], [true, false], "pkce");
equal(minimalScopes(policy(), [{ method: "tools/list" }]), [], "minimalScopes");
equal(typeof protect(fetching), "function", "adapter");
equal((await fetching.check(post(undefined, rpc("ping")))).response.status, 401, "refusal");

console.log(JSON.stringify({ found }));
