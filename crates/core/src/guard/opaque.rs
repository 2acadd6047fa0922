//! Tokens that only their issuer can read: it is asked about them (RFC 7662).

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString as _},
    sync::Arc,
};
use core::fmt;

use super::{
    authentication::excessive,
    engine::Engine,
    explain,
    identity::Identity,
    inspect,
    introspection_store::{IntrospectionLookup, NotAsked},
    recent::CacheKey,
    step::{Context, Pending, Stage, Step},
    token_cache::{Cached, Proof, Verified},
    verdict::{Asked, Refused, refuse},
};
use crate::{
    Reason, UnixSeconds,
    jose::{
        base64url,
        json::{self, Value},
        jws::JwsError,
    },
    jwt::{access_token::ClaimCheck, claims::Claims},
};

/// Whether the first part is that of a JWT: a JSON object as base64url.
fn begins_as_jwt(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| base64url::decode(header).ok());
    header.is_some_and(|header| matches!(json::parse(&header), Ok(Value::Object(_))))
}

/// A token that is no JWS, and the issuer that is asked about it.
pub(super) struct Opaque {
    digest: [u8; 32],
    token: String,
    issuer: usize,
    /// Whether it was asked about for this request: then the answer was charged to its sender.
    asked: bool,
}

/// Without the token.
impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opaque").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Opaque {
    /// By which the answer is found, for a request to this resource.
    pub(super) const fn key(&self, resource: usize) -> CacheKey {
        (self.digest, resource)
    }
}

impl Engine {
    /// The token as an opaque one, if it does not begin as a JWT, or is an encrypted one, and the resource
    /// has an issuer that can be asked. A JWT that is merely wrong is none: it would have been refused by
    /// its issuer too, and need not be shown to anybody.
    pub(super) fn opaque(
        &self,
        token: &str,
        error: JwsError,
        digest: [u8; 32],
        context: &Context,
    ) -> Option<Box<Opaque>> {
        if error != JwsError::Encrypted && begins_as_jwt(token) {
            return None;
        }
        let resource = self.policy.resources.get(context.resource)?;
        let asks = |index: &&usize| {
            self.policy.issuers.get(**index).is_some_and(|issuer| issuer.introspection.is_some())
        };
        let issuer = *resource.issuers.iter().find(asks)?;
        Some(Box::new(Opaque { digest, token: token.into(), issuer, asked: false }))
    }

    /// Asks about the token, or goes on by what is known of it.
    pub(super) fn introspect(
        &mut self,
        mut context: Context,
        opaque: Box<Opaque>,
        now: UnixSeconds,
    ) -> Step {
        let key = opaque.key(context.resource);
        // Another request may have brought the answer meanwhile.
        if let Some(Cached::Good(verified)) = self.cache.get(&key, now) {
            return self.check_possession(context, verified.identity, verified.issuer, now);
        }
        match self.introspections.lookup(&key, now) {
            IntrospectionLookup::Unknown => self.ask_about(context, opaque, now),
            IntrospectionLookup::Wait => awaited(context, opaque),
            IntrospectionLookup::Unavailable { retry_after } => {
                self.cannot_ask(context, retry_after)
            }
            IntrospectionLookup::Refused(reason) => {
                let text = || format!("what its issuer says of it: {}", reason.meaning());
                context.trace.failed("introspection", text);
                if opaque.asked && reason == Reason::TokenInactive {
                    refuse(&self.policy, &context, reason.into(), None, &Asked::default())
                } else {
                    self.refuse_token(&context, reason.into(), now)
                }
            }
            IntrospectionLookup::Active(claims) => {
                match self.accept_introspected(&mut context, &opaque, *claims, now) {
                    Ok(identity) => self.check_possession(context, identity, opaque.issuer, now),
                    Err(refused) => self.refuse_token(&context, refused, now),
                }
            }
        }
    }

