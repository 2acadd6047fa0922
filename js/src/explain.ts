// Why a policy decides a request as it does, check by check: what `countersign explain` says, in JavaScript.

import { Tells } from "./core.js";
import { policyText } from "./document.js";
import { type Answer, Engine, type Head } from "./engine.js";
import { byteString } from "./headers.js";
import { type Clock, type Fetch, checkFunctions, checkNames, clock } from "./options.js";
import { PolicyError } from "./errors.js";
import type { Policy } from "./policy.js";
import type { HeaderPair, TraceEntry, Verdict } from "./wire.js";

/** A request to explain. Nothing is sent: it is only described. */
export interface ExplainedRequest {
  /** The URL that the client calls. */
  url: string;
  /** The HTTP method; `POST` by default. */
  method?: string;
  /** The access token, if one is sent. */
  token?: string;
  /** The DPoP proof that is sent with it. */
  proof?: string;
  /** Further headers. */
  headers?: Record<string, string>;
  /** Asks for a call of this tool. */
  tool?: string;
  /** The JSON-RPC message, as object or as text; by default of a POST `tools/list`. Not together with `tool`. */
  body?: object | string;
}

/** Options of {@link explain}. */
export interface ExplainOptions {
  /** What URLs that the guard fetches from answer: key sets, metadata, status lists; objects stand for JSON. */
  answers?: Record<string, object | string>;
  /** Fetches what `answers` has not. By default nothing is fetched, and a note says what would have been. */
  fetch?: Fetch;
  /** The time in seconds since 1970; the host's own clock by default. */
  now?: Clock;
}

/** What the guard would decide, and why. It never holds the token. */
export interface Explanation {
  verdict: Verdict;
  /** The stable reason code; `docs/reasons.md` has a paragraph for each. */
  reason: string | null;
  resource: string | null;
  operation: string | null;
  /** The scope rule that matched. */
  rule: string | null;
  trace: readonly TraceEntry[];
  /** What would have to be fetched, and what could not be used. */
  notes: string[];
  /** What the client gets, or how the request goes on. */
  answer:
    | { status: number; headers: readonly HeaderPair[] }
    | { remove: readonly string[]; set: readonly HeaderPair[] };
  /** The trace as text for people, a line for each check. */
  text: string;
}

/**
 * Explains how a policy decides a request. Needs no server, and by default no network. Throws a `PolicyError`
 * for a mistake in the policy, the request's description or the options.
 */
export async function explain(
  policy: Policy | string,
  request: ExplainedRequest,
  options: ExplainOptions = {},
): Promise<Explanation> {
  checkNames(options, ["answers", "fetch", "now"]);
  const { answers = {}, fetch, now } = options;
  checkFunctions({ fetch, now });
  if (typeof answers !== "object" || answers === null) {
    throw new PolicyError("options.answers", "expected an object");
  }
  const { head, body } = described(request);
  const notes = new Set<string>();
  const source = {
    fetch: async (url: string, init: RequestInit) => {
      if (Object.hasOwn(answers, url)) {
        const answer = answers[url];
        return typeof answer === "string" ? new Response(answer) : Response.json(answer);
      }
      if (fetch === undefined) {
        notes.add(`the guard fetches ${url}: give its answer in answers, or a fetch`);
        throw new Error("not given");
      }
      return fetch(url, init);
    },
    isFetched: () => false,
  };
  const warn = (url: string, error: unknown) => {
    if (fetch !== undefined || Object.hasOwn(answers, url)) {
      notes.add(`cannot use the answer of ${url}: ${error}`);
    }
  };
  const document = policyText(policy);
  const engine = new Engine<Answer>(document, source, undefined, Tells.Trace, warn);
  let rest = body;
  const readBody = async () => {
    const part = rest;
    rest = undefined;
    return part;
  };
  const answer = await engine.decide(head, { now: clock(now), readBody, keep: () => {} });
  const { verdict, reason, resource, operation, rule, trace = [] } = answer.decision;
  const filter = answer.kind === "forward" ? answer.filter : undefined;
  filter?.free();
  return {
    verdict,
    reason,
    resource,
    operation,
    rule,
    trace,
    notes: [...notes],
    answer:
      answer.kind === "respond"
        ? { status: answer.status, headers: answer.headers }
        : { remove: answer.remove, set: answer.set },
    text: [...trace.map(line), ...[...notes].map((note) => `--  fetch           ${note}\n`)].join(""),
  };
}

const MARKS = { failed: "no", noted: "--", passed: "ok" };

/** As the command line prints it. */
function line({ check, outcome, text }: TraceEntry): string {
  return `${MARKS[outcome]}  ${check.padEnd(14)}  ${text}\n`;
}

function described(request: ExplainedRequest): { head: Head; body: Uint8Array | undefined } {
  if (typeof request !== "object" || request === null) {
    throw new PolicyError("request", "expected an object");
  }
  const known = ["url", "method", "token", "proof", "headers", "tool", "body"];
  for (const name of Object.keys(request)) {
    if (!known.includes(name)) {
      throw new PolicyError(`request.${name}`, `unknown; known are ${known.join(", ")}`);
    }
  }
  const { url, method = "POST", token, proof, headers = {}, tool, body } = request;
  for (const [name, value] of Object.entries({ url, method, token, proof, tool })) {
    if (typeof value !== "string" && (name === "url" || value !== undefined)) {
      throw new PolicyError(`request.${name}`, "expected a string");
    }
  }
  if (tool !== undefined && body !== undefined) {
    throw new PolicyError("request.tool", "either a tool or a body, not both");
  }
  const [, authority, path] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^#]*)/i.exec(url) ?? [];
  if (authority === undefined || path === undefined) {
    throw new PolicyError("request.url", "expected a URL like https://mcp.example.com/mcp");
  }
  if (typeof headers !== "object" || headers === null) {
    throw new PolicyError("request.headers", "expected an object");
  }
  const pairs: HeaderPair[] = Object.entries(headers).map(([name, value]) => {
    if (typeof value !== "string") {
      throw new PolicyError(`request.headers[${JSON.stringify(name)}]`, "expected a string");
    }
    return [byteString(name), byteString(value)];
  });
  if (token !== undefined) {
    pairs.push(["authorization", byteString(`${proof === undefined ? "Bearer" : "DPoP"} ${token}`)]);
  }
  if (proof !== undefined) {
    pairs.push(["dpop", byteString(proof)]);
  }
  const message = body ?? (method === "POST" ? asked(tool) : undefined);
  const isTyped = pairs.some(([name]) => name.toLowerCase() === "content-type");
  if (message !== undefined && !isTyped) {
    pairs.push(["content-type", "application/json"]);
  }
  const text = typeof message === "string" ? message : JSON.stringify(message);
  return {
    head: {
      method: byteString(method),
      authority: byteString(authority),
      path: byteString(path.startsWith("/") ? path : `/${path}`),
      headers: pairs,
      hasBody: text !== undefined,
    },
    body: text === undefined ? undefined : new TextEncoder().encode(text),
  };
}

function asked(tool: string | undefined): object {
  const message = { jsonrpc: "2.0", id: 1 };
  return tool === undefined
    ? { ...message, method: "tools/list" }
    : { ...message, method: "tools/call", params: { name: tool } };
}
