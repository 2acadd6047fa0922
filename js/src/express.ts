// Express and Connect.

import type { Guard } from "./guard.js";
import { type AuthInfo, authInfo } from "./auth-info.js";
import { type NodeOptions, admit } from "./node.js";
import type { NodeRequest } from "./node-request.js";
import type { NodeResponse } from "./node-response.js";
import type { Identity } from "./wire.js";

export type { AuthInfo, Identity, NodeOptions, NodeRequest, NodeResponse };

/** What a request has behind {@link protect}. */
export interface Authorized {
  /** Who is calling; `null` on public paths and in shadow mode. */
  identity: Identity | null;
  /** The same as the MCP SDK's transports take it; not there where `identity` is `null`. */
  auth?: AuthInfo;
}

/** A handler as Express and Connect call it. */
export type Middleware<Req> = (
  request: Req,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Middleware that lets only authorized requests on, and answers the others. To be used for all paths, before
 * the routes, so that it can serve the protected resource's metadata too:
 *
 * ```js
 * app.use(protect(guard));
 * ```
 *
 * Behind it the token is gone, the request has the identity's headers, `request.identity`, and `request.auth`
 * as the MCP SDK's transports take it. It may stand before or behind `express.json()`.
 */
export function protect<Req extends NodeRequest = NodeRequest>(
  guard: Guard,
  options: NodeOptions<Req> = {},
): Middleware<Req> {
  return (request, response, next) => {
    admit(guard, request, response, options).then((identity) => {
      if (identity !== undefined) {
        const authorized: Authorized = { identity, ...(identity && { auth: authInfo(identity) }) };
        Object.assign(request, authorized);
        next();
      }
    }, next);
  };
}
