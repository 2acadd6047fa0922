//! The engine: a request goes in, the next step comes out.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};

use sha2::{Digest as _, Sha256};

use super::{
    answer::{self, Origin, Refusal},
    body::{self, Reading},
    credentials::bearer_token,
    decision::{Decision, Verdict},
    failure_limit::{Attempter, FailureLimit},
    fetch::{Fetch, FetchError, FetchId, usable_body},
    identity::Identity,
    inspect,
    key_store::{KeyStore, Lookup},
    policy::{Policy, StatusCheck},
    request::RequestHead,
    route::{Route, route},
    status_store::{StatusLookup, StatusStore},
    step::{Answer, Context, Pending, Presented, Stage, Step, unusable_at},
    token_cache::{Cached, TokenCache, Verified},
    verdict::{
        Asked, Refused, decide, forward, lookalikes, metadata, public, refuse, require,
    },
};
use crate::{
    BearerError, Reason, UnixSeconds, jose::jws::CompactJws, jwt::claims::Claims,
    oauth::status_list::StatusReference,
};

/// Decides requests by a policy. Made once; fed with requests, the time, and what it asks for.
///
/// The engine belongs to one thread. It holds the issuers' key sets and a bounded number of
/// verified tokens, and grows with nothing else that a client sends.
#[derive(Debug)]
pub struct Engine {
    policy: Arc<Policy>,
    keys: KeyStore,
    statuses: StatusStore,
    cache: TokenCache,
    failures: FailureLimit,
    fetches: u64,
}

impl Engine {
    /// An engine for this policy, without keys yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let keys = KeyStore::new(&policy.issuers);
        let cache = TokenCache::new(policy.limits.cached_tokens);
        let failures = FailureLimit::new(policy.limits.failures_per_minute);
        let statuses = StatusStore::default();
        Self { policy: Arc::new(policy), keys, statuses, cache, failures, fetches: 0 }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What is to be fetched now: wanted keys and status lists, and those that are getting old. To be
    /// called after [`Step::NeedKeys`] and [`Step::NeedStatus`], at the start, and every few seconds. Each fetch is given once.
    pub fn due(&mut self, now: UnixSeconds) -> Vec<Fetch> {
        let fetches = &mut self.fetches;
        let mut next_id = || {
            *fetches += 1;
            FetchId(*fetches)
        };
        let mut due = self.keys.due(now, &mut next_id);
        due.extend(self.statuses.due(&self.policy.issuers, now, &mut next_id));
        due
    }

    /// Takes the answer to a fetch: status and body, or `None` when there was no answer. Gives why
    /// it could not be used, for the log; the engine tries again by itself.
    pub fn fetched(
        &mut self,
        id: FetchId,
        answer: Option<(u16, &[u8])>,
        now: UnixSeconds,
    ) -> Option<FetchError> {
        let body = usable_body(answer);
        self.keys
            .fetched(id, body.clone(), now)
            .or_else(|| self.statuses.fetched(id, body, &self.keys, now))
    }

    /// Begins to decide a request.
    #[must_use]
    pub fn begin(&mut self, head: RequestHead<'_>, now: UnixSeconds) -> Step {
        let policy = Arc::clone(&self.policy);
        let index = match route(&policy, &head) {
            Route::Protected(index) => index,
            Route::Metadata(index) => return metadata(&policy, index, &head),
            Route::Public(index) => return public(&policy, index, &head),
            Route::Refuse(reason) => {
                let decision = Decision::new(Verdict::Deny, Some(reason));
                let is_head = head.method == b"HEAD";
                let refusal = Refusal { is_head, ..Refusal::default() };
                return Step::Respond(refusal.response(decision, reason, &[]));
            }
        };
        let Some(resource) = policy.resources.get(index) else {
            let decision = Decision::new(Verdict::Deny, Some(Reason::ResourceUnknown));
            return Step::Respond(Refusal::default().response(
                decision,
                Reason::ResourceUnknown,
                &[],
            ));
        };
        let mut context = Context {
            resource: index,
            method: inspect::method(&head),
            is_head: head.method == b"HEAD",
            has_body: head.has_body,
            cors: Vec::new(),
            attempter: head.client.map(Attempter::of),
            lookalikes: lookalikes(resource, &head),
            mirror: inspect::mirror(&head),
            body_is_json: inspect::body_is_json(&head),
        };
        match answer::origin(resource, &head) {
            Origin::Allowed(cors) => context.cors = cors,
            Origin::Forbidden => {
                let origin = head.values("origin").next().unwrap_or_default();
                let detail = Some(String::from_utf8_lossy(origin).into_owned());
                let refused = Refused { detail, ..Reason::OriginForbidden.into() };
                return refuse(&policy, &context, refused, None, &Asked::default());
            }
        }
        if inspect::is_preflight(&head) {
            return Step::Respond(answer::preflight(resource, &head, &context.cors));
        }
        match self.identify(&head, &context, now) {
            Ok(Identified::Cached(identity, issuer)) => {
                self.check_status(context, identity, issuer, now)
            }
            Ok(Identified::Presented(presented)) => self.find_key(context, presented, now),
            Err(refused) => self.refuse_token(&context, refused, now),
        }
    }

