// The MCP SDK v2's own gate, with tokens verified by Countersign; no rules for tools.
//   PORT=3000 ISSUER=https://… node mcp-v2.mjs
import { serve } from "@hono/node-server";
import * as errors from "@modelcontextprotocol/server";
import { tokenVerifier } from "countersign/mcp";

import { policy, port } from "./policy.mjs";
import { handler } from "./tools-v2.mjs";

const { issuer } = policy.issuers[0];
const { resource } = policy.resources[0];
const gate = errors.requireBearerAuth({
  verifier: tokenVerifier({ issuer, audience: resource, jwks: `${issuer}/jwks` }, errors),
  requiredScopes: ["mcp:use"],
  resourceMetadataUrl: `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp`,
});

async function fetch(request) {
  if (new URL(request.url).pathname.startsWith("/.well-known/")) {
    return Response.json({ resource, authorization_servers: [issuer] });
  }
  const auth = await gate(request);
  return auth instanceof Response ? auth : handler.fetch(request, { authInfo: auth });
}

serve({ fetch, port, hostname: "127.0.0.1" }, () =>
  console.log(`listening on http://127.0.0.1:${port}/mcp`),
);
