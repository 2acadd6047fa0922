//! The grant of a device that has no browser (RFC 8628 §3.4): it asks until a person has decided.

use axum::{http::StatusCode, response::Response};
use countersign_core::oauth::scope::ScopeSet;
use serde_json::json;

use super::{
    super::{
        App,
        dpop::Possession,
        issue::{self, Granted},
        params::Params,
        reply,
    },
    Failure, REFRESH_IDLE, binding, check_resource, refuse,
};
use crate::{
    Error, clock,
    grant_types::REFRESH_TOKEN,
    secret::{self, Kind},
    store::{Client, DeviceRow, IssuedToken, Redemption},
};

/// Redeems a device code that a user has allowed, once; or says how it stands (§3.5).
pub(super) async fn redeem(
    app: &App,
    client: &Client,
    form: &Params,
    possession: Option<&Possession>,
) -> Result<Response, Failure> {
    let invalid = || refuse("invalid_grant", "The device code is not valid");
    let code = form
        .get("device_code")
        .ok_or_else(|| refuse("invalid_request", "device_code is missing"))?;
    let hash = secret::hash(Kind::DeviceCode, code);
    let row = app.store.device_code(&hash).await?.ok_or_else(invalid)?;
    if row.client_id != client.id {
        return Err(invalid());
    }
    if row.state == "consumed" {
        return Err(replayed(app, &row).await?);
    }
    if row.expires_at <= clock::now() {
        return Err(refuse("expired_token", "Nobody decided in time: begin again"));
    }
    if row.state == "denied" {
        return Err(refuse("access_denied", "The user said no"));
    }
    check_resource(app, form, &row.resource).await?;
    let (Some(grant_id), Some(user_id), Some(auth_time)) =
        (&row.grant_id, &row.user_id, row.auth_time)
    else {
        return Err(match app.store.poll_device(&hash).await? {
            true => refuse("authorization_pending", "The user has not decided yet"),
            false => refuse("slow_down", "Wait five seconds longer between two requests"),
        });
    };
    let refresh_token = match client.may_use(REFRESH_TOKEN) {
        true => Some(secret::new(Kind::RefreshToken)?),
        false => None,
    };
    let refresh_hash = refresh_token.as_ref().map(|token| secret::hash(Kind::RefreshToken, token));
    let expires_at = clock::now() + REFRESH_IDLE;
    let first = refresh_hash.as_ref().map(|hash| (hash.as_slice(), expires_at));
    let cnf = binding(client, possession);
    let access_token = issue::plan(app, &row.resource, None, possession).await?;
    let scopes = ScopeSet::parse(&row.scopes).unwrap_or_default();
    let general = issue::general(&scopes);
    let issued = IssuedToken { general_scopes: &general, ..access_token.row(&client.id, user_id) };
    match app.store.redeem_device_code(&hash, grant_id, first, &issued, cnf.as_deref()).await? {
        Redemption::Done => {}
        Redemption::TooLate => return Err(replayed(app, &row).await?),
        // The grant ended, or its user was locked out, since it was allowed.
        Redemption::Ended => return Err(invalid()),
    }
    let granted = Granted {
        subject: user_id,
        client_id: &client.id,
        resource: &row.resource,
        scopes: &scopes,
        auth_time: Some(auth_time),
        nonce: None,
        actor: None,
    };
    let mut response = issue::response(app, granted, &access_token).await?;
    if let Some(token) = refresh_token {
        response["refresh_token"] = json!(token);
    }
    Ok(reply::json(StatusCode::OK, &response))
}

/// As for a code that comes twice: somebody else has seen it, and all that came of it ends.
async fn replayed(app: &App, row: &DeviceRow) -> Result<Failure, Error> {
    if let Some(grant_id) = &row.grant_id {
        app.store.revoke_grant(grant_id, "device_code_replayed").await?;
    }
    tracing::warn!(
        reason = "device_code_replayed",
        client = row.client_id,
        "a device code came twice"
    );
    Ok(refuse("invalid_grant", "The device code is not valid"))
}
