// The package's public face. Each entry (inline, workerd, edge-light) loads the engine its own way
// and gives this out.

export { AuthError, PolicyError } from "./errors.js";
export { explain } from "./explain.js";
export type { ExplainOptions, ExplainedRequest, Explanation } from "./explain.js";
export { createGuard } from "./guard.js";
export type { Background, Guard, GuardOptions, Handler, Outcome } from "./guard.js";
export { keyCaches } from "./key-cache.js";
export type { CacheLike, CachedDocument, KeyCache, KvNamespace } from "./key-cache.js";
export type { KeyFunction, KeySet } from "./key-source.js";
export { authorizationServerMetadata, challenges, protectedResourceMetadata } from "./metadata.js";
export type {
  AuthorizationServerMetadata,
  ChallengeParts,
  ProtectedResourceMetadata,
  ProtectedResourceParts,
  ReceivedChallenge,
} from "./metadata.js";
export { pkce } from "./pkce.js";
export type {
  ForwardRules,
  Introspection,
  Issuer as IssuerPolicy,
  JwksCache,
  Limits,
  Policy,
  Resource as ResourcePolicy,
  Scopes as ScopeRules,
} from "./policy.js";
export { minimalScopes } from "./scopes.js";
export type { Operation } from "./scopes.js";
export { verifyAccessToken } from "./verify.js";
export type { AccessTokenClaims, KeySource, VerifyOptions } from "./verify.js";
export type { Decision, Identity, TraceEntry, Verdict } from "./wire.js";
