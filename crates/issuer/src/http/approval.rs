//! What comes of a user's consent: a code, after a page or without one where all was allowed before.

use std::sync::Arc;

use axum::{http::HeaderMap, response::Response};
use countersign_core::oauth::scope::ScopeSet;

use super::{
    App,
    authorize::{Back, answer_error},
    cookies::Cookie,
    interaction::stale,
    reply,
    request::{AuthorizationRequest, RequestError},
};
use crate::{
    Error,
    secret::{self, Kind},
    store::{Client, ClientKind, NewCode, NewGrant, SessionRow},
};

/// How long a code can be redeemed, in seconds (issuer spec, duties).
const CODE_LIFETIME: i64 = 60;

/// `prompt=none`: an answer without any page, or an error (OpenID Connect Core §3.1.2.6).
pub(super) async fn silent(
    app: &Arc<App>,
    headers: &HeaderMap,
    client: &Client,
    request: &AuthorizationRequest,
) -> Result<Response, Error> {
    let refuse = |error, description| {
        Ok(answer_error(app, client, Back::of(request), RequestError { error, description }))
    };
    let Some(session) = session(app, headers).await? else {
        return refuse("login_required", "The user is not logged in");
    };
    if !request.takes_login_of(session.auth_time) {
        return refuse("login_required", "The login is too old");
    }
    if !is_remembered(app, request, client, &session).await? {
        return refuse("consent_required", "The user must be asked");
    }
    Ok(code(app, request, client, &session).await?.unwrap_or_else(|| stale(app)))
}

/// The answer to a request that needs no page: the user's own program sent a user who is logged in, and
/// who allowed all of this before. `None`: there are questions.
pub(super) async fn without_questions(
    app: &Arc<App>,
    headers: &HeaderMap,
    client: &Client,
    request: &AuthorizationRequest,
) -> Result<Option<Response>, Error> {
    // Before anything is read: most requests come from clients that are always asked about.
    if !may_be_remembered(request, client) {
        return Ok(None);
    }
    let session = session(app, headers).await?;
    match session.filter(|session| request.takes_login_of(session.auth_time)) {
        Some(session) if is_remembered(app, request, client, &session).await? => {
            code(app, request, client, &session).await
        }
        _ => Ok(None),
    }
}

/// The login of this browser, if there is one.
async fn session(app: &App, headers: &HeaderMap) -> Result<Option<SessionRow>, Error> {
    match Cookie::Session.read(&app.issuer, headers) {
        Some(session) => app.store.session(&secret::hash(Kind::Session, &session)).await,
        None => Ok(None),
    }
}

/// Whether an earlier consent counts. Only for clients that the administrator added: a name that anybody
/// can register is asked about each time.
fn may_be_remembered(request: &AuthorizationRequest, client: &Client) -> bool {
    !request.consent && client.kind == ClientKind::Static
}

/// Whether the user allowed all of this before.
pub(super) async fn is_remembered(
    app: &Arc<App>,
    request: &AuthorizationRequest,
    client: &Client,
    session: &SessionRow,
) -> Result<bool, Error> {
    if !may_be_remembered(request, client) {
        return Ok(false);
    }
    let consented = app
        .store
        .consented(&session.user_id, &client.id, &request.resource, &request.redirect_uri)
        .await?;
    let Some(granted) = consented.and_then(|scopes| ScopeSet::parse(&scopes).ok()) else {
        return Ok(false);
    };
    let resources = app.store.known_resources().await?;
    let resource = resources.iter().find(|resource| resource.uri == request.resource);
    Ok(resource.is_some_and(|resource| resource.gives(&granted, &request.scopes())))
}

/// Back to the client with a code; `None` when the user or the client was shut out meanwhile.
pub(super) async fn code(
    app: &Arc<App>,
    request: &AuthorizationRequest,
    client: &Client,
    session: &SessionRow,
) -> Result<Option<Response>, Error> {
    let code = secret::new(Kind::AuthorizationCode)?;
    let grant = NewGrant {
        id: &secret::new(Kind::GrantId)?,
        user_id: &session.user_id,
        client_id: &client.id,
        resource: &request.resource,
        scopes: &request.scope,
        nonce: request.nonce.as_deref(),
        auth_time: session.auth_time,
    };
    let hash = secret::hash(Kind::AuthorizationCode, &code);
    let new = NewCode {
        hash: &hash,
        redirect_uri: &request.redirect_uri,
        challenge: &request.challenge,
        dpop_jkt: request.dpop_jkt.as_deref(),
        lifetime: CODE_LIFETIME,
    };
    match app.store.add_grant(&grant, &new).await {
        // As whoever comes a moment later finds it.
        Err(Error::Ended) => return Ok(None),
        added => added?,
    }
    tracing::info!(client = client.id, resource = request.resource, "granted: {}", request.scope);
    Ok(Some(reply::see_other(&Back::of(request).location(app, &[("code", &code)]))))
}
