//! `/token` (OAuth 2.1 §3.2): everything is checked before anything is consumed.

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode},
    response::Response,
};
use countersign_core::oauth::{
    pkce::{CodeChallenge, CodeVerifier},
    scope::ScopeSet,
};
use serde_json::json;

use super::{
    App, MAX_BODY, Shared,
    authorize::is_form,
    client_auth,
    issue::{self, Granted},
    params::Params,
    reply,
    request::find_resource,
};
use crate::{
    Error, clock,
    seal::SealingKey,
    secret::{self, Kind},
    store::{Client, CodeRow, Redemption, RefreshRow, Successor},
};

/// A refresh token that is not used for so many seconds ends (OAuth 2.1 §4.3.1).
const REFRESH_IDLE: i64 = 30 * 86_400;

/// So many seconds after the consent the user is asked again, however busy the client is.
const REFRESH_ABSOLUTE: i64 = 180 * 86_400;

/// For so many seconds a token that was rotated still gives its successor: parallel processes and
/// lost answers are no theft.
const REUSE_GRACE: i64 = 60;

pub(super) async fn endpoint(State(app): Shared, request: Request<Body>) -> Response {
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return reply::preflight("POST, OPTIONS"),
        _ => return reply::cors(reply::method_not_allowed("POST, OPTIONS")),
    }
    let (parts, body) = request.into_parts();
    let response = match read_form(&parts.headers, body).await {
        Ok(form) => match exchange(&app, &parts.headers, &form).await {
            Ok(response) => response,
            Err(Failure::Refused(response)) => *response,
            Err(Failure::Server(error)) => reply::server_error(&error),
        },
        Err(response) => response,
    };
    reply::cors(response)
}

/// Why a request has no tokens.
enum Failure {
    Refused(Box<Response>),
    Server(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

fn refuse(error: &'static str, description: &'static str) -> Failure {
    let response = reply::oauth_error(StatusCode::BAD_REQUEST, error, description);
    Failure::Refused(Box::new(response))
}

pub(super) async fn read_form(headers: &HeaderMap, body: Body) -> Result<Params, Response> {
    if !is_form(headers) {
        return Err(reply::oauth_error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "The body must be application/x-www-form-urlencoded",
        ));
    }
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
        reply::oauth_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            "The body is too large",
        )
    })?;
    let form = Params::parse(&body);
    match form.repeated(&["resource"]) {
        Some(_) => Err(reply::oauth_error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "A parameter is repeated",
        )),
        None => Ok(form),
    }
}

async fn exchange(app: &App, headers: &HeaderMap, form: &Params) -> Result<Response, Failure> {
    let Some(grant_type) = form.get("grant_type") else {
        return Err(refuse("invalid_request", "grant_type is missing"));
    };
    if !matches!(grant_type, "authorization_code" | "refresh_token") {
        return Err(refuse("unsupported_grant_type", "The grant type is not supported"));
    }
    let client = client_auth::authenticate(app, headers, form)
        .await?
        .map_err(|response| Failure::Refused(Box::new(response)))?;
    if !client.may_use(grant_type) {
        return Err(refuse("unauthorized_client", "The client may not use this grant type"));
    }
    match grant_type {
        "refresh_token" => refresh(app, &client, form).await,
        _ => redeem(app, &client, form).await,
    }
}

/// OAuth 2.1 §4.1.3.
async fn redeem(app: &App, client: &Client, form: &Params) -> Result<Response, Failure> {
    let invalid = || refuse("invalid_grant", "The code is not valid");
    let code = form.get("code").ok_or_else(|| refuse("invalid_request", "code is missing"))?;
    let verifier = form
        .get("code_verifier")
        .ok_or_else(|| refuse("invalid_grant", "code_verifier is missing; PKCE is required"))?;
    let hash = secret::hash(Kind::AuthorizationCode, code);
    let row = app.store.code(&hash).await?.ok_or_else(invalid)?;
    if row.client_id != client.id {
        // Another client holds this code: it leaked, and is worth nothing from now on.
        app.store.burn_code(&hash).await?;
        return Err(invalid());
    }
    if row.consumed_at.is_some() {
        return Err(replayed(app, &row).await?);
    }
    if row.revoked_at.is_some() || row.expires_at <= clock::now() {
        return Err(invalid());
    }
    if form.get("redirect_uri").is_some_and(|uri| uri != row.redirect_uri) {
        return Err(refuse("invalid_grant", "redirect_uri is not the one of the request"));
    }
    check_resource(app, form, &row.resource).await?;
    let fits = match (CodeChallenge::parse(&row.challenge), CodeVerifier::parse(verifier)) {
        (Ok(challenge), Ok(verifier)) => challenge.verify(&verifier),
        _ => false,
    };
    if !fits {
        app.store.burn_code(&hash).await?;
        tracing::warn!(reason = "pkce_failed", client = client.id, "a code verifier does not fit");
        return Err(refuse("invalid_grant", "code_verifier does not fit"));
    }
    let refresh_token = match client.may_use("refresh_token") {
        true => Some(secret::new(Kind::RefreshToken)?),
        false => None,
    };
    let refresh_hash = refresh_token.as_ref().map(|token| secret::hash(Kind::RefreshToken, token));
    let expires_at = clock::now() + REFRESH_IDLE;
    let first = refresh_hash.as_ref().map(|hash| (hash.as_slice(), expires_at));
    match app.store.redeem_code(&hash, &row.grant_id, first).await? {
        Redemption::Done => {}
        Redemption::TooLate => return Err(replayed(app, &row).await?),
    }
    let scopes = ScopeSet::parse(&row.scopes).unwrap_or_default();
    let granted = Granted {
        user_id: &row.user_id,
        client_id: &client.id,
        resource: &row.resource,
        scopes: &scopes,
        auth_time: row.auth_time,
        nonce: row.nonce.as_deref(),
    };
    let mut response = issue::response(app, granted).await?;
    if let Some(token) = refresh_token {
        response["refresh_token"] = json!(token);
    }
    Ok(reply::json(StatusCode::OK, &response))
}

