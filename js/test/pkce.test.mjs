// PKCE with S256.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { pkce } from "countersign";

test("generated pairs belong together, and are never the same", () => {
  const seen = new Set();
  for (let turn = 0; turn < 100; turn++) {
    const { verifier, challenge } = pkce.generate();
    assert.match(verifier, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(challenge, createHash("sha256").update(verifier).digest("base64url"));
    assert.equal(pkce.verify(verifier, challenge), true);
    seen.add(verifier);
  }
  assert.equal(seen.size, 100);
});

test("RFC 7636 appendix B", () => {
  const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  assert.equal(pkce.verify(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), true);
});

test("whatever does not belong together is false", () => {
  const { verifier, challenge } = pkce.generate();
  for (const [left, right] of [
    [pkce.generate().verifier, challenge],
    [verifier, verifier],
    [verifier, `${challenge}=`],
    [verifier.slice(1), challenge],
    ["", ""],
    [undefined, challenge],
    [verifier, undefined],
    [[verifier], challenge],
    [verifier, { length: 43 }],
    ["\ud800".repeat(43), challenge],
  ]) {
    assert.equal(pkce.verify(left, right), false);
  }
});
