// What comes out of the WebAssembly module, as crates/js/src/wire.rs writes it. All of it but
// `KeyFetch` is frozen: where the same token comes again, so may the same object.

/** How a request came out. */
export type Verdict = "allow" | "deny" | "metadata" | "preflight" | "public" | "shadow";

/** The record of one decision, for logs. It never holds a token. */
export interface Decision {
  readonly verdict: Verdict;
  /** The stable code of why it was, or in shadow mode would have been, refused. */
  readonly reason: string | null;
  readonly resource: string | null;
  /** The token's issuer, once its signature was verified. */
  readonly issuer: string | null;
  /** The token's client, likewise. */
  readonly clientId: string | null;
  /** The beginning of a digest of issuer and subject: tells callers apart without naming them. */
  readonly subject: string | null;
  /** What is asked of the MCP server, once it is known. */
  readonly operation: string | null;
  /** The scope rule that matched. */
  readonly rule: string | null;
  /** What was found, where that helps to set it right. */
  readonly detail: string | null;
  /** All of this as one line that is safe to log. */
  readonly line: string;
  /** Every check on the way, where an explanation was asked for. */
  readonly trace?: readonly TraceEntry[];
}

/** One check on the way to a decision. It never holds a token, a proof or a key. */
export interface TraceEntry {
  /** What was checked, in a word or two: `audience`, `token type`. */
  readonly check: string;
  /** `noted`: nothing was checked; this is how it is. */
  readonly outcome: "passed" | "failed" | "noted";
  /** What was compared to what. */
  readonly text: string;
}

/** A verified caller. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string | null;
  readonly clientId: string | null;
  /** The granted scopes. */
  readonly scope: readonly string[];
  /** The token's own name (`jti`). */
  readonly tokenId: string | null;
  /** First second at which the token is no longer valid. */
  readonly expiresAt: number;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A header's name and its value as byte string: one code unit for each byte, as `Headers` has it. */
export type HeaderPair = readonly [name: string, value: string];

/** The request goes on, changed thus: first removed, then set. */
export interface Forward {
  readonly kind: "forward";
  readonly remove: readonly string[];
  readonly set: readonly HeaderPair[];
  readonly responseHeaders: readonly HeaderPair[];
  readonly responseAppend: readonly HeaderPair[];
  /** The key to seal the response's `Mcp-Session-Id` with, where sessions are bound. */
  readonly session: string | null;
  readonly identity: Identity | null;
  readonly decision: Decision;
}

/** The request is answered thus. */
export interface Respond {
  readonly kind: "respond";
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly body: string;
  readonly decision: Decision;
}

/** What becomes of a response whose lists may have to be filtered. */
export type Filtering =
  | { readonly kind: "pass" }
  /** Without these headers, and with what the filter makes of its body. */
  | { readonly kind: "filter"; readonly remove: readonly string[] }
  | Respond;

/** A request to send, without following redirects: GET without credentials, or POST of a form. */
export interface KeyFetch {
  id: number;
  url: string;
  /** No cache on the way may answer by itself. */
  fresh: boolean;
  /** What was fetched before is known to be out of date: what others keep is no answer. */
  outdated: boolean;
  form?: { authorization: string; body: string };
}