    /// Goes on with a request after the host did what its step asked for. An answer that does not
    /// go with the step refuses the request.
    #[must_use]
    pub fn resume(&mut self, pending: Pending, answer: Answer<'_>, now: UnixSeconds) -> Step {
        let Pending { context, stage } = pending;
        let policy = Arc::clone(&self.policy);
        match (stage, answer) {
            (Stage::Keys(presented), Answer::Fetched) => self.find_key(context, presented, now),
            (Stage::Signature { presented, revision, .. }, Answer::Signature(true)) => {
                let issuer = presented.issuer;
                match self.accept(&context, presented, revision, now) {
                    Ok(identity) => self.check_status(context, identity, issuer, now),
                    Err(refused) => self.refuse_token(&context, refused, now),
                }
            }
            (Stage::Status { identity, issuer }, Answer::Fetched) => {
                self.check_status(context, identity, issuer, now)
            }
            (Stage::Status { identity, .. }, _) => {
                let refused = Reason::StatusUnavailable.into();
                refuse(&policy, &context, refused, Some(identity), &Asked::default())
            }
            (Stage::Signature { .. }, Answer::Signature(false)) => {
                self.refuse_token(&context, Reason::SignatureInvalid.into(), now)
            }
            (Stage::Body(reading), Answer::BodyPart(part)) => {
                body::read(&policy, context, reading, (part, false), now)
            }
            (Stage::Body(reading), Answer::Body(part)) => {
                body::read(&policy, context, reading, (part, true), now)
            }
            (Stage::Body(reading), Answer::BodyTooLarge) => {
                let refused = Reason::BodyTooLarge.into();
                refuse(&policy, &context, refused, reading.forward.identity, &Asked::default())
            }
            (Stage::Body(reading), _) => {
                let refused = Reason::KeysUnavailable.into();
                refuse(&policy, &context, refused, reading.forward.identity, &Asked::default())
            }
            (Stage::Keys(_) | Stage::Signature { .. }, _) => {
                refuse(&policy, &context, Reason::KeysUnavailable.into(), None, &Asked::default())
            }
        }
    }

