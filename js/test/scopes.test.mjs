// The least scopes for several operations.
import assert from "node:assert/strict";
import { test } from "node:test";

import { PolicyError, minimalScopes } from "countersign";

const policy = {
  issuers: [{ issuer: "https://auth.example.com" }],
  resources: [
    {
      resource: "https://mcp.example.com/mcp",
      scopes: {
        baseline: ["mcp:use"],
        implies: { "files:write": ["files:read"] },
        tools: { read_file: ["files:read"], "write_*": ["files:write"] },
        unlisted: "deny",
      },
    },
  ],
};
const read = { method: "tools/call", name: "read_file" };
const write = { method: "tools/call", name: "write_file" };

test("what the operations need, and no more", () => {
  assert.deepEqual(minimalScopes(policy, []), ["mcp:use"]);
  assert.deepEqual(minimalScopes(policy, [{ method: "initialize" }]), ["mcp:use"]);
  assert.deepEqual(minimalScopes(policy, [read]), ["mcp:use", "files:read"]);
  assert.deepEqual(minimalScopes(policy, [read, write]), ["mcp:use", "files:write"]);
  assert.deepEqual(
    minimalScopes(JSON.stringify(policy), [write], "https://MCP.example.com/mcp"),
    ["mcp:use", "files:write"],
  );
});

test("mistakes have a path", () => {
  const other = { resource: "https://other.example.com/mcp" };
  const two = { ...policy, resources: [...policy.resources, other] };
  for (const [path, call] of [
    ["$.x", () => minimalScopes({ ...policy, x: 1 }, [])],
    ["resource", () => minimalScopes(two, [])],
    ["resource", () => minimalScopes(policy, [], "https://other.example.com/mcp")],
    ["operations[1]", () => minimalScopes(policy, [read, { method: "tools/call" }])],
    ["operations[1]", () => minimalScopes(policy, [read, { ...read, name: "format_disk" }])],
    ["operations[0]", () => minimalScopes(policy, [{ ...read, name: 1 }])],
    ["operations[0]", () => minimalScopes(policy, [{ name: "read_file" }])],
  ]) {
    assert.throws(call, (error) => error instanceof PolicyError && error.path === path, path);
  }
});
