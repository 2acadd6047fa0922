// Identities as the MCP SDK has them.

import type { Identity } from "./wire.js";

/** `AuthInfo` of the MCP TypeScript SDK, v1 and v2. */
export interface AuthInfo {
  /** Empty where the guard has taken the token away. */
  token: string;
  clientId: string;
  scopes: string[];
  /** In seconds since 1970. */
  expiresAt: number;
  /** The resource that the token is for, where that is a URL. */
  resource?: URL;
  extra: {
    issuer: string;
    subject: string | null;
    claims: Readonly<Record<string, unknown>>;
  };
}

/** An identity as the MCP SDK's transports take it. */
export function authInfo(identity: Identity, token = "", resource?: string): AuthInfo {
  const { issuer, subject, clientId, scope, expiresAt, claims } = identity;
  return {
    token,
    // The SDK has no word for none.
    clientId: clientId ?? "",
    scopes: [...scope],
    expiresAt,
    ...(resource !== undefined && URL.canParse(resource) && { resource: new URL(resource) }),
    extra: { issuer, subject, claims },
  };
}
