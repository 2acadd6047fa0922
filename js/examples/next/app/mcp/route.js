// The Node runtime.
import { protect } from "countersign/next";

import { guard } from "../../guard.js";

const handler = protect(guard, async (request, _context, identity) =>
  // Here an MCP server answers: `createMcpHandler` of the SDK takes the request as it is.
  Response.json({ subject: identity?.subject, runtime: "node", body: await request.text() }),
);

export { handler as DELETE, handler as GET, handler as OPTIONS, handler as POST };
