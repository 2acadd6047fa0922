// Express, with the MCP SDK v1.  PORT=3000 ISSUER=https://… node express.mjs
import { createGuard } from "countersign";
import { protect } from "countersign/express";
import express from "express";

import { onDecision, policy, port } from "./policy.mjs";
import { handle } from "./tools-v1.mjs";

const guard = createGuard(policy, { onDecision });

const app = express();
// First of all, and for all paths: it serves the protected resource's metadata too.
app.use(protect(guard, { clientAddress: (request) => request.ip }));
app.use(express.json());
app.all("/mcp", (request, response) => handle(request, response, request.body));

app.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}/mcp`));
