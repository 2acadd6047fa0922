//! Who is calling: from the credentials to a verified token that was not revoked.

use alloc::{boxed::Box, format, string::ToString as _, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{
    credentials::{self, Scheme},
    engine::Engine,
    explain,
    failure_limit::Attempter,
    identity::Identity,
    inspect,
    key_store::Lookup,
    opaque::Opaque,
    policy::{Dpop, StatusCheck},
    request::RequestHead,
    status_store::StatusLookup,
    step::{Context, Pending, Presented, Stage, Step},
    token_cache::{Cached, Proof, Verified},
    verdict::{Asked, Refused, refuse},
};
use crate::{
    ChallengeError, Reason, UnixSeconds,
    jose::{base64url, jws::CompactJws},
    jwt::{access_token::ClaimCheck, claims::Claims},
    oauth::status_list::StatusReference,
};

/// What the credentials are worth so far.
pub(super) enum Identified {
    Cached(Arc<Identity>, usize),
    Opaque(Box<Opaque>),
    Presented(Box<Presented>),
}

impl Engine {
    /// Finds the token, and in the cache what it was found to be.
    pub(super) fn identify(
        &mut self,
        head: &RequestHead<'_>,
        context: &mut Context,
        now: UnixSeconds,
    ) -> Result<Identified, Refused> {
        let dpop = self.policy.resources.get(context.resource).map_or(Dpop::Off, |r| r.dpop);
        let longest = self.policy.limits.token_bytes;
        let (scheme, token) = credentials::access_token(head, dpop, longest)?;
        context.trace.passed("credentials", || {
            format!("{scheme:?} with a token of {} bytes, at most {longest}", token.len())
        });
        // What was signed is all before the last dot: both digests by one way through the token.
        let (signed, signature) = token.split_at(token.rfind('.').unwrap_or(token.len()));
        let signed = Sha256::new_with_prefix(signed);
        let digest: [u8; 32] = signed.clone().chain_update(signature).finalize().into();
        if scheme == Scheme::Dpop {
            self.read_proof(head, context, &digest, now)?;
        }
        match self.cache.get(&(digest, context.resource), now) {
            Some(Cached::Expired) => return Err(Reason::TokenExpired.into()),
            Some(Cached::Good(verified)) if self.still_proves(&verified, now) => {
                return Ok(Identified::Cached(verified.identity, verified.issuer));
            }
            _ => {}
        }
        self.may_try(context.attempter, now)?;
        let jws = match CompactJws::parse(token) {
            Ok(jws) => jws,
            Err(error) => {
                let opaque = self.opaque(token, error, digest, context);
                return opaque.map(Identified::Opaque).ok_or_else(|| Refused {
                    detail: Some(error.to_string()),
                    ..Reason::TokenMalformed.into()
                });
            }
        };
        context.trace.noted("token", || explain::header(jws.header()));
        let mut claims = Claims::parse(jws.payload())?;
        let found = self.issuer_of(&claims, context);
        if let Some(resource) = self.policy.resources.get(context.resource) {
            context.trace.checked("issuer", found.is_ok(), || {
                explain::issuer(&self.policy, resource, claims.issuer.as_deref())
            });
        }
        let issuer = found?;
        let profile = &self.policy.issuers.get(issuer).ok_or(Reason::IssuerUnknown)?.profile;
        let algorithm = profile.check_header(jws.header());
        context.trace.checked("type", algorithm.is_ok(), || explain::profile(profile));
        let algorithm = algorithm?;
        claims.read_as(profile.preset)?;
        Ok(Identified::Presented(Box::new(Presented {
            digest,
            signing_input: jws.signing_input().to_string(),
            signed_digest: signed.finalize().into(),
            signature: jws.signature().to_vec(),
            kid: jws.header().kid.clone(),
            algorithm,
            issuer,
            claims,
        })))
    }

    /// Whether what made a token believed still does: no key was dropped since.
    pub(super) fn still_proves(&self, verified: &Verified, now: UnixSeconds) -> bool {
        match verified.proof {
            Proof::Introspection => true,
            Proof::Signature { revision } => {
                self.keys.usable_revision(verified.issuer, now) == Some(revision)
            }
        }
    }

    /// The issuer that the token claims, if the resource accepts it.
    fn issuer_of(&self, claims: &Claims, context: &Context) -> Result<usize, Refused> {
        let accepted = self.policy.resources.get(context.resource);
        accepted
            .into_iter()
            .flat_map(|resource| resource.issuers.iter().copied())
            .find(|index| {
                let issuer = self.policy.issuers.get(*index);
                issuer.is_some_and(|issuer| claims.issuer.as_ref() == Some(&issuer.profile.issuer))
            })
            .ok_or_else(|| Refused {
                detail: claims.issuer.clone(),
                ..Reason::IssuerUnknown.into()
            })
    }

    /// Whether a client may begin what costs something: not too much failed that it sent.
    pub(super) fn may_try(&self, who: Option<Attempter>, now: UnixSeconds) -> Result<(), Refused> {
        let wait = who.and_then(|who| self.failures.blocked(who, now));
        wait.map_or(Ok(()), |wait| Err(excessive(wait)))
    }

    pub(super) fn find_key(
        &mut self,
        mut context: Context,
        presented: Box<Presented>,
        now: UnixSeconds,
    ) -> Step {
        let kid = presented.kid.as_deref();
        match self.keys.lookup(presented.issuer, kid, presented.algorithm, now) {
            Lookup::Found { key, revision } => {
                // Again, since others may have failed while this one waited for the key.
                if let Err(refused) = self.may_try(context.attempter, now) {
                    return self.refuse_token(&context, refused, now);
                }
                context.trace.passed("key", || {
                    let thumbprint = base64url::encode(key.thumbprint());
                    format!("the issuer's set has one that fits, with thumbprint {thumbprint}")
                });
                let stage = Stage::Signature { presented, key, revision };
                Step::NeedSignature(Pending { context, stage })
            }
            Lookup::Wait => Step::NeedKeys(Pending { context, stage: Stage::Keys(presented) }),
            Lookup::Refuse(reason) => {
                context.trace.failed("key", || format!("the issuer's set: {}", reason.meaning()));
                let algorithm = presented.algorithm.name();
                let detail = Some(format!("kid={} alg={algorithm}", kid.unwrap_or("(none)")));
                let refused = Refused { detail, ..reason.into() };
                self.refuse_token(&context, refused, now)
            }
            Lookup::Unavailable { retry_after } => {
                let refused =
                    Refused { retry_after: Some(retry_after), ..Reason::KeysUnavailable.into() };
                refuse(&self.policy, &context, refused, None, &Asked::default())
            }
        }
    }

    /// Checks the claims of a token whose signature verified, and remembers it.
    pub(super) fn accept(
        &mut self,
        context: &mut Context,
        presented: Box<Presented>,
        revision: u64,
        now: UnixSeconds,
    ) -> Result<Arc<Identity>, Refused> {
        let Presented { claims, issuer, digest, .. } = *presented;
        let policy = &self.policy;
        let resource = policy.resources.get(context.resource).ok_or(Reason::ResourceUnknown)?;
        let profile = &policy.issuers.get(issuer).ok_or(Reason::IssuerUnknown)?.profile;
        let text = || "it verifies by that key".to_string();
        context.trace.passed("signature", text);
        let (audience, leeway) = (&resource.audience, policy.leeway);
        let checks = profile.claim_checks(&claims, audience, context.presentation(), now, leeway);
        let with_proof = context.proof.is_some();
        // The issuer was looked up before; without a preset there is no kind to tell.
        let told = |check: ClaimCheck| match check {
            ClaimCheck::Issuer => false,
            ClaimCheck::Kind => !profile.preset.marks.is_empty(),
            _ => true,
        };
        for (check, result) in checks.iter().filter(|(check, _)| told(*check)) {
            context.trace.checked(explain::name(*check), result.is_ok(), || match check {
                ClaimCheck::Issuer => explain::issuer(policy, resource, claims.issuer.as_deref()),
                ClaimCheck::Kind => explain::kind(&claims, profile.preset),
                ClaimCheck::Audience => explain::audience(&claims, audience),
                ClaimCheck::Times => explain::times(&claims, now, leeway),
                ClaimCheck::Lifetime => explain::lifetime(&claims, profile.max_lifetime),
                ClaimCheck::Required => explain::required(&claims, profile),
                ClaimCheck::Binding => explain::binding(&claims.confirmation, with_proof),
            });
        }
        let checked = checks.into_iter().try_for_each(|(_, result)| result);
        let refused = checked.map_err(|reason| Refused {
            detail: inspect::claims_detail(reason, profile.preset, &claims, now),
            ..reason.into()
        });
        let mut usable = claims.usable(leeway);
        let identity = Arc::new(Identity::new(claims));
        match &refused {
            Ok(()) => {}
            // A genuine token whose time is over is remembered as that, so that no flood of it costs a
            // signature check each time. Nothing else was found out about it: should the clock have been
            // ahead, it is looked at again.
            Err(refused) if refused.reason == Reason::TokenExpired => usable.start = usable.end,
            Err(_) => return refused.map(|()| identity),
        }
        let proof = Proof::Signature { revision };
        let verified = Verified { identity: Arc::clone(&identity), issuer, proof, usable };
        self.cache.insert((digest, context.resource), verified);
        refused.map(|()| identity)
    }

    /// Refuses a token that never was good, at the expense of whoever sent it.
    pub(super) fn refuse_token(
        &mut self,
        context: &Context,
        refused: Refused,
        now: UnixSeconds,
    ) -> Step {
        if let Some(who) = context.attempter
            && refused.reason.challenge_error() == Some(ChallengeError::InvalidToken)
            && refused.reason != Reason::TokenExpired
        {
            self.failures.failed(who, now);
        }
        refuse(&self.policy, context, refused, None, &Asked::default())
    }

    /// Whether the token was revoked since it was issued.
    pub(super) fn check_status(
        &mut self,
        mut context: Context,
        identity: Arc<Identity>,
        position: usize,
        now: UnixSeconds,
    ) -> Step {
        let policy = Arc::clone(&self.policy);
        let found = self.status(&identity, position, now);
        if !matches!(found, Ok(StatusLookup::Wait)) {
            let good = matches!(found, Ok(StatusLookup::Valid));
            context
                .trace
                .checked("revocation", good, || explain::status(&identity, &policy, position));
        }
        let refused = match found {
            Ok(StatusLookup::Valid) => return self.authorize(context, identity),
            Ok(StatusLookup::Wait) => {
                let stage = Stage::Status { identity, issuer: position };
                return Step::NeedStatus(Pending { context, stage });
            }
            Ok(StatusLookup::Revoked) => Reason::TokenRevoked.into(),
            Ok(StatusLookup::Unavailable { retry_after }) => {
                Refused { retry_after: Some(retry_after), ..Reason::StatusUnavailable.into() }
            }
            // Some issuers mean something else by a claim of this name: then "status" is "ignore".
            Err(reason) => {
                let detail = Some("the status claim".to_string());
                Refused { detail, ..reason.into() }
            }
        };
        refuse(&policy, &context, refused, Some(identity), &Asked::default())
    }

    fn status(
        &mut self,
        identity: &Identity,
        position: usize,
        now: UnixSeconds,
    ) -> Result<StatusLookup, Reason> {
        let issuer = self.policy.issuers.get(position).ok_or(Reason::IssuerUnknown)?;
        // What the issuer says of a token when asked, it says after any revocation.
        if issuer.status == StatusCheck::Ignore || identity.introspected {
            return Ok(StatusLookup::Valid);
        }
        match StatusReference::of(&identity.claims)? {
            Some(reference) => Ok(self.statuses.lookup((position, issuer), &reference, now)),
            None if issuer.status == StatusCheck::Required => Err(Reason::ClaimMissing),
            None => Ok(StatusLookup::Valid),
        }
    }
}

/// Too much failed: again after so many seconds.
pub(super) fn excessive(wait: u64) -> Refused {
    Refused { retry_after: Some(wait), ..Reason::FailuresExcessive.into() }
}
