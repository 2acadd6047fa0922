//! The profile for JWT access tokens (RFC 9068): what must hold besides the signature.

use alloc::{string::String, vec::Vec};

use super::{claims::Claims, confirmation::Presentation, preset::Preset};
use crate::{
    Reason, UnixSeconds,
    jose::{
        alg::Algorithm,
        jws::{Header, is_type},
    },
    oauth::resource::ResourceId,
};

/// What an issuer's tokens must look like.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The issuer identifier, compared byte for byte.
    pub issuer: String,
    /// How they are read and told from the issuer's other tokens.
    pub preset: &'static Preset,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` values it may use; the empty text stands for a token without `typ`.
    pub token_types: Vec<String>,
    /// Claims that must be there beyond `iss`, `aud`, `exp` and `iat`, which always must.
    pub required_claims: Vec<String>,
    /// The longest time from issue (or now) to expiry, in seconds.
    pub max_lifetime: u64,
}

/// Which tokens are meant for a resource.
#[derive(Clone, Debug)]
pub struct Audience {
    /// The resource itself.
    pub resource: ResourceId,
    /// Further spellings that an issuer may put into `aud`.
    pub aliases: Vec<String>,
    /// Whether a token that also names other audiences is refused.
    pub exclusive: bool,
}

impl Profile {
    /// Checks the header, and gives the algorithm that the key must have.
    ///
    /// # Errors
    /// [`Reason::TokenTypeUnsupported`] (RFC 9068 §4 step 1), [`Reason::AlgorithmUnsupported`].
    pub fn check_header(&self, header: &Header) -> Result<Algorithm, Reason> {
        let typ = header.typ.as_deref().unwrap_or("");
        let typ_allowed = |allowed: &String| match allowed.as_str() {
            "" => typ.is_empty(),
            allowed => is_type(typ, allowed),
        };
        if !self.token_types.iter().any(typ_allowed) {
            return Err(Reason::TokenTypeUnsupported);
        }
        header
            .algorithm
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Reason::AlgorithmUnsupported)
    }

    /// Checks the claims of a token whose signature was verified, at the second `now`, with
    /// `leeway` seconds for clocks that differ.
    ///
    /// # Errors
    /// The first [`Reason`] that stands against the token.
    pub fn check_claims(
        &self,
        claims: &Claims,
        audience: &Audience,
        presentation: Presentation<'_>,
        now: UnixSeconds,
        leeway: u64,
    ) -> Result<(), Reason> {
        if claims.issuer.as_ref() != Some(&self.issuer) {
            return Err(Reason::IssuerUnknown);
        }
        if self.preset.missing_mark(claims).is_some() {
            return Err(Reason::TokenTypeUnsupported);
        }
        audience.check(claims, |name| self.preset.stands_beside(&self.issuer, name))?;
        self.check_times(claims, now, leeway)?;
        if self.required_claims.iter().any(|name| !claims.has(name)) {
            return Err(Reason::ClaimMissing);
        }
        claims.confirmation.check(presentation)
    }

    fn check_times(&self, claims: &Claims, now: UnixSeconds, leeway: u64) -> Result<(), Reason> {
        let expires_at = claims.expires_at.ok_or(Reason::ClaimMissing)?;
        let issued_at = claims.issued_at.ok_or(Reason::ClaimMissing)?;
        if now >= expires_at.saturating_add(leeway) {
            return Err(Reason::TokenExpired);
        }
        let latest_start = now.saturating_add(leeway);
        if issued_at > latest_start || claims.not_before.is_some_and(|start| start > latest_start) {
            return Err(Reason::TokenNotYetValid);
        }
        if expires_at.saturating_sub(issued_at) > self.max_lifetime {
            return Err(Reason::TokenLifetimeExcessive);
        }
        Ok(())
    }
}

impl Audience {
    /// RFC 9068 §4 step 3, RFC 8707 §2: the token must have been issued for this resource.
    /// `beside` tells what may stand beside it.
    fn check(&self, claims: &Claims, beside: impl Fn(&str) -> bool) -> Result<(), Reason> {
        if claims.audience.is_empty() {
            return Err(Reason::ClaimMissing);
        }
        let ours = |name: &String| self.resource.matches(name) || self.aliases.contains(name);
        let names_us = |names: &[String]| {
            let fits = |name: &String| ours(name) || beside(name);
            names.iter().any(ours) && (!self.exclusive || names.iter().all(fits))
        };
        if names_us(&claims.audience) && (claims.resource.is_empty() || names_us(&claims.resource))
        {
            Ok(())
        } else {
            Err(Reason::AudienceMismatch)
        }
    }
}
