//! Who is calling, as a verified token says.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use sha2::{Digest as _, Sha256};

use super::{decision::Header, policy::ForwardPolicy};
use crate::{
    Reason, UnixSeconds,
    jose::{
        base64url,
        json::{Object, Value},
    },
    jwt::{claims::Claims, confirmation::Confirmation},
    oauth::scope::ScopeSet,
};

fn hexadecimal(byte: u8) -> impl Iterator<Item = char> {
    [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16))
}

/// A verified caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Who issued the token.
    pub issuer: String,
    /// Who the token speaks for.
    pub subject: Option<String>,
    /// The client it was issued to.
    pub client_id: Option<String>,
    /// The granted scopes, as granted.
    pub scope: ScopeSet,
    /// The token's own name.
    pub token_id: Option<String>,
    /// First second at which the token is no longer valid; [`UnixSeconds::MAX`] where an issuer that was
    /// asked did not say.
    pub expires_at: UnixSeconds,
    /// The key that the token is bound to.
    pub confirmation: Confirmation,
    /// The beginning of SHA-256 over issuer and subject, in hexadecimal digits: enough to tell callers
    /// apart in a log.
    pub subject_digest: String,
    /// Whether the issuer vouched for the token when it was asked (RFC 7662), rather than by signing
    /// it.
    pub introspected: bool,
    /// All claims.
    pub claims: Object,
}

impl Identity {
    pub(super) fn new(claims: Claims) -> Self {
        let issuer = claims.issuer.unwrap_or_default();
        // Once for each token, not for each request.
        let mut hash = Sha256::new();
        hash.update(&issuer);
        hash.update([0]);
        hash.update(claims.subject.as_deref().unwrap_or(""));
        let digest: [u8; 32] = hash.finalize().into();
        Self {
            issuer,
            subject_digest: digest.iter().take(6).flat_map(|byte| hexadecimal(*byte)).collect(),
            introspected: false,
            subject: claims.subject,
            client_id: claims.client_id,
            scope: claims.scope,
            token_id: claims.token_id,
            expires_at: claims.expires_at.unwrap_or_default(),
            confirmation: claims.confirmation,
            claims: claims.all,
        }
    }

    /// The headers that tell the server. A claim that is absent sets none.
    ///
    /// # Errors
    /// [`Reason::ClaimMalformed`] for a claim that no header can carry: to leave it out would let
    /// the server see a caller without it.
    pub(super) fn headers(&self, policy: &ForwardPolicy) -> Result<Vec<Header>, Reason> {
        let mut headers = Vec::new();
        for (name, claim) in &policy.headers {
            if let Some(value) = self.claim_text(claim) {
                headers.push(Header::new(name.clone(), value).ok_or(Reason::ClaimMalformed)?);
            }
        }
        if let Some(name) = &policy.claims {
            let value = base64url::encode(Value::Object(self.claims.clone()).to_string());
            headers.push(Header::new(name.clone(), value).ok_or(Reason::ClaimMalformed)?);
        }
        Ok(headers)
    }

    /// `client_id`, `jti` and `scope` are those that were decided by, whatever the issuer calls them.
    fn claim_text(&self, claim: &str) -> Option<String> {
        match claim {
            "client_id" => return self.client_id.clone(),
            "jti" => return self.token_id.clone(),
            "scope" => return (!self.scope.is_empty()).then(|| self.scope.to_string()),
            _ => {}
        }
        match self.claims.get(claim)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}
