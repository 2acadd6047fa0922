//! The grant of a device that has no browser (RFC 8628 §3.4): it asks until a person has decided.

use axum::response::Response;

use super::{
    super::{App, dpop::Possession, params::Params},
    Failure, check_resource,
    first::{self, First, Given},
    refuse,
};
use crate::{
    Error, clock,
    secret::{self, Kind},
    store::{Client, DeviceRow, Redemption},
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
    let given =
        Given { user_id, resource: &row.resource, scopes: &row.scopes, auth_time, nonce: None };
    let redeem = async |first: First<'_>| {
        let First { refresh_token, access_token } = first;
        app.store.redeem_device_code(&hash, grant_id, refresh_token, &access_token).await
    };
    match first::tokens(app, client, possession, &given, redeem).await? {
        Ok(response) => Ok(response),
        Err(Redemption::TooLate) => Err(replayed(app, &row).await?),
        // The grant ended, or its user was locked out, since it was allowed.
        Err(_) => Err(invalid()),
    }
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
