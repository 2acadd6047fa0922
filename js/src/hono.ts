// Hono, on every runtime that it runs on.

import { type AuthInfo, authInfo } from "./auth-info.js";
import type { Background, Guard } from "./guard.js";
import { decorated } from "./request.js";
import type { Identity } from "./wire.js";

export type { AuthInfo, Identity };

/** What a context has behind {@link protect}: `new Hono<{ Variables: Variables }>()`. */
export interface Variables {
  /** Who is calling; `null` on public paths and in shadow mode. */
  identity: Identity | null;
  /** The same as the MCP SDK's handlers take it. */
  auth: AuthInfo | null;
}

/** The part of Hono's context that is used. */
export interface HonoContext {
  req: { raw: Request };
  res: Response;
  executionCtx: unknown;
  // Its types depend on the application's variables
  set(name: any, value: any): void;
}

/** A handler as Hono calls it. */
export type Middleware = (
  context: HonoContext,
  next: () => Promise<void>,
) => Promise<Response | undefined>;

/**
 * Middleware that lets only authorized requests on, and answers the others. To be used for all paths, before
 * the routes, so that it can serve the protected resource's metadata too:
 *
 * ```js
 * app.use(protect(guard));
 * ```
 *
 * Behind it `context.req` is the request without its token and with the identity's headers; the identity is
 * in `context.get("identity")`.
 */
export function protect(guard: Guard): Middleware {
  return async (context, next) => {
    const outcome = await guard.check(context.req.raw, background(context));
    if (!outcome.allowed) {
      return outcome.response;
    }
    const { identity, request, responseHeaders, responseAppend, filterResponse } = outcome;
    context.req.raw = request;
    context.set("identity", identity);
    context.set("auth", identity && authInfo(identity));
    await next();
    const shown = filterResponse?.(context.res) ?? context.res;
    const response = decorated(shown, responseHeaders, responseAppend);
    if (response !== context.res) {
      // Hono merges the headers of the old response into a new one, unless there is none.
      (context as { res: Response | undefined }).res = undefined;
      context.res = response;
    }
    return undefined;
  };
}

/** Hono throws where the runtime gave none. */
function background(context: HonoContext): Background | undefined {
  try {
    return context.executionCtx as Background;
  } catch {
    return undefined;
  }
}
