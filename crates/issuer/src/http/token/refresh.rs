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
        request::still_there,
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
    let scopes = narrowed(app, form.get("scope"), &row).await?;
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
                if !was_rotated(&row, clock::now()) {
                    return Err(invalid());
                }
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

/// Whether somebody else has used a token that could not be rotated; or else its grant has ended, or its
/// time, and that is no theft.
fn was_rotated(row: &RefreshRow, now: i64) -> bool {
    row.rotated_at.is_some() && !row.is_over() && row.expires_at > now
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
    {
        // Somebody has just ended the grant.
        if !app.store.add_issued_token(&row.grant_id, issued).await? {
            return Err(refuse("invalid_grant", "The refresh token is not valid"));
        }
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

/// Scopes may be given up, never added (RFC 6749 §6). What a granted one implies is less than it.
async fn narrowed(
    app: &App,
    requested: Option<&str>,
    row: &RefreshRow,
) -> Result<ScopeSet, Failure> {
    let resources = app.store.known_resources().await?;
    let granted = ScopeSet::parse(&row.scopes).unwrap_or_default();
    let granted = still_there(&granted, &row.resource, &resources);
    let Some(requested) = requested else {
        return Ok(granted);
    };
    let malformed = |_| refuse("invalid_scope", "The scope is malformed");
    let requested = ScopeSet::parse(requested).map_err(malformed)?;
    let resource = resources.iter().find(|resource| resource.uri == row.resource);
    if resource.is_some_and(|resource| resource.gives(&granted, &requested)) {
        Ok(requested)
    } else {
        Err(refuse(
            "invalid_scope",
            "A refresh cannot add scopes: send the user to the authorization endpoint",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_stores;

    /// OAuth 2.1 §4.3.1: the family ends for a token that was used, not for one that ended meanwhile.
    #[tokio::test]
    async fn what_ended_meanwhile_was_not_reused() {
        for store in test_stores::each().await {
            store.fill().await;
            store
                .run(
                    "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                     created_at) VALUES ('g', 'u', 'c', 'https://r', '', 0, 0)",
                )
                .await;
            let token = "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES \
                         ($1, 'g', 0, 2000)";
            store.run_with(token, b"h").await;
            let reused = async |now| {
                let row = store.refresh_token(b"h").await.unwrap().unwrap();
                was_rotated(&row, now)
            };
            assert!(!reused(1000).await, "the client was shut out");
            store.run("UPDATE refresh_tokens SET rotated_at = 900").await;
            assert!(reused(1000).await);
            assert!(!reused(2000).await, "it is over");
            store.revoke_grant("g", "revoked_by_administrator").await.unwrap();
            assert!(!reused(1000).await, "an administrator was faster");
        }
    }

    /// The same for a retry within the grace.
    #[tokio::test]
    async fn a_retry_of_what_ended_meanwhile_is_no_reuse() {
        for store in test_stores::each().await {
            store.fill().await;
            store
                .run(
                    "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                     created_at) VALUES ('g', 'u', 'c', 'https://r', '', 0, 0)",
                )
                .await;
            let token = "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at, \
                         rotated_at, successor_sealed) VALUES ($1, 'g', 0, 9000000000, 8000000000, \
                         $1)";
            store.run_with(token, b"h").await;
            let app = store.app().await;
            let row = store.refresh_token(b"h").await.unwrap().unwrap();
            // Its grants would go on: what is to be seen is that this did not end them.
            store.run("UPDATE clients SET disabled_at = 1").await;
            let token = IssuedToken {
                status_list: "l",
                status_index: 0,
                general_scopes: "",
                expires_at: 9_000_000_000,
            };
            assert!(retried(&app, "rt_x", &row, &token, None).await.is_err());
            let alive = "SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL";
            assert_eq!(store.number(alive).await, 1);
        }
    }
}
