// Not run: compiled by types.test.mjs. The adapters' types fit the frameworks', which they do not import.
import { OAuthResourceServer, type OAuthResourceServerOptions } from "@cloudflare/workers-oauth-provider";
import { type OAuthTokenVerifier as VerifierV2, requireBearerAuth as requireV2 } from "@modelcontextprotocol/server";
import * as errorsV2 from "@modelcontextprotocol/server";
import * as errorsV1 from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth as requireV1 } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import type { OAuthTokenVerifier as VerifierV1 } from "@modelcontextprotocol/sdk/server/auth/provider.js";
import type { AuthInfo as AuthInfoV1 } from "@modelcontextprotocol/sdk/server/auth/types.js";
import { createGuard } from "countersign";
import { type Authorized, protect as expressProtect } from "countersign/express";
import { countersign } from "countersign/fastify";
import { type Variables, protect as honoProtect } from "countersign/hono";
import { type AuthInfo, tokenVerifier } from "countersign/mcp";
import { metadata, protect as nextProtect } from "countersign/next";
import { validateToken } from "countersign/workers-oauth-provider";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import type { NextRequest } from "next/server.js";
import { createServer } from "node:http";

const guard = createGuard("{}");
const options = { issuer: "https://auth.example.com", audience: "https://mcp.example.com/mcp", jwks: { keys: [] } };

const app = express();
app.use(expressProtect(guard));
app.use(expressProtect<express.Request>(guard, { clientAddress: (request) => request.ip }));
app.post("/mcp", (request, response) => {
  const { identity, auth } = request as typeof request & Authorized;
  response.json([identity?.subject, auth?.scopes]);
});
createServer((request, response) => expressProtect(guard)(request, response, () => response.end()));

const fastify = Fastify();
await fastify.register(countersign, { guard, clientAddress: (request: { ip: string }) => request.ip });

const hono = new Hono<{ Variables: Variables }>();
hono.use(honoProtect(guard));
hono.get("/", (context) => context.text(context.get("identity")?.subject ?? "nobody"));
new Hono().use("/mcp/*", honoProtect(guard));
new Hono<{ Bindings: { KEY: string }; Variables: Variables & { other: number } }>().use(honoProtect(guard));

export const v1: VerifierV1 = tokenVerifier(options, errorsV1);
export const v2: VerifierV2 = tokenVerifier(options, errorsV2);
requireV1({ verifier: tokenVerifier(options, errorsV1) });
requireV2({ verifier: tokenVerifier(options, errorsV2) });
export const info = (auth: AuthInfo): AuthInfoV1 => auth;

export const POST = nextProtect(guard, async (request, context: { params: Promise<{ id: string }> }, identity) =>
  Response.json({ id: (await context.params).id, subject: identity?.subject, url: request.url }),
);
export const route: (request: NextRequest, context: { params: Promise<{ id: string }> }) => Promise<Response> = POST;
export const GET: (request: NextRequest) => Promise<Response> = metadata(guard);

interface Env {
  JWKS: string;
}
const serverOptions: Pick<OAuthResourceServerOptions<Env>, "validateToken"> = {
  validateToken: validateToken<Env>((env) => ({ issuer: "https://auth.example.com", jwks: env.JWKS })),
};
export const server = (rest: Omit<OAuthResourceServerOptions<Env>, "validateToken">) =>
  new OAuthResourceServer<Env>({ ...rest, ...serverOptions });
