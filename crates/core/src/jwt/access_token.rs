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

/// One of the checks on claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimCheck {
    /// `iss` (RFC 9068 §4 step 2).
    Issuer,
    /// What tells the issuer's access tokens from its other tokens (RFC 8725 §3.12).
    Kind,
    /// `aud` and `resource` (RFC 9068 §4 step 3, RFC 8707 §2).
    Audience,
    /// `exp`, `iat` and `nbf` (RFC 9068 §4 step 5, RFC 7519 §4.1).
    Times,
    /// From `iat` to `exp`.
    Lifetime,
    /// The claims that the profile requires.
    Required,
    /// `cnf` (RFC 7800, RFC 9449 §7).
    Binding,
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

    /// The checks of a token's claims, in their order, each with its result: at the second `now`, with
    /// `leeway` seconds for clocks that differ. All must hold, after the signature was verified; the
    /// first that does not says why the token is refused.
    pub fn claim_checks(
        &self,
        claims: &Claims,
        audience: &Audience,
        presentation: Presentation<'_>,
        now: UnixSeconds,
        leeway: u64,
    ) -> [(ClaimCheck, Result<(), Reason>); 7] {
        let unless = |wrong: bool, reason| if wrong { Err(reason) } else { Ok(()) };
        let is_other = claims.issuer.as_ref() != Some(&self.issuer);
        let is_other_kind = self.preset.missing_mark(claims).is_some();
        let beside = |name: &str| self.preset.stands_beside(&self.issuer, name);
        let lacks = self.needed_claims().any(|name| !claims.has(name));
        [
            (ClaimCheck::Issuer, unless(is_other, Reason::IssuerUnknown)),
            (ClaimCheck::Kind, unless(is_other_kind, Reason::TokenTypeUnsupported)),
            (ClaimCheck::Audience, audience.check(claims, beside)),
            (ClaimCheck::Times, check_times(claims, now, leeway)),
            (ClaimCheck::Lifetime, self.check_lifetime(claims)),
            (ClaimCheck::Required, unless(lacks, Reason::ClaimMissing)),
            (ClaimCheck::Binding, claims.confirmation.check(presentation)),
        ]
    }

    /// The claims that must be there: those that are required, and whatever a preset tells access tokens
    /// from ID tokens by.
    pub fn needed_claims(&self) -> impl Iterator<Item = &str> {
        let own = self.required_claims.iter().map(String::as_str);
        let always = self.preset.always_required().iter().copied();
        own.chain(always.filter(|name| !self.required_claims.iter().any(|own| own == name)))
    }

    fn check_lifetime(&self, claims: &Claims) -> Result<(), Reason> {
        let end = claims.expires_at.ok_or(Reason::ClaimMissing)?;
        let start = claims.issued_at.ok_or(Reason::ClaimMissing)?;
        if end.saturating_sub(start) > self.max_lifetime {
            return Err(Reason::TokenLifetimeExcessive);
        }
        Ok(())
    }
}

fn check_times(claims: &Claims, now: UnixSeconds, leeway: u64) -> Result<(), Reason> {
    if claims.expires_at.is_none() || claims.issued_at.is_none() {
        return Err(Reason::ClaimMissing);
    }
    let usable = claims.usable(leeway);
    if now >= usable.end {
        return Err(Reason::TokenExpired);
    }
    if now < usable.start {
        return Err(Reason::TokenNotYetValid);
    }
    Ok(())
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
