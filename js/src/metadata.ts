// Challenges (`WWW-Authenticate`) and metadata documents, written and read by the engine.

import {
  authorization_server_metadata_urls,
  build_challenge,
  build_protected_resource_metadata,
  parse_authorization_server_metadata,
  parse_challenges,
  parse_protected_resource_metadata,
  protected_resource_metadata_url,
} from "./core.js";
import { ready } from "./module.js";

/** What is no text is a mistake, and none that a text could be made of: "null" is a challenge. */
function text(value: string, name: string): string {
  if (typeof value !== "string") {
    throw new TypeError(`${name}: expected a string`);
  }
  return value;
}

/** A challenge to write (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1). */
export interface ChallengeParts {
  /** `Bearer` by default. */
  scheme?: "Bearer" | "DPoP";
  /** Where the protected resource's metadata stands. */
  resourceMetadata: string;
  /** Left out where the request had no credentials (RFC 6750 §3.1). */
  error?:
    | "insufficient_scope"
    | "invalid_dpop_proof"
    | "invalid_request"
    | "invalid_token"
    | "use_dpop_nonce";
  /** For people; needed with `error`. */
  errorDescription?: string;
  /** All scopes that the request needs. */
  scope?: readonly string[];
  /** By which DPoP proofs may be signed. */
  algorithms?: readonly string[];
}

/** A challenge as it was received. What is in it is the server's word. */
export interface ReceivedChallenge {
  /** As it was written; to be compared without regard to case. */
  scheme: string;
  /** The single text that some schemes have instead of parameters, like `Negotiate YII=`. */
  token68: string | null;
  /** By their names in lower case. */
  parameters: Record<string, string>;
}

/** Challenges, as they stand in `WWW-Authenticate`. */
export const challenges = {
  /** The header's value. Whatever is in the parts, nothing can be injected. Throws a `TypeError` for a mistake. */
  build(parts: ChallengeParts): string {
    ready();
    return build_challenge(JSON.stringify(parts) ?? "");
  },
  /**
   * Reads a value, of which several lines were joined by commas; of the empty text, none. Throws a `TypeError` when
   * it is wrong anywhere: what a lenient reader makes of the rest is guesswork.
   */
  parse(value: string): ReceivedChallenge[] {
    ready();
    return JSON.parse(parse_challenges(text(value, "value")));
  },
};

/** What a protected resource says of itself (RFC 9728 §2). */
export interface ProtectedResourceParts {
  /** The identifier, published as written. */
  resource: string;
  /** The issuers whose tokens it accepts: at least one. */
  authorizationServers: readonly string[];
  /** The scopes for basic use. */
  scopesSupported?: readonly string[];
  /** A name for people. */
  name?: string;
  /** A page for developers. */
  documentation?: string;
  /** By which DPoP proofs may be signed, where DPoP is used. */
  dpopAlgorithms?: readonly string[];
  /** Whether every token has to be bound to a key (RFC 9449). */
  dpopRequired?: boolean;
}

/** A protected resource's metadata document as it was received (RFC 9728 §3.2). */
export interface ProtectedResourceMetadata {
  resource: string;
  authorizationServers: string[];
  scopesSupported: string[];
  /** How tokens may be sent, like `header`; empty where nothing is said. */
  bearerMethods: string[];
  /** Text of the server's: to be shown as such. */
  name: string | null;
  documentation: string | null;
  dpopAlgorithms: string[];
  dpopRequired: boolean;
}

/** Metadata of protected resources (RFC 9728). */
export const protectedResourceMetadata = {
  /** Where a resource's document stands (RFC 9728 §3.1): only text is moved. Throws a `TypeError` for no URL. */
  url(resource: string): string {
    ready();
    return protected_resource_metadata_url(text(resource, "resource"));
  },
  /** The document as JSON. Throws a `TypeError` for a mistake. */
  build(parts: ProtectedResourceParts): string {
    ready();
    return build_protected_resource_metadata(JSON.stringify(parts) ?? "");
  },
  /**
   * Reads a document that was fetched for a resource. Throws a `TypeError` for one that must not be used; above all
   * when its `resource` is not that identifier byte for byte (RFC 9728 §3.3).
   */
  parse(document: string, resource: string): ProtectedResourceMetadata {
    ready();
    return JSON.parse(parse_protected_resource_metadata(text(document, "document"), text(resource, "resource")));
  },
};

/** An authorization server's metadata, by the names of RFC 8414 §2: URLs where they are, and what is supported. */
export interface AuthorizationServerMetadata {
  issuer: string;
  authorization_endpoint?: string;
  introspection_endpoint?: string;
  jwks_uri?: string;
  pushed_authorization_request_endpoint?: string;
  registration_endpoint?: string;
  revocation_endpoint?: string;
  token_endpoint?: string;
  code_challenge_methods_supported: string[];
  dpop_signing_alg_values_supported: string[];
  grant_types_supported: string[];
  response_types_supported: string[];
  scopes_supported: string[];
  token_endpoint_auth_methods_supported: string[];
  authorization_response_iss_parameter_supported: boolean;
  client_id_metadata_document_supported: boolean;
  require_pushed_authorization_requests: boolean;
}

/** Metadata of authorization servers (RFC 8414, OpenID Connect Discovery). */
export const authorizationServerMetadata = {
  /** Where an issuer's document may stand, in the order in which to look; empty for what is no URL. */
  urls(issuer: string): string[] {
    ready();
    return authorization_server_metadata_urls(text(issuer, "issuer"));
  },
  /**
   * Reads a document that was fetched for an issuer. Throws a `TypeError` for one that must not be used; above all
   * when its `issuer` is not that identifier byte for byte (RFC 8414 §3.3), or when a URL in it is not secure.
   */
  parse(document: string, issuer: string): AuthorizationServerMetadata {
    ready();
    return JSON.parse(parse_authorization_server_metadata(text(document, "document"), text(issuer, "issuer")));
  },
};
