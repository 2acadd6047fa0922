//! The engine: a request goes in, the next step comes out.

use alloc::{
    boxed::Box,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};

use countersign_verify::{Limits, Verifier};

use super::{
    answer::{self, Origin, Refusal},
    authentication::Identified,
    body::{self, Reading},
    credentials::Scheme,
    decision::{Decision, HeaderName, Verdict},
    explain,
    failure_limit::{Attempter, FailureLimit},
    fetch::{Fetch, FetchError, FetchId, usable_body},
    identity::Identity,
    inspect,
    introspection_store::IntrospectionStore,
    key_store::KeyStore,
    list_filter::ListFilter,
    policy::Policy,
    proof::UsedProofs,
    request::RequestHead,
    route::{Route, route, route_to},
    session::Session,
    status_store::StatusStore,
    step::{Answer, Context, Pending, Stage, Step, Upgrade},
    token_cache::TokenCache,
    trace::Trace,
    verdict::{Asked, Refused, decide, forward, lookalikes, metadata, public, refuse, require},
};
use crate::{Reason, UnixSeconds, oauth::status_list::StatusReference};

/// Decides requests by a policy. Made once; fed with requests, the time, and what it asks for.
///
/// The engine belongs to one thread. It holds the issuers' key sets and a bounded number of
/// verified tokens, and grows with nothing else that a client sends.
#[derive(Debug)]
pub struct Engine {
    pub(super) policy: Arc<Policy>,
    pub(super) keys: KeyStore,
    pub(super) statuses: StatusStore,
    pub(super) cache: TokenCache,
    pub(super) introspections: IntrospectionStore,
    pub(super) failures: FailureLimit,
    pub(super) proofs: UsedProofs,
    verifier: Verifier,
    /// Whether decisions come with their trace.
    tracing: bool,
    fetches: u64,
}

