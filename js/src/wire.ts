// What comes out of the WebAssembly module, as crates/js/src/wire.rs writes it.

/** How a request came out. */
export type Verdict = "allow" | "deny" | "metadata" | "preflight" | "public" | "shadow";

/** The record of one decision, for logs. It never holds a token. */
export interface Decision {
  verdict: Verdict;
  /** The stable code of why it was, or in shadow mode would have been, refused. */
  reason: string | null;
  resource: string | null;
  /** The token's issuer, once its signature was verified. */
  issuer: string | null;
  /** The token's client, likewise. */
  clientId: string | null;
  /** The beginning of a digest of issuer and subject: tells callers apart without naming them. */
  subject: string | null;
  /** What is asked of the MCP server, once it is known. */
  operation: string | null;
  /** The scope rule that matched. */
  rule: string | null;
  /** What was found, where that helps to set it right. */
  detail: string | null;
  /** All of this as one line that is safe to log. */
  line: string;
  /** Every check on the way, where an explanation was asked for. */
  trace?: TraceEntry[];
}

/** One check on the way to a decision. It never holds a token, a proof or a key. */
export interface TraceEntry {
  /** What was checked, in a word or two: `audience`, `token type`. */
  check: string;
  /** `noted`: nothing was checked; this is how it is. */
  outcome: "passed" | "failed" | "noted";
  /** What was compared to what. */
  text: string;
}

/** A verified caller. */
export interface Identity {
  issuer: string;
  subject: string | null;
  clientId: string | null;
  /** The granted scopes. */
  scope: string[];
  /** The token's own name (`jti`). */
  tokenId: string | null;
  /** First second at which the token is no longer valid. */
  expiresAt: number;
  claims: Record<string, unknown>;
}

/** A header's name and its value as byte string: one code unit for each byte, as `Headers` has it. */
export type HeaderPair = [name: string, value: string];

/** The request goes on, changed thus: first removed, then set. */
export interface Forward {
  kind: "forward";
  remove: string[];
  set: HeaderPair[];
  responseHeaders: HeaderPair[];
  responseAppend: HeaderPair[];
  /** The key to seal the response's `Mcp-Session-Id` with, where sessions are bound. */
  session: string | null;
  identity: Identity | null;
  decision: Decision;
}

/** The request is answered thus. */
export interface Respond {
  kind: "respond";
  status: number;
  headers: HeaderPair[];
  body: string;
  decision: Decision;
}

/** What becomes of a response whose lists may have to be filtered. */
export type Filtering =
  | { kind: "pass" }
  /** Without these headers, and with what the filter makes of its body. */
  | { kind: "filter"; remove: string[] }
  | Respond;

/** A request to send, without following redirects: GET without credentials, or POST of a form. */
export interface KeyFetch {
  id: number;
  url: string;
  form?: { authorization: string; body: string };
}
