// The edge runtime, where the bundler compiles the module.
import { protect } from "countersign/next";

import { guard } from "../../../guard.js";

export const runtime = "edge";

const handler = protect(guard, async (request, _context, identity) =>
  Response.json({ subject: identity?.subject, runtime: typeof EdgeRuntime, body: await request.text() }),
);

export { handler as DELETE, handler as GET, handler as OPTIONS, handler as POST };
