// Next.js: route handlers of the App Router, in the Node and the edge runtime.

import type { Background, Guard } from "./guard.js";
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
    const outcome = await guard.check(asSent(request), background);
    if (!outcome.allowed) {
      return outcome.response;
    }
    const response = await handler(outcome.request, context, outcome.identity);
    const shown = outcome.filterResponse?.(response) ?? response;
    return decorated(shown, outcome.responseHeaders, outcome.responseAppend);
  };
}

/**
 * The request to the host that it was sent to. Next.js has the name in its URL under which the server was
 * started, and `localhost` for every address of this machine.
 */
function asSent(request: Request): Request {
  const { method, headers, body, signal, url } = request;
  const [, scheme = "", host, rest = ""] = /^([a-z]+:\/\/)([^/?#]*)(.*)$/.exec(url) ?? [];
  const sent = headers.get("host");
  if (sent === null || sent === host) {
    return request;
  }
  const init: RequestInit & { duplex: "half" } = { method, headers, body, signal, duplex: "half" };
  return new Request(scheme + sent + rest, init);
}

/**
 * The route handler of the protected resource's metadata:
 *
 * ```js
 * // app/.well-known/oauth-protected-resource/[[...path]]/route.js
 * export const GET = metadata(guard);
 * ```
 */
export function metadata(guard: Guard): (request: Request) => Promise<Response> {
  return protect(guard, () => new Response("Not Found", { status: 404 })) as (
    request: Request,
  ) => Promise<Response>;
}
