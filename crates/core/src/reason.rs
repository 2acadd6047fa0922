//! Why a request or a token was refused: stable codes, and what the wire may say of each.

use core::fmt;

/// Declares the codes once: variant, code, HTTP status, RFC 6750 error, text for the wire.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal, $status:literal, $error:expr, $wire:literal;)*) => {
        /// A stable reason code. The same string stands in logs, counters, tests and
        /// `docs/reasons.md`, and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Reason {
            /// Every reason, for documentation and counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The snake_case code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that a refused request is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The `error` of the challenge (RFC 6750 §3.1, RFC 9449 §7.1), if the challenge has one.
            #[must_use]
            pub const fn challenge_error(self) -> Option<ChallengeError> {
                match self { $(Self::$variant => $error,)* }
            }

            /// What it means, in a sentence for operators.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// What the client is told: no more than RFC 6750 §3.1 allows, the same for all
            /// reasons that a client can do the same about.
            #[must_use]
            pub const fn wire_text(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }
        }
    };
}

/// The error codes of challenges (RFC 6750 §3.1, RFC 9449 §7.1 and §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// The token lacks a scope that this operation needs; answered with 403.
    InsufficientScope,
    /// The DPoP proof is missing, malformed, or not one for this request; answered with 401.
    InvalidDpopProof,
    /// The request is malformed; answered with 400.
    InvalidRequest,
    /// The token is expired, revoked, malformed or not meant for this server; answered with 401.
    InvalidToken,
    /// The DPoP proof must carry the nonce that comes with this answer; answered with 401.
    UseDpopNonce,
}

impl ChallengeError {
    /// The code as it stands in the challenge.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }
}

use ChallengeError::{
    InsufficientScope, InvalidDpopProof, InvalidRequest, InvalidToken, UseDpopNonce,
};

