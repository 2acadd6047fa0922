// Who is calling, by the claims of a verified token.

import type { AccessTokenClaims } from "./verify.js";
import type { Identity } from "./wire.js";

/** The identity that the claims tell. */
export function identityOf(claims: AccessTokenClaims): Identity {
  const { iss, sub, client_id, jti, exp, scope = [] } = claims;
  return {
    issuer: iss,
    subject: sub ?? null,
    clientId: client_id ?? null,
    // RFC 8693 §4.2 has a text; some issuers have an array.
    scope: (typeof scope === "string" ? scope.split(" ") : scope).filter((one) => one !== ""),
    tokenId: jti ?? null,
    expiresAt: exp,
    claims,
  };
}
