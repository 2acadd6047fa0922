//! The grant `authorization_code` (OAuth 2.1 §4.1.3).

use axum::response::Response;
use countersign_core::oauth::pkce::{CodeChallenge, CodeVerifier};

use super::{
    super::{
        App,
        dpop::{self, Possession},
        params::Params,
    },
    Failure, check_resource,
    first::{self, First, Given},
    refuse,
};
use crate::{
    Error, clock,
    secret::{self, Kind},
    store::{Client, CodeRow, Redemption},
};

/// Redeems a code, once.
pub(super) async fn redeem(
    app: &App,
    client: &Client,
    form: &Params,
    possession: Option<&Possession>,
) -> Result<Response, Failure> {
    let invalid = || refuse("invalid_grant", "The code is not valid");
    let code = form.get("code").ok_or_else(|| refuse("invalid_request", "code is missing"))?;
    let verifier = form
        .get("code_verifier")
        .ok_or_else(|| refuse("invalid_grant", "code_verifier is missing; PKCE is required"))?;
    let hash = secret::hash(Kind::AuthorizationCode, code);
    let row = app.store.code(&hash).await?.ok_or_else(invalid)?;
    if row.client_id != client.id {
        // Another client holds this code: it leaked, and is worth nothing from now on.
        app.store.burn_code(&hash).await?;
        return Err(invalid());
    }
    if row.consumed_at.is_some() {
        return Err(replayed(app, &row).await?);
    }
    if row.is_over() || row.expires_at <= clock::now() {
        return Err(invalid());
    }
    if form.get("redirect_uri").is_some_and(|uri| uri != row.redirect_uri) {
        return Err(refuse("invalid_grant", "redirect_uri is not the one of the request"));
    }
    check_resource(app, form, &row.resource).await?;
    // RFC 9449 §10: the code is worth nothing without the key that was announced with the request.
    let shown = possession.map(|shown| shown.thumbprint.as_str());
    if row.dpop_jkt.is_some() && row.dpop_jkt.as_deref() != shown {
        return Err(dpop::wrong_key("The code is bound to a key, which sent no proof"));
    }
    let fits = match (CodeChallenge::parse(&row.challenge), CodeVerifier::parse(verifier)) {
        (Ok(challenge), Ok(verifier)) => challenge.verify(&verifier),
        _ => false,
    };
    if !fits {
        app.store.burn_code(&hash).await?;
        tracing::warn!(reason = "pkce_failed", client = client.id, "a code verifier does not fit");
        return Err(refuse("invalid_grant", "code_verifier does not fit"));
    }
    let given = Given {
        user_id: &row.user_id,
        resource: &row.resource,
        scopes: &row.scopes,
        auth_time: row.auth_time,
        nonce: row.nonce.as_deref(),
    };
    let redeem = async |first: First<'_>| {
        let First { refresh_token, access_token } = first;
        app.store.redeem_code(&hash, &row.grant_id, refresh_token, &access_token).await
    };
    match first::tokens(app, client, possession, &given, redeem).await? {
        Ok(response) => Ok(response),
        Err(Redemption::TooLate) => Err(replayed(app, &row).await?),
        // The grant ended, or its user was locked out, since we looked.
        Err(_) => Err(invalid()),
    }
}

/// A code that comes twice was seen by somebody else: all that came of it ends (OAuth 2.1 §4.1.3).
async fn replayed(app: &App, row: &CodeRow) -> Result<Failure, Error> {
    app.store.revoke_grant(&row.grant_id, "code_replayed").await?;
    tracing::warn!(reason = "code_replayed", client = row.client_id, "a code came twice");
    Ok(refuse("invalid_grant", "The code is not valid"))
}
