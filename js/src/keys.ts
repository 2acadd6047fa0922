// Fetching what the engine says is due. Whatever a fetch does, the engine hears of it once, in time.

import { fetch_accept, fetch_form_type, fetch_max_bytes, fetch_timeout, type WasmEngine } from "./core.js";
import { type CachedDocument, KEPT, type KeyCache } from "./key-cache.js";
import type { Source } from "./key-source.js";
import type { Clock, Fetch } from "./options.js";
import { BodyReader } from "./stream.js";
import type { KeyFetch } from "./wire.js";

interface Answer {
  status?: number;
  body: Uint8Array;
  /** Why there is none. */
  failure?: string;
}

/** Whose request a fetch is begun for. */
export interface Owner {
  now: Clock;
  /** Keeps the host from ending before some work is done. */
  keep(work: Promise<unknown>): void;
}

interface Flight {
  fetch: KeyFetch;
  owner: Owner;
  since: number;
  /** It was sent a second time. */
  again: boolean;
}

/** How long a request waits for another one's fetch before it sends it once more, in milliseconds. */
const SECOND_TRY = 2000;

/** How long a cache may take, in milliseconds. */
const CACHE_PATIENCE = 1000;

/** The fetches of one engine. Requests that wait for the same key set share one. */
export class KeyFetcher {
  readonly #engine: WasmEngine;
  readonly #source: Source;
  readonly #cache: KeyCache | undefined;
  readonly #flights = new Map<number, Flight>();
  /** When what the engine got last from each URL had been fetched. */
  readonly #seen = new Map<string, number>();
  readonly #warn: Warn;
  /**
   * Who waits for the next landing, whichever it is. Each has a promise of its own, made in its own request: on
   * Workers one that was made in a request that is over wakes nobody any more.
   */
  readonly #waiters = new Set<() => void>();

  constructor(engine: WasmEngine, source: Source, cache?: KeyCache, warn: Warn = log) {
    this.#warn = warn;
    this.#engine = engine;
    this.#source = source;
    this.#cache = cache;
  }

  /**
   * Starts what is due. What was started, with all that becomes due by it, is over when the given
   * promise is; it never rejects.
   */
  start(owner: Owner, since: number): Promise<unknown> | undefined {
    this.#forgetLost(since);
    const text = this.#engine.due(since);
    if (text === undefined) {
      return undefined;
    }
    const due: KeyFetch[] = JSON.parse(text);
    return Promise.allSettled(
      due.map((fetch) => {
        this.#flights.set(fetch.id, { fetch, owner, since, again: false });
        return this.#launch(fetch, owner);
      }),
    );
  }

