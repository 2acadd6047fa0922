// Node's requests, as Express, Connect and Fastify have them, to the engine's heads and back.

import type { Head } from "./engine.js";
import type { Forward, HeaderPair } from "./wire.js";

/** The part of `http.IncomingMessage` that is used; that of HTTP/2 has it too. */
export interface NodeRequest {
  method?: string | undefined;
  url?: string | undefined;
  /** Express: the URL as it came, wherever a router is mounted. */
  originalUrl?: string;
  /** What a parser that ran before has made of the body. */
  body?: unknown;
  readonly headers: Record<string, string | string[] | undefined>;
  /** Not there in HTTP/2. */
  readonly headersDistinct?: Record<string, string[] | undefined>;
  readonly rawHeaders: string[];
  readonly httpVersionMajor: number;
  readonly complete: boolean;
  readonly readableLength: number;
  readonly readableEnded: boolean;
  readonly destroyed: boolean;
  readonly _readableState?: { ended: boolean };
  read(): unknown;
  unshift(chunk: Uint8Array): void;
  // Whatever the events carry.
  on(event: string, listener: (...values: any[]) => void): unknown;
  off(event: string, listener: (...values: any[]) => void): unknown;
}

/** A request's head. Header values are byte strings in Node too, and repeated headers are not joined. */
export function headOf(request: NodeRequest): Head {
  const { headers } = request;
  // HTTP/2's pseudo-headers are none of the message's.
  const pairs = sentHeaders(request).filter(([name]) => !name.startsWith(":"));
  return {
    method: request.method ?? "",
    authority: one(headers["host"]) ?? one(headers[":authority"]) ?? "",
    path: request.originalUrl ?? request.url ?? "",
    headers: pairs,
    hasBody: hasBody(request),
  };
}

function sentHeaders({ headers, rawHeaders }: NodeRequest): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    pairs.push([rawHeaders[at]!, rawHeaders[at + 1]!]);
  }
  if (pairs.length > 0) {
    return pairs;
  }
  // A request that was put together and not read, as by serverless-http, has its headers here only.
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): HeaderPair => [name, String(one)]),
  );
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** RFC 9112 §6: a body is announced. HTTP/2 has no announcement: there a POST has one. */
function hasBody({ headers, httpVersionMajor, method }: NodeRequest): boolean {
  const length = headers["content-length"];
  if (headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0")) {
    return true;
  }
  return httpVersionMajor >= 2 && length === undefined && /^(POST|PUT|PATCH)$/.test(method ?? "");
}

/** Changes the request's headers as the engine says: first removed, then set. */
export function change(request: NodeRequest, { remove, set }: Forward): void {
  // All three are read before any changes: Node makes them when they are first read, of the number of raw
  // headers that it was sent.
  const { headers, headersDistinct, rawHeaders } = request;
  // Where there were none there stay none: then all of them are in `headers`.
  const hasRaw = rawHeaders.length > 0;
  const gone = new Set([...remove, ...set.map(([name]) => name)].map((name) => name.toLowerCase()));
  // Node's names are in lower case, but whoever put a request together may have written them in any.
  const names = hasRaw ? gone : Object.keys(headers).filter((name) => gone.has(name.toLowerCase()));
  for (const name of names) {
    delete headers[name];
    delete headersDistinct?.[name];
  }
  const kept = rawHeaders.filter((_, at) => !gone.has(rawHeaders[at - (at % 2)]!.toLowerCase()));
  rawHeaders.splice(0, rawHeaders.length, ...kept);
  for (const [name, value] of set) {
    headers[name.toLowerCase()] = value;
    if (hasRaw) {
      rawHeaders.push(name, value);
    }
    if (headersDistinct) {
      headersDistinct[name.toLowerCase()] = [value];
    }
  }
}

/** Reads a body for its operation, and puts it back for who comes after. */
export class BodyTap {
  readonly #request: NodeRequest;
  #chunks: Uint8Array[] = [];
  #ended = false;

  constructor(request: NodeRequest) {
    this.#request = request;
  }

  /** The next part; nothing after the last. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#ended) {
      return undefined;
    }
    const parsed = parsedBody(this.#request);
    if (parsed !== undefined) {
      this.#ended = true;
      return parsed;
    }
    return nextChunk(this.#request, (chunk) => {
      if (chunk) {
        this.#chunks.push(chunk);
      }
      if (isOver(this.#request)) {
        // At once: in the next tick the stream has ended, and takes nothing back any more.
        this.#ended = true;
        this.putBack();
      }
    });
  }

  /** To be called when no more is read. */
  putBack(): void {
    const chunks = this.#chunks.splice(0);
    if (chunks.length === 0 || this.#request.destroyed) {
      return;
    }
    if (this.#request.readableEnded) {
      throw new Error("the body was read by somebody else too");
    }
    this.#request.unshift(concat(chunks));
  }
}

/**
 * The bytes of a body that a parser has read. What the server will use is what it made of them: so that is
 * what is judged.
 */
function parsedBody({ body, readableEnded }: NodeRequest): Uint8Array | undefined {
  if (body === undefined || !readableEnded) {
    return undefined;
  }
  if (body instanceof Uint8Array) {
    return body;
  }
  const text = typeof body === "string" ? body : (JSON.stringify(body) ?? "");
  return new TextEncoder().encode(text);
}

/**
 * Whether everything has come, and was read. HTTP/2's `complete` says so too late, when nothing can be put
 * back any more.
 */
function isOver({ complete, readableLength, readableEnded, _readableState }: NodeRequest): boolean {
  const hasEnded = complete || _readableState?.ended === true;
  return readableEnded || (hasEnded && readableLength === 0);
}

/** `take` gets the same chunk, or the end, in the tick in which it was read. */
function nextChunk(
  request: NodeRequest,
  take: (chunk: Uint8Array | undefined) => void,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const events = { readable: look, end: look, error: fail, close: look };
    const done = () => {
      for (const [event, listener] of Object.entries(events)) {
        request.off(event, listener);
      }
    };
    function look(): void {
      const chunk = request.readableEnded ? null : request.read();
      if (chunk instanceof Uint8Array) {
        done();
        take(chunk);
        resolve(chunk);
      } else if (chunk !== null) {
        fail(new TypeError("a body must be a stream of bytes"));
      } else if (isOver(request)) {
        done();
        take(undefined);
        resolve(undefined);
      } else if (request.destroyed) {
        fail(new Error("the body broke off"));
      }
    }
    function fail(error: Error): void {
      done();
      reject(error);
    }
    for (const [event, listener] of Object.entries(events)) {
      request.on(event, listener);
    }
    look();
  });
}

function concat(chunks: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
