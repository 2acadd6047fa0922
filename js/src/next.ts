// Next.js: route handlers of the App Router, in the Node and the edge runtime.

import { type Background, type Guard, partsOf } from "./guard.js";
import { decorated } from "./request.js";
import type { Identity } from "./wire.js";

export type { Identity };

/** A route handler that is told who calls. */
export type RouteHandler<Context> = (
  request: Request,
  context: Context,
  identity: Identity | null,
) => Response | Promise<Response>;

/**
 * A route handler that lets only authorized requests through to `handler`, and answers the others:
 *
 * ```js
 * // app/mcp/route.js
 * const handler = protect(guard, (request, context, identity) => …);
 * export { handler as GET, handler as POST, handler as DELETE, handler as OPTIONS };
 * ```
 *
 * The protected resource's metadata has its own route, for which {@link metadata} is the handler.
 */
export function protect<Context = unknown>(
  guard: Guard,
  handler: RouteHandler<Context>,
  background?: Background,
): (request: Request, context: Context) => Promise<Response> {
  return async (request, context) => {
    // Next.js has the name in its URL under which the server was started, and `localhost` for every address of this
    // machine: whom the client means is in Host. That is never made a part of a URL, since what a client writes there
    // could move the path.
    const isByHost = true;
    const outcome = await partsOf(guard).check(request, background, isByHost);
    if (!outcome.allowed) {
      return outcome.response;
    }
    const response = await handler(outcome.request, context, outcome.identity);
    const shown = outcome.filterResponse?.(response) ?? response;
    return decorated(shown, outcome.responseHeaders, outcome.responseAppend);
  };
}

/**
 * The route handler of the protected resource's metadata. Pages of other origins ask first whether they may
 * read it, so it answers to OPTIONS too:
 *
 * ```js
 * // app/.well-known/oauth-protected-resource/[[...path]]/route.js
 * const handler = metadata(guard);
 * export { handler as GET, handler as OPTIONS };
 * ```
 */
export function metadata(guard: Guard): (request: Request) => Promise<Response> {
  return protect(guard, () => new Response("Not Found", { status: 404 })) as (
    request: Request,
  ) => Promise<Response>;
}
