// Node's responses: the engine's own answer, and what it changes of the server's.

import { type WasmListFilter, seal_session } from "./core.js";
import { ListFilter } from "./filter.js";
import type { Decision, Forward, HeaderPair, Respond } from "./wire.js";

type HeaderValue = number | string | readonly string[];
type Callback = (error?: Error | null) => void;

/** The part of `http.ServerResponse` that is used; that of HTTP/2 has it too. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent: boolean;
  getHeader(name: string): unknown;
  getHeaders(): Record<string, unknown>;
  setHeader(name: string, value: HeaderValue): unknown;
  removeHeader(name: string): void;
  once(event: "close", listener: () => void): unknown;
  // Their overloads differ from version to version; they are replaced by functions that take whatever these take.
  writeHead: any;
  write: any;
  end: any;
}

/** Sends the engine's own answer. */
export function respond(response: NodeResponse, { status, headers, body }: Respond): void {
  response.statusCode = status;
  setAll(response, headers);
  response.end(body);
}

/** Several of one name stay several. */
function setAll(response: NodeResponse, headers: readonly HeaderPair[]): void {
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) {
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  for (const [name, all] of values) {
    response.setHeader(name, all.length === 1 ? all[0]! : all);
  }
}

function append(response: NodeResponse, [name, value]: HeaderPair): void {
  const before = response.getHeader(name);
  const list = before === undefined ? [] : Array.isArray(before) ? before : [before];
  response.setHeader(name, [...list.map(String), value].join(", "));
}

/**
 * Has the server's response get the engine's headers when it is sent, its session id sealed, and its lists
 * filtered. To be called before the server writes anything.
 */
export function decorate(
  response: NodeResponse,
  forward: Forward & { filter?: WasmListFilter },
  isHead: boolean,
  refused: (decision: Decision) => void,
): void {
  const { responseHeaders, responseAppend, session } = forward;
  const filter = forward.filter && new ListFilter(forward.filter, refused);
  if (responseHeaders.length === 0 && responseAppend.length === 0 && session === null && !filter) {
    return;
  }
  const original = { writeHead: response.writeHead, write: response.write, end: response.end };
  let body: Body | undefined;

  /** What becomes of the response; decided once, by its status and headers. */
  const begin = (): Body => {
    if (body) {
      return body;
    }
    if (session !== null) {
      sealSession(response, session);
    }
    body = filter ? filteredBody(response, filter, isHead, refused) : AS_IT_IS;
    setAll(response, responseHeaders);
    for (const pair of responseAppend) {
      append(response, pair);
    }
    return body;
  };

  response.writeHead = function writeHead(status: number, ...rest: unknown[]): unknown {
    const isAsWritten = body !== undefined;
    if (!isAsWritten) {
      response.statusCode = status;
    }
    // Those given here are set as if they had been set before, so that ours come after them.
    const reason = typeof rest[0] === "string" ? rest[0] : undefined;
    const headers = rest[1] ?? (reason === undefined ? rest[0] : undefined);
    for (const [name, value] of isAsWritten ? [] : given(headers)) {
      response.setHeader(name, value);
    }
    begin();
    const told = response.statusCode === status && reason !== undefined ? [reason] : [];
    return original.writeHead.call(response, response.statusCode, ...told);
  };

  if (!filter) {
    return;
  }
  // Also where the client hangs up, or the server never answers.
  response.once("close", () => filter.end());

  response.write = function write(chunk: unknown, ...rest: unknown[]): unknown {
    const bytes = begin().push(chunk, rest[0]);
    if (bytes === undefined) {
      return original.write.call(response, chunk, ...rest);
    }
    const done = rest.find((value) => typeof value === "function") as Callback | undefined;
    if (bytes.byteLength === 0) {
      done?.();
      return true;
    }
    return original.write.call(response, bytes, done);
  };

  response.end = function end(...all: unknown[]): unknown {
    const done = all.find((value) => typeof value === "function") as Callback | undefined;
    const [chunk, encoding] = all.filter((value) => typeof value !== "function");
    const { push, finish } = begin();
    const bytes = chunk === undefined || chunk === null ? EMPTY : push(chunk, encoding);
    const rest = bytes && finish();
    // HTTP/2's own `end` calls `write`, and what goes on now has been filtered. Whatever comes later is too late.
    response.write = original.write;
    response.end = original.end;
    if (bytes === undefined || rest === undefined) {
      return original.end.apply(response, all);
    }
    const last = concat(bytes, rest);
    // A second end with an empty part would be a write after the end.
    return original.end.apply(response, last.byteLength > 0 ? [last, done] : [done]);
  };
}