    /// Finds the token, and in the cache what it was found to be.
    fn identify(
        &mut self,
        head: &RequestHead<'_>,
        context: &Context,
        now: UnixSeconds,
    ) -> Result<Identified, Refused> {
        let token = bearer_token(head, self.policy.limits.token_bytes)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        match self.cache.get(&(digest, context.resource), now) {
            Some(Cached::Expired) => return Err(Reason::TokenExpired.into()),
            Some(Cached::Good(verified))
                if self.keys.usable_revision(verified.issuer, now) == Some(verified.revision) =>
            {
                return Ok(Identified::Cached(verified.identity, verified.issuer));
            }
            _ => {}
        }
        if let Some(wait) = context.attempter.and_then(|who| self.failures.blocked(who, now)) {
            let refused = Refused { retry_after: Some(wait), ..Reason::FailuresExcessive.into() };
            return Err(refused);
        }
        let jws = CompactJws::parse(token).map_err(|error| Refused {
            detail: Some(error.to_string()),
            ..Reason::TokenMalformed.into()
        })?;
        let claims = Claims::parse(jws.payload())?;
        let issuer = self.issuer_of(&claims, context)?;
        let profile = &self.policy.issuers.get(issuer).ok_or(Reason::IssuerUnknown)?.profile;
        let algorithm = profile.check_header(jws.header())?;
        Ok(Identified::Presented(Box::new(Presented {
            digest,
            signing_input: jws.signing_input().to_string(),
            signature: jws.signature().to_vec(),
            kid: jws.header().kid.clone(),
            algorithm,
            issuer,
            claims,
        })))
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

    fn find_key(&mut self, context: Context, presented: Box<Presented>, now: UnixSeconds) -> Step {
        let kid = presented.kid.as_deref();
        match self.keys.lookup(presented.issuer, kid, presented.algorithm, now) {
            Lookup::Found { key, revision } => {
                let stage = Stage::Signature { presented, key, revision };
                Step::NeedSignature(Pending { context, stage })
            }
            Lookup::Wait => Step::NeedKeys(Pending { context, stage: Stage::Keys(presented) }),
            Lookup::Refuse(reason) => {
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
    fn accept(
        &mut self,
        context: &Context,
        presented: Box<Presented>,
        revision: u64,
        now: UnixSeconds,
    ) -> Result<Arc<Identity>, Refused> {
        let Presented { claims, issuer, digest, .. } = *presented;
        let policy = &self.policy;
        let resource = policy.resources.get(context.resource).ok_or(Reason::ResourceUnknown)?;
        let profile = &policy.issuers.get(issuer).ok_or(Reason::IssuerUnknown)?.profile;
        let checked = profile.check_claims(&claims, &resource.audience, now, policy.leeway);
        let refused = checked.map_err(|reason| Refused {
            detail: inspect::claims_detail(reason, &claims, now),
            ..reason.into()
        });
        let identity = Arc::new(Identity::new(claims));
        // A genuine token whose time is over is remembered as that, so that no flood of it costs a
        // signature check each time. Nothing else was found out about it: it is never good again,
        // even if the clock is set back.
        let unusable_at = match &refused {
            Ok(()) => unusable_at(identity.expires_at, policy.leeway),
            Err(refused) if refused.reason == Reason::TokenExpired => 0,
            Err(_) => return refused.map(|()| identity),
        };
        let verified = Verified { identity: Arc::clone(&identity), issuer, revision, unusable_at };
        self.cache.insert((digest, context.resource), verified);
        refused.map(|()| identity)
    }

    /// Refuses a token that never was good, at the expense of whoever sent it.
    fn refuse_token(&mut self, context: &Context, refused: Refused, now: UnixSeconds) -> Step {
        if let Some(who) = context.attempter
            && refused.reason.bearer_error() == Some(BearerError::InvalidToken)
            && refused.reason != Reason::TokenExpired
        {
            self.failures.failed(who, now);
        }
        refuse(&self.policy, context, refused, None, &Asked::default())
    }

    /// Whether the token was revoked since it was issued.
    fn check_status(
        &mut self,
        context: Context,
        identity: Arc<Identity>,
        position: usize,
        now: UnixSeconds,
    ) -> Step {
        let policy = Arc::clone(&self.policy);
        let refused = match self.status(&identity, position, now) {
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
        if issuer.status == StatusCheck::Ignore {
            return Ok(StatusLookup::Valid);
        }
        match StatusReference::of(&identity.claims)? {
            Some(reference) => Ok(self.statuses.lookup((position, issuer), &reference, now)),
            None if issuer.status == StatusCheck::Required => Err(Reason::ClaimMissing),
            None => Ok(StatusLookup::Valid),
        }
    }

    /// The caller is known: may it do what it asks for?
    fn authorize(&self, context: Context, identity: Arc<Identity>) -> Step {
        let policy = &self.policy;
        let Some(resource) = policy.resources.get(context.resource) else {
            let refused = Reason::ResourceUnknown.into();
            return refuse(policy, &context, refused, Some(identity), &Asked::default());
        };
        let forward = match forward(resource, &context, &identity) {
            Ok(forward) => forward,
            Err(reason) => {
                return refuse(policy, &context, reason.into(), None, &Asked::default());
            }
        };
        if !resource.scopes.depend_on_operation() {
            let needed = resource.scopes.baseline();
            return require(policy, &context, forward, needed, &Asked::default());
        }
        match inspect::before_body(&context, &resource.scopes) {
            Ok(inspect::Next::ReadBody) => {
                // Whoever lacks even the baseline need not send a body.
                let missing = resource.scopes.missing(&identity.scope, resource.scopes.baseline());
                if missing.is_empty() {
                    let stage = Stage::Body(Box::new(Reading::new(forward)));
                    Step::NeedBody(Pending { context, stage })
                } else {
                    let needed = resource.scopes.baseline();
                    require(policy, &context, forward, needed, &Asked::default())
                }
            }
            Ok(inspect::Next::Decide(operation)) => {
                let asked = Asked::of(&operation, None);
                decide(policy, &context, forward, &operation, asked)
            }
            Err(reason) => {
                refuse(policy, &context, reason.into(), Some(identity), &Asked::default())
            }
        }
    }
}

enum Identified {
    Cached(Arc<Identity>, usize),
    Presented(Box<Presented>),
}
