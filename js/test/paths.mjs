// What must hold whoever verifies signatures: node:crypto, WebCrypto, or the module. Each has a file of its
// own, since a process chooses once.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";

import { findings, judge } from "./corpus.mjs";
import { NOW, now, policy, post, signer } from "./support.mjs";
import { runAll } from "./vectors.mjs";

const BY_HOST = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384"];

/** `name`: who verifies what hosts are asked for; `undefined` for the module. */
export async function pathTests(name) {
  const { createGuard } = await import("countersign");
  const shared = await import("../dist/shared.js");
  const { Engine, hostSignatures } = shared;
  const signatures = hostSignatures();

  test("this is who verifies", () => assert.equal(signatures?.name, name));

  test("the shared vectors", async (t) => {
    mock.method(console, "warn", () => {});
    const vectors = JSON.parse(readFileSync(new URL("../../tests/vectors/guard.json", import.meta.url)));
    const { requests, heads, failures } = await runAll(vectors, { createGuard, Engine, headers: shared });
    assert.deepEqual(failures, []);
    assert.equal(requests + heads, vectors.cases.length);
    t.diagnostic(`${signatures?.verified ?? 0} signatures verified by the host`);
    if (name) assert.ok(signatures.verified >= BY_HOST.length);
    mock.restoreAll();
  });

  for (const alg of [...BY_HOST, "ES256", "EdDSA"]) {
    test(`${alg}: good tokens pass, others do not`, async () => {
      const key = await signer(alg);
      const stranger = await signer(alg);
      const guard = createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks } }), { now });
      const before = signatures?.verified;
      const reason = async (token) => (await guard.check(post(token))).reason;
      const tokens = await Promise.all([1, 2, 3].map((jti) => key.token({ jti: `${jti}` })));
      assert.deepEqual(await Promise.all(tokens.map(reason)), [null, null, null]);
      const [head, claims, signature] = tokens[0].split(".");
      const other = (await key.token({ exp: NOW + 300 })).split(".");
      assert.equal(await reason([head, claims, other[2]].join(".")), "signature_invalid");
      assert.equal(await reason([head, other[1], signature].join(".")), "signature_invalid");
      assert.equal(await reason(await stranger.token()), "signature_invalid");
      // Of another length: nobody is asked.
      const shorter = Buffer.from(signature, "base64url").subarray(1).toString("base64url");
      assert.equal(await reason([head, claims, shorter].join(".")), "signature_invalid");
      const asked = (signatures?.verified ?? 0) - (before ?? 0);
      // The first one's proof counts for nothing.
      assert.equal(asked, name && BY_HOST.includes(alg) ? 6 : 0);
    });
  }

  test("a key that may serve all of RSA's algorithms does so, each with its own", async () => {
    const signers = await Promise.all(BY_HOST.slice(0, 6).map((alg) => signer(alg, alg)));
    for (const { jwk, token } of signers) {
      const { alg, ...open } = jwk;
      const guard = createGuard(policy({ issuer: { jwks_uri: undefined, jwks: { keys: [open] } } }), { now });
      const good = await token();
      assert.ok((await guard.check(post(good))).allowed, alg);
      for (const other of BY_HOST.slice(0, 6).filter((name) => name !== alg)) {
        // Signed by this algorithm, and says that it is by another.
        const outcome = await guard.check(post(await token({}, { alg: other })));
        assert.equal(outcome.reason, "signature_invalid", `${alg} as ${other}`);
      }
    }
  });

  const corpus = process.env.COUNTERSIGN_CORPUS;
  const skip = (!name && "`cargo xtask test wasm` does this") || (!corpus && "needs COUNTERSIGN_CORPUS");
  test("Project Wycheproof", { skip }, async (t) => {
    const result = await judge(readFileSync(corpus, "utf8"), signatures);
    t.diagnostic(JSON.stringify({ ...result, wrong: result.wrong.length }));
    assert.deepEqual(findings(result), []);
  });
}
