//! `/revoke` (RFC 7009): a client gives a token back.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};

use super::{
    App, Shared, client_auth,
    post::{self, Failure, Posted, refuse},
    reply,
};
use crate::tokens::{By, Token};

pub(super) async fn endpoint(State(app): Shared, posted: Posted) -> Response {
    post::answer(revoke(&app, &posted).await)
}

/// A refresh token ends its grant, with all access tokens. An access token ends alone: the client goes
/// on with its refresh token. `token_type_hint` is not needed (§2.1).
async fn revoke(app: &App, posted: &Posted) -> Result<Response, Failure> {
    let Posted { address, headers, form } = posted;
    let client = client_auth::authenticate(app, headers, form, *address).await?;
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