impl Engine {
    /// An engine for this policy, without keys yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let keys = KeyStore::new(&policy.issuers);
        let cache = TokenCache::new(policy.limits.cached_tokens);
        let failures_per_minute = policy.limits.failures_per_minute;
        let failures = FailureLimit::new(failures_per_minute);
        let introspections =
            IntrospectionStore::new(policy.limits.cached_tokens, failures_per_minute);
        let statuses = StatusStore::default();
        let proofs = UsedProofs::new(policy.leeway);
        Self {
            policy: Arc::new(policy),
            keys,
            statuses,
            cache,
            introspections,
            failures,
            proofs,
            verifier: Verifier::new(Limits::default()),
            tracing: false,
            fetches: 0,
        }
    }

    /// An engine whose decisions come with a [`Trace`] of every check: for people who want to know
    /// why, one request at a time.
    #[cfg(feature = "explain")]
    #[must_use]
    pub fn explaining(policy: Policy) -> Self {
        Self { tracing: true, ..Self::new(policy) }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether the arithmetic of [`Engine::verify`] gives the known answers. To be asked once, at the start;
    /// whoever never asks pays for it with the first tokens. It takes some milliseconds in WebAssembly, and
    /// 300 KB that stay.
    ///
    /// `false`: some answer came out wrong, and well-known crates verify everything instead
    /// ([`Verifier::self_test`]). Decisions are right, and slow; that belongs into a log.
    pub fn self_test(&mut self) -> bool {
        self.verifier.self_test()
    }

    /// Verifies the signature that a request waits for, after [`Step::NeedSignature`], for hosts
    /// that have nothing faster: keys that come again get tables
    /// ([`countersign_verify::Verifier`]). `false` for a request that waits for something else.
    #[must_use]
    pub fn verify(&mut self, pending: &Pending) -> bool {
        pending.signature().is_some_and(|check| check.verify(&mut self.verifier))
    }

    /// What is to be fetched now: wanted keys, status lists and answers about tokens, and what is
    /// getting old. To be called after [`Step::NeedKeys`], [`Step::NeedStatus`] and
    /// [`Step::NeedIntrospection`], at the start, and every few seconds. Each fetch is given once.
    pub fn due(&mut self, now: UnixSeconds) -> Vec<Fetch> {
        let fetches = &mut self.fetches;
        let mut next_id = || {
            *fetches += 1;
            FetchId(*fetches)
        };
        let issuers = &self.policy.issuers;
        let mut due = self.keys.due(now, &mut next_id);
        due.extend(self.statuses.due(issuers, &self.keys, now, &mut next_id));
        due.extend(self.introspections.due(issuers, now, &mut next_id));
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
        let issuers = &self.policy.issuers;
        match self.introspections.fetched(id, &body, issuers, now) {
            None => {}
            Some(Ok(attempter)) => {
                // Whoever sent it pays, also if they did not stay for the answer.
                attempter.into_iter().for_each(|who| self.failures.failed(who, now));
                return None;
            }
            Some(Err(error)) => return Some(error),
        }
        let revisions = self.keys.revisions();
        let error = self.keys.fetched(id, body.clone(), now);
        if self.keys.revisions() != revisions {
            self.statuses.drop_unverified(&self.keys);
        }
        error.or_else(|| self.statuses.fetched(id, body, (issuers, &mut self.keys), now))
    }

    /// Whether a parked request is to wait on: what it needs is still being fetched, or about to be. When
    /// something was fetched, a host need resume only the others.
    #[must_use]
    pub fn is_waiting(&self, pending: &Pending, now: UnixSeconds) -> bool {
        match &pending.stage {
            Stage::Introspection(opaque) => {
                self.introspections.is_awaited(&opaque.key(pending.context.resource), now)
            }
            Stage::Keys(presented) => {
                let kid = presented.kid.as_deref();
                self.keys.is_awaited(presented.issuer, kid, presented.algorithm, now)
            }
            Stage::Status { identity, issuer } => {
                let reference = StatusReference::of(&identity.claims).ok().flatten();
                reference.is_some_and(|found| self.statuses.is_awaited(*issuer, &found, now))
            }
            Stage::Body(_) | Stage::Proof { .. } | Stage::Signature { .. } => false,
        }
    }

    /// Begins to decide a request, for the resource that covers its host and path.
    #[must_use]
    pub fn begin(&mut self, head: RequestHead<'_>, now: UnixSeconds) -> Step {
        let found = route(&self.policy, &head);
        self.begin_at(found, head, now)
    }

    /// The same for the resource of this identifier, whatever hosts and path it covers: for hosts whose
    /// operators say by other means which requests are meant for it. One that the policy does not have
    /// covers no request.
    #[must_use]
    pub fn begin_for(&mut self, resource: &str, head: RequestHead<'_>, now: UnixSeconds) -> Step {
        let found = route_to(&self.policy, resource, &head);
        self.begin_at(found, head, now)
    }

    fn begin_at(&mut self, found: Route, head: RequestHead<'_>, now: UnixSeconds) -> Step {
        let policy = Arc::clone(&self.policy);
        let mut trace = Trace::new(self.tracing);
        trace.noted("request", || explain::request(&head));
        let index = match found {
            Route::Protected(index) => index,
            Route::Metadata(index) => return metadata(&policy, index, &head).traced(trace),
            Route::Public(index) => return public(&policy, index, &head).traced(trace),
            Route::Refuse(reason) => {
                trace.failed("resource", || explain::covered(&policy));
                let decision = Decision::new(Verdict::Deny, Some(reason));
                let is_head = head.method == b"HEAD";
                let refusal = Refusal { is_head, ..Refusal::default() };
                return Step::Respond(refusal.response(decision, reason, &[])).traced(trace);
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
        trace.passed("resource", || resource.audience.resource.to_string());
        let mut context = Context {
            resource: index,
            method: inspect::method(&head),
            is_head: head.method == b"HEAD",
            has_body: head.has_body,
            has_stray_body: inspect::has_stray_body(&head),
            extra: Vec::new(),
            scheme: Scheme::of(&head),
            proof: None,
            certificate: head.certificate.map(Box::new),
            attempter: head.client.map(Attempter::of),
            lookalikes: lookalikes(&self.policy, resource, &head),
            mirror: inspect::mirror(&head),
            session: Session::of(&head, resource),
            upgrade: inspect::upgrade(&head),
            body_is_json: inspect::body_is_json(&head),
            trace,
        };
        match answer::origin(resource, &head) {
            Origin::Allowed(cors) => {
                if !cors.is_empty() {
                    context.trace.passed("origin", || "it may call this resource".to_string());
                }
                context.extra = cors;
            }
            Origin::Forbidden => {
                let origin = head.values("origin").next().unwrap_or_default();
                let detail = Some(String::from_utf8_lossy(origin).into_owned());
                let refused = Refused { detail, ..Reason::OriginForbidden.into() };
                return refuse(&policy, &context, refused, None, &Asked::default());
            }
        }
        if inspect::is_preflight(&head) {
            let answer = answer::preflight(resource, &head, &context.extra);
            return Step::Respond(answer).traced(context.trace);
        }
        match self.identify(&head, &mut context, now) {
            Ok(Identified::Cached(identity, issuer)) => {
                self.check_possession(context, identity, issuer, now)
            }
            Ok(Identified::Opaque(opaque)) => self.introspect(context, opaque, now),
            Ok(Identified::Presented(presented)) => self.find_key(context, presented, now),
            Err(refused) => self.refuse_token(&context, refused, now),
        }
    }

    /// Goes on with a request after the host did what its step asked for. An answer that does not
    /// go with the step refuses the request.
    #[must_use]
    pub fn resume(&mut self, pending: Pending, answer: Answer<'_>, now: UnixSeconds) -> Step {
        let Pending { mut context, stage } = pending;
        let policy = Arc::clone(&self.policy);
        match (stage, answer) {
            (Stage::Introspection(opaque), Answer::Fetched) => {
                self.introspect(context, opaque, now)
            }
            (Stage::Introspection(_), _) => {
                let refused = Reason::IntrospectionUnavailable.into();
                refuse(&policy, &context, refused, None, &Asked::default())
            }
            (Stage::Keys(presented), Answer::Fetched) => self.find_key(context, presented, now),
            (Stage::Signature { presented, revision, .. }, Answer::Signature(true)) => {
                let issuer = presented.issuer;
                match self.accept(&mut context, presented, revision, now) {
                    Ok(identity) => self.check_possession(context, identity, issuer, now),
                    Err(refused) => self.refuse_token(&context, refused, now),
                }
            }
            (Stage::Proof { identity, issuer, .. }, Answer::Signature(verified)) => {
                match self.accept_proof(&mut context, verified, now) {
                    Ok(()) => self.check_status(context, identity, issuer, now),
                    Err(refused) => {
                        refuse(&policy, &context, refused, Some(identity), &Asked::default())
                    }
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
                let text = || "the signature does not verify by that key".to_string();
                context.trace.failed("signature", text);
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
            (Stage::Keys(_) | Stage::Proof { .. } | Stage::Signature { .. }, _) => {
                refuse(&policy, &context, Reason::KeysUnavailable.into(), None, &Asked::default())
            }
        }
    }

    /// The caller is known: may it do what it asks for?
    pub(super) fn authorize(&self, context: Context, identity: Arc<Identity>) -> Step {
        let policy = &self.policy;
        let Some(resource) = policy.resources.get(context.resource) else {
            let refused = Reason::ResourceUnknown.into();
            return refuse(policy, &context, refused, Some(identity), &Asked::default());
        };
        let mut forward = match forward(policy, resource, &context, &identity) {
            Ok(forward) => forward,
            Err(reason) => {
                return refuse(policy, &context, reason.into(), None, &Asked::default());
            }
        };
        if !resource.scopes.depend_on_operation() {
            let needed = resource.scopes.baseline();
            return require(policy, &context, forward, needed, &Asked::default());
        }
        if context.upgrade == Upgrade::H2c {
            // A server that agrees would take further requests that nobody decides on.
            forward.remove.push(HeaderName::fixed("upgrade"));
        }
        match inspect::before_body(&context, &resource.scopes) {
            Ok(inspect::Next::ReadBody) => {
                // Whoever lacks even the baseline need not send a body.
                let missing = resource.scopes.missing(&identity.scope, resource.scopes.baseline());
                if missing.is_empty() {
                    ListFilter::prepare(policy, context.resource, &mut forward);
                    let stage = Stage::Body(Box::new(Reading::new(forward)));
                    Step::NeedBody(Pending { context, stage })
                } else {
                    // Refused they are, whatever the headers say: with what these name in the challenge, one
                    // step up is enough (MCP authorization, scope challenge handling).
                    let needed = inspect::mirrored_operation(&context.mirror)
                        .and_then(|operation| resource.scopes.needed(&operation).ok())
                        .map(|rule| rule.needed);
                    let asked = Asked { needed, ..Asked::default() };
                    require(policy, &context, forward, resource.scopes.baseline(), &asked)
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
