// The verifiers' self-test: a module whose known answer is wrong says so, and goes on with slower code.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { NOW, now, policy, post, signer } from "./support.mjs";

const dist = new URL("../dist/", import.meta.url);

/** RFC 6979 A.2.5, P-256 with SHA-256, "sample": the beginning of r, which is nowhere else in the module. */
const KNOWN = Buffer.from("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", "hex");

/** Imports a copy of the package whose module was changed. */
async function imported(change, use) {
  const dir = mkdtempSync(join(tmpdir(), "countersign-"));
  try {
    cpSync(dist, join(dir, "dist"), { recursive: true });
    writeFileSync(join(dir, "package.json"), '{ "type": "module" }');
    const module = readFileSync(new URL("core_bg.wasm", dist));
    const at = module.indexOf(KNOWN);
    assert.ok(at > 0 && module.indexOf(KNOWN, at + 1) < 0);
    change(module, at);
    writeFileSync(join(dir, "dist/core_b64.js"), `export default "${module.toString("base64")}";\n`);
    await use(await import(pathToFileURL(join(dir, "dist/inline.js"))));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Whether tokens are decided rightly, and what was said meanwhile. */
async function warnings({ createGuard }) {
  const { warn } = console;
  const said = [];
  console.warn = (line) => said.push(line);
  try {
    const algorithms = ["ES256", "RS256", "EdDSA"];
    const signers = await Promise.all(algorithms.map((alg) => signer(alg, alg)));
    const issuer = { jwks_uri: undefined, jwks: { keys: signers.map(({ jwk }) => jwk) } };
    for (let guards = 0; guards < 2; guards++) {
      const guard = createGuard(policy({ issuer }), { now });
      for (const { token } of signers) {
        for (let number = 0; number < 3; number++) {
          const good = await token({ jti: `${number}` });
          assert.equal((await guard.check(post(good))).allowed, true);
          const other = (await token({ jti: "other", exp: NOW + 300 })).split(".");
          const forged = [...good.split(".").slice(0, 2), other[2]].join(".");
          assert.equal((await guard.check(post(forged))).allowed, false);
        }
      }
    }
  } finally {
    console.warn = warn;
  }
  return said;
}

test("the known answers come out", async () => {
  await imported(
    () => {},
    async (main) => assert.deepEqual(await warnings(main), []),
  );
});

test("where one does not, that is said once, and every verdict is still right", async () => {
  await imported(
    (module, at) => (module[at] ^= 1),
    async (main) => {
      const [line, ...more] = await warnings(main);
      assert.match(line, /^countersign: signatures: a known answer came out wrong/);
      assert.deepEqual(more, []);
    },
  );
});
