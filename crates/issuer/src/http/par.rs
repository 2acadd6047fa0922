//! `/par` (RFC 9126): a client sends its authorization request itself, and the browser carries a
//! reference that nobody can change.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Request, StatusCode},
    response::Response,
};
use serde_json::json;

use super::{
    App, Shared, client_auth,
    limit::client_address,
    params::Params,
    post::{self, Failure, refuse},
    reply,
    request::{AuthorizationRequest, PARAMETERS, redirect_target},
};
use crate::{
    Error,
    secret::{self, Kind},
};

/// What a reference begins with (RFC 9126 §2.2).
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// How long a reference is good, in seconds: the browser opens it at once.
const LIFETIME: i64 = 60;

pub(super) async fn endpoint(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let address = client_address(request.headers(), peer, app.config.trusted_proxies);
    let (headers, form) = match post::form(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    post::answer(push(&app, address, &headers, &form).await)
}

async fn push(
    app: &App,
    address: Option<IpAddr>,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Response, Failure> {
    let client = client_auth::authenticate_first(app, headers, form, address).await?;
    // §2.1: a request cannot be another reference.
    if form.has("request_uri") {
        return Err(refuse("invalid_request", "request_uri cannot be pushed"));
    }
    // What the browser would be refused for, the client is told here (§2.3).
    let redirect_uri = redirect_target(form, &client).map_err(|text| {
        Failure::from(reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", text))
    })?;
    let resources = app.store.known_resources().await?;
    AuthorizationRequest::check(form, &client, redirect_uri, &resources)
        .map_err(|error| refuse(error.error, error.description))?;
    let reference = secret::new(Kind::PushedRequest)?;
    let hash = secret::hash(Kind::PushedRequest, &reference);
    // What authenticates the client, and what nobody reads, is not stored.
    let request = form.only(&PARAMETERS);
    app.store.add_pushed_request(&hash, &client.id, &request, LIFETIME).await?;
    let body = json!({ "request_uri": format!("{PREFIX}{reference}"), "expires_in": LIFETIME });
    Ok(reply::json(StatusCode::CREATED, &body))
}

/// Whether a `request_uri` is one of our references.
pub(super) fn is_reference(uri: &str) -> bool {
    uri.starts_with(PREFIX)
}

/// The request behind a reference, once (§4, §7.3); `None` when it is not this client's, was used, or
/// is over.
pub(super) async fn take(app: &App, uri: &str, client_id: &str) -> Result<Option<Params>, Error> {
    let Some(reference) = uri.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let hash = secret::hash(Kind::PushedRequest, reference);
    let request = app.store.take_pushed_request(&hash, client_id).await?;
    Ok(request.map(|text| Params::parse(text.as_bytes())))
}
