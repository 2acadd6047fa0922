// Drives the engine: does what a step asks for until there is an answer.

import { Waiting, WasmEngine, WasmListFilter, fetch_timeout, self_test } from "./core.js";
import { asPolicyError } from "./errors.js";
import { KeyFetcher } from "./keys.js";
import type { Clock, Fetch } from "./options.js";
import type { Forward, HeaderPair, Respond } from "./wire.js";

/** A request's head; all texts are byte strings. */
export interface Head {
  method: string;
  authority: string;
  /** Path and query. */
  path: string;
  headers: HeaderPair[];
  hasBody: boolean;
  /** The client's IP address, if it is known. */
  client?: string | undefined;
}

type Step = string | Waiting | WasmListFilter;

/** A final answer: with a filter, where the response to a forwarded request is filtered. */
export type Answer = (Forward & { filter?: WasmListFilter }) | Respond;

/** What the engine needs of its host for one request. */
export interface Host {
  now: Clock;
  /** Gives the next part of the body; nothing after the last. */
  readBody(): Promise<Uint8Array | undefined>;
  /** Keeps the host from ending before some work is done. */
  keep(work: Promise<unknown>): void;
}

/** The engine under one policy. */
export class Engine {
  readonly #wasm: WasmEngine;
  readonly #keys: KeyFetcher;

  /** Throws a {@link PolicyError} for a mistake in the policy document. */
  constructor(policy: string, fetch: Fetch) {
    testOnce();
    this.#wasm = make(policy);
    this.#keys = new KeyFetcher(this.#wasm, fetch);
  }

  /** Decides a request. Rejects only when its body cannot be read, or the clock is wrong. */
  async decide(head: Head, host: Host): Promise<Answer> {
    const { method, authority, path, hasBody, client } = head;
    const headers = head.headers.flat();
    let step = this.#wasm.begin(method, authority, path, headers, hasBody, client, host.now());
    const patience = new Patience();
    // How much more of the body tells something: one byte too many is as good as all of them.
    const room = { bytes: this.#wasm.body_limit + 1 };
    try {
      while (step instanceof Waiting) {
        const { wants_body } = step;
        step = await (wants_body
          ? this.#readOn(step, host, room)
          : this.#waitForKeys(step, host, patience));
      }
    } finally {
      patience.end();
    }
    // Key sets are refreshed behind the back of the requests that show that they are in use.
    this.#fetchDue(host);
    return typeof step === "string"
      ? JSON.parse(step)
      : { ...(JSON.parse(step.forward) as Forward), filter: step };
  }

  async #readOn(waiting: Waiting, host: Host, room: { bytes: number }): Promise<Step> {
    let part: Uint8Array | undefined;
    let now: number;
    try {
      part = (await host.readBody())?.subarray(0, room.bytes);
      now = host.now();
    } catch (error) {
      waiting.free();
      throw error;
    }
    room.bytes -= part?.byteLength ?? 0;
    return this.#wasm.resume_with_body(waiting, part, now);
  }

  async #waitForKeys(waiting: Waiting, host: Host, patience: Patience): Promise<Step> {
    let landed: boolean;
    let now: number;
    try {
      this.#fetchDue(host);
      landed = await this.#keys.landed(patience.over());
      now = host.now();
    } catch (error) {
      waiting.free();
      throw error;
    }
    return landed ? this.#wasm.resume(waiting, now) : this.#wasm.give_up(waiting, now);
  }

  #fetchDue(host: Host): void {
    const work = this.#keys.start(host.now);
    if (work) {
      host.keep(work);
    }
  }
}

/** How long one request waits for keys, all in all. */
class Patience {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over: Promise<void> | undefined;

  over(): Promise<void> {
    this.#over ??= new Promise((resolve) => {
      this.#timer = setTimeout(resolve, 2 * fetch_timeout() * 1000);
    });
    return this.#over;
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

let tested = false;

/** Not on import: packages are imported by programs that verify nothing. */
function testOnce(): void {
  if (!tested) {
    tested = true;
    if (!self_test()) {
      console.warn("countersign: signatures: a known answer came out wrong; slower code verifies all of them");
    }
  }
}

function make(policy: string): WasmEngine {
  try {
    return new WasmEngine(policy);
  } catch (error) {
    throw asPolicyError(error);
  }
}
