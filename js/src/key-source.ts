// Keys that functions give: an issuer in the same process, or in the same Worker, which cannot fetch from
// itself.

import { PolicyError } from "./errors.js";
import type { Fetch } from "./options.js";

/** A JWK Set (RFC 7517 §5). */
export interface KeySet {
  keys: object[];
}

/** Gives an issuer's keys whenever they are due. */
export type KeyFunction = () => KeySet | Promise<KeySet>;

/** Where documents come from. */
export interface Source {
  fetch: Fetch;
  /** Whether it is fetched, and so may be cached for others: not what functions give. */
  isFetched(url: string): boolean;
}

/** Stands for the URLs of keys that functions give. No server has this name (RFC 6761 §6.4). */
const FUNCTIONS = "https://keys.invalid/";

/** The URL that stands for the only function. */
export const FUNCTION_URL = FUNCTIONS;

/** Everything from the network. */
export function network(fetch: Fetch): Source {
  return { fetch, isFetched: () => true };
}

/** Keys by calling a function as if it were a fetch: with the same limits and the same bookkeeping. */
export function calling(source: KeyFunction): Source {
  return { fetch: async () => Response.json(await source()), isFetched: () => false };
}

/**
 * Keys of some issuers by functions, all else from the network. Such an issuer's metadata, by which its keys
 * are found, is made here: so the policy must not say where they are.
 */
export function routed(policy: string, keys: Record<string, unknown>, fetch: Fetch): Source {
  if (typeof keys !== "object") {
    throw new PolicyError("options.keys", "expected an object of functions, by issuer");
  }
  const answers = new Map<string, () => unknown>();
  for (const [position, [issuer, source]] of Object.entries(keys).entries()) {
    const path = `options.keys[${JSON.stringify(issuer)}]`;
    if (typeof source !== "function") {
      throw new PolicyError(path, "expected a function");
    }
    checkIssuer(path, issuer, policy);
    const jwks_uri = `${FUNCTIONS}${position}`;
    answers.set(metadataUrl(issuer), () => ({ issuer, jwks_uri }));
    answers.set(jwks_uri, source as KeyFunction);
  }
  return {
    fetch: async (url, init) => {
      const answer = answers.get(url);
      return answer === undefined ? fetch(url, init) : Response.json(await answer());
    },
    isFetched: (url) => !answers.has(url),
  };
}

/** The policy was read strictly before: here it is only looked at. */
function checkIssuer(path: string, issuer: string, policy: string): void {
  type Issuer = { issuer: string; jwks?: unknown; jwks_uri?: unknown };
  const { issuers } = JSON.parse(policy) as { issuers: Issuer[] };
  const found = issuers.find((one) => one.issuer === issuer);
  if (found === undefined) {
    throw new PolicyError(path, "the policy has no such issuer");
  }
  if (found.jwks !== undefined || found.jwks_uri !== undefined) {
    throw new PolicyError(path, "the policy says where this issuer's keys are: leave out jwks and jwks_uri");
  }
}

/** The first place where metadata is looked for (RFC 8414 §3.1): the well-known path before the issuer's own. */
function metadataUrl(issuer: string): string {
  const [, origin = "", path = ""] = /^([a-z]+:\/\/[^/]*)(.*)$/i.exec(issuer) ?? [];
  return `${origin}/.well-known/oauth-authorization-server${path.replace(/\/+$/, "")}`;
}