reasons! {
    /// The token's `alg` is not one that this issuer's policy allows.
    AlgorithmUnsupported = "algorithm_unsupported", 401, Some(InvalidToken), "The access token is invalid";
    /// The token names another audience than this resource, or further ones beside it.
    AudienceMismatch = "audience_mismatch", 401, Some(InvalidToken), "The access token is invalid";
    /// A JSON-RPC batch, which MCP has removed and which would hide operations from the rules.
    BatchUnsupported = "batch_unsupported", 400, None, "JSON-RPC batches are not supported";
    /// The message is larger than `limits.body_bytes`.
    BodyTooLarge = "body_too_large", 413, None, "The message is too large";
    /// A claim has the wrong type, is out of range, or cannot be forwarded in a header.
    ClaimMalformed = "claim_malformed", 401, Some(InvalidToken), "The access token is invalid";
    /// A required claim is absent or empty.
    ClaimMissing = "claim_missing", 401, Some(InvalidToken), "The access token is invalid";
    /// The operation must be read from the body, and the body is not declared as plain JSON.
    ContentTypeUnsupported = "content_type_unsupported", 415, None, "The message must be application/json, without content coding";
    /// The Authorization header is repeated, not text, or not `Bearer` and one token.
    CredentialsMalformed = "credentials_malformed", 400, Some(InvalidRequest), "The Authorization header is malformed";
    /// Too many tokens from this client address failed in the last minute; this one was not looked at.
    FailuresExcessive = "failures_excessive", 429, None, "Too many failed requests; try again later";
    /// `Mcp-Method`, `Mcp-Name` and the message do not say the same.
    HeaderMismatch = "header_mismatch", 400, None, "The Mcp-Method or Mcp-Name header does not match the message";
    /// The issuer cannot be asked about an opaque token now. Our fault, never the client's.
    IntrospectionUnavailable = "introspection_unavailable", 503, None, "The server cannot verify access tokens at the moment";
    /// The token's issuer is not one that this resource accepts.
    IssuerUnknown = "issuer_unknown", 401, Some(InvalidToken), "The access token is invalid";
    /// Several keys of the issuer's set fit the token.
    KeyAmbiguous = "key_ambiguous", 401, Some(InvalidToken), "The access token is invalid";
    /// The issuer's key set has no key of this name and algorithm.
    KeyUnknown = "key_unknown", 401, Some(InvalidToken), "The access token is invalid";
    /// The issuer's key set cannot be had now. Our fault, never the client's.
    KeysUnavailable = "keys_unavailable", 503, None, "The server cannot verify access tokens at the moment";
    /// The server's list cannot be read strictly, so it cannot be filtered.
    ListUnreadable = "list_unreadable", 502, None, "The server's answer cannot be filtered";
    /// The message has a longer method, name, URI, `id` or number, or more member names, than are kept.
    MessageExcessive = "message_excessive", 400, None, "The message has names or numbers that are too long, or too many of them";
    /// The message is not strict JSON or not a JSON-RPC message.
    MessageMalformed = "message_malformed", 400, None, "The message is not a valid JSON-RPC message";
    /// A well-known OAuth document that does not exist here.
    MetadataUnknown = "metadata_unknown", 404, None, "There is no such metadata document";
    /// An HTTP method that MCP does not use, on a resource with rules for operations.
    MethodNotAllowed = "method_not_allowed", 405, None, "The HTTP method is not allowed here";
    /// The policy allows this operation to nobody, or it would be hidden in another protocol.
    OperationDenied = "operation_denied", 403, None, "The operation is not allowed";
    /// The request comes from a browser page whose origin is not allowed.
    OriginForbidden = "origin_forbidden", 403, None, "The origin is not allowed";
    /// The request target has dot segments, backslashes or encoded slashes, which servers read differently.
    PathAmbiguous = "path_ambiguous", 400, None, "The request target is ambiguous";
    /// The DPoP proof is not one strict proof with all its claims, or was sent twice.
    ProofMalformed = "proof_malformed", 401, Some(InvalidDpopProof), "The DPoP proof is invalid";
    /// The DPoP proof is for another method, URL or access token.
    ProofMismatch = "proof_mismatch", 401, Some(InvalidDpopProof), "The DPoP proof is invalid";
    /// The scheme is `DPoP`, and there is no proof.
    ProofMissing = "proof_missing", 401, Some(InvalidDpopProof), "A DPoP proof is required";
    /// The DPoP proof lacks a nonce that is still good.
    ProofNonceRequired = "proof_nonce_required", 401, Some(UseDpopNonce), "The DPoP proof must carry the nonce of this answer";
    /// The DPoP proof was not made just now.
    ProofNotFresh = "proof_not_fresh", 401, Some(InvalidDpopProof), "The DPoP proof is invalid";
    /// The DPoP proof was used before.
    ProofReplayed = "proof_replayed", 401, Some(InvalidDpopProof), "The DPoP proof is invalid";
    /// The signature of the DPoP proof does not verify.
    ProofSignatureInvalid = "proof_signature_invalid", 401, Some(InvalidDpopProof), "The DPoP proof is invalid";
    /// More DPoP proofs came in a short time than can be remembered.
    ProofsExcessive = "proofs_excessive", 429, None, "Too many requests; try again later";
    /// The policy protects nothing under this host and path.
    ResourceUnknown = "resource_unknown", 404, None, "There is nothing here";
    /// Credentials of another scheme than the resource takes.
    SchemeUnsupported = "scheme_unsupported", 401, None, "An access token is required";
    /// The token lacks a scope that this operation needs.
    ScopeInsufficient = "scope_insufficient", 403, Some(InsufficientScope), "The operation needs more scopes";
    /// The MCP session was not given to this caller.
    SessionUnknown = "session_unknown", 404, None, "The session is not known";
    /// The signature does not verify.
    SignatureInvalid = "signature_invalid", 401, Some(InvalidToken), "The access token is invalid";
    /// The list that says whether the token was revoked cannot be had now. Our fault, never the client's.
    StatusUnavailable = "status_unavailable", 503, None, "The server cannot verify access tokens at the moment";
    /// The token is bound to a key (`cnf`), and the request does not prove to have it: it came as a mere
    /// bearer token (RFC 9449 §7.2), or with the proof of another key.
    TokenBound = "token_bound", 401, Some(InvalidToken), "The access token is invalid";
    /// The token's time is over.
    TokenExpired = "token_expired", 401, Some(InvalidToken), "The access token expired";
    /// The issuer says of an opaque token that it is not active: expired, revoked, or none of its own.
    TokenInactive = "token_inactive", 401, Some(InvalidToken), "The access token is invalid";
    /// A token in the query string, where it would reach logs (forbidden by MCP and OAuth 2.1 §5.1).
    TokenInQuery = "token_in_query", 400, Some(InvalidRequest), "The access token must be sent in the Authorization header";
    /// The token lives longer than the policy's `max_lifetime`.
    TokenLifetimeExcessive = "token_lifetime_excessive", 401, Some(InvalidToken), "The access token is invalid";
    /// The token is not one compact JWS with a JSON object in it.
    TokenMalformed = "token_malformed", 401, Some(InvalidToken), "The access token is invalid";
    /// The request has no credentials.
    TokenMissing = "token_missing", 401, None, "An access token is required";
    /// `nbf` or `iat` lies in the future.
    TokenNotYetValid = "token_not_yet_valid", 401, Some(InvalidToken), "The access token is invalid";
    /// The issuer's status list says that the token is no longer valid, or has no place for it.
    TokenRevoked = "token_revoked", 401, Some(InvalidToken), "The access token is invalid";
    /// The token is longer than `limits.token_bytes`.
    TokenTooLarge = "token_too_large", 401, Some(InvalidToken), "The access token is invalid";
    /// The token's `typ` is not one that this issuer's policy allows, or a claim says that it is no access token.
    TokenTypeUnsupported = "token_type_unsupported", 401, Some(InvalidToken), "The access token is invalid";
    /// The scheme is `DPoP`, and the token is not bound to a key.
    TokenUnbound = "token_unbound", 401, Some(InvalidToken), "The access token is invalid";
    /// The URI of an MCP resource is one that servers read differently, and would slip past the rules.
    UriAmbiguous = "uri_ambiguous", 400, None, "The resource URI is ambiguous";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6750 §3.1 and RFC 9449 §7.1 bind each error to its status.
    #[test]
    fn errors_and_statuses_agree() {
        for reason in Reason::ALL {
            match reason.challenge_error() {
                Some(InsufficientScope) => assert_eq!(reason.status(), 403, "{reason}"),
                Some(InvalidRequest) => assert_eq!(reason.status(), 400, "{reason}"),
                Some(InvalidDpopProof | InvalidToken | UseDpopNonce) => {
                    assert_eq!(reason.status(), 401, "{reason}");
                }
                None => {}
            }
        }
    }

    #[test]
    fn every_reason_is_documented() {
        let documentation = include_str!("../../../docs/reasons.md");
        for reason in Reason::ALL {
            let heading = alloc::format!("### `{reason}`");
            assert!(documentation.contains(&heading), "docs/reasons.md lacks {reason}");
            // And in the table "What the client sees", once, by what it sees.
            let link = alloc::format!("[`{reason}`](#{reason})");
            let mut rows =
                documentation.lines().filter(|line| line.starts_with("| ") && line.contains(&link));
            let row = rows.next().unwrap_or_default();
            let seen = row.trim_start_matches("| ").split(" | ").next().unwrap_or_default();
            let status = alloc::format!("{}", reason.status());
            let error = reason.challenge_error().map_or("", ChallengeError::code);
            assert!(
                seen.contains(&status) && seen.contains(error) && rows.next().is_none(),
                "docs/reasons.md, the table: {reason} is {status} {error}, not {seen:?}"
            );
        }
    }
}
