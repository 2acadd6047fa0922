// RFC 9728: who may issue tokens for the resources of this server.
import { metadata } from "countersign/next";

import { guard } from "../../../../guard.js";

export const GET = metadata(guard);
