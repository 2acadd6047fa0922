// The server's lists, without what their caller may not use.

import type { WasmListFilter } from "./core.js";
import { frozen } from "./frozen.js";
import { fromHost } from "./headers.js";
import { answered } from "./request.js";
import type { Decision, Filtering } from "./wire.js";

/**
 * The response as its caller gets it. A response that cannot be read is replaced by an error, and
 * `refused` is told. To be called once.
 */
export function filtered(
  response: Response,
  filter: WasmListFilter,
  refused: (decision: Decision) => void,
): Response {
  const headers = fromHost(response.headers).flat();
  const step: Filtering = frozen(
    JSON.parse(filter.begin(response.status, headers, response.body !== null)),
  );
  if (step.kind === "pass") {
    filter.free();
    return response;
  }
  if (step.kind === "respond") {
    filter.free();
    response.body?.cancel().catch(() => {});
    refused(step.decision);
    return answered(step);
  }
  const copy = new Response(filteredBody(response.body!, filter, refused), response);
  for (const name of step.remove) {
    copy.headers.delete(name);
  }
  return copy;
}

function filteredBody(
  body: ReadableStream<Uint8Array>,
  filter: WasmListFilter,
  refused: (decision: Decision) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  /** What goes on after the next part; at the end of the body, the last of it. */
  const next = async () => {
    const { done, value } = await reader.read();
    if (!done && !ArrayBuffer.isView(value)) {
      throw new TypeError("a body must be a stream of bytes");
    }
    const part = done ? undefined : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    const filtered = filter.push(part);
    const decision = filter.take_refused();
    if (decision !== undefined) {
      refused(frozen(JSON.parse(decision)));
    }
    return { done, filtered };
  };
  return new ReadableStream({
    async pull(controller) {
      // A part of which nothing goes on is no reason to be asked again.
      for (;;) {
        const { done, filtered } = await next();
        if (filtered.byteLength > 0) {
          controller.enqueue(filtered);
        }
        if (done) {
          filter.free();
          controller.close();
        }
        if (done || filtered.byteLength > 0) {
          return;
        }
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
