// Between the Fetch standard's requests and responses and the engine's heads and answers.

import type { Head } from "./engine.js";
import { asInit, fromHost, toHost } from "./headers.js";
import type { BodyReader } from "./stream.js";
import type { Forward, HeaderPair, Respond } from "./wire.js";

/**
 * A request's head.
 *
 * `Request` has already done things to it that cannot be undone: its URL parser removed dot segments,
 * and its `Headers` joined repeated headers by commas. What is left is taken as it stands.
 */
export function headOf(request: Request): Head {
  const [named, path] = target(request.url);
  const headers = fromHost(request.headers);
  // Deno makes the URL of what a client writes into Host, and its path with it. The engine refuses such a name.
  const host = hostIn(headers);
  const authority = host !== undefined && MOVES_PATH.test(host) ? host : named;
  return { method: request.method, authority, path, headers, hasBody: request.body !== null };
}

/** What ends the host in a URL, or lets another begin. */
const MOVES_PATH = /[/?#\\@]/;

/** The value of `Host`, where the runtime shows it. */
export function hostIn(headers: readonly HeaderPair[]): string | undefined {
  return headers.find(([name]) => name === "host")?.[1];
}

/**
 * Authority, and path with query, of a URL in its serialised form. Of what is none, nothing: Bun has there what the
 * client sent as path, where Host is no host.
 */
function target(url: string): [authority: string, path: string] {
  const scheme = url.indexOf("://");
  if (url.slice(0, scheme) !== "http" && url.slice(0, scheme) !== "https") {
    return ["", ""];
  }
  const start = scheme + 3;
  const slash = url.indexOf("/", start);
  const hash = url.indexOf("#", slash);
  return [url.slice(start, slash), url.slice(slash, hash < 0 ? undefined : hash)];
}

/** The request as the server gets it. A body that was read for its operation is given in again. */
export function forwarded(request: Request, forward: Forward, body?: BodyReader): Request {
  const headers = new Headers(request.headers);
  for (const name of forward.remove) {
    headers.delete(name);
  }
  setAll(headers, toHost(forward.set));
  if (body === undefined) {
    return new Request(request, { headers });
  }
  const init: RequestInit & { duplex: "half" } = { headers, body: body.whole(), duplex: "half" };
  return new Request(request, init);
}

/** The engine's own answer. */
export function answered({ status, headers, body }: Respond): Response {
  return new Response(body === "" ? null : body, { status, headers: asInit(headers) });
}

/** The server's response with the engine's headers, as the host has them. */
export function decorated(
  response: Response,
  headers: readonly HeaderPair[],
  append: readonly HeaderPair[],
): Response {
  if (headers.length === 0 && append.length === 0) {
    return response;
  }
  // A copy, since the headers of responses that `fetch` gave cannot be changed.
  const copy = new Response(response.body, response);
  setAll(copy.headers, headers);
  for (const [name, value] of append) {
    copy.headers.append(name, value);
  }
  return copy;
}

function setAll(headers: Headers, pairs: readonly HeaderPair[]): void {
  for (const [name, value] of pairs) {
    headers.set(name, value);
  }
}
