// The MCP TypeScript SDK, v1 and v2: a verifier for its `requireBearerAuth`.

import { AuthError, type VerifyOptions, verifyAccessToken } from "countersign";

import { type AuthInfo, authInfo } from "./auth-info.js";
import { identityOf } from "./identity.js";

export type { AuthInfo };
export { authInfo };

/** The SDK's errors: of v1 `@modelcontextprotocol/sdk/server/auth/errors.js`, of v2 the package itself. */
export type SdkErrors =
  | {
      InvalidTokenError: new (message: string) => Error;
      ServerError: new (message: string) => Error;
    }
  | { OAuthError: new (code: never, message: string) => Error };

/** `OAuthTokenVerifier` of the SDK. */
export interface TokenVerifier {
  verifyAccessToken(token: string): Promise<AuthInfo>;
}

/**
 * A verifier for the SDK's `requireBearerAuth`. The SDK maps its own errors to answers, so it has to be given:
 *
 * ```js
 * import * as errors from "@modelcontextprotocol/sdk/server/auth/errors.js"; // v1
 * import * as errors from "@modelcontextprotocol/server";                    // v2
 * const verifier = tokenVerifier({ issuer, audience, jwks }, errors);
 * ```
 *
 * A token that is refused is the SDK's `invalid_token`, whose description has no more than the wire may show;
 * keys out of reach are its `server_error`, so that no client logs in anew for it. The reason is in the
 * error's `cause`.
 */
export function tokenVerifier(options: VerifyOptions, errors: SdkErrors): TokenVerifier {
  return {
    async verifyAccessToken(token) {
      try {
        const claims = await verifyAccessToken(token, options);
        const { audience } = options;
        return authInfo(identityOf(claims), token, Array.isArray(audience) ? audience[0] : audience);
      } catch (error) {
        throw error instanceof AuthError ? sdkError(error, errors) : error;
      }
    },
  };
}

function sdkError(error: AuthError, errors: SdkErrors): Error {
  const isOurs = error.status >= 500;
  const message = isOurs ? "The token cannot be verified now" : "The access token is not accepted";
  const thrown =
    "InvalidTokenError" in errors
      ? new errors[isOurs ? "ServerError" : "InvalidTokenError"](message)
      : new errors.OAuthError((isOurs ? "server_error" : "invalid_token") as never, message);
  thrown.cause = error;
  return thrown;
}
