// Sessions that are bound to their caller: the client gets the server's id with a seal behind it.

import { seal_session } from "./core.js";

const HEADER = "mcp-session-id";

/** The response with its session id sealed by this key, or without one that cannot be. */
export function sealed(response: Response, key: string | null): Response {
  const id = response.headers.get(HEADER);
  if (key === null || id === null) {
    return response;
  }
  // A copy, since the headers of responses that `fetch` gave cannot be changed.
  const copy = new Response(response.body, response);
  const seal = seal_session(key, id);
  if (seal === undefined) {
    copy.headers.delete(HEADER);
  } else {
    copy.headers.set(HEADER, seal);
  }
  return copy;
}
