// The guard: stands before an MCP server that speaks the Fetch standard's requests and responses.

import { policyText } from "./document.js";
import { Engine, type Head } from "./engine.js";
import { filtered } from "./filter.js";
import { toHost } from "./headers.js";
import { type KeyFunction, network, routed } from "./key-source.js";
import {
  type Clock,
  type HostOptions,
  checkCache,
  checkFunctions,
  checkNames,
  clock,
  hostFetch,
} from "./options.js";
import type { Policy } from "./policy.js";
import { answered, decorated, forwarded, headOf, hostIn } from "./request.js";
import { sealed } from "./session.js";
import { BodyReader } from "./stream.js";
import type { Decision, HeaderPair, Identity } from "./wire.js";

/** Options of {@link createGuard}. */
export interface GuardOptions extends HostOptions {
  /**
   * Keys that functions give, by issuer: for an issuer in the same process, or in the same Worker, which
   * cannot fetch from itself. The policy then has neither `jwks` nor `jwks_uri` for it.
   */
  keys?: Record<string, KeyFunction>;
  /** Is told of every decision, for logs and counters. What it throws fails the request. */
  onDecision?: (decision: Decision) => void;
  /**
   * Gives the IP address of a request's client, from something that clients cannot choose: on
   * Cloudflare `(request) => request.headers.get("cf-connecting-ip")`. With it
   * `limits.failures_per_minute` holds; without it failures are not counted. What it throws fails the
   * request; what is no address counts nothing.
   */
  clientAddress?: (request: Request) => string | null | undefined;
}

/** Whatever lets work go on after the response: the `ctx` of Workers and of Vercel. */
export interface Background {
  waitUntil?(work: Promise<unknown>): void;
}

/** How a request came out. */
export type Outcome =
  | {
      readonly allowed: true;
      /** Who is calling; `null` for public paths and in shadow mode. */
      readonly identity: Identity | null;
      /** The request for the server: without the token, with the identity's headers. */
      readonly request: Request;
      readonly response: null;
      /** Headers to set on the server's response (CORS). */
      readonly responseHeaders: readonly HeaderPair[];
      /** Headers to append to the server's response, beside its own of that name (CORS). */
      readonly responseAppend: readonly HeaderPair[];
      /**
       * Takes out of the server's lists what the caller may not use (`filter_lists`), and binds the
       * session that the server began to the caller (`session_secret`); `null` where there is nothing
       * to do. To be called once, with the server's response.
       */
      readonly filterResponse: ((response: Response) => Response) | null;
      /** Why it would have been refused, in shadow mode. */
      readonly reason: string | null;
      readonly decision: Decision;
    }
  | {
      readonly allowed: false;
      readonly identity: null;
      readonly request: null;
      /** The answer: a refusal with its challenge, a metadata document, or a preflight's. */
      readonly response: Response;
      /** The stable reason code; `null` when nothing was refused. */
      readonly reason: string | null;
      readonly decision: Decision;
    };

/** Answers a request whose caller is known. */
export type Handler<Env = unknown, Context = unknown> = (
  request: Request,
  env: Env,
  ctx: Context,
  identity: Identity | null,
) => Response | Promise<Response>;

/** Decides requests by a policy. */
export interface Guard {
  /** Decides a request. Uses its body up. Rejects only when that cannot be read. */
  check(request: Request, ctx?: Background): Promise<Outcome>;

  /** A handler that lets only authorized requests through to `handler`, and answers the others. */
  protect<Env = unknown, Context = unknown>(
    handler: Handler<Env, Context>,
  ): (request: Request, env?: Env, ctx?: Context) => Promise<Response>;
}

/**
 * A guard for a policy document, given as object or as JSON text. To be made once: it holds the
 * issuers' keys and remembers verified tokens. Throws a `PolicyError` for a mistake.
 */
export function createGuard(policy: Policy | string, options: GuardOptions = {}): Guard {
  checkNames(options, ["fetch", "now", "keyCache", "keys", "onDecision", "clientAddress"]);
  const { keyCache, keys, ...functions } = options;
  checkFunctions(functions);
  checkCache(keyCache);
  const { fetch = hostFetch, onDecision, clientAddress } = functions;
  const now = clock(options.now);
  const document = policyText(policy);
  const source = (policy: string) => (keys == null ? network(fetch) : routed(policy, keys, fetch));
  const engine = new Engine(document, source, keyCache);

  const decide: GuardParts["check"] = async (request, ctx, isByHost = false) => {
    let reader: BodyReader | undefined;
    const readBody = () => {
      reader ??= new BodyReader(request.body);
      return reader.next();
    };
    const keep = (work: Promise<unknown>) => background(ctx, work);
    const head: Head = { ...headOf(request), client: clientAddress?.(request) ?? undefined };
    head.authority = (isByHost ? hostIn(head.headers) : undefined) ?? head.authority;
    const answer = await engine.decide(head, { now, readBody, keep });
    const { decision } = answer;
    const { reason } = decision;
    onDecision?.(decision);
    if (answer.kind === "respond") {
      reader?.cancel();
      const response = answered(answer);
      return { allowed: false, identity: null, request: null, response, reason, decision };
    }
    const { identity } = answer;
    const responseHeaders = toHost(answer.responseHeaders);
    const responseAppend = toHost(answer.responseAppend);
    // Made when it is asked for: that takes several times as long as the decision.
    let changed: Request | undefined;
    const { filter, session } = answer;
    const refused = (decision: Decision) => onDecision?.(decision);
    const show = (response: Response) => (filter ? filtered(response, filter, refused) : response);
    const filterResponse =
      filter || session ? (response: Response) => sealed(show(response), session) : null;
    return {
      allowed: true,
      identity,
      get request() {
        changed ??= forwarded(request, answer, reader);
        return changed;
      },
      response: null,
      responseHeaders,
      responseAppend,
      filterResponse,
      reason,
      decision,
    };
  };

  const check: Guard["check"] = (request, ctx) => decide(request, ctx);

  const protect: Guard["protect"] = (handler) => async (request, env, ctx) => {
    const outcome = await check(request, ctx as Background | undefined);
    if (!outcome.allowed) {
      return outcome.response;
    }
    // The host gives what the handler says that it needs: it is passed on as it came.
    const response = await handler(outcome.request, env!, ctx!, outcome.identity);
    const shown = outcome.filterResponse?.(response) ?? response;
    return decorated(shown, outcome.responseHeaders, outcome.responseAppend);
  };

  const guard: Guard = { check, protect };
  parts.set(guard, { engine, now, onDecision, check: decide });
  return guard;
}

/** What the adapters need that do not speak the Fetch standard. */
export interface GuardParts {
  engine: Engine;
  now: Clock;
  onDecision: GuardOptions["onDecision"];
  /** `Guard.check`; `isByHost`: the host that was asked is in the header of that name, and not in the URL. */
  check(request: Request, ctx?: Background, isByHost?: boolean): Promise<Outcome>;
}

const parts = new WeakMap<Guard, GuardParts>();

/** The parts of a guard that {@link createGuard} made. */
export function partsOf(guard: Guard): GuardParts {
  const found = parts.get(guard);
  if (found === undefined) {
    throw new TypeError("expected a guard that createGuard made");
  }
  return found;
}

/** Hands work to the host if it can keep itself awake for it; else the work goes on as it can. */
function background(ctx: Background | undefined, work: Promise<unknown>): void {
  if (typeof ctx?.waitUntil === "function") {
    ctx.waitUntil(work);
  }
}
