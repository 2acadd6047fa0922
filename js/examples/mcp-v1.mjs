// The MCP SDK v1's own middleware, with tokens verified by Countersign; no rules for tools.
//   PORT=3000 ISSUER=https://… node mcp-v1.mjs
import * as errors from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { tokenVerifier } from "countersign/mcp";
import express from "express";

import { policy, port } from "./policy.mjs";
import { handle } from "./tools-v1.mjs";

const { issuer } = policy.issuers[0];
const { resource } = policy.resources[0];
const verifier = tokenVerifier({ issuer, audience: resource, jwks: `${issuer}/jwks` }, errors);
const resourceMetadataUrl = `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp`;

const app = express();
app.get("/.well-known/oauth-protected-resource/mcp", (_, response) =>
  response.json({ resource, authorization_servers: [issuer] }),
);
app.use("/mcp", requireBearerAuth({ verifier, requiredScopes: ["mcp:use"], resourceMetadataUrl }));
app.use(express.json());
app.all("/mcp", (request, response) => handle(request, response, request.body));

app.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}/mcp`));
