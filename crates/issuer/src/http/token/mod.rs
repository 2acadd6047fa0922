//! `/token` (OAuth 2.1 §3.2): everything is checked before anything is consumed.

mod client_credentials;
mod code;
mod device_code;
mod exchange;
mod identity_assertion;
mod refresh;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Request},
    response::Response,
};

use super::{
    App, Shared, client_auth,
    params::Params,
    post::{self, Failure, refuse},
    request::find_resource,
};
use crate::grant_types;

/// A refresh token that is not used for so many seconds ends (OAuth 2.1 §4.3.1).
const REFRESH_IDLE: i64 = 30 * 86_400;

pub(super) async fn endpoint(State(app): Shared, request: Request<Body>) -> Response {
    let (headers, form) = match post::form(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    post::answer(exchange(&app, &headers, &form).await)
}

async fn exchange(app: &App, headers: &HeaderMap, form: &Params) -> Result<Response, Failure> {
    let Some(grant_type) = form.get("grant_type") else {
        return Err(refuse("invalid_request", "grant_type is missing"));
    };
    if !grant_types::ALL.contains(&grant_type) {
        return Err(refuse("unsupported_grant_type", "The grant type is not supported"));
    }
    let client = client_auth::authenticate(app, headers, form).await?;
    if !client.may_use(grant_type) {
        return Err(refuse("unauthorized_client", "The client may not use this grant type"));
    }
    match grant_type {
        grant_types::AUTHORIZATION_CODE => code::redeem(app, &client, form).await,
        grant_types::CLIENT_CREDENTIALS => client_credentials::issue(app, &client, form).await,
        grant_types::DEVICE_CODE => device_code::redeem(app, &client, form).await,
        grant_types::TOKEN_EXCHANGE => exchange::exchange(app, &client, form).await,
        grant_types::JWT_BEARER => identity_assertion::redeem(app, &client, form).await,
        _ => refresh::refresh(app, &client, form).await,
    }
}

/// RFC 8707 §2.2: a resource that is named again must be the granted one.
async fn check_resource(app: &App, form: &Params, granted: &str) -> Result<(), Failure> {
    let requested = form.all("resource");
    if requested.is_empty() {
        return Ok(());
    }
    let resources = app.store.known_resources().await?;
    match find_resource(requested, &resources, None) {
        Ok(resource) if resource.uri == granted => Ok(()),
        Ok(_) => Err(refuse("invalid_target", "The grant is for another resource")),
        Err(error) => Err(refuse(error.error, error.description)),
    }
}
