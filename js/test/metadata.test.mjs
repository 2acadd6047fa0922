// Challenges and metadata documents: written and read by the engine.
import assert from "node:assert/strict";
import { test } from "node:test";

import { authorizationServerMetadata, challenges, createGuard, protectedResourceMetadata } from "countersign";

import { RESOURCE, now, policy, post } from "./support.mjs";

const METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

test("what the guard answers is what is read, and can be written", async () => {
  const guard = createGuard(policy({ resource: { scopes: { baseline: ["mcp:use"] }, name: "Files" } }), { now });
  const { response } = await guard.check(post("x"));
  const value = response.headers.get("www-authenticate");
  const [challenge, ...more] = challenges.parse(value);
  assert.deepEqual(more, []);
  const { resource_metadata, error, error_description, scope } = challenge.parameters;
  assert.deepEqual([challenge.scheme, challenge.token68, resource_metadata, error, scope], ["Bearer", null, METADATA, "invalid_token", "mcp:use"]);
  assert.equal(challenges.build({ resourceMetadata: resource_metadata, error, errorDescription: error_description, scope: scope.split(" ") }), value);
  assert.equal(protectedResourceMetadata.url(RESOURCE), METADATA);
  const document = await (await guard.check(new Request(METADATA))).response.text();
  const read = protectedResourceMetadata.parse(document, RESOURCE);
  assert.deepEqual(read, {
    resource: RESOURCE, authorizationServers: ["https://auth.example.com"], scopesSupported: ["mcp:use"], bearerMethods: ["header"],
    name: "Files", documentation: null, dpopAlgorithms: [], dpopRequired: false,
  });
  const { resource, authorizationServers, scopesSupported, name } = read;
  assert.equal(protectedResourceMetadata.build({ resource, authorizationServers, scopesSupported, name }), document);
});

test("challenges of others", () => {
  const both = challenges.parse('Negotiate YII=, DPoP algs="ES256 EdDSA", error=use_dpop_nonce, Basic realm="a, \\"b\\""');
  assert.deepEqual(both.map(({ scheme, token68, parameters }) => [scheme, token68, parameters]), [
    ["Negotiate", "YII=", {}],
    ["DPoP", null, { algs: "ES256 EdDSA", error: "use_dpop_nonce" }],
    ["Basic", null, { realm: 'a, "b"' }],
  ]);
  assert.deepEqual(challenges.parse(""), []);
  for (const bad of ['Bearer a="', "Bearer a=b, a=c", "=", 'Bearer realm="\0"', `Bearer a="${"x".repeat(20_000)}"`, undefined, null, {}, 7, new String("Bearer a=b")]) {
    assert.throws(() => challenges.parse(bad), TypeError, `${bad}`);
  }
  // A name that means something to objects is one like any other.
  const [odd] = challenges.parse("Bearer __proto__=x");
  assert.deepEqual(Object.entries(odd.parameters), [["__proto__", "x"]]);
});

test("what is no text is a mistake", () => {
  const url = { toString: () => RESOURCE };
  const document = JSON.stringify({ resource: RESOURCE, authorization_servers: ["https://auth.example.com"], issuer: RESOURCE });
  for (const bad of [undefined, null, 7, url, new URL(RESOURCE)]) {
    for (const use of [
      () => protectedResourceMetadata.url(bad), () => protectedResourceMetadata.parse(document, bad), () => protectedResourceMetadata.parse(bad, RESOURCE),
      () => authorizationServerMetadata.urls(bad), () => authorizationServerMetadata.parse(document, bad), () => authorizationServerMetadata.parse(bad, RESOURCE),
    ]) {
      assert.throws(use, { name: "TypeError", message: /: expected a string$/ }, `${bad} ${use}`);
    }
  }
  assert.equal(protectedResourceMetadata.parse(document, RESOURCE).resource, RESOURCE);
  assert.equal(authorizationServerMetadata.parse(document, RESOURCE).issuer, RESOURCE);
});

test("nothing can be injected", () => {
  const value = challenges.build({ resourceMetadata: 'x"\r\nSet-Cookie: a=b', error: "invalid_token", errorDescription: "\0ü" });
  assert.equal(value, 'Bearer resource_metadata="x\\"??Set-Cookie: a=b", error="invalid_token", error_description="??"');
  for (const bad of [undefined, null, 7, "Bearer", {}, { resourceMetadata: 7 }, { resourceMetadata: "", scopes: [] }, { resourceMetadata: "", scope: ['"'] }]) {
    assert.throws(() => challenges.build(bad), TypeError, JSON.stringify(bad));
  }
});

