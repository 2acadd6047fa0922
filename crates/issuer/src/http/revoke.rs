//! `/revoke` (RFC 7009): a client gives a token back.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};

use super::{
    App, Shared, client_auth,
    limit::client_address,
    params::Params,
    post::{self, Failure, refuse},
    reply,
};
use crate::tokens::{By, Token};

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
    post::answer(revoke(&app, address, &headers, &form).await)
}

/// A refresh token ends its grant, with all access tokens. An access token ends alone: the client goes
/// on with its refresh token. `token_type_hint` is not needed (§2.1).
async fn revoke(
    app: &App,
    address: Option<IpAddr>,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Response, Failure> {
    let client = client_auth::authenticate(app, headers, form, address).await?;
    let token = form.get("token").ok_or_else(|| refuse("invalid_request", "token is missing"))?;
    let judge = app.judge();
    if let Ok(token) = judge.find(token).await?
        && token.client_id() == Some(&client.id)
    {
        judge.end(&token, By::Client).await?;
        let what = match token {
            Token::Access(_) => "an access token",
            Token::Refresh(_) => "a grant",
        };
        tracing::info!(client = client.id, "{what} was revoked by its client");
    }
    // The same answer for what was not known, or is somebody else's (§2.2).
    let mut response = reply::with_type(StatusCode::OK, "application/json", "{}");
    reply::set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    Ok(response)
}
