// The errors that this package throws on purpose.

import type { Decision } from "./wire.js";

/** A mistake in a policy document or in options. */
export class PolicyError extends TypeError {
  override readonly name = "PolicyError";

  /** Where it stands, like `$.resources[0].scopes.tools["write_*"]`. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}

/** What the engine threw, as a `PolicyError` if it has a path; else as it is. */
export function asPolicyError(error: unknown): unknown {
  const { path, message } = error as { path?: unknown; message?: unknown };
  return typeof path === "string" ? new PolicyError(path, String(message)) : error;
}

/** An access token that was refused, or could not be verified. */
export class AuthError extends Error {
  override readonly name = "AuthError";

  /** The stable reason code, like `token_expired`. */
  readonly reason: string;

  /** The HTTP status to answer with: 401 for most, 503 when the issuer's keys are out of reach. */
  readonly status: number;

  /** The value for `WWW-Authenticate`, where the answer must have one. */
  readonly challenge?: string;

  /** The record for the log. Not for the client: `detail` says more than the wire should. */
  readonly decision: Decision;

  constructor(decision: Decision, status: number, challenge: string | undefined) {
    const reason = decision.reason ?? decision.verdict;
    super(`the access token was not accepted: ${reason}`);
    this.reason = reason;
    this.status = status;
    this.decision = decision;
    if (challenge !== undefined) {
      this.challenge = challenge;
    }
  }
}
