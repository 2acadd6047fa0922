// The server's lists, without what their caller may not use.

import type { WasmListFilter } from "./core.js";
import { frozen } from "./frozen.js";
import { fromHost } from "./headers.js";
import { answered } from "./request.js";
import type { Decision, Filtering } from "./wire.js";

const EMPTY = new Uint8Array();

/** The filter of one response, until that is over, however it ends. `refused` is told what is refused of it. */
export class ListFilter {
  #wasm: WasmListFilter | undefined;
  readonly #refused: (decision: Decision) => void;

  constructor(wasm: WasmListFilter, refused: (decision: Decision) => void) {
    this.#wasm = wasm;
    this.#refused = refused;
  }

  /** Nothing goes on any more. */
  get isOver(): boolean {
    return this.#wasm === undefined;
  }

  /** What becomes of the response. `headers` has name and value in turn. */
  begin(status: number, headers: string[], hasBody: boolean): Filtering {
    if (this.#wasm === undefined) {
      throw new TypeError("a response is filtered once");
    }
    const step: Filtering = frozen(JSON.parse(this.#wasm.begin(status, headers, hasBody)));
    if (step.kind !== "filter") {
      this.end();
    }
    return step;
  }

  /** What goes on after the next part; without one, at the end of the body, the last of it. */
  push(part: Uint8Array | undefined): Uint8Array {
    if (this.#wasm === undefined) {
      return EMPTY;
    }
    const filtered = this.#wasm.push(part);
    const decision = this.#wasm.take_refused();
    if (part === undefined) {
      this.end();
    }
    if (decision !== undefined) {
      this.#refused(frozen(JSON.parse(decision)));
    }
    return filtered;
  }

  /** Not every host collects what is not freed: to be called when the response breaks off. */
  end(): void {
    this.#wasm?.free();
    this.#wasm = undefined;
  }
}

/**
 * The response as its caller gets it. A response that cannot be read is replaced by an error, and
 * `refused` is told. To be called once.
 */
export function filtered(
  response: Response,
  wasm: WasmListFilter,
  refused: (decision: Decision) => void,
): Response {
  const filter = new ListFilter(wasm, refused);
  const headers = fromHost(response.headers).flat();
  const step = filter.begin(response.status, headers, response.body !== null);
  if (step.kind === "pass") {
    return response;
  }
  if (step.kind === "respond") {
    response.body?.cancel().catch(() => {});
    refused(step.decision);
    return answered(step);
  }
  const copy = new Response(filteredBody(response.body!, filter), response);
  for (const name of step.remove) {
    copy.headers.delete(name);
  }
  return copy;
}

function filteredBody(
  body: ReadableStream<Uint8Array>,
  filter: ListFilter,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const next = async () => {
    const { done, value } = await reader.read();
    if (!done && !ArrayBuffer.isView(value)) {
      throw new TypeError("a body must be a stream of bytes");
    }
    const part = done ? undefined : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { done, filtered: filter.push(part) };
  };
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    // A part of which nothing goes on is no reason to be asked again.
    for (;;) {
      const { done, filtered } = await next();
      if (filtered.byteLength > 0) {
        controller.enqueue(filtered);
      }
      if (done) {
        controller.close();
      }
      if (done || filtered.byteLength > 0) {
        return;
      }
    }
  };
  return new ReadableStream({
    pull: (controller) =>
      pull(controller).catch((error) => {
        filter.end();
        throw error;
      }),
    cancel(reason) {
      filter.end();
      return reader.cancel(reason);
    },
  });
}
