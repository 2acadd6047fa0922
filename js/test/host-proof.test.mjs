// A host's verifier that is wrong in any way is not relied on.
import assert from "node:assert/strict";
import * as crypto from "node:crypto";
import { mock, test } from "node:test";

// What process.getBuiltinModule gives to this process: node:crypto, but for what a test replaces.
const replaced = {};
process.getBuiltinModule = () => ({ ...crypto, verify: (...args) => (replaced.verify ?? crypto.verify)(...args) });
const { createGuard } = await import("countersign");
const { HostSignatures, hostSignatures } = await import("../dist/shared.js");
const { NOW, now, policy, post, signer } = await import("./support.mjs");

async function verdicts(alg) {
  const key = await signer(alg);
  const guard = createGuard(policy({ issuer: { jwks_uri: undefined, jwks: key.jwks } }), { now });
  const [good, other] = [await key.token(), await key.token({ exp: NOW + 300 })];
  const forged = [...good.split(".").slice(0, 2), other.split(".")[2]].join(".");
  return [(await guard.check(post(good))).allowed, (await guard.check(post(forged))).allowed];
}

/** Each wrongness needs an algorithm that was not proven yet. */
for (const [alg, name, verify, warns] of [
  ["RS256", "says yes to everything", () => true, 1],
  ["RS384", "says no to everything", () => false, 1],
  ["RS512", "ignores the hash", (_hash, ...rest) => crypto.verify("sha512", ...rest), 1],
  ["PS256", "takes every salt for right", (hash, data, key, signature) =>
    crypto.verify(hash, data, { ...key, padding: crypto.constants.RSA_PKCS1_PADDING }, signature), 1],
  ["PS384", "throws", () => { throw new Error("not supported"); }, 0],
  ["PS512", "gives something else", () => 1, 0],
]) {
  test(`one that ${name}`, async () => {
    replaced.verify = verify;
    const warn = mock.method(console, "warn", () => {});
    const before = hostSignatures().verified;
    assert.deepEqual(await verdicts(alg), [true, false]);
    assert.deepEqual(await verdicts(alg), [true, false]);
    assert.equal(warn.mock.callCount(), warns);
    for (const { arguments: [line] } of warn.mock.calls) {
      assert.match(line, new RegExp(`^countersign: signatures: node:crypto gave wrong known answers for ${alg};`));
    }
    assert.equal(hostSignatures().verified, before, "the module verified");
    mock.restoreAll();
    delete replaced.verify;
  });
}

test("the module's memory may grow while the host is proven", async () => {
  const { initSync } = await import("../dist/core.js");
  const { memory } = initSync({ module: new Uint8Array() });
  let asked = 0;
  replaced.verify = (hash, message, ...rest) => {
    asked++;
    if (message.buffer !== memory.buffer) memory.grow(1); // a known answer
    return crypto.verify(hash, message, ...rest);
  };
  assert.deepEqual(await verdicts("ES384"), [true, false]);
  assert.equal(hostSignatures().verified, 2, "the host verified");
  assert.ok(asked > 2, "after it was proven");
  delete replaced.verify;
});

test("one that is right first and fails later leaves it to the module", async () => {
  assert.deepEqual(await verdicts("ES384"), [true, false]);
  assert.equal(hostSignatures().verified, 4);
  replaced.verify = () => { throw new Error("gone"); };
  assert.deepEqual(await verdicts("ES384"), [true, false]);
  assert.equal(hostSignatures().verified, 4);
  delete replaced.verify;
});

test("what is no message any more is not verified", async () => {
  const verify = mock.fn(({ key, message, signature }) => {
    const read = crypto.createPublicKey({ key: key(), format: "der", type: "spki" });
    return crypto.verify("sha384", message, { key: read, dsaEncoding: "ieee-p1363" }, signature);
  });
  const { atOnce } = new HostSignatures({ name: "node:crypto", isAtOnce: true, verify });
  const { publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-384" });
  atOnce.learn(1, "ES384", "k", publicKey.export({ format: "der", type: "spki" }));
  const proven = verify.mock.callCount();
  assert.ok(proven > 0);
  assert.equal(atOnce.verify(1, new Uint8Array(8), new Uint8Array(96)), 0);
  const gone = new Uint8Array(new ArrayBuffer(8));
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.equal(atOnce.verify(1, gone, gone), 2);
  assert.equal(atOnce.verify(2, gone, gone), 3);
  assert.equal(verify.mock.callCount(), proven + 1);
});

test("promises that reject, and answers that are no booleans, are no answers", async () => {
  mock.method(console, "warn", () => {});
  const check = { algorithm: "RS256", keyName: "k", key: () => new Uint8Array(), message: new Uint8Array(), signature: new Uint8Array() };
  for (const verify of [
    async () => { throw new Error("no"); },
    async () => "true",
    async () => undefined,
    () => ({ then: (resolve) => resolve(true) }),
  ]) {
    const signatures = new HostSignatures({ name: "WebCrypto", verify });
    assert.equal(await signatures.verify(check), undefined);
    assert.equal(await signatures.verify({ ...check, algorithm: "constructor" }), undefined);
    assert.equal(await signatures.verify({ ...check, algorithm: "ES256" }), undefined);
  }
  mock.restoreAll();
});
