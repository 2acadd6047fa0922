// Fetching what the engine says is due. Whatever a fetch does, the engine hears of it once, in time.

import { fetch_accept, fetch_form_type, fetch_max_bytes, fetch_timeout, type WasmEngine } from "./core.js";
import type { Clock, Fetch } from "./options.js";
import { BodyReader } from "./stream.js";
import type { KeyFetch } from "./wire.js";

interface Answer {
  status?: number;
  body: Uint8Array;
  /** Why there is none. */
  failure?: string;
}

interface Flight {
  landing: Promise<void>;
  since: number;
}

/** The fetches of one engine. Requests that wait for the same key set share one. */
export class KeyFetcher {
  readonly #engine: WasmEngine;
  readonly #fetch: Fetch;
  readonly #flights = new Map<number, Flight>();
  /** The next landing, whichever it is: one promise for all that wait, however many they are. */
  #next = signal();

  constructor(engine: WasmEngine, fetch: Fetch) {
    this.#engine = engine;
    this.#fetch = fetch;
  }

  /**
   * Starts what is due. What was started, with all that becomes due by it, is over when the given
   * promise is; it never rejects.
   */
  start(now: Clock): Promise<unknown> | undefined {
    const since = now();
    this.#forgetLost(since);
    const due: KeyFetch[] = JSON.parse(this.#engine.due(since));
    if (due.length === 0) {
      return undefined;
    }
    const landings = due.map((fetch) => this.#launch(fetch, since, now));
    return Promise.allSettled(landings.map((landing) => landing.then(() => this.start(now))));
  }

  /** Waits until a fetch has landed: `true`, or until `over` resolves: `false`. */
  landed(over: Promise<unknown>): Promise<boolean> {
    return Promise.race([this.#next.promise.then(() => true), over.then(() => false)]);
  }

  #launch(fetch: KeyFetch, since: number, now: Clock): Promise<void> {
    const landing = this.#fly(fetch, now)
      .catch((error) => warn(fetch.url, error))
      .finally(() => {
        this.#flights.delete(fetch.id);
        const { resolve } = this.#next;
        this.#next = signal();
        resolve();
      });
    this.#flights.set(fetch.id, { landing, since });
    return landing;
  }

  async #fly({ id, url, form }: KeyFetch, now: Clock): Promise<void> {
    const answer = await download(this.#fetch, url, form);
    const error = this.#engine.fetched(id, answer.status, answer.body, now());
    if (error !== undefined) {
      warn(url, answer.failure ? `${error} (${answer.failure})` : error);
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

/** Logged although nobody asked for it: without it a 503 could not be explained. */
function warn(url: string, error: unknown): void {
  console.warn(`countersign: cannot use what ${url} answers: ${error}`);
}

/** A promise, and what settles it. */
function signal(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** Gets an answer within the engine's limits of time and size. Never rejects. */
async function download(fetch: Fetch, url: string, form: KeyFetch["form"]): Promise<Answer> {
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
    return await Promise.race([get(fetch, url, form, controller.signal), late]);
  } catch (error) {
    return { body: new Uint8Array(), failure: String(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function get(
  fetch: Fetch,
  url: string,
  form: KeyFetch["form"],
  signal: AbortSignal,
): Promise<Answer> {
  const accept = fetch_accept();
  const response = await fetch(url, {
    ...(form === undefined
      ? { headers: { accept } }
      : {
          method: "POST",
          headers: {
            accept,
            authorization: form.authorization,
            "content-type": fetch_form_type(),
          },
          body: form.body,
        }),
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
