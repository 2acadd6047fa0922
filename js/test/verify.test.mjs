// verifyAccessToken: claims, or an AuthError.
import assert from "node:assert/strict";
import { before, mock, test } from "node:test";

import { AuthError, verifyAccessToken } from "countersign";

import { CLAIMS, ISSUER, JWKS_URI, NOW, RESOURCE, now, serving, signer } from "./support.mjs";

let key;
before(async () => {
  key = await signer();
  mock.method(console, "warn", () => {});
});

const options = (more) => ({ issuer: ISSUER, audience: RESOURCE, jwks: key.jwks, now, ...more });
const refused = (reason, status = 401) => (error) => {
  assert.ok(error instanceof AuthError && error instanceof Error);
  assert.equal(error.name, "AuthError");
  assert.deepEqual([error.reason, error.status], [reason, status]);
  assert.equal(error.decision.reason, reason);
  return true;
};

test("gives the claims", async () => {
  assert.deepEqual(await verifyAccessToken(await key.token(), options()), CLAIMS);
});

test("throws an AuthError that says why, and what to answer", async () => {
  for (const [claims, header, reason] of [
    [{ exp: NOW - 60 }, {}, "token_expired"],
    [{ nbf: NOW + 60 }, {}, "token_not_yet_valid"],
    [{ aud: "https://other.example.com" }, {}, "audience_mismatch"],
    [{ iss: "https://other.example.com" }, {}, "issuer_unknown"],
    [{ sub: undefined }, {}, "claim_missing"],
    [{ cnf: { jkt: "x" } }, {}, "token_bound"],
    [{}, { kid: "k2" }, "key_unknown"],
    [{}, { alg: "none" }, "algorithm_unsupported"],
  ]) {
    const token = await key.token(claims, header);
    await assert.rejects(verifyAccessToken(token, options()), refused(reason));
  }
  await assert.rejects(verifyAccessToken(await key.token({ exp: NOW - 60 }), options()), (error) => {
    assert.match(error.challenge, /^Bearer resource_metadata="https:.*error="invalid_token"/);
    assert.ok(!error.message.includes(CLAIMS.sub));
    return true;
  });
});

test("refuses whatever is no token", async () => {
  for (const [token, reason, status] of [
    ["", "token_missing"],
    [undefined, "token_missing"],
    [null, "token_missing"],
    [7, "token_missing"],
    ["a.b.c", "token_malformed"],
    ["é", "credentials_malformed", 400],
    ["€\u{1d11e}\ud800", "credentials_malformed", 400],
    ["a\r\nb", "credentials_malformed", 400],
    ["x".repeat(2_000_000), "token_too_large"],
  ]) {
    await assert.rejects(verifyAccessToken(token, options()), refused(reason, status));
  }
});

test("algorithms and leeway are what the options say", async () => {
  const token = await key.token({ exp: NOW - 60 });
  assert.ok(await verifyAccessToken(token, options({ leeway: 61 })));
  await assert.rejects(verifyAccessToken(token, options({ leeway: 60 })), refused("token_expired"));
  const only = options({ algorithms: ["RS256"] });
  await assert.rejects(verifyAccessToken(await key.token(), only), refused("algorithm_unsupported"));
});

test("further spellings of the audience, and audiences that are no URLs of ours", async () => {
  const token = await key.token({ aud: "authenticated" });
  await assert.rejects(verifyAccessToken(token, options()), refused("audience_mismatch"));
  assert.ok(await verifyAccessToken(token, options({ audience: [RESOURCE, "authenticated"] })));
  const urn = await key.token({ aud: "mcp://files" });
  assert.ok(await verifyAccessToken(urn, options({ audience: "mcp://files" })));
});

test("keys come from a URL, fetched once", async () => {
  const fetch = serving(key.jwks);
  for (const jwks of [JWKS_URI, new URL(JWKS_URI), JWKS_URI]) {
    assert.ok(await verifyAccessToken(await key.token(), options({ jwks, fetch })));
  }
  assert.deepEqual(fetch.urls, [JWKS_URI]);
  // Another fetch is another world.
  const other = serving((await signer()).jwks);
  const token = await key.token();
  const elsewhere = options({ jwks: JWKS_URI, fetch: other });
  await assert.rejects(verifyAccessToken(token, elsewhere), refused("signature_invalid"));
});

test("keys come from a function, called once", async () => {
  let calls = 0;
  const jwks = async () => {
    calls++;
    return key.jwks;
  };
  const tokens = await Promise.all([1, 2, 3].map((jti) => key.token({ jti: `${jti}` })));
  await Promise.all(tokens.map((token) => verifyAccessToken(token, options({ jwks }))));
  await verifyAccessToken(tokens[0], options({ jwks }));
  assert.equal(calls, 1);
});

test("keys out of reach are 503, not 401", async () => {
  const unavailable = refused("keys_unavailable", 503);
  const fetch = async () => new Response("down", { status: 502 });
  const token = await key.token();
  await assert.rejects(verifyAccessToken(token, options({ jwks: JWKS_URI, fetch })), unavailable);
  for (const jwks of [
    () => { throw new Error("no"); },
    async () => undefined,
    async () => "keys",
    () => ({ keys: "none" }),
  ]) {
    await assert.rejects(verifyAccessToken(token, options({ jwks })), unavailable);
  }
});

test("more issuers than engines are kept still all work", async () => {
  const fetch = serving(key.jwks);
  for (let index = 0; index < 40; index++) {
    const issuer = `https://auth-${index}.example.com`;
    const token = await key.token({ iss: issuer });
    assert.ok(await verifyAccessToken(token, options({ issuer, jwks: JWKS_URI, fetch })));
  }
});

test("options that change in their place are what they are now", async () => {
  const token = await key.token();
  const other = await signer();
  const mutable = options({ audience: [RESOURCE], jwks: { keys: [key.jwk] }, algorithms: ["ES256"] });
  const verify = async () => verifyAccessToken(token, mutable).then(() => "good", (error) => error.reason ?? error.path);
  assert.equal(await verify(), "good");
  assert.equal(await verify(), "good");
  mutable.jwks.keys[0] = other.jwk;
  assert.equal(await verify(), "signature_invalid");
  mutable.jwks.keys.push({ ...key.jwk, kid: "k2" });
  assert.equal(await verify(), "signature_invalid");
  mutable.jwks = { keys: [key.jwk] };
  assert.equal(await verify(), "good");
  mutable.jwks.keys.length = 0;
  assert.notEqual(await verify(), "good");
  mutable.jwks.keys.push(key.jwk);
  assert.equal(await verify(), "good");
  mutable.algorithms[0] = "RS256";
  assert.equal(await verify(), "algorithm_unsupported");
  mutable.algorithms.push("ES256");
  assert.equal(await verify(), "good");
  mutable.audience[0] = "https://other.example.com/mcp";
  assert.equal(await verify(), "audience_mismatch");
  mutable.audience = RESOURCE;
  assert.equal(await verify(), "good");
  mutable.jwks = new URL(`${ISSUER}/others`);
  mutable.fetch = async (url) => Response.json(url === JWKS_URI ? key.jwks : other.jwks);
  assert.equal(await verify(), "signature_invalid");
  mutable.jwks.href = JWKS_URI;
  assert.equal(await verify(), "good");
  mutable.jwks.pathname = "/others";
  assert.equal(await verify(), "signature_invalid");
  mutable.issuer = "https://other.example.com";
  assert.equal(await verify(), "issuer_unknown");
});
