// Drives the engine: does what a step asks for until there is an answer.

import {
  type SignatureParts,
  Tells,
  Waiting,
  Wants,
  WasmEngine,
  WasmListFilter,
  self_test,
} from "./core.js";
import { asPolicyError } from "./errors.js";
import { byteString } from "./headers.js";
import { KeyFetcher, type Owner, type Warn } from "./keys.js";
import type { KeyCache } from "./key-cache.js";
import type { Source } from "./key-source.js";
import { frozen } from "./frozen.js";
import { write } from "./inbox.js";
import { ready } from "./module.js";
import { type HostSignatures, checkOf, hostSignatures } from "./signatures.js";
import type { AccessTokenClaims } from "./verify.js";
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

/** A step, as crates/js/src/engine.rs numbers them: what was told before, what is to be kept, or one of these. */
type Step = number;

const TEXT = -1;
const WAITING = -2;
const FILTER = -3;
const OTHER_WAY = -4;
const NOT_TO_KEEP = -5;
const TO_KEEP = -16;

/** A final answer: with a filter, where the response to a forwarded request is filtered. */
export type Answer = (Forward & { filter?: WasmListFilter }) | Respond;

/** What an engine for tokens answers. */
export type TokenAnswer = { kind: "claims"; claims: AccessTokenClaims } | Answer;

/** What the engine needs of its host for one request. */
export interface Host extends Owner {
  /** Gives the next part of the body; nothing after the last. */
  readBody(): Promise<Uint8Array | undefined>;
}

/** Most requests that wait for keys at once; as many as in the Envoy filter. */
const MAX_WAITING = 1024;

/** The engine under one policy. `All`: what it answers. */
export class Engine<All = Answer> {
  readonly #wasm: WasmEngine;
  readonly #keys: KeyFetcher;
  readonly #signatures: HostSignatures | undefined;
  readonly #tells: Tells;
  /** Who waits for keys, and since when. */
  readonly #waiting = new Map<Waiting, number>();
  /**
   * What the engine said last for each of its places. It decides each request anew, and names a place only when
   * what it says now is the very same: nothing is looked up here by a token, and nothing lives longer for being
   * here.
   */
  readonly #told: (All | undefined)[] = [];

  /** Throws a {@link PolicyError} for a mistake in the policy document. */
  constructor(
    policy: string,
    source: Source | ((policy: string) => Source),
    cache?: KeyCache,
    tells: Tells = Tells.Answers,
    warn?: Warn,
  ) {
    ready();
    testOnce();
    this.#tells = tells;
    this.#wasm = make(policy, tells);
    // What has to look into the policy gets one that was found in order.
    const found = typeof source === "function" ? source(policy) : source;
    this.#keys = new KeyFetcher(this.#wasm, found, cache, warn);
    this.#signatures = hostSignatures();
    if (this.#signatures) {
      this.#wasm.ask_host(this.#signatures.atOnce);
    }
  }

  /** Decides a request. Throws or rejects only when its body cannot be read, or the clock is wrong. */
  decide(head: Head, host: Host): All | Promise<All> {
    const { method, authority, path, hasBody, client } = head;
    const fields = [method, authority, path, client ?? ""];
    for (const [name, value] of head.headers) {
      fields.push(name, value);
    }
    // What is to be read once must be a text already, and none that an object makes when it is asked.
    if (!fields.every((field) => typeof field === "string")) {
      throw new TypeError("a request's head is made of texts");
    }
    const now = host.now();
    const length = write(fields.join("\0"));
    let step =
      length < 0 ? OTHER_WAY : this.#wasm.begin_written(length, fields.length, hasBody, now);
    if (step === OTHER_WAY) {
      step = this.#wasm.begin(method, authority, path, fields.slice(4), hasBody, client, now);
    }
    return this.#run(this.#take(step), host, now);
  }

  /** Decides whether a token may pass that was sent to this host. */
  decideToken(authority: string, token: string, host: Host): All | Promise<All> {
    const authorization = `Bearer ${token}`;
    const now = host.now();
    const length = write(authorization);
    let step = length < 0 ? OTHER_WAY : this.#wasm.begin_token(length, authority, now);
    if (step === OTHER_WAY) {
      const headers = ["authorization", byteString(authorization)];
      step = this.#wasm.begin("GET", authority, "/", headers, false, undefined, now);
    }
    return this.#run(this.#take(step), host, now);
  }

