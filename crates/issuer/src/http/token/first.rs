//! The first tokens of a grant that a user has just given: what a code and a device code are redeemed for.

use axum::{http::StatusCode, response::Response};
use countersign_core::oauth::scope::ScopeSet;
use serde_json::json;

use super::{
    super::{
        App,
        dpop::Possession,
        issue::{self, Granted},
        reply,
        request::still_there,
    },
    Failure, REFRESH_IDLE, binding,
};
use crate::{
    Error, clock,
    grant_types::REFRESH_TOKEN,
    secret::{self, Kind},
    store::{Client, IssuedToken, NewRefreshToken, Redemption},
};

/// What the user gave.
pub(super) struct Given<'a> {
    pub(super) user_id: &'a str,
    pub(super) resource: &'a str,
    pub(super) scopes: &'a str,
    pub(super) auth_time: i64,
    pub(super) nonce: Option<&'a str>,
}

/// What is stored in the transaction that redeems.
pub(super) struct First<'a> {
    /// Where the client may have one.
    pub(super) refresh_token: Option<NewRefreshToken<'a>>,
    pub(super) access_token: IssuedToken<'a>,
}

/// Makes the tokens, redeems, and answers with them once that is done; or tells why it was not.
pub(super) async fn tokens(
    app: &App,
    client: &Client,
    possession: Option<&Possession>,
    given: &Given<'_>,
    redeem: impl AsyncFnOnce(First<'_>) -> Result<Redemption, Error>,
) -> Result<Result<Response, Redemption>, Failure> {
    let refresh_token = match client.may_use(REFRESH_TOKEN) {
        true => Some(secret::new(Kind::RefreshToken)?),
        false => None,
    };
    let hash = refresh_token.as_ref().map(|token| secret::hash(Kind::RefreshToken, token));
    let expires_at = clock::now() + REFRESH_IDLE;
    let cnf = binding(client, possession);
    let cnf = cnf.as_deref();
    let access_token = issue::plan(app, given.resource, None, possession).await?;
    let scopes = ScopeSet::parse(given.scopes).unwrap_or_default();
    let scopes = still_there(&scopes, given.resource, &app.store.known_resources().await?);
    let general = issue::general(&scopes);
    let row = access_token.row();
    let first = First {
        refresh_token: hash.as_ref().map(|hash| NewRefreshToken { hash, expires_at, cnf }),
        access_token: IssuedToken { general_scopes: &general, ..row },
    };
    match redeem(first).await? {
        Redemption::Done => {}
        missed => return Ok(Err(missed)),
    }
    let granted = Granted {
        subject: given.user_id,
        client_id: &client.id,
        resource: given.resource,
        scopes: &scopes,
        auth_time: Some(given.auth_time),
        nonce: given.nonce,
        actor: None,
    };
    let mut response = issue::response(app, granted, &access_token).await?;
    if let Some(token) = refresh_token {
        response["refresh_token"] = json!(token);
    }
    Ok(Ok(reply::json(StatusCode::OK, &response)))
}
