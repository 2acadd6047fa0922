// PKCE with S256 (RFC 7636), by the engine; the random bytes come from the host.

import { pkce_challenge, pkce_verifier, pkce_verify } from "./core.js";
import { ready } from "./module.js";

function generate(): { verifier: string; challenge: string } {
  ready();
  const verifier = pkce_verifier(crypto.getRandomValues(new Uint8Array(32)));
  const challenge = verifier && pkce_challenge(verifier);
  if (!verifier || !challenge) {
    throw new Error("pkce: the engine gave no code verifier");
  }
  return { verifier, challenge };
}

function verify(verifier: string, challenge: string): boolean {
  ready();
  // Both come from requests, where they may be missing.
  const present = typeof verifier === "string" && typeof challenge === "string";
  return present && pkce_verify(verifier, challenge);
}

/** Proof Key for Code Exchange. The only method is S256, as OAuth 2.1 asks. */
export const pkce = {
  /** A new code verifier, to be kept secret until the token request, and its challenge. */
  generate,
  /** Whether both are well-formed and belong together; compared in constant time. */
  verify,
};
