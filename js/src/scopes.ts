// The least scopes for what a client means to do, by the policy's rules.

import { minimal_scopes } from "./core.js";
import { policyText } from "./document.js";
import { PolicyError, asPolicyError } from "./errors.js";
import { ready } from "./module.js";
import type { Policy } from "./policy.js";

/**
 * What a client means to do: a JSON-RPC method of MCP, with the tool's, prompt's or resource's name.
 * `subscriptions/listen` for several resources is several operations.
 */
export interface Operation {
  /** Like `tools/call`. */
  method: string;
  /** The tool, the prompt, or the resource's URI, where the method takes one. */
  name?: string;
}

/**
 * The least set of scopes with which a policy allows all of these operations: what a client should ask
 * its issuer for. `resource` may be left out where the policy has only one.
 *
 * Throws a `PolicyError` for a mistake in the policy, and, with a path like `operations[0]`, for an
 * operation that no scope allows.
 */
export function minimalScopes(
  policy: Policy | string,
  operations: readonly Operation[],
  resource?: string,
): string[] {
  ready();
  const document = policyText(policy);
  const texts = operations.flatMap(({ method, name }, position) => {
    if (typeof method !== "string" || !["string", "undefined"].includes(typeof name)) {
      throw new PolicyError(`operations[${position}]`, "method and name are strings");
    }
    return [method, name];
  });
  try {
    return minimal_scopes(document, texts, resource);
  } catch (error) {
    throw asPolicyError(error);
  }
}
