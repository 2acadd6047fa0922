// Options that several functions take.

import { PolicyError } from "./errors.js";
import type { KeyCache } from "./key-cache.js";

/** What is asked of `fetch`: one GET, or one POST of a form to an introspection endpoint. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Tells the time in seconds since 1970. */
export type Clock = () => number;

/** How the package reaches the outside. */
export interface HostOptions {
  /** Fetches key sets; the host's own `fetch` by default. */
  fetch?: Fetch;
  /** The time in seconds since 1970; the host's own clock by default. */
  now?: Clock;
  /**
   * Where fetched key sets outlive this isolate; by default nowhere. The keys in use are held for this very object:
   * do not make a new one for each call.
   */
  keyCache?: KeyCache;
}

/** The last second of the year 9999. Later times are milliseconds. */
const LATEST = 253_402_300_799;

/** Refuses options that do not exist: a mistyped one must not be taken for its default. */
export function checkNames(options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new PolicyError("options", "expected an object");
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new PolicyError(`options.${name}`, `unknown option; known are ${known.join(", ")}`);
    }
  }
}

/** Refuses options that are there and no functions. */
export function checkFunctions(options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && typeof value !== "function") {
      throw new PolicyError(`options.${name}`, "expected a function");
    }
  }
}

/** Refuses a key cache that is none. */
export function checkCache(cache: unknown): void {
  const { get, put } = (cache ?? {}) as Partial<KeyCache>;
  if (cache !== undefined && (typeof get !== "function" || typeof put !== "function")) {
    throw new PolicyError("options.keyCache", "expected an object with the functions get and put");
  }
}

/** The host's own `fetch`, looked up when it is used. */
export const hostFetch: Fetch = (url, init) => fetch(url, init);

/** The host's own clock. */
const hostNow: Clock = () => Math.floor(Date.now() / 1000);

/** A clock that cannot give what is no time in seconds. */
export function clock(now: Clock = hostNow): Clock {
  return () => {
    const seconds = now();
    if (typeof seconds !== "number" || !(seconds >= 0 && seconds <= LATEST)) {
      throw new TypeError("now() must give the time in seconds since 1970");
    }
    return seconds;
  };
}
