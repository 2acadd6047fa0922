// The policy document's types. Made by js/build/policy.mjs of policy.schema.json: do not edit.

/** The policy document of Countersign: who may issue tokens, and what is protected. docs/policy.md says it all. */
export interface Policy {
  /** Who may issue tokens. */
  readonly issuers: readonly Issuer[];
  /** What is protected; what is not here is answered with 404. */
  readonly resources: readonly Resource[];
  /** Bounds on what one request may cost. */
  readonly limits?: Limits;
  /** Seconds by which clocks may differ. From 0 to 300. Default: `30`. */
  readonly leeway?: number;
  /** Envoy only: headers wait for the body. Default: `true`. */
  readonly hold_headers?: boolean;
}

/** Who may issue tokens. */
export interface Issuer {
  /** The issuer identifier: `iss` of its tokens and `issuer` of its metadata are the same text, byte for byte. */
  readonly issuer: string;
  /** Where the key set is; found by the issuer's metadata without it. Not together with `jwks`. */
  readonly jwks_uri?: string;
  /** The keys themselves: nothing is fetched. */
  readonly jwks?: KeySet;
  /** Envoy's upstream cluster for fetches; other hosts ignore it. */
  readonly cluster?: string;
  /** Tokens are read as this provider writes them. */
  readonly preset?: "auth0" | "cognito" | "entra" | "keycloak" | "okta" | "supabase";
  /** The `alg` values that tokens and status lists may have; by default all but HS256, or as the preset has it. */
  readonly algorithms?: readonly ("ES256" | "EdDSA" | "Ed25519" | "ES384" | "PS256" | "PS384" | "PS512" | "RS256" | "RS384" | "RS512" | "HS256")[];
  /** The `typ` values that tokens may have; `["at+jwt"]` by default. The empty text stands for a token without `typ`. */
  readonly token_types?: readonly string[];
  /** Claims that must be there and not empty; `["sub", "client_id", "jti"]` by default. */
  readonly required_claims?: readonly string[];
  /** Longest time from `iat` to `exp`, in seconds. From 1 to 3155760000. Default: `86400`. */
  readonly max_lifetime?: number;
  /** How long fetched keys are used. */
  readonly jwks_cache?: JwksCache;
  /** Whether the issuer's status lists are asked whether a token was revoked. Default: `"if_present"`. */
  readonly status?: "required" | "if_present" | "ignore";
  /** Where the issuer says which status lists there are. */
  readonly status_aggregation?: string;
  /** How the issuer is asked about tokens that are no JWTs (RFC 7662). */
  readonly introspection?: Introspection;
}

/** A JWK Set (RFC 7517 §5). */
export interface KeySet {
  /** The keys. */
  readonly keys: readonly object[];
}

/** How long fetched keys are used, in seconds. */
export interface JwksCache {
  /** Age from which the key set is fetched anew in the background. From 1 to 2592000. Default: `300`. */
  readonly fresh?: number;
  /** Age from which the key set is no longer used, even if the issuer is down. From 1 to 2592000. Default: `86400`. */
  readonly stale?: number;
  /** Shortest time between two fetches that unknown key ids cause. From 1 to 2592000. Default: `30`. */
  readonly cooldown?: number;
  /** A set with more keys is not used. From 1 to 1024. Default: `64`. */
  readonly max_keys?: number;
}

/** How the issuer is asked about tokens that are no JWTs. */
export interface Introspection {
  /** The introspection endpoint. */
  readonly endpoint: string;
  /** The guard's own client id there. */
  readonly client_id: string;
  /** Its secret. */
  readonly client_secret: string;
  /** Seconds for which an answer is remembered. From 1 to 3600. Default: `30`. */
  readonly cache?: number;
}

/** What is protected. */
export interface Resource {
  /** The resource identifier (RFC 8707), published as written. */
  readonly resource: string;
  /** The hosts whose requests it covers; those of `resource` by default. */
  readonly hosts?: readonly string[];
  /** The path that it covers, with everything below; that of `resource` by default. */
  readonly path?: string;
  /** Further texts that may stand in `aud`, compared byte for byte. */
  readonly accept_audiences?: readonly string[];
  /** A token that names other audiences beside this one is refused. Default: `true`. */
  readonly exclusive_audience?: boolean;
  /** A name for people, in the metadata. */
  readonly name?: string;
  /** A page for developers, in the metadata. */
  readonly documentation?: string;
  /** The issuers whose tokens it accepts; all by default. */
  readonly issuers?: readonly string[];
  /** Which scopes an operation needs. */
  readonly scopes?: Scopes;
  /** What the server is told. */
  readonly forward?: ForwardRules;
  /** Whether tokens may or must be bound to a key of the client (RFC 9449). Default: `"off"`. */
  readonly dpop?: "off" | "accept" | "require";
  /** The guard asks for nonces: at least 32 random bytes as base64url. */
  readonly dpop_nonce?: string;
  /** Sessions belong to who began them: at least 32 random bytes as base64url. */
  readonly session_secret?: string;
  /** Pages of these origins may call, beside the resource's own; `"*"` stands for all. */
  readonly origins?: readonly string[];
  /** Paths on its hosts that need no token, matched whole. */
  readonly public_paths?: readonly string[];
  /** `"shadow"` logs refusals and lets the requests pass. Default: `"enforce"`. */
  readonly mode?: "enforce" | "shadow";
}

/** Which scopes an operation needs. */
export interface Scopes {
  /** What every request needs. */
  readonly baseline?: readonly string[];
  /** A token with the first scope counts as having the others too. */
  readonly implies?: { readonly [name: string]: readonly string[] };
  /** Rules for `tools/call`, by the tool's name or a pattern. */
  readonly tools?: { readonly [name: string]: readonly string[] };
  /** Rules for `prompts/get`, by the prompt's name or a pattern. */
  readonly prompts?: { readonly [name: string]: readonly string[] };
  /** Rules for resources, by URI or a pattern. */
  readonly resources?: { readonly [name: string]: readonly string[] };
  /** Rules for other methods. */
  readonly methods?: { readonly [name: string]: readonly string[] };
  /** What an operation needs that no rule names. Default: `"baseline"`. */
  readonly unlisted?: "baseline" | "deny";
  /** Lists show only what the token may use. Default: `false`. */
  readonly filter_lists?: boolean;
}

/** What the server is told. */
export interface ForwardRules {
  /** Whether the token is taken off the request. Default: `"strip"`. */
  readonly token?: "strip" | "keep";
  /** Headers that carry claims: a claim's name for each header's. */
  readonly headers?: { readonly [name: string]: string };
  /** A header that carries all claims, as base64url of JSON. */
  readonly claims?: string | null;
}

/** Bounds on what one request may cost. */
export interface Limits {
  /** Longest token. From 512 to 16384. Default: `8192`. */
  readonly token_bytes?: number;
  /** Longest message that is read for its operation. From 1024 to 67108864. Default: `1048576`. */
  readonly body_bytes?: number;
  /** Most verified tokens that are remembered. From 0 to 1000000. Default: `4096`. */
  readonly cached_tokens?: number;
  /** Tokens that one client address may fail with in a minute. From 0 to 60000. Default: `60`. */
  readonly failures_per_minute?: number;
}
