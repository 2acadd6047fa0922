// One source for the policy's members: the JSON schema says what the engine reads, and the types say what the schema does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import Ajv from "ajv/dist/2020.js";
import { createGuard } from "countersign";

import { schema, types } from "../build/policy.mjs";

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const { $defs, ...root } = schema();
/** A policy that has every object in it. */
const whole = () => ({
  issuers: [
    {
      issuer: "https://auth.example.com",
      jwks_cache: { fresh: 300 },
      introspection: { endpoint: "https://auth.example.com/introspect", client_id: "guard", client_secret: "secret" },
    },
  ],
  resources: [{ resource: "https://mcp.example.com/mcp", scopes: {}, forward: {} }],
  limits: {},
});
/** Where each of the schema's objects is in it. */
const PLACES = {
  Issuer: (policy) => policy.issuers[0],
  JwksCache: (policy) => policy.issuers[0].jwks_cache,
  Introspection: (policy) => policy.issuers[0].introspection,
  Resource: (policy) => policy.resources[0],
  Scopes: (policy) => policy.resources[0].scopes,
  ForwardRules: (policy) => policy.resources[0].forward,
  Limits: (policy) => policy.limits,
};
const OBJECTS = [[root, (policy) => policy], ...Object.entries(PLACES).map(([name, place]) => [$defs[name], place])];

/** What the engine says to a policy that was changed. */
function mistake(change) {
  const policy = whole();
  change(policy);
  try {
    createGuard(policy);
  } catch (error) {
    assert.equal(error.name, "PolicyError");
    return error.message;
  }
  return undefined;
}

test("the types are those of the schema", () => {
  assert.equal(read("src/policy.ts"), types(), "node js/build/policy.mjs");
});

test("the engine knows the schema's members, and no others", () => {
  assert.equal(mistake(() => {}), undefined);
  assert.deepEqual(new Set([...Object.keys(PLACES), "KeySet"]), new Set(Object.keys($defs)));
  for (const [node, place] of OBJECTS) {
    const message = mistake((policy) => { place(policy)["zz"] = 1; });
    const known = /unknown member; known here: (.*)$/.exec(message)[1].split(", ");
    assert.deepEqual(known, Object.keys(node.properties).sort(), node.description);
    for (const name of node.required ?? []) {
      assert.match(mistake((policy) => { delete place(policy)[name]; }), new RegExp(`member "${name}" is missing`));
    }
  }
});

test("of the same kinds, with the same bounds and words", () => {
  let bounds = 0;
  for (const [node, place] of OBJECTS) {
    for (const [name, of] of Object.entries(node.properties)) {
      const said = (value) => mistake((policy) => { place(policy)[name] = value; });
      const kind = { object: "an object", array: "an array", boolean: "true or false", string: "a string", integer: "a number" };
      if (of.enum) {
        const words = /expected one of (.*)$/.exec(said("zz"))[1].split(", ").map((word) => JSON.parse(word));
        assert.deepEqual(words.sort(), [...of.enum].sort(), name);
      } else if (of.type === "integer") {
        bounds++;
        for (const value of [of.minimum - 1, of.maximum + 1]) {
          assert.ok(said(value).endsWith(`expected a whole number from ${of.minimum} to ${of.maximum}`), name);
        }
        for (const value of [of.minimum, of.maximum]) assert.doesNotMatch(said(value) ?? "", /whole number/);
      } else if (!Array.isArray(of.type) && of.$ref !== "#/$defs/KeySet") {
        const wrong = of.type === "string" ? 7 : "zz";
        assert.ok(said(wrong).includes(`expected ${kind[of.type ?? "object"]}, found `), `${name}: ${said(wrong)}`);
      }
      if (of.minItems) assert.notEqual(said([]), undefined, name);
    }
  }
  assert.equal(bounds, 11);
  const algorithms = $defs.Issuer.properties.algorithms.items.enum;
  const supported = /supported are (.*)$/.exec(mistake(({ issuers }) => { issuers[0].algorithms = ["zz"]; }))[1].split(", ");
  // A second name of EdDSA, and a secret's algorithm.
  assert.deepEqual([...supported, "Ed25519"].sort(), [...algorithms].sort());
  assert.equal(mistake(({ issuers }) => { issuers[0].algorithms = algorithms.filter((name) => name !== "HS256"); }), undefined);
});

test("the documentation's policies are policies by the schema too", () => {
  const validate = new Ajv({ strict: false }).compile(schema());
  const blocks = read("../docs/policy.md").match(/^```json\n[\s\S]*?^```/gm) ?? [];
  const policies = blocks.map((block) => block.slice(8, -4)).filter((text) => text.includes('"issuers": [{') || text.includes('"limits"'));
  const whole = policies.filter((text) => text.startsWith("{")).map((text) => JSON.parse(text)).filter(({ issuers }) => issuers);
  assert.ok(whole.length >= 4, `${whole.length}`);
  for (const policy of whole) assert.ok(validate(policy), JSON.stringify(validate.errors));
  for (const [wrong, change] of [
    ["unknown", (policy) => { policy.resources[0].scope = {}; }],
    ["word", (policy) => { policy.resources[0].mode = "off"; }],
    ["bound", (policy) => { policy.leeway = 301; }],
    ["missing", (policy) => { delete policy.issuers; }],
  ]) {
    const policy = structuredClone(whole[0]);
    change(policy);
    assert.equal(validate(policy), false, wrong);
  }
});
