// Where fetched documents outlive an isolate: key sets, issuers' metadata, status lists.

/** A document as it was fetched. */
export interface CachedDocument {
  body: string;
  /** When it was fetched, in seconds since 1970. Its age counts from here, however it came. */
  fetchedAt: number;
}

/**
 * A store for fetched documents that several isolates or processes share. It is asked before the network,
 * and told of what was fetched and found in order; of no introspection answers, and of no keys that a
 * function gave.
 *
 * Whoever can write into it can put keys into it: it must be trusted as the issuer is. What it throws, and
 * what it does not answer within a second, is a document that is not there.
 */
export interface KeyCache {
  get(url: string): CachedDocument | null | undefined | Promise<CachedDocument | null | undefined>;
  put(url: string, document: CachedDocument): unknown;
}

/** The part of a Cloudflare KV namespace that is used. */
export interface KvNamespace {
  get(key: string): Promise<string | null>;
  put(key: string, value: string, options: { expirationTtl: number }): Promise<unknown>;
}

/** The part of the standard's `Cache` that is used. */
export interface CacheLike {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<unknown>;
}

/** For how long a document is worth keeping, in seconds: as long as keys are used by default. */
export const KEPT = 86_400;

/** Most documents that a cache in memory holds. */
const MAX_DOCUMENTS = 256;

/** In this process: for guards that are made anew, with each request say. */
function memory(): KeyCache {
  const documents = new Map<string, CachedDocument>();
  return {
    get: (url) => documents.get(url),
    put(url, document) {
      documents.delete(url);
      documents.set(url, document);
      for (const oldest of documents.size > MAX_DOCUMENTS ? documents.keys() : []) {
        documents.delete(oldest);
        break;
      }
    },
  };
}

/** No server has this name (RFC 6761 §6.4): nothing else is ever cached under it. */
const CACHE_URL = "https://countersign.invalid/";
const FETCHED_AT = "countersign-fetched-at";

/**
 * In a cache of the Cache API. By default the one that a Cloudflare data centre's isolates share
 * (`caches.default`); elsewhere give one: `await caches.open("keys")`.
 */
function cacheApi(cache?: CacheLike): KeyCache {
  return cache === undefined ? (shared ??= inCache()) : same(byCache, cache, inCache);
}

function inCache(cache?: CacheLike): KeyCache {
  const address = (url: string) => CACHE_URL + encodeURIComponent(url);
  // Looked up when it is used: where there is none, nothing is cached.
  const used = () => cache ?? (globalThis as { caches?: { default?: CacheLike } }).caches?.default;
  return {
    async get(url) {
      const response = await used()?.match(address(url));
      const fetchedAt = response?.headers.get(FETCHED_AT);
      return response && fetchedAt ? { body: await response.text(), fetchedAt: Number(fetchedAt) } : null;
    },
    async put(url, { body, fetchedAt }) {
      const headers = {
        "cache-control": `public, max-age=${KEPT}`,
        "content-type": "application/octet-stream",
        [FETCHED_AT]: `${fetchedAt}`,
      };
      await used()?.put(address(url), new Response(body, { headers }));
    },
  };
}

/** The longest name that Cloudflare KV takes, in bytes. */
const MAX_KV_NAME = 512;

/** In a Cloudflare KV namespace, which all data centres share. */
function kv(namespace: KvNamespace): KeyCache {
  return same(byNamespace, namespace, inNamespace);
}

function inNamespace(namespace: KvNamespace): KeyCache {
  const name = (url: string) => {
    const name = `countersign:${url}`;
    return new TextEncoder().encode(name).length <= MAX_KV_NAME ? name : undefined;
  };
  return {
    async get(url) {
      const key = name(url);
      const text = key === undefined ? null : await namespace.get(key);
      return text === null ? null : (JSON.parse(text) as CachedDocument);
    },
    async put(url, document) {
      const key = name(url);
      if (key !== undefined) {
        await namespace.put(key, JSON.stringify(document), { expirationTtl: KEPT });
      }
    },
  };
}

/** The same for the same store: an engine is found by its cache, and one for each call would mean none. */
const byNamespace = new WeakMap<KvNamespace, KeyCache>();
const byCache = new WeakMap<CacheLike, KeyCache>();
let shared: KeyCache | undefined;

function same<Store extends object>(
  made: WeakMap<Store, KeyCache>,
  store: Store,
  make: (store: Store) => KeyCache,
): KeyCache {
  if (typeof store !== "object" || store === null) {
    throw new TypeError("keyCaches: expected a KV namespace or a cache, as the host has it");
  }
  const found = made.get(store) ?? make(store);
  made.set(store, found);
  return found;
}

/**
 * Ready-made key caches. `kv` and `cacheApi` give the same one for the same namespace and the same cache, so they
 * may be called with each request; `memory` gives a new one each time, to be made once and kept.
 */
export const keyCaches = { memory, cacheApi, kv };
