// Fastify, with the MCP SDK v1.  PORT=3000 ISSUER=https://… node fastify.mjs
import { createGuard } from "countersign";
import { countersign } from "countersign/fastify";
import Fastify from "fastify";

import { onDecision, policy, port } from "./policy.mjs";
import { handle } from "./tools-v1.mjs";

const app = Fastify();
await app.register(countersign, {
  guard: createGuard(policy, { onDecision }),
  clientAddress: (request) => request.ip,
});
app.all("/mcp", async (request, reply) => {
  reply.hijack();
  await handle(request.raw, reply.raw, request.body);
});

await app.listen({ port, host: "127.0.0.1" });
console.log(`listening on http://127.0.0.1:${port}/mcp`);
