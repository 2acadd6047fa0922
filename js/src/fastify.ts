// Fastify.

import { type AuthInfo, authInfo } from "./auth-info.js";
import type { Guard } from "./guard.js";
import { admit } from "./node.js";
import type { NodeRequest } from "./node-request.js";
import type { NodeResponse } from "./node-response.js";
import type { Identity } from "./wire.js";

export type { AuthInfo, Identity };

/** The part of Fastify's request that is used. */
export interface FastifyRequestLike {
  raw: NodeRequest;
}

/** The part of Fastify's reply that is used. */
export interface FastifyReplyLike {
  raw: NodeResponse;
  hijack(): unknown;
}

/** The part of a Fastify instance that is used. */
export interface FastifyLike {
  decorateRequest(name: string, value: null): unknown;
  addHook(
    name: "onRequest",
    // Fastify's own types, which are not imported
    hook: (request: any, reply: any) => Promise<unknown>,
  ): unknown;
}

/** Options of {@link countersign}. */
export interface FastifyOptions {
  guard: Guard;
  /**
   * Gives the IP address of a request's client, from something that clients cannot choose: behind a proxy
   * that Fastify trusts, `(request) => request.ip`. With it `limits.failures_per_minute` holds.
   */
  // Fastify's own type, which is not imported
  clientAddress?: (request: any) => string | null | undefined;
}

/**
 * A plug-in that lets only authorized requests on, and answers the others:
 *
 * ```js
 * await app.register(countersign, { guard });
 * ```
 *
 * Behind it the token is gone, the request has the identity's headers, `request.identity`, and `request.auth`
 * and `request.raw.auth` as the MCP SDK's transports take it. It holds for the whole instance that it is
 * registered in, paths without a route included, so that it can serve the protected resource's metadata.
 */
export async function countersign(app: FastifyLike, options: FastifyOptions): Promise<void> {
  const { guard, clientAddress } = options;
  app.decorateRequest("identity", null);
  app.decorateRequest("auth", null);
  app.addHook("onRequest", async (request: FastifyRequestLike, reply: FastifyReplyLike) => {
    const address = clientAddress ? { clientAddress: () => clientAddress(request) } : {};
    const identity = await admit(guard, request.raw, reply.raw, address);
    if (identity === undefined) {
      reply.hijack();
      return reply;
    }
    const auth = identity && authInfo(identity);
    Object.assign(request, { identity, auth });
    Object.assign(request.raw, auth && { auth });
    return undefined;
  });
}

// Not only for what is registered inside of the plug-in (the convention of `fastify-plugin`).
Object.assign(countersign, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "countersign",
});
