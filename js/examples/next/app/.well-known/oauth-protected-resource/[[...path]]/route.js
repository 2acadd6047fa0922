// RFC 9728: who may issue tokens for the resources of this server.
import { metadata } from "countersign/next";

import { guard } from "../../../../guard.js";

const handler = metadata(guard);

// Pages of other origins ask by OPTIONS whether they may read it.
export { handler as GET, handler as OPTIONS };
