// Drives the engine: does what a step asks for until there is an answer.

import {
  type SignatureParts,
  Waiting,
  Wants,
  WasmEngine,
  WasmListFilter,
  self_test,
} from "./core.js";
import { asPolicyError } from "./errors.js";
import { KeyFetcher, type Owner } from "./keys.js";
import type { KeyCache } from "./key-cache.js";
import type { Source } from "./key-source.js";
import { type HostSignatures, checkOf, hostSignatures } from "./signatures.js";
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
export interface Host extends Owner {
  /** Gives the next part of the body; nothing after the last. */
  readBody(): Promise<Uint8Array | undefined>;
}

/** Most requests that wait for keys at once; as many as in the Envoy filter. */
const MAX_WAITING = 1024;

/** The engine under one policy. */
export class Engine {
  readonly #wasm: WasmEngine;
  readonly #keys: KeyFetcher;
  readonly #signatures: HostSignatures | undefined;
  /** Who waits for keys, and since when. */
  readonly #waiting = new Map<Waiting, number>();

  /** Throws a {@link PolicyError} for a mistake in the policy document. */
  constructor(policy: string, source: Source | ((policy: string) => Source), cache?: KeyCache) {
    testOnce();
    this.#wasm = make(policy);
    // What has to look into the policy gets one that was found in order.
    const found = typeof source === "function" ? source(policy) : source;
    this.#keys = new KeyFetcher(this.#wasm, found, cache);
    this.#signatures = hostSignatures();
    if (this.#signatures) {
      this.#wasm.ask_host();
    }
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
        const next = this.#proceed(step, host, room, patience);
        // Not a tick of the event loop for what is there at once.
        step = next instanceof Promise ? await next : next;
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

  #proceed(
    waiting: Waiting,
    host: Host,
    room: { bytes: number },
    patience: Patience,
  ): Step | Promise<Step> {
    switch (waiting.wants) {
      case Wants.Body:
        return this.#readOn(waiting, host, room);
      case Wants.Signature:
        return this.#verify(waiting, host);
      default:
        return this.#waitForKeys(waiting, host, patience);
    }
  }

  /** The host verifies, or else the module. */
  #verify(waiting: Waiting, host: Host): Step | Promise<Step> {
    const resume = (verified: boolean | undefined): Step => {
      let now: number;
      try {
        now = host.now();
      } catch (error) {
        waiting.free();
        throw error;
      }
      return this.#wasm.resume_with_signature(waiting, verified, now);
    };
    const key = () => waiting.key() as Uint8Array<ArrayBuffer>;
    const check = checkOf(waiting.signature() as SignatureParts, key);
    const verdict = this.#signatures?.verify(check);
    return verdict instanceof Promise ? verdict.then(resume) : resume(verdict);
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
    let landed = false;
    let now: number;
    try {
      now = host.now();
      this.#fetchDue(host);
      if (this.#mayWait(now)) {
        this.#waiting.set(waiting, now);
        landed = await this.#keys.landed(patience.over(), host);
        now = host.now();
      }
    } catch (error) {
      waiting.free();
      throw error;
    } finally {
      this.#waiting.delete(waiting);
    }
    return landed ? this.#wasm.resume(waiting, now) : this.#wasm.give_up(waiting, now);
  }

  /** Whoever comes when too many wait already gets a 503 at once. */
  #mayWait(now: number): boolean {
    if (this.#waiting.size >= MAX_WAITING) {
      // Requests that the host ended without a word do not wait any more.
      for (const [waiting, since] of this.#waiting) {
        if (Math.abs(now - since) > 2 * PATIENCE) {
          this.#waiting.delete(waiting);
        }
      }
    }
    return this.#waiting.size < MAX_WAITING;
  }

  #fetchDue(host: Host): void {
    const work = this.#keys.start(host);
    if (work) {
      host.keep(work);
    }
  }
}

/** How long one request waits for keys, all in all, in seconds. */
const PATIENCE = 10;

/** Its end. */
class Patience {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over: Promise<void> | undefined;

  over(): Promise<void> {
    this.#over ??= new Promise((resolve) => {
      this.#timer = setTimeout(resolve, PATIENCE * 1000);
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
