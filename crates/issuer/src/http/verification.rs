//! `/device` (RFC 8628 §3.3): a person types what a device shows, and decides about it on the usual
//! pages.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use countersign_core::jose::base64url;

use super::{
    App, Shared,
    authorize::{browser_of, open_interaction},
    body,
    cookies::Cookie,
    device::{read_user_code, shown},
    interaction::{Visit, forged, is_own_page, stale},
    limit::Visitor,
    params::Params,
    post::is_form,
    reply,
    request::{AuthorizationRequest, Device},
};
use crate::{
    Error, clock,
    secret::{self, Kind},
    store::{NewGrant, SessionRow, WaitingDevice},
};

/// What the form belongs to, in place of an interaction.
const FORM: &str = "device";

pub(super) async fn endpoint(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = Visitor::of(&parts.headers, peer, app.config.trusted_proxies);
    let outcome = match parts.method {
        Method::GET => {
            let query = Params::parse(parts.uri.query().unwrap_or("").as_bytes());
            // Filled in from the address, the code is still the user's to confirm (§3.3.1).
            let user_code = query.get("user_code").and_then(read_user_code).unwrap_or_default();
            ask(&app, &parts.headers, visitor, &user_code, StatusCode::OK, None)
        }
        Method::POST if !is_form(&parts.headers) => {
            let text = "The body must be application/x-www-form-urlencoded";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return reply::oauth_error(status, "invalid_request", text);
        }
        Method::POST => match body::read(body).await {
            Ok(body) => enter(&app, &parts.headers, visitor, &Params::parse(&body)).await,
            Err(unread) => {
                return reply::oauth_error(unread.status(), "invalid_request", unread.text());
            }
        },
        _ => return reply::method_not_allowed("GET, POST"),
    };
    outcome.unwrap_or_else(|error| {
        tracing::error!(reason = error.reason(), "{error}");
        app.pages.message(
            StatusCode::SERVICE_UNAVAILABLE,
            "Something is wrong on our side",
            "Try again in a moment.",
        )
    })
}

/// The page with the form.
fn ask(
    app: &App,
    headers: &HeaderMap,
    visitor: Visitor,
    user_code: &str,
    status: StatusCode,
    problem: Option<&str>,
) -> Result<Response, Error> {
    let browser = browser_of(app, headers)?;
    let visit = Visit::new(app, headers, visitor).named(&browser);
    let mut response = app.pages.device(status, &visit.csrf(FORM), &shown(user_code), problem);
    Cookie::Browser.set(&app.issuer, response.headers_mut(), &browser);
    Ok(response)
}

/// Takes the code. Guesses are counted by address, right ones too: who has a device of their own must
/// not be set free by it (§5.1).
async fn enter(
    app: &Arc<App>,
    headers: &HeaderMap,
    visitor: Visitor,
    form: &Params,
) -> Result<Response, Error> {
    let visit = Visit::new(app, headers, visitor);
    if form.repeated(&[]).is_some()
        || !is_own_page(app, headers)
        || form.get("csrf") != Some(&visit.csrf(FORM))
    {
        return Ok(forged(app));
    }
    if let Err(seconds) = app.user_codes.take(Some(visitor.nearest()), clock::milliseconds()).await
    {
        let text = format!("Too many tries. Wait {seconds} seconds.");
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut response = ask(app, headers, visitor, "", status, Some(&text))?;
        reply::set(response.headers_mut(), header::RETRY_AFTER, &seconds.to_string());
        return Ok(response);
    }
    let user_code = form.get("user_code").and_then(read_user_code);
    let found = match &user_code {
        Some(code) => waiting(app, code).await?,
        None => None,
    };
    let (Some(user_code), Some(device)) = (user_code, found) else {
        tracing::info!(reason = "user_code_refused", "a code that no device shows");
        let text = "No device waits with this code. It may be mistyped, or too old: look at the \
                    device again.";
        return ask(app, headers, visitor, "", StatusCode::BAD_REQUEST, Some(text));
    };
    let hash = base64url::encode(&device.hash);
    let sealed = app.keys.ring().seal(&place(&hash), user_code.as_bytes())?;
    let request = AuthorizationRequest {
        client_id: device.client_id,
        redirect_uri: String::new(),
        state: None,
        resource: device.resource,
        scope: device.scopes,
        challenge: String::new(),
        nonce: None,
        dpop_jkt: None,
        login_since: None,
        // Whoever sent the user here may be somebody else than who holds the device (§5.4).
        consent: true,
        device: Some(Device { hash, user_code: base64url::encode(sealed) }),
    };
    open_interaction(app, headers, &request).await
}

/// The device that shows this code. It began to wait under one of the keys that there are.
async fn waiting(app: &App, user_code: &str) -> Result<Option<WaitingDevice>, Error> {
    for digest in app.keys.ring().digests(Kind::UserCode, user_code) {
        if let Some(device) = app.store.waiting_device(&digest).await? {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

/// What the device shows that waits for the answer to this request, if one does.
pub(super) fn user_code(
    app: &App,
    request: &AuthorizationRequest,
) -> Result<Option<String>, Error> {
    let Some(device) = &request.device else {
        return Ok(None);
    };
    let damaged = || Error::Crypto("a stored user code is damaged");
    let sealed = base64url::decode(&device.user_code).map_err(|_| damaged())?;
    let opened = app.keys.ring().open(&place(&device.hash), &sealed)?;
    Ok(Some(shown(&String::from_utf8(opened).map_err(|_| damaged())?)))
}

/// The user allows it: once, however often the page is sent.
pub(super) async fn allow(
    app: &App,
    interaction: &str,
    request: &AuthorizationRequest,
    session: &SessionRow,
) -> Result<Response, Error> {
    if !app.end_interaction(interaction).await? {
        return Ok(stale(app));
    }
    let grant = NewGrant {
        id: &secret::new(Kind::GrantId)?,
        user_id: &session.user_id,
        client_id: &request.client_id,
        resource: &request.resource,
        scopes: &request.scope,
        nonce: None,
        auth_time: session.auth_time,
    };
    match app.store.allow_device(&hash(request)?, &grant).await {
        Ok(true) => {}
        Ok(false) | Err(Error::Ended) => return Ok(stale(app)),
        Err(error) => return Err(error),
    }
    let (client, scope) = (&request.client_id, &request.scope);
    tracing::info!(client, resource = request.resource, "granted to a device: {scope}");
    Ok(app.pages.message(
        StatusCode::OK,
        "The device is connected",
        "Go back to the device: it goes on within a few seconds. You can close this page.",
    ))
}

/// The user, who has ended the interaction, does not.
pub(super) async fn deny(app: &App, request: &AuthorizationRequest) -> Result<Response, Error> {
    app.store.deny_device(&hash(request)?).await?;
    Ok(app.pages.message(
        StatusCode::OK,
        "The device was refused",
        "It gets nothing. You can close this page.",
    ))
}

fn hash(request: &AuthorizationRequest) -> Result<Vec<u8>, Error> {
    let device = request.device.as_ref().and_then(|device| base64url::decode(&device.hash).ok());
    device.ok_or(Error::Crypto("a stored device code is damaged"))
}

/// What a sealed user code belongs to.
fn place(hash: &str) -> String {
    format!("device_codes/{hash}")
}
