//! `/revoke` (RFC 7009): a client gives a token back.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};

use super::{
    App, Shared,
    access_token::OwnToken,
    client_auth,
    limit::client_address,
    params::Params,
    post::{self, Failure, refuse},
    reply,
};
use crate::secret::{self, Kind};

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

/// `token_type_hint` is not needed: a token of ours says what it is (§2.1).
///
/// A refresh token ends its grant, with all access tokens. An access token ends alone: the client goes
/// on with its refresh token.
async fn revoke(
    app: &App,
    address: Option<IpAddr>,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Response, Failure> {
    let client = client_auth::authenticate(app, headers, form, address).await?;
    let token = form.get("token").ok_or_else(|| refuse("invalid_request", "token is missing"))?;
    if let Some(own) = OwnToken::read(app, token) {
        if own.claims.client_id.as_ref() == Some(&client.id) {
            let jti = own.claims.token_id.as_deref().unwrap_or("");
            app.store.revoke_access_token(&own.place.list, own.place.index, jti).await?;
            tracing::info!(client = client.id, "an access token was revoked by its client");
        }
    } else if secret::is_well_formed(Kind::RefreshToken, token) {
        let row = app.store.refresh_token(&secret::hash(Kind::RefreshToken, token)).await?;
        if let Some(row) = row.filter(|row| row.client_id == client.id) {
            app.store.give_back_grant(&row.grant_id).await?;
            tracing::info!(client = client.id, "a grant was revoked by its client");
        }
    }
    // The same answer for what was not known, or is somebody else's (§2.2).
    let mut response = reply::with_type(StatusCode::OK, "application/json", "{}");
    reply::set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    Ok(response)
}
