// What Express, Connect and Fastify have in common: a guard before a server that speaks Node's HTTP.

import { type Guard, partsOf } from "./guard.js";
import { BodyTap, type NodeRequest, change, headOf } from "./node-request.js";
import { type NodeResponse, decorate, respond } from "./node-response.js";
import type { Identity } from "./wire.js";

/** Options of the adapters for Node. */
export interface NodeOptions<Req> {
  /**
   * Gives the IP address of a request's client, from something that clients cannot choose: in Express
   * `(request) => request.ip`. With it `limits.failures_per_minute` holds. It is used in the place of the
   * guard's own option of that name, which takes the standard's `Request`.
   */
  clientAddress?: (request: Req) => string | null | undefined;
}

/**
 * Decides a request: answers it and gives `undefined`, or changes it for the server and gives who is calling
 * (`null` on public paths and in shadow mode). Rejects when the body breaks off.
 */
export async function admit<Req extends NodeRequest>(
  guard: Guard,
  request: Req,
  response: NodeResponse,
  { clientAddress }: NodeOptions<Req> = {},
): Promise<Identity | null | undefined> {
  const { engine, now, onDecision } = partsOf(guard);
  const tap = new BodyTap(request);
  const head = { ...headOf(request), client: clientAddress?.(request) ?? undefined };
  // A Node process goes on after its responses.
  const answer = await engine.decide(head, { now, readBody: () => tap.next(), keep: () => {} });
  onDecision?.(answer.decision);
  if (answer.kind === "respond") {
    respond(response, answer);
    return undefined;
  }
  tap.putBack();
  change(request, answer);
  decorate(response, answer, head.method === "HEAD", (decision) => onDecision?.(decision));
  return answer.identity;
}
