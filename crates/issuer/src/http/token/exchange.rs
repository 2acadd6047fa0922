//! Token exchange (RFC 8693), for less and never for more: an access token of this issuer for another
//! one with fewer scopes, no longer life, and perhaps for another resource.
//!
//! The client stays visible: the new token is its own by `client_id`, and `act` says that it acts for
//! the user where the first token was another client's. There is no impersonation.

use axum::{http::StatusCode, response::Response};
use countersign_core::{
    jwt::confirmation::Confirmation,
    oauth::scope::{Scope, ScopeSet},
};
use serde_json::{Value, json};

use super::{
    super::{
        App,
        dpop::Possession,
        issue::{self, Granted},
        params::Params,
        reply,
        request::find_resource,
    },
    Failure, refuse,
};
use crate::{
    Error,
    store::{Client, ClientResource, Resource},
    tokens::{OwnToken, auth_time},
};

/// RFC 8693 §3: what is taken and what is given.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Longest chain of actors: who acts for whom has to fit into a token.
const LONGEST_CHAIN: usize = 8;

pub(super) async fn exchange(
    app: &App,
    client: &Client,
    form: &Params,
    possession: Option<&Possession>,
) -> Result<Response, Failure> {
    check_types(form)?;
    let policy = app.store.client_resources(&client.id).await?;
    let resources = app.store.known_resources().await?;
    let text = form.get("subject_token").unwrap_or("");
    let judge = app.judge();
    let subject = judge.access_token(text).map_err(|_| unacceptable("subject_token"))?;
    let source = source(&subject, client, &policy, &resources)?;
    if judge.is_revoked(&subject).await? {
        return Err(unacceptable("subject_token"));
    }
    // A client's own tokens have no user, and no grant that could be taken back.
    let grant = app.store.grant_of_token(&subject.place.list, subject.place.index).await?;
    let grant = grant.ok_or_else(|| unacceptable("subject_token"))?;
    let actor = actor(app, client, form, &subject).await?;
    let target = target(form, &resources, source)?;
    let allowed = policy.iter().find(|rule| rule.resource == target.uri);
    let allowed = ScopeSet::parse(allowed.map_or("", |rule| &rule.exchanges)).unwrap_or_default();
    if allowed.is_empty() {
        return Err(refuse("invalid_target", "The client may not have tokens for this resource"));
    }
    let scopes = narrowed(form.get("scope"), &subject.claims.scope, source, target, &allowed)?;
    let until = i64::try_from(subject.claims.expires_at.unwrap_or(0)).unwrap_or(0);
    let access_token = issue::plan_until(app, &target.uri, until, possession).await?;
    let issued = access_token.row();
    if !app.store.add_exchanged_token(&grant.id, client, &issued).await? {
        // One of those concerned was shut out, or the grant ended, since we looked.
        return Err(unacceptable("subject_token"));
    }
    let (resource, user) = (&target.uri, &grant.user_id);
    tracing::info!(client = client.id, resource, user, "exchanged a token: {scopes}");
    let granted = Granted {
        subject: user,
        client_id: &client.id,
        resource,
        scopes: &scopes,
        auth_time: auth_time(&subject.claims),
        nonce: None,
        actor: actor.as_ref(),
    };
    let mut response = issue::response(app, granted, &access_token).await?;
    // §2.2.1. No refresh token: what is exchanged lives no longer than what it came from.
    response["issued_token_type"] = json!(ACCESS_TOKEN);
    Ok(reply::json(StatusCode::OK, &response))
}

/// §2.1: an access token for an access token, and everything that belongs to it.
fn check_types(form: &Params) -> Result<(), Failure> {
    let wrong = |text| Err(refuse("invalid_request", text));
    if form.get("subject_token").is_none() {
        return wrong("subject_token is missing");
    }
    if form.get("subject_token_type") != Some(ACCESS_TOKEN) {
        return wrong("subject_token_type must be that of an access token");
    }
    if form.get("requested_token_type").is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return wrong("requested_token_type must be that of an access token");
    }
    match (form.get("actor_token"), form.get("actor_token_type")) {
        (None, None) | (Some(_), Some(ACCESS_TOKEN)) => Ok(()),
        (None, Some(_)) => wrong("actor_token_type comes with an actor_token only"),
        (Some(_), _) => wrong("actor_token_type must be that of an access token"),
    }
}

