// Cloudflare's workers-oauth-provider: tokens of another issuer, verified without asking it.

import { AuthError, type VerifyOptions, verifyAccessToken } from "countersign";

import { identityOf } from "./identity.js";
import type { Identity } from "./wire.js";

export type { Identity };

/** How tokens are verified; their audience is the resource of the server that asks. */
export type TokenOptions = Omit<VerifyOptions, "audience"> & {
  /** Further spellings of the resource that an issuer may put into `aud`. */
  acceptAudiences?: string[];
};

/** What `OAuthResourceServer` is told of a token. */
export interface Validation {
  /** `ctx.props` of the handler. */
  props: Identity;
  audience: string;
  expiresAt: number;
  scope: string[];
  userId?: string;
  clientId?: string;
}

/**
 * `validateToken` of an `OAuthResourceServer`: accepts access tokens of `options.issuer` for its resource.
 *
 * ```js
 * export default new OAuthResourceServer({ …, validateToken: validateToken({ issuer, jwks }) });
 * ```
 *
 * `options` may be a function of the Worker's `env`, for keys or a key cache that stand in it; it should give
 * the same `fetch`, `jwks` function and `keyCache` each time, since keys are kept for those
 * (`keyCaches.kv(env.KEYS)` is the same for the same namespace). A token that is refused is answered with 401; keys
 * out of reach throw, which is answered with 503.
 */
export function validateToken<Env = unknown>(
  options: TokenOptions | ((env: Env) => TokenOptions),
): (env: Env, request: Request) => (resource: string, token: string) => Promise<Validation | null> {
  return (env) => async (resource, token) => {
    const { acceptAudiences = [], ...rest } = typeof options === "function" ? options(env) : options;
    try {
      const audience = [resource, ...acceptAudiences];
      const identity = identityOf(await verifyAccessToken(token, { ...rest, audience }));
      const { expiresAt, scope, subject, clientId } = identity;
      return {
        props: identity,
        audience: resource,
        expiresAt,
        scope: [...scope],
        ...(subject !== null && { userId: subject }),
        ...(clientId !== null && { clientId }),
      };
    } catch (error) {
      if (error instanceof AuthError && error.status < 500) {
        return null;
      }
      throw error;
    }
  };
}