test("an authorization server's document", () => {
  const issuer = "https://auth.example.com/t";
  assert.deepEqual(authorizationServerMetadata.urls(issuer), [
    "https://auth.example.com/.well-known/oauth-authorization-server/t",
    "https://auth.example.com/.well-known/openid-configuration/t",
    "https://auth.example.com/t/.well-known/openid-configuration",
  ]);
  assert.deepEqual(authorizationServerMetadata.urls("auth"), []);
  const good = { issuer, token_endpoint: "https://auth.example.com/token", code_challenge_methods_supported: ["S256"], other: 1 };
  const parse = (document) => authorizationServerMetadata.parse(typeof document === "string" ? document : JSON.stringify(document), issuer);
  const read = parse(good);
  assert.deepEqual([read.issuer, read.token_endpoint, read.jwks_uri, read.other], [issuer, good.token_endpoint, undefined, undefined]);
  assert.deepEqual([read.code_challenge_methods_supported, read.scopes_supported], [["S256"], []]);
  assert.equal(read.client_id_metadata_document_supported, false);
  for (const bad of [
    "", "[]", '{"issuer":"https://auth.example.com/t","issuer":"x"}', {}, { ...good, issuer: `${issuer}/` }, { ...good, token_endpoint: "http://auth.example.com/token" },
    { ...good, jwks_uri: "javascript:x" }, { ...good, scopes_supported: "a" }, { ...good, client_id_metadata_document_supported: "yes" }, "x".repeat(200_000),
  ]) {
    assert.throws(() => parse(bad), TypeError, JSON.stringify(bad)?.slice(0, 80));
  }
  assert.throws(() => protectedResourceMetadata.parse(JSON.stringify({ resource: `${RESOURCE}/` }), RESOURCE), TypeError);
  assert.throws(() => protectedResourceMetadata.url("mcp"), TypeError);
});

test("URLs of a resource's document are secure, written as well as read", () => {
  const resource = RESOURCE;
  const good = { resource, authorization_servers: ["https://auth.example.com"], resource_documentation: "https://docs.example.com/mcp" };
  const parse = (more) => protectedResourceMetadata.parse(JSON.stringify({ ...good, ...more }), resource);
  const build = (more) => protectedResourceMetadata.build({ resource, authorizationServers: good.authorization_servers, ...more });
  assert.equal(parse().documentation, good.resource_documentation);
  assert.equal(JSON.parse(build({ documentation: good.resource_documentation })).resource_documentation, good.resource_documentation);
  for (const page of ["https://docs.example.com/mcp#scopes", "http://docs.example.com"]) {
    assert.equal(parse({ resource_documentation: page }).documentation, page);
    assert.equal(JSON.parse(build({ documentation: page })).resource_documentation, page);
  }
  assert.throws(() => parse({ authorization_servers: ["http://auth.example.com"] }), { name: "TypeError", message: /authorization_servers/ });
  assert.throws(() => build({ authorizationServers: ["http://auth.example.com"] }), { name: "TypeError", message: /authorizationServers: expected an https URL/ });
  for (const bad of ["javascript:alert(1)", "https://u@docs.example.com/#a", "data:text/html,x", "docs", "", "https://a b", "file:///etc/passwd"]) {
    assert.equal(parse({ resource_documentation: bad }).documentation, null, bad);
    assert.throws(() => parse({ authorization_servers: [bad] }), { name: "TypeError", message: /authorization_servers/ }, bad);
    assert.throws(() => build({ documentation: bad }), { name: "TypeError", message: /documentation: expected the URL of a page/ }, bad);
    assert.throws(() => build({ authorizationServers: ["https://auth.example.com", bad] }), { name: "TypeError", message: /authorizationServers: expected an https URL/ }, bad);
  }
  const local = { resource: "http://127.0.0.1:8080/mcp", authorizationServers: ["http://127.0.0.1:8090"], documentation: "http://127.0.0.1:8080/" };
  const read = protectedResourceMetadata.parse(protectedResourceMetadata.build(local), local.resource);
  assert.deepEqual([read.authorizationServers, read.documentation], [local.authorizationServers, local.documentation]);
});