/// The resource that the first token is for. Only two may bring it: the client that it was issued to,
/// and the server that it is for, which has it from a request.
fn source<'a>(
    subject: &OwnToken,
    client: &Client,
    policy: &[ClientResource],
    resources: &'a [Resource],
) -> Result<&'a Resource, Failure> {
    let claims = &subject.claims;
    let is_for = |uri: &String| claims.audience.contains(uri);
    let is_holder = claims.client_id.as_ref() == Some(&client.id);
    let is_server = policy.iter().any(|rule| rule.introspects && is_for(&rule.resource));
    // A token that is bound to a key is worth something with a proof only, and the new one would be
    // worth something without.
    let is_bound = claims.confirmation != Confirmation::None;
    let source = resources.iter().find(|resource| is_for(&resource.uri));
    source
        .filter(|_| (is_holder || is_server) && !is_bound)
        .ok_or_else(|| unacceptable("subject_token"))
}

/// Who acts, for `act` (§4.1): the client, where the first token is another client's or where it says
/// so by a token of its own; with those who acted before it inside.
async fn actor(
    app: &App,
    client: &Client,
    form: &Params,
    subject: &OwnToken,
) -> Result<Option<Value>, Failure> {
    let before = subject.claims.all.get("act").map(serde_json::to_value);
    let before = before.transpose().map_err(|_| Error::Crypto("not JSON"))?;
    if let Some(text) = form.get("actor_token") {
        let judge = app.judge();
        let own = judge.access_token(text).ok().filter(|own| {
            own.claims.subject.as_ref() == Some(&client.id)
                && own.claims.client_id.as_ref() == Some(&client.id)
                && own.claims.confirmation == Confirmation::None
        });
        let own = own.ok_or_else(|| unacceptable("actor_token"))?;
        if judge.is_revoked(&own).await? {
            return Err(unacceptable("actor_token"));
        }
    } else if subject.claims.client_id.as_ref() == Some(&client.id) {
        return Ok(before);
    }
    let mut actor = json!({ "sub": client.id });
    if let Some(before) = before {
        let length = std::iter::successors(Some(&before), |actor| actor.get("act")).count();
        if length >= LONGEST_CHAIN {
            return Err(refuse("invalid_request", "Too many have acted for one another"));
        }
        actor["act"] = before;
    }
    Ok(Some(actor))
}

/// What the new token is for (§2.1): `resource` or `audience`, by the names that we know; without them
/// the same as the first one.
fn target<'a>(
    form: &Params,
    resources: &'a [Resource],
    source: &'a Resource,
) -> Result<&'a Resource, Failure> {
    let mut target: Option<&Resource> = None;
    for name in form.all("resource").iter().chain(form.all("audience")) {
        let found = find_resource(std::slice::from_ref(name), resources, None)
            .map_err(|error| refuse(error.error, error.description))?;
        if target.is_some_and(|other| other.uri != found.uri) {
            return Err(refuse("invalid_target", "Ask for one resource at a time"));
        }
        target = Some(found);
    }
    Ok(target.unwrap_or(source))
}

/// What was asked for, if the first token gives all of it, by itself or by implication; and if the
/// target has it, and the client may have it there.
fn narrowed(
    requested: Option<&str>,
    held: &ScopeSet,
    source: &Resource,
    target: &Resource,
    allowed: &ScopeSet,
) -> Result<ScopeSet, Failure> {
    let implications = source.implications();
    let may_have = |scope: &&Scope| {
        implications.grants(held, scope)
            && target.description(scope).is_some()
            && allowed.contains(scope)
    };
    let wrong = |text| refuse("invalid_scope", text);
    let scopes: ScopeSet = match requested {
        None => allowed.iter().filter(may_have).cloned().collect(),
        Some(text) => {
            let scopes = ScopeSet::parse(text).map_err(|_| wrong("The scope is malformed"))?;
            if !scopes.iter().all(|scope| may_have(&scope)) {
                return Err(wrong("The first token, or the client, may not have these scopes"));
            }
            scopes
        }
    };
    if scopes.is_empty() {
        return Err(wrong("Nothing of the first token's scopes is left"));
    }
    Ok(scopes)
}

/// §2.2.2: one answer for a token that is not good, or not the client's to exchange.
fn unacceptable(which: &str) -> Failure {
    refuse("invalid_request", &format!("The {which} cannot be exchanged by this client"))
}
