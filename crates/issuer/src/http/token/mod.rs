//! `/token` (OAuth 2.1 §3.2): everything is checked before anything is consumed.

mod client_credentials;
mod code;
mod device_code;
mod exchange;
mod first;
mod identity_assertion;
mod refresh;

use axum::{extract::State, response::Response};

use super::{
    App, Shared, client_auth,
    dpop::{self, Possession},
    params::Params,
    post::{self, Failure, Posted, refuse},
    request::find_resource,
};
use crate::{grant_types, store::Client};

/// A refresh token that is not used for so many seconds ends (OAuth 2.1 §4.3.1).
const REFRESH_IDLE: i64 = 30 * 86_400;

pub(super) async fn endpoint(State(app): Shared, posted: Posted) -> Response {
    post::answer(exchange(&app, &posted).await)
}

async fn exchange(app: &App, posted: &Posted) -> Result<Response, Failure> {
    let Posted { address, headers, form } = posted;
    let Some(grant_type) = form.get("grant_type") else {
        return Err(refuse("invalid_request", "grant_type is missing"));
    };
    if !grant_types::ALL.contains(&grant_type) {
        return Err(refuse("unsupported_grant_type", "The grant type is not supported"));
    }
    let client = client_auth::authenticate(app, headers, form, *address).await?;
    if !client.may_use(grant_type) {
        return Err(refuse("unauthorized_client", "The client may not use this grant type"));
    }
    let possession = dpop::present(app, headers, "/token")?;
    let possession = possession.as_ref();
    // RFC 9449 §5.2.
    if client.dpop_bound && possession.is_none() {
        return Err(dpop::wrong_key("The client is registered for DPoP and sent no proof"));
    }
    let mut response = match grant_type {
        grant_types::AUTHORIZATION_CODE => code::redeem(app, &client, form, possession).await,
        grant_types::CLIENT_CREDENTIALS => {
            client_credentials::issue(app, &client, form, possession).await
        }
        grant_types::DEVICE_CODE => device_code::redeem(app, &client, form, possession).await,
        grant_types::TOKEN_EXCHANGE => exchange::exchange(app, &client, form, possession).await,
        grant_types::JWT_BEARER => identity_assertion::redeem(app, &client, form, possession).await,
        _ => refresh::refresh(app, &client, form, possession).await,
    }?;
    dpop::set_nonce(&mut response, possession.and_then(|shown| shown.nonce.as_deref()));
    Ok(response)
}

/// The `cnf` that a public client's refresh tokens get: they have no other protection, and those of
/// other clients are worth nothing without the client's credentials (RFC 9449 §5).
fn binding(client: &Client, possession: Option<&Possession>) -> Option<String> {
    let shown = possession.filter(|_| client.auth_method == "none");
    shown.map(|shown| shown.confirmation().to_string())
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