  #run(next: All | Waiting, host: Host, now: number): All | Promise<All> {
    return next instanceof Waiting ? this.#goOn(next, host) : this.#end(next, host, now);
  }

  async #goOn(waiting: Waiting, host: Host): Promise<All> {
    const patience = new Patience();
    // How much more of the body tells something: one byte too many is as good as all of them.
    const room = { bytes: this.#wasm.body_limit + 1 };
    let next: All | Waiting = waiting;
    let now = 0;
    try {
      while (next instanceof Waiting) {
        const found = this.#proceed(next, host, room, patience);
        // Not a tick of the event loop for what is there at once.
        [next, now] = found instanceof Promise ? await found : found;
      }
    } finally {
      patience.end();
    }
    return this.#end(next, host, now);
  }

  #end(answer: All, host: Host, now: number): All {
    // Key sets are refreshed behind the back of the requests that show that they are in use.
    this.#fetchDue(host, now);
    return answer;
  }

  /** What a step means. To be asked at once: the module keeps it for the last step only. */
  #take(step: Step): All | Waiting {
    if (step >= 0) {
      const answer = this.#told[step];
      if (answer === undefined) {
        throw new Error("countersign: an answer was lost");
      }
      return answer;
    }
    if (step <= TO_KEEP) {
      const place = TO_KEEP - step;
      // Should the next lines throw, nothing is left to be taken for what they would have put there.
      this.#told[place] = undefined;
      const answer = this.#read();
      this.#told[place] = answer;
      return answer;
    }
    switch (step) {
      case TEXT:
        return frozen(JSON.parse(this.#wasm.take_text()));
      case WAITING:
        return this.#wasm.take_waiting()!;
      case NOT_TO_KEEP:
        return this.#read();
      case FILTER: {
        const filter = this.#wasm.take_filter()!;
        return { ...frozen(JSON.parse(filter.forward)), filter };
      }
      default:
        throw new Error(`countersign: there is no step ${step}`);
    }
  }

  /** How the request goes on, or the claims of who sends it. */
  #read(): All {
    const said = frozen(JSON.parse(this.#wasm.take_text()));
    return (this.#tells === Tells.Claims ? { kind: "claims", claims: said } : said) as All;
  }

  #proceed(
    waiting: Waiting,
    host: Host,
    room: { bytes: number },
    patience: Patience,
  ): Next<All> | Promise<Next<All>> {
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
  #verify(waiting: Waiting, host: Host): Next<All> | Promise<Next<All>> {
    const resume = (verified: boolean | undefined): Next<All> => {
      let now: number;
      try {
        now = host.now();
      } catch (error) {
        waiting.free();
        throw error;
      }
      return [this.#take(this.#wasm.resume_with_signature(waiting, verified, now)), now];
    };
    const key = () => waiting.key() as Uint8Array<ArrayBuffer>;
    const check = checkOf(waiting.signature() as SignatureParts, key);
    const verdict = this.#signatures?.verify(check);
    return verdict instanceof Promise ? verdict.then(resume) : resume(verdict);
  }

  async #readOn(waiting: Waiting, host: Host, room: { bytes: number }): Promise<Next<All>> {
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
    return [this.#take(this.#wasm.resume_with_body(waiting, part, now)), now];
  }

  async #waitForKeys(waiting: Waiting, host: Host, patience: Patience): Promise<Next<All>> {
    let landed = false;
    let now: number;
    try {
      now = host.now();
      this.#fetchDue(host, now);
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
    const step = landed ? this.#wasm.resume(waiting, now) : this.#wasm.give_up(waiting, now);
    return [this.#take(step), now];
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

  #fetchDue(host: Host, now: number): void {
    const work = this.#keys.start(host, now);
    if (work) {
      host.keep(work);
    }
  }
}

/** What comes next, and when it was decided. */
type Next<All> = [next: All | Waiting, now: number];

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

function make(policy: string, tells: Tells): WasmEngine {
  try {
    return new WasmEngine(policy, tells);
  } catch (error) {
    throw asPolicyError(error);
  }
}