/** Where a body is changed: what goes on after a part of it, and after its end. */
interface Body {
  /** `undefined`: the part as it is. */
  push(chunk: unknown, encoding: unknown): Uint8Array | undefined;
  finish(): Uint8Array | undefined;
}

const EMPTY = new Uint8Array();
const AS_IT_IS: Body = { push: () => undefined, finish: () => undefined };

function sealSession(response: NodeResponse, key: string): void {
  const id = response.getHeader("mcp-session-id");
  if (id === undefined) {
    return;
  }
  const seal = typeof id === "string" ? seal_session(key, id) : undefined;
  if (seal === undefined) {
    response.removeHeader("mcp-session-id");
  } else {
    response.setHeader("mcp-session-id", seal);
  }
}

function filteredBody(
  response: NodeResponse,
  filter: ListFilter,
  isHead: boolean,
  refused: (decision: Decision) => void,
): Body {
  if (filter.isOver) {
    return { push: () => EMPTY, finish: () => EMPTY };
  }
  const { statusCode } = response;
  const headers = Object.entries(response.getHeaders()).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => [name, String(one)]),
  );
  const hasBody = !isHead && statusCode !== 204 && statusCode !== 304;
  const step = filter.begin(statusCode, headers, hasBody);
  if (step.kind === "pass") {
    return AS_IT_IS;
  }
  if (step.kind === "respond") {
    refused(step.decision);
    for (const name of Object.keys(response.getHeaders())) {
      response.removeHeader(name);
    }
    response.statusCode = step.status;
    setAll(response, step.headers);
    let rest = step.body;
    const finish = () => {
      const last = new TextEncoder().encode(rest);
      rest = "";
      return last;
    };
    return { push: () => EMPTY, finish };
  }
  for (const name of step.remove) {
    response.removeHeader(name);
  }
  return {
    push: (chunk, encoding) => filter.push(bytesOf(chunk, encoding)),
    finish: () => filter.push(undefined),
  };
}

/** Node's `Buffer`, which is there where Node's responses are. */
declare const Buffer: { from(text: string, encoding?: string): Uint8Array };

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) {
    return chunk;
  }
  return Buffer.from(String(chunk), typeof encoding === "string" ? encoding : "utf8");
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.byteLength + second.byteLength);
  whole.set(first);
  whole.set(second, first.byteLength);
  return whole;
}

/** Headers as `writeHead` takes them: an object, pairs, or names and values in turn. */
function given(headers: unknown): [string, HeaderValue][] {
  if (!Array.isArray(headers)) {
    const pairs = Object.entries((headers ?? {}) as Record<string, HeaderValue | undefined>);
    return pairs.filter((pair): pair is [string, HeaderValue] => pair[1] !== undefined);
  }
  const flat = headers.flatMap((one) => (Array.isArray(one) ? [one] : []));
  const pairs =
    flat.length > 0
      ? flat
      : Array.from({ length: headers.length / 2 }, (_, at) => headers.slice(2 * at, 2 * at + 2));
  // One name may come several times.
  const values = new Map<string, [string, string[]]>();
  for (const [name, value] of pairs as [string, HeaderValue][]) {
    const before = values.get(name.toLowerCase())?.[1] ?? [];
    values.set(name.toLowerCase(), [name, [...before, ...[value].flat().map(String)]]);
  }
  return [...values.values()].map(([name, all]) => [name, all.length === 1 ? all[0]! : all]);
}
