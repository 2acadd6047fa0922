//! The grant `refresh_token` (OAuth 2.1 §4.3): rotation, with the same successor for a retry within the
//! grace.

use axum::{http::StatusCode, response::Response};
use countersign_core::oauth::scope::ScopeSet;
use serde_json::json;

use super::{
    super::{
        App,
        dpop::{self, Possession},
        issue::{self, Granted},
        params::Params,
        reply,
    },
    Failure, REFRESH_IDLE, binding, check_resource, refuse,
};
use crate::{
    Error, clock,
    seal::SealingKey,
    secret::{self, Kind},
    store::{Client, IssuedToken, NewRefreshToken, RefreshRow},
};

/// So many seconds after the consent the user is asked again, however busy the client is.
const REFRESH_ABSOLUTE: i64 = 180 * 86_400;

/// For so many seconds a token that was rotated still gives its successor: parallel processes and
/// lost answers are no theft.
const REUSE_GRACE: i64 = 60;

/// Gives new tokens for a refresh token.
pub(super) async fn refresh(
    app: &App,
    client: &Client,
    form: &Params,
    possession: Option<&Possession>,
) -> Result<Response, Failure> {
    let invalid = || refuse("invalid_grant", "The refresh token is not valid");
    let token = form
        .get("refresh_token")
        .ok_or_else(|| refuse("invalid_request", "refresh_token is missing"))?;
    let hash = secret::hash(Kind::RefreshToken, token);
    let row = app.store.refresh_token(&hash).await?.ok_or_else(invalid)?;
    if row.client_id != client.id || row.is_over() || row.expires_at <= clock::now() {
        return Err(invalid());
    }
    check_key(&row, possession)?;
    check_resource(app, form, &row.resource).await?;
    let scopes = narrowed(form.get("scope"), &row.scopes)?;
    let cnf = binding(client, possession);
    let cnf = cnf.as_deref();
    let access_token = issue::plan(app, &row.resource, None, possession).await?;
    let general = issue::general(&scopes);
    let issued = IssuedToken { general_scopes: &general, ..access_token.row() };
    let successor = match row.rotated_at {
        None => match rotate(app, token, &hash, &row, &issued, cnf).await? {
            Some(successor) => successor,
            // Somebody was faster.
            None => {
                let row = app.store.refresh_token(&hash).await?.ok_or_else(invalid)?;
                check_key(&row, possession)?;
                retried(app, token, &row, &issued, cnf).await?
            }
        },
        Some(_) => retried(app, token, &row, &issued, cnf).await?,
    };
    let granted = Granted {
        subject: &row.user_id,
        client_id: &client.id,
        resource: &row.resource,
        scopes: &scopes,
        auth_time: Some(row.auth_time),
        nonce: None,
        actor: None,
    };
    let mut response = issue::response(app, granted, &access_token).await?;
    response["refresh_token"] = json!(successor);
    Ok(reply::json(StatusCode::OK, &response))
}

async fn rotate(
    app: &App,
    token: &str,
    hash: &[u8],
    row: &RefreshRow,
    issued: &IssuedToken<'_>,
    cnf: Option<&str>,
) -> Result<Option<String>, Error> {
    let successor = secret::new(Kind::RefreshToken)?;
    let sealed = successor_key(token)?.seal(&row.grant_id, successor.as_bytes())?;
    let new_hash = secret::hash(Kind::RefreshToken, &successor);
    let expires_at = (clock::now() + REFRESH_IDLE).min(row.granted_at + REFRESH_ABSOLUTE);
    let new = NewRefreshToken { hash: &new_hash, expires_at, cnf };
    Ok(app.store.rotate(hash, &row.grant_id, new, &sealed, issued).await?.then_some(successor))
}

/// RFC 9449 §5: a token that is bound to a key is worth nothing without it. Nothing is used up, and
/// nothing ended, by who does not have it.
fn check_key(row: &RefreshRow, possession: Option<&Possession>) -> Result<(), Failure> {
    let shown = possession.map(|shown| shown.confirmation().to_string());
    if row.cnf.is_some() && row.cnf != shown {
        return Err(dpop::wrong_key("The refresh token is bound to a key, which sent no proof"));
    }
    Ok(())
}

/// The token was rotated before. Shortly after, by who shows the key that was shown then or none as
/// then, and while its successor was not used, that is a retry; otherwise one of the two who hold it
/// is a thief, and the family ends.
async fn retried(
    app: &App,
    token: &str,
    row: &RefreshRow,
    issued: &IssuedToken<'_>,
    cnf: Option<&str>,
) -> Result<String, Failure> {
    let in_time = row.rotated_at.is_some_and(|at| clock::now() < at + REUSE_GRACE);
    let is_same = row.successor_cnf.as_deref() == cnf;
    if let (true, false, false, Some(sealed)) =
        (in_time && is_same, row.successor_used, row.is_over(), &row.successor_sealed)
        && app.store.add_issued_token(&row.grant_id, issued).await?
    {
        let opened = successor_key(token)?.open(&row.grant_id, sealed)?;
        return String::from_utf8(opened)
            .map_err(|_| Failure::Server(Error::Crypto("a sealed token is damaged")));
    }
    app.store.revoke_grant(&row.grant_id, "refresh_reused").await?;
    tracing::warn!(reason = "refresh_reused", client = row.client_id, "a refresh token was reused");
    Err(refuse("invalid_grant", "The refresh token is not valid"))
}

/// Only who presents a token can read its successor: nothing usable lies in the database.
fn successor_key(token: &str) -> Result<SealingKey, Error> {
    SealingKey::derive("refresh token successor", token)
}

/// Scopes may be given up, never added (RFC 6749 §6).
fn narrowed(requested: Option<&str>, granted: &str) -> Result<ScopeSet, Failure> {
    let granted = ScopeSet::parse(granted).unwrap_or_default();
    let Some(requested) = requested else {
        return Ok(granted);
    };
    let malformed = |_| refuse("invalid_scope", "The scope is malformed");
    let requested = ScopeSet::parse(requested).map_err(malformed)?;
    if requested.iter().all(|scope| granted.contains(scope)) {
        Ok(requested)
    } else {
        Err(refuse(
            "invalid_scope",
            "A refresh cannot add scopes: send the user to the authorization endpoint",
        ))
    }
}
