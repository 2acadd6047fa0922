// Drives the engine: does what a step asks for until there is an answer.

import { type Waiting, WasmEngine, fetch_timeout } from "./core.js";
import { PolicyError } from "./errors.js";
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

/** What the engine needs of its host for one request. */
export interface Host {
  now: Clock;
  /** Gives the first `limit` bytes of the body. */
  readBody(limit: number): Promise<Uint8Array>;
  /** Keeps the host from ending before some work is done. */
  keep(work: Promise<unknown>): void;
}

/** The engine under one policy. */
export class Engine {
  readonly #wasm: WasmEngine;
  readonly #keys: KeyFetcher;

  /** Throws a {@link PolicyError} for a mistake in the policy document. */
  constructor(policy: string, fetch: Fetch) {
    this.#wasm = make(policy);
    this.#keys = new KeyFetcher(this.#wasm, fetch);
  }

  /** Decides a request. Rejects only when its body cannot be read, or the clock is wrong. */
  async decide(head: Head, host: Host): Promise<Forward | Respond> {
    const { method, authority, path, hasBody, client } = head;
    const headers = head.headers.flat();
    let step = this.#wasm.begin(method, authority, path, headers, hasBody, client, host.now());
    const patience = new Patience();
    try {
      while (typeof step !== "string") {
        step = await this.#goOn(step, host, patience);
      }
    } finally {
      patience.end();
    }
    // Key sets are refreshed behind the back of the requests that show that they are in use.
    this.#fetchDue(host);
    return JSON.parse(step);
  }

  async #goOn(waiting: Waiting, host: Host, patience: Patience): Promise<string | Waiting> {
    let body: Uint8Array | undefined;
    let landed = false;
    let now: number;
    try {
      if (waiting.wants_body) {
        body = await host.readBody(this.#wasm.body_limit + 1);
      } else {
        this.#fetchDue(host);
        landed = await this.#keys.landed(patience.over());
      }
      now = host.now();
    } catch (error) {
      waiting.free();
      throw error;
    }
    if (body) {
      return this.#wasm.resume_with_body(waiting, body, now);
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

function make(policy: string): WasmEngine {
  try {
    return new WasmEngine(policy);
  } catch (error) {
    const { path, message } = error as { path?: unknown; message?: unknown };
    throw typeof path === "string" ? new PolicyError(path, String(message)) : error;
  }
}
