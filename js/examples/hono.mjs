// Hono, with the MCP SDK v2.  PORT=3000 ISSUER=https://… node hono.mjs
import { serve } from "@hono/node-server";
import { createGuard } from "countersign";
import { protect } from "countersign/hono";
import { Hono } from "hono";

import { onDecision, policy, port } from "./policy.mjs";
import { handler } from "./tools-v2.mjs";

const guard = createGuard(policy, { onDecision });

const app = new Hono();
// First of all, and for all paths: it serves the protected resource's metadata too.
app.use(protect(guard));
app.all("/mcp", (context) => handler.fetch(context.req.raw, { authInfo: context.get("auth") ?? undefined }));

// On Workers, Deno and Bun: `export default app`.
serve({ fetch: app.fetch, port, hostname: "127.0.0.1" }, () =>
  console.log(`listening on http://127.0.0.1:${port}/mcp`),
);
