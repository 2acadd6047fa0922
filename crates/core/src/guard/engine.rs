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
    credentials::bearer_token,
    decision::{Decision, Header, HeaderName, Verdict},
    fetch::{Fetch, FetchError, FetchId, usable_body},
    identity::Identity,
    inspect,
    key_store::{KeyStore, Lookup},
    policy::{Mode, Policy, ResourcePolicy, StatusCheck},
    request::RequestHead,
    route::{Route, route},
    status_store::{StatusLookup, StatusStore},
    step::{Answer, Context, Forward, Pending, Presented, Stage, Step, unusable_at},
    token_cache::{TokenCache, Verified},
};
use crate::{
    Reason, UnixSeconds,
    jose::{json::Value, jws::CompactJws},
    jwt::claims::Claims,
    oauth::{scope::ScopeSet, status_list::StatusReference},
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
    fetches: u64,
}

/// Why a request is refused, with what its answer needs.
#[derive(Debug)]
struct Refused {
    reason: Reason,
    detail: Option<String>,
    retry_after: Option<u64>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None, retry_after: None }
    }
}

impl Engine {
    /// An engine for this policy, without keys yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let keys = KeyStore::new(&policy.issuers);
        let cache = TokenCache::new(policy.limits.cached_tokens);
        Self { policy: Arc::new(policy), keys, statuses: StatusStore::default(), cache, fetches: 0 }
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
                let mut response = Refusal::default().response(decision, reason, &[]);
                if head.method == b"HEAD" {
                    response.body.clear();
                }
                return Step::Respond(response);
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
            Err(refused) => refuse(&policy, &context, refused, None, &Asked::default()),
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
                    Err(refused) => refuse(&policy, &context, refused, None, &Asked::default()),
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
                refuse(&policy, &context, Reason::SignatureInvalid.into(), None, &Asked::default())
            }
            (Stage::Body(forward), Answer::Body(_)) if is_over(&forward, policy.leeway, now) => {
                // The body took longer than the token lives.
                let refused = Reason::TokenExpired.into();
                refuse(&policy, &context, refused, forward.identity, &Asked::default())
            }
            (Stage::Body(forward), Answer::Body(body))
                if body.len() <= policy.limits.body_bytes =>
            {
                decide_body(&policy, &context, *forward, body)
            }
            (Stage::Body(forward), Answer::Body(_) | Answer::BodyTooLarge) => {
                let refused = Reason::BodyTooLarge.into();
                refuse(&policy, &context, refused, forward.identity, &Asked::default())
            }
            (Stage::Body(forward), _) => {
                let refused = Reason::KeysUnavailable.into();
                refuse(&policy, &context, refused, forward.identity, &Asked::default())
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
        if let Some(verified) = self.cache.get(&(digest, context.resource), now)
            && self.keys.usable_revision(verified.issuer, now) == Some(verified.revision)
        {
            return Ok(Identified::Cached(verified.identity, verified.issuer));
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
                refuse(&self.policy, &context, refused, None, &Asked::default())
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
        profile.check_claims(&claims, &resource.audience, now, policy.leeway).map_err(
            |reason| Refused {
                detail: inspect::claims_detail(reason, &claims, now),
                ..reason.into()
            },
        )?;
        let identity = Arc::new(Identity::new(claims));
        let unusable_at = unusable_at(identity.expires_at, policy.leeway);
        let verified = Verified { identity: Arc::clone(&identity), issuer, revision, unusable_at };
        self.cache.insert((digest, context.resource), verified);
        Ok(identity)
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
                    Step::NeedBody(Pending { context, stage: Stage::Body(Box::new(forward)) })
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

/// Whether the caller's token is no longer valid.
fn is_over(forward: &Forward, leeway: u64, now: UnixSeconds) -> bool {
    let over = |identity: &Arc<Identity>| now >= unusable_at(identity.expires_at, leeway);
    forward.identity.as_ref().is_some_and(over)
}

/// What is known of the operation, for the record and the answer.
#[derive(Debug, Default)]
struct Asked {
    operation: Option<String>,
    rule: Option<String>,
    needed: Option<ScopeSet>,
    id: Option<Value>,
}

impl Asked {
    fn of(operation: &crate::mcp::operation::Operation, id: Option<Value>) -> Self {
        Self { operation: Some(operation.to_string()), id, ..Self::default() }
    }
}

fn decide_body(policy: &Policy, context: &Context, forward: Forward, body: &[u8]) -> Step {
    match inspect::body(context, body) {
        Ok(message) => {
            let asked = Asked::of(&message.operation, Some(message.id));
            decide(policy, context, forward, &message.operation, asked)
        }
        Err((reason, id)) => {
            let asked = Asked { id, ..Asked::default() };
            refuse(policy, context, reason.into(), forward.identity, &asked)
        }
    }
}

/// Finds the rule for an operation and requires its scopes.
fn decide(
    policy: &Policy,
    context: &Context,
    forward: Forward,
    operation: &crate::mcp::operation::Operation,
    mut asked: Asked,
) -> Step {
    let Some(resource) = policy.resources.get(context.resource) else {
        return refuse(policy, context, Reason::ResourceUnknown.into(), forward.identity, &asked);
    };
    match resource.scopes.needed(operation) {
        Ok(rule) => {
            asked.rule = rule.rule;
            asked.needed = Some(rule.needed.clone());
            require(policy, context, forward, &rule.needed, &asked)
        }
        Err(reason) => refuse(policy, context, reason.into(), forward.identity, &asked),
    }
}

/// Forwards if the caller has the scopes.
fn require(
    policy: &Policy,
    context: &Context,
    mut forward: Forward,
    needed: &ScopeSet,
    asked: &Asked,
) -> Step {
    let (Some(resource), Some(identity)) =
        (policy.resources.get(context.resource), forward.identity.clone())
    else {
        return refuse(policy, context, Reason::ResourceUnknown.into(), None, asked);
    };
    let missing = resource.scopes.missing(&identity.scope, needed);
    if missing.is_empty() {
        forward.decision.operation.clone_from(&asked.operation);
        forward.decision.rule.clone_from(&asked.rule);
        return Step::Forward(forward);
    }
    let detail = Some(format!("missing {missing}"));
    let refused = Refused { detail, ..Reason::ScopeInsufficient.into() };
    refuse(policy, context, refused, Some(identity), asked)
}

/// Refuses a request; in shadow mode, lets it pass and says so in the record.
fn refuse(
    policy: &Policy,
    context: &Context,
    refused: Refused,
    identity: Option<Arc<Identity>>,
    asked: &Asked,
) -> Step {
    let resource = policy.resources.get(context.resource);
    let shadow = resource.filter(|resource| resource.mode == Mode::Shadow);
    let verdict = if shadow.is_some() { Verdict::Shadow } else { Verdict::Deny };
    let mut decision = record(verdict, Some(refused.reason), resource, identity.as_deref());
    decision.operation.clone_from(&asked.operation);
    decision.rule.clone_from(&asked.rule);
    decision.detail = refused.detail;
    if let Some(resource) = shadow {
        return Step::Forward(Forward {
            remove: removals(resource, &context.lookalikes),
            set: Vec::new(),
            response_headers: context.cors.clone(),
            identity: None,
            decision,
        });
    }
    let refusal = Refusal {
        resource,
        needed: asked.needed.as_ref(),
        id: asked.id.as_ref(),
        retry_after: refused.retry_after,
    };
    let mut response = refusal.response(decision, refused.reason, &context.cors);
    if context.is_head {
        response.body.clear();
    }
    Step::Respond(response)
}

/// The changes for an authorized request.
fn forward(
    resource: &ResourcePolicy,
    context: &Context,
    identity: &Arc<Identity>,
) -> Result<Forward, Reason> {
    Ok(Forward {
        remove: removals(resource, &context.lookalikes),
        set: identity.headers(&resource.forward)?,
        response_headers: context.cors.clone(),
        identity: Some(Arc::clone(identity)),
        decision: record(Verdict::Allow, None, Some(resource), Some(identity)),
    })
}

/// What a client may never tell the server by itself, and the token.
fn removals(resource: &ResourcePolicy, lookalikes: &[HeaderName]) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = resource.forward.owned().cloned().collect();
    names.extend_from_slice(lookalikes);
    if resource.forward.strip_token {
        names.push(HeaderName::fixed("authorization"));
    }
    names
}

/// The client's headers that differ from the guard's own in `_` for `-` only: to CGI and WSGI
/// servers both are the same variable.
fn lookalikes(resource: &ResourcePolicy, head: &RequestHead<'_>) -> Vec<HeaderName> {
    let mut found = Vec::new();
    for (name, _) in head.headers.iter().filter(|(name, _)| name.contains(&b'_')) {
        let Some(name) =
            core::str::from_utf8(name).ok().and_then(|name| HeaderName::parse(name).ok())
        else {
            continue;
        };
        let plain = name.as_str().replace('_', "-");
        let is_ours = resource.forward.owned().any(|ours| ours.as_str().replace('_', "-") == plain);
        if is_ours && !resource.forward.owned().any(|ours| *ours == name) && !found.contains(&name)
        {
            found.push(name);
        }
    }
    found
}

fn record(
    verdict: Verdict,
    reason: Option<Reason>,
    resource: Option<&ResourcePolicy>,
    identity: Option<&Identity>,
) -> Decision {
    Decision {
        resource: resource.map(|resource| resource.audience.resource.to_string()),
        issuer: identity.map(|identity| identity.issuer.clone()),
        client_id: identity.and_then(|identity| identity.client_id.clone()),
        subject: identity.map(Identity::subject_digest),
        ..Decision::new(verdict, reason)
    }
}

fn metadata(policy: &Policy, index: usize, head: &RequestHead<'_>) -> Step {
    let Some(resource) = policy.resources.get(index) else {
        let decision = Decision::new(Verdict::Deny, Some(Reason::MetadataUnknown));
        return Step::Respond(Refusal::default().response(decision, Reason::MetadataUnknown, &[]));
    };
    let issuers: Vec<&str> = resource
        .issuers
        .iter()
        .filter_map(|issuer| policy.issuers.get(*issuer))
        .map(|issuer| issuer.profile.issuer.as_str())
        .collect();
    Step::Respond(answer::metadata(resource, &issuers, head))
}

fn public(policy: &Policy, index: usize, head: &RequestHead<'_>) -> Step {
    let resource = policy.resources.get(index);
    let remove = resource.map(|resource| removals(resource, &lookalikes(resource, head)));
    Step::Forward(Forward {
        remove: remove.unwrap_or_default(),
        set: Vec::<Header>::new(),
        response_headers: Vec::new(),
        identity: None,
        decision: record(Verdict::Public, None, resource, None),
    })
}

#[cfg(test)]
mod tests;