/// A code that comes twice was seen by somebody else: all that came of it ends (OAuth 2.1 §4.1.3).
async fn replayed(app: &App, row: &CodeRow) -> Result<Failure, Error> {
    app.store.revoke_grant(&row.grant_id, "code_replayed").await?;
    tracing::warn!(reason = "code_replayed", client = row.client_id, "a code came twice");
    Ok(refuse("invalid_grant", "The code is not valid"))
}

/// OAuth 2.1 §4.3: rotation, with the same successor for a retry within the grace.
async fn refresh(app: &App, client: &Client, form: &Params) -> Result<Response, Failure> {
    let invalid = || refuse("invalid_grant", "The refresh token is not valid");
    let token = form
        .get("refresh_token")
        .ok_or_else(|| refuse("invalid_request", "refresh_token is missing"))?;
    let hash = secret::hash(Kind::RefreshToken, token);
    let row = app.store.refresh_token(&hash).await?.ok_or_else(invalid)?;
    if row.client_id != client.id || row.revoked_at.is_some() || row.expires_at <= clock::now() {
        return Err(invalid());
    }
    check_resource(app, form, &row.resource).await?;
    let scopes = narrowed(form.get("scope"), &row.scopes)?;
    let successor = match row.rotated_at {
        None => match rotate(app, token, &hash, &row).await? {
            Some(successor) => successor,
            // Somebody was faster.
            None => {
                let row = app.store.refresh_token(&hash).await?.ok_or_else(invalid)?;
                retried(app, token, &row).await?
            }
        },
        Some(_) => retried(app, token, &row).await?,
    };
    let granted = Granted {
        user_id: &row.user_id,
        client_id: &client.id,
        resource: &row.resource,
        scopes: &scopes,
        auth_time: row.auth_time,
        nonce: None,
    };
    let mut response = issue::response(app, granted).await?;
    response["refresh_token"] = json!(successor);
    Ok(reply::json(StatusCode::OK, &response))
}

async fn rotate(
    app: &App,
    token: &str,
    hash: &[u8],
    row: &RefreshRow,
) -> Result<Option<String>, Error> {
    let successor = secret::new(Kind::RefreshToken)?;
    let sealed = successor_key(token)?.seal(&row.grant_id, successor.as_bytes())?;
    let new_hash = secret::hash(Kind::RefreshToken, &successor);
    let expires_at = (clock::now() + REFRESH_IDLE).min(row.granted_at + REFRESH_ABSOLUTE);
    let new = Successor { hash: &new_hash, sealed: &sealed, expires_at };
    Ok(app.store.rotate(hash, &row.grant_id, new).await?.then_some(successor))
}

/// The token was rotated before. Shortly after, and while its successor was not used, that is a
/// retry; otherwise one of the two who hold it is a thief, and the family ends.
async fn retried(app: &App, token: &str, row: &RefreshRow) -> Result<String, Failure> {
    let in_time = row.rotated_at.is_some_and(|at| clock::now() < at + REUSE_GRACE);
    if let (true, false, None, Some(sealed)) =
        (in_time, row.successor_used, row.revoked_at, &row.successor_sealed)
    {
        let opened = successor_key(token)?.open(&row.grant_id, sealed)?;
        return String::from_utf8(opened)
            .map_err(|_| Failure::Server(Error::Crypto("a sealed token is damaged")));
    }
    app.store.revoke_grant(&row.grant_id, "refresh_reused").await?;
    tracing::warn!(reason = "refresh_reused", client = row.client_id, "a refresh token was reused");
    Err(refuse("invalid_grant", "The refresh token is not valid"))
}

/// Only who presents a token can read its successor: nothing usable lies in the database.
fn successor_key(token: &str) -> Result<SealingKey, Error> {
    SealingKey::derive("refresh token successor", token)
}

/// RFC 8707 §2.2: a resource that is named again must be the granted one.
async fn check_resource(app: &App, form: &Params, granted: &str) -> Result<(), Failure> {
    let requested = form.all("resource");
    if requested.is_empty() {
        return Ok(());
    }
    let resources = app.store.resources().await?;
    match find_resource(requested, &resources) {
        Ok(resource) if resource.uri == granted => Ok(()),
        Ok(_) => Err(refuse("invalid_target", "The grant is for another resource")),
        Err(error) => Err(refuse(error.error, error.description)),
    }
}

/// Scopes may be given up, never added (RFC 6749 §6).
fn narrowed(requested: Option<&str>, granted: &str) -> Result<ScopeSet, Failure> {
    let granted = ScopeSet::parse(granted).unwrap_or_default();
    let Some(requested) = requested else {
        return Ok(granted);
    };
    let malformed = |_| refuse("invalid_scope", "The scope is malformed");
    let requested = ScopeSet::parse(requested).map_err(malformed)?;
    if requested.iter().all(|scope| granted.contains(scope)) {
        Ok(requested)
    } else {
        Err(refuse(
            "invalid_scope",
            "A refresh cannot add scopes: send the user to the authorization endpoint",
        ))
    }
}
