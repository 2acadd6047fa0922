// One guard for all routes of a runtime.
import { createGuard } from "countersign";

const { ISSUER = "http://127.0.0.1:8090", ORIGIN = "http://127.0.0.1:3000" } = process.env;

const scopes = { baseline: ["mcp:use"], tools: { "write_*": ["files:write"] } };

export const guard = createGuard({
  issuers: [{ issuer: ISSUER }],
  resources: [
    { resource: `${ORIGIN}/mcp`, scopes },
    { resource: `${ORIGIN}/edge/mcp`, scopes },
  ],
});
