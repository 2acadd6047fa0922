// Verifying one access token, for servers that look after requests themselves.

import { Tells } from "./core.js";
import { Engine, type Host, type TokenAnswer } from "./engine.js";
import { AuthError, PolicyError } from "./errors.js";
import type { KeyCache } from "./key-cache.js";
import { FUNCTION_URL, type KeyFunction, type KeySet, type Source, calling, network } from "./key-source.js";
import { type HostOptions, checkCache, checkFunctions, checkNames, clock, hostFetch } from "./options.js";

/** Where an issuer's keys are: here, at a URL, or wherever a function gets them from. */
export type KeySource = KeySet | URL | string | KeyFunction;

/** What an access token must be. */
export interface VerifyOptions extends HostOptions {
  /** The issuer identifier, compared byte for byte. */
  issuer: string;
  /** The resource that the token must be for; in an array, further spellings of it follow. */
  audience: string | string[];
  /**
   * The issuer's keys. Fetched ones are cached, for the same function or the same `fetch`. Where these options are the
   * same object as before, a key that was changed in its place is not seen; one that was added, taken out or put in
   * the place of another is.
   */
  jwks: KeySource;
  /** Accepted algorithms; by default all but HS256, which needs its secret in `jwks` itself. */
  algorithms?: string[];
  /** Seconds by which clocks may differ; 30 by default. */
  leeway?: number;
}

/**
 * The claims of a verified access token (RFC 9068 §2.2). They are frozen: when the same token comes again, so may
 * the same object.
 */
export interface AccessTokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly client_id: string;
  readonly jti: string;
  readonly exp: number;
  readonly iat: number;
  readonly nbf?: number;
  readonly scope?: string | readonly string[];
  readonly [claim: string]: unknown;
}

/**
 * Verifies an access token (a JWT by the profile of RFC 9068) and gives its claims. Throws an
 * `AuthError` for a token that is not accepted, a `PolicyError` for a mistake in the options.
 */
export async function verifyAccessToken(
  jwt: string,
  options: VerifyOptions,
): Promise<AccessTokenClaims> {
  const engine = engineFor(options);
  const token = typeof jwt === "string" ? jwt : "";
  const host: Host = { now: clock(options.now), readBody: noBody, keep: noKeep };
  const said = engine.decideToken(HOST, token, host);
  const answer = said instanceof Promise ? await said : said;
  if (answer.kind === "claims") {
    return answer.claims;
  }
  const isAnswered = answer.kind === "respond";
  const headers = isAnswered ? answer.headers : [];
  const challenge = headers.find(([name]) => name === "www-authenticate");
  throw new AuthError(answer.decision, isAnswered ? answer.status : 401, challenge?.[1]);
}

/** Stands for the host that the token was sent to: there is but one resource. */
const HOST = "localhost";

/** Most engines kept for one function or one `fetch`, with one cache. */
const MAX_ENGINES = 32;

type TokenEngine = Engine<TokenAnswer>;

/** Engines by what gets their keys, then by the cache for those, then by their policy. */
const engines = new WeakMap<object, WeakMap<object, Map<string, TokenEngine>>>();

/** Stands for no cache. */
const NO_CACHE = {};

/** What is in a map, or is now. */
function entry<K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

/** What options were when their engine was found: of each part that can change, what it was. */
interface Found {
  engine: TokenEngine;
  parts: unknown[];
}

const found = new WeakMap<VerifyOptions, Found>();

/** All that an engine is found by. A key that is changed in its place is the only change that is not seen. */
function partsOf(options: VerifyOptions): unknown[] {
  const { issuer, audience, jwks, algorithms, leeway, fetch, keyCache } = options;
  const keys = (jwks as Partial<KeySet> | null | undefined)?.keys;
  const parts: unknown[] = [issuer, audience, jwks, algorithms, leeway, fetch, keyCache, keys];
  for (const list of [audience, algorithms, keys]) {
    if (Array.isArray(list)) {
      parts.push(list.length, ...list);
    }
  }
  if (jwks instanceof URL) {
    parts.push(jwks.href);
  }
  return parts;
}

/** The engine that holds the keys for these options: the same for the same options. */
function engineFor(options: VerifyOptions): TokenEngine {
  if (typeof options !== "object" || options === null) {
    return engineAnew(options);
  }
  // The same object comes with each token: nothing need be read again but what it is made of.
  const before = found.get(options);
  const parts = partsOf(options);
  if (before?.parts.length === parts.length && before.parts.every((part, at) => part === parts[at])) {
    return before.engine;
  }
  const engine = engineAnew(options);
  found.set(options, { engine, parts });
  return engine;
}

function engineAnew(options: VerifyOptions): TokenEngine {
  checkNames(options, [
    "issuer",
    "audience",
    "jwks",
    "algorithms",
    "leeway",
    "now",
    "fetch",
    "keyCache",
  ]);
  const { jwks, now, fetch = hostFetch, keyCache } = options;
  checkFunctions({ now, fetch });
  checkCache(keyCache);
  const owner = typeof jwks === "function" ? jwks : fetch;
  const policy = policyOf(options);
  const caches = entry(engines, owner, () => new WeakMap());
  const own: Map<string, TokenEngine> = entry(caches, keyCache ?? NO_CACHE, () => new Map());
  const source = typeof jwks === "function" ? calling(jwks) : network(fetch);
  const engine = own.get(policy) ?? make(policy, source, keyCache);
  // The most recently used is the last: the first is the one to go.
  own.delete(policy);
  own.set(policy, engine);
  for (const oldest of own.size > MAX_ENGINES ? own.keys() : []) {
    own.delete(oldest);
    break;
  }
  return engine;
}

/** The policy document that says what the options say. */
function policyOf({ issuer, audience, jwks, algorithms, leeway }: VerifyOptions): string {
  return JSON.stringify({
    issuers: [{ issuer: issuer ?? null, ...keysOf(jwks), algorithms }],
    resources: [
      {
        resource: (Array.isArray(audience) ? audience[0] : audience) ?? null,
        accept_audiences: Array.isArray(audience) ? audience : [],
        hosts: [HOST],
        path: "/",
        // No header carries a claim: no claim is refused because none could.
        forward: { headers: {} },
      },
    ],
    leeway,
  });
}

function keysOf(jwks: KeySource): { jwks: KeySet } | { jwks_uri: string } {
  if (typeof jwks === "function") {
    return { jwks_uri: FUNCTION_URL };
  }
  if (typeof jwks === "string" || jwks instanceof URL) {
    return { jwks_uri: String(jwks) };
  }
  if (typeof jwks !== "object" || jwks === null) {
    throw new PolicyError("options.jwks", "expected a key set, a URL, or a function");
  }
  return { jwks };
}

/** Makes an engine; mistakes are told by the names of the options. */
function make(policy: string, source: Source, cache: KeyCache | undefined): TokenEngine {
  try {
    return new Engine(policy, source, cache, Tells.Claims);
  } catch (error) {
    if (!(error instanceof PolicyError)) {
      throw error;
    }
    const path = error.path
      .replace("$.resources[0].resource", "options.audience")
      .replace("$.resources[0].accept_audiences", "options.audience")
      .replace("$.issuers[0]", "options")
      .replace("options.jwks_uri", "options.jwks")
      .replace("$", "options");
    throw new PolicyError(path, error.message.slice(error.path.length + 2));
  }
}

const noBody = async (): Promise<undefined> => undefined;

const noKeep = (): void => {};