  /**
   * Waits until a fetch has landed: `true`, or until `over` resolves: `false`. What another request began to
   * fetch, and takes long, may have been lost with that request: it is fetched once more.
   */
  async landed(over: Promise<unknown>, owner: Owner): Promise<boolean> {
    const before = [...this.#flights.values()];
    let wake!: () => void;
    const landed = new Promise<boolean>((resolve) => {
      wake = () => resolve(true);
    });
    this.#waiters.add(wake);
    const end = over.then(() => false);
    try {
      const first = await within(SECOND_TRY, Promise.race([landed, end]));
      if (first !== undefined) {
        return first;
      }
      for (const flight of before) {
        const isUnderWay = this.#flights.get(flight.fetch.id) === flight;
        if (isUnderWay && !flight.again && flight.owner !== owner) {
          flight.again = true;
          owner.keep(this.#launch(flight.fetch, owner));
        }
      }
      return await Promise.race([landed, end]);
    } finally {
      this.#waiters.delete(wake);
    }
  }

  /** Resolves when all is done that the landing made due; those who wait go on with the landing itself. */
  async #launch(fetch: KeyFetch, owner: Owner): Promise<void> {
    let work: { put: Promise<void> } | undefined;
    try {
      work = await this.#fly(fetch, owner.now);
    } catch (error) {
      this.#warn(fetch.url, error);
    }
    this.#flights.delete(fetch.id);
    const waiters = [...this.#waiters];
    // Requests that the host ended without a word are among them.
    this.#waiters.clear();
    for (const wake of waiters) {
      wake();
    }
    await Promise.allSettled([work?.put, (async () => this.start(owner, owner.now()))()]);
  }

  /** Gives the work that is left, in an object, since nobody is to wait for it yet. */
  async #fly(fetch: KeyFetch, now: Clock): Promise<{ put: Promise<void> } | undefined> {
    const { id, url, form } = fetch;
    const cache = form === undefined && this.#source.isFetched(url) ? this.#cache : undefined;
    // What is there may be what is out of date. Others get from there what is fetched now.
    if (cache && !fetch.outdated && (await this.#takeCached(fetch, cache, now))) {
      return undefined;
    }
    const answer = await download(this.#source.fetch, fetch);
    const fetchedAt = now();
    const error = this.#engine.fetched(id, answer.status, answer.body, fetchedAt);
    if (error !== undefined) {
      this.#warn(url, answer.failure ? `${error} (${answer.failure})` : error);
      return undefined;
    }
    // The engine has said nothing against it. That counts only if it looked: not when it had given up on it.
    const since = this.#flights.get(id)?.since ?? 0;
    const isJudged = fetchedAt >= since && fetchedAt - since < fetch_timeout();
    if (cache === undefined || !isJudged || answer.status !== 200) {
      return undefined;
    }
    return { put: this.#put(cache, url, answer.body, fetchedAt) };
  }

  /**
   * Whether the engine got the document from the cache: only if it is newer than what it had. When it asks
   * for the same again, somebody has to fetch it.
   */
  async #takeCached({ id, url }: KeyFetch, cache: KeyCache, now: Clock): Promise<boolean> {
    const document = await within(CACHE_PATIENCE, read(cache, url, this.#warn));
    const latest = now();
    const earliest = Math.max(this.#seen.get(url) ?? 0, latest - KEPT);
    if (!document || !(document.fetchedAt > earliest && document.fetchedAt <= latest)) {
      return false;
    }
    this.#see(url, document.fetchedAt);
    const body = new TextEncoder().encode(document.body);
    const error = this.#engine.fetched(id, 200, body, document.fetchedAt);
    if (error !== undefined) {
      this.#warn(`the key cache for ${url}`, error);
    }
    return true;
  }

  async #put(cache: KeyCache, url: string, body: Uint8Array, fetchedAt: number): Promise<void> {
    this.#see(url, fetchedAt);
    try {
      await cache.put(url, { body: new TextDecoder().decode(body), fetchedAt });
    } catch (error) {
      this.#warn(`the key cache for ${url}`, error);
    }
  }

  #see(url: string, fetchedAt: number): void {
    this.#seen.delete(url);
    this.#seen.set(url, fetchedAt);
    for (const oldest of this.#seen.size > MAX_SEEN ? this.#seen.keys() : []) {
      this.#seen.delete(oldest);
      break;
    }
  }

  /**
   * A host that ends a request may end its fetches without a word: their promises never settle. The
   * engine gives up on them after the same time.
   */
  #forgetLost(now: number): void {
    for (const [id, { since }] of this.#flights) {
      if (now >= since + 2 * fetch_timeout()) {
        this.#flights.delete(id);
      }
    }
  }
}

/** More URLs than an engine has key sets and status lists. */
const MAX_SEEN = 1024;

/** What a cache has that is a document; nothing where it throws. */
async function read(cache: KeyCache, url: string, warn: Warn): Promise<CachedDocument | undefined> {
  try {
    const document = await cache.get(url);
    const { body, fetchedAt } = document ?? {};
    return typeof body === "string" && Number.isFinite(fetchedAt) ? document! : undefined;
  } catch (error) {
    warn(`the key cache for ${url}`, error);
    return undefined;
  }
}

/** What a promise gives within so many milliseconds; else nothing. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Is told of what answers cannot be used, and why. */
export type Warn = (url: string, error: unknown) => void;

/** Logged although nobody asked for it: without it a 503 could not be explained. */
function log(url: string, error: unknown): void {
  console.warn(`countersign: cannot use what ${url} answers: ${error}`);
}

/** Gets an answer within the engine's limits of time and size. Never rejects. */
async function download(fetch: Fetch, wanted: KeyFetch): Promise<Answer> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // The signal alone does not do: whoever wrote `fetch` may not heed it.
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`none within ${fetch_timeout()} seconds`));
      controller.abort();
    }, fetch_timeout() * 1000);
  });
  try {
    return await Promise.race([get(fetch, wanted, controller.signal), late]);
  } catch (error) {
    return { body: new Uint8Array(), failure: String(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function get(fetch: Fetch, { url, form, fresh }: KeyFetch, signal: AbortSignal): Promise<Answer> {
  const headers: Record<string, string> = { accept: fetch_accept() };
  if (fresh && !isBrowser()) {
    headers["cache-control"] = "no-cache";
  }
  if (form !== undefined) {
    headers["authorization"] = form.authorization;
    headers["content-type"] = fetch_form_type();
  }
  const response = await fetch(url, {
    ...(form === undefined ? {} : { method: "POST", body: form.body }),
    ...(fresh && hasCacheModes() ? { cache: "no-store" } : {}),
    headers,
    redirect: "manual",
    signal,
  });
  const reader = new BodyReader(response.body);
  try {
    if (response.redirected) {
      throw new Error("fetch followed a redirect");
    }
    return { status: response.status, body: await reader.upTo(fetch_max_bytes() + 1) };
  } finally {
    reader.cancel();
  }
}

/**
 * Whether `fetch` takes `cache`: a Worker of before November 2024 throws at it. What has a cache of its own, like
 * Cloudflare or Next.js, heeds it.
 */
function hasCacheModes(): boolean {
  try {
    return new Request("https://keys.invalid/", { cache: "no-store" }).cache === "no-store";
  } catch {
    return false;
  }
}

/** Browsers ask servers of other origins first whether this header may come. They send it by themselves. */
function isBrowser(): boolean {
  const { navigator } = globalThis as { navigator?: { userAgent?: unknown } };
  return String(navigator?.userAgent ?? "").startsWith("Mozilla/");
}