    /// Has its issuer asked about a token of which nothing is known.
    fn ask_about(&mut self, context: Context, opaque: Box<Opaque>, now: UnixSeconds) -> Step {
        // Again, since others may have failed while this one waited.
        if let Err(refused) = self.may_try(context.attempter, now) {
            return self.refuse_token(&context, refused, now);
        }
        let key = opaque.key(context.resource);
        let asked = (opaque.issuer, opaque.token.as_str());
        match self.introspections.ask(key, asked, context.attempter, now) {
            Ok(()) => awaited(context, opaque),
            Err(NotAsked::Excessive { retry_after }) => {
                self.refuse_token(&context, excessive(retry_after), now)
            }
            Err(NotAsked::Unavailable { retry_after }) => self.cannot_ask(context, retry_after),
        }
    }

    fn cannot_ask(&self, mut context: Context, retry_after: u64) -> Step {
        let text = || "the issuer cannot be asked about it now".to_string();
        context.trace.failed("introspection", text);
        let refused =
            Refused { retry_after: Some(retry_after), ..Reason::IntrospectionUnavailable.into() };
        refuse(&self.policy, &context, refused, None, &Asked::default())
    }

    /// Checks what the issuer says of an active token, and remembers it.
    fn accept_introspected(
        &mut self,
        context: &mut Context,
        opaque: &Opaque,
        mut claims: Claims,
        now: UnixSeconds,
    ) -> Result<Arc<Identity>, Refused> {
        let policy = &self.policy;
        let resource = policy.resources.get(context.resource).ok_or(Reason::ResourceUnknown)?;
        let issuer = policy.issuers.get(opaque.issuer).ok_or(Reason::IssuerUnknown)?;
        let server = issuer.introspection.as_ref().ok_or(Reason::IssuerUnknown)?;
        let name = &server.profile.issuer;
        context.trace.passed("introspection", || format!("{name} says that it is active"));
        // RFC 7662 §2.2: it need not say who it is, nor when the token ends or began.
        claims.issuer.get_or_insert_with(|| name.clone());
        let answer_ends = now.saturating_add(server.cache);
        claims.expires_at.get_or_insert(UnixSeconds::MAX);
        claims.issued_at.get_or_insert(now);
        let (audience, leeway) = (&resource.audience, policy.leeway);
        let presentation = context.presentation();
        // The binding is checked with each request, this one too.
        let of_token = |(check, _): &(ClaimCheck, _)| *check != ClaimCheck::Binding;
        let checks = server.profile.claim_checks(&claims, audience, presentation, now, leeway);
        for (check, result) in checks.iter().filter(|check| of_token(check)) {
            let text: &dyn Fn() -> String = match check {
                ClaimCheck::Audience => &|| explain::audience(&claims, audience),
                ClaimCheck::Times => &|| explain::times(&claims, now, leeway),
                ClaimCheck::Required => &|| explain::required(&claims, &server.profile),
                // The others have nothing to say where nobody signed.
                _ => continue,
            };
            context.trace.checked(explain::name(*check), result.is_ok(), text);
        }
        let mut found = checks.into_iter().filter(of_token).map(|(_, result)| result);
        let key = opaque.key(context.resource);
        if let Err(reason) = found.try_for_each(|result| result) {
            let detail = inspect::claims_detail(reason, server.profile.preset, &claims, now);
            // What is not valid yet may be so soon.
            if reason != Reason::TokenNotYetValid {
                self.introspections.refuse(key, reason, (now, answer_ends));
            }
            return Err(Refused { detail, ..reason.into() });
        }
        // By a clock that is set back nobody knows how old the answer is.
        let usable = now..answer_ends.min(claims.usable(leeway).end);
        let identity = Arc::new(Identity { introspected: true, ..Identity::new(claims) });
        let verified = Verified {
            identity: Arc::clone(&identity),
            issuer: opaque.issuer,
            proof: Proof::Introspection,
            usable,
        };
        self.cache.insert(key, verified);
        Ok(identity)
    }
}

fn awaited(context: Context, mut opaque: Box<Opaque>) -> Step {
    opaque.asked = true;
    Step::NeedIntrospection(Pending { context, stage: Stage::Introspection(opaque) })
}
