//! The tokens themselves (RFC 9068, OpenID Connect Core §2).

use countersign_core::oauth::scope::ScopeSet;
use serde_json::{Value, json};

use super::{App, request::is_general};
use crate::{
    Error, clock,
    keys::DEFAULT_ALGORITHM,
    secret::{self, Kind},
};

/// Lifetime of an ID token, in seconds. It is read once, right after the login.
const ID_TOKEN_LIFETIME: i64 = 300;

/// What a grant says about the tokens made from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted<'a> {
    pub(super) user_id: &'a str,
    pub(super) client_id: &'a str,
    pub(super) resource: &'a str,
    pub(super) scopes: &'a ScopeSet,
    pub(super) auth_time: i64,
    pub(super) nonce: Option<&'a str>,
}

/// A token response (RFC 6749 §5.1) without the refresh token.
pub(super) async fn response(app: &App, granted: Granted<'_>) -> Result<Value, Error> {
    let now = clock::now();
    let lifetime = i64::try_from(app.config.access_token_lifetime).unwrap_or(900);
    // The resource gets to know the scopes that are its own.
    let scope: ScopeSet =
        granted.scopes.iter().filter(|scope| !is_general(scope.as_str())).cloned().collect();
    let signer = app.keys.signer(DEFAULT_ALGORITHM).await?;
    let access_token = signer.sign(
        "at+jwt",
        &json!({
            "iss": app.issuer.as_str(),
            "sub": granted.user_id,
            "aud": granted.resource,
            "client_id": granted.client_id,
            "scope": scope.to_string(),
            "iat": now,
            "exp": now + lifetime,
            "jti": secret::new(Kind::TokenId)?,
            "auth_time": granted.auth_time,
        }),
    )?;
    let mut response = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": granted.scopes.to_string(),
    });
    if granted.scopes.iter().any(|scope| scope.as_str() == "openid") {
        let mut claims = json!({
            "iss": app.issuer.as_str(),
            "sub": granted.user_id,
            "aud": granted.client_id,
            "iat": now,
            "exp": now + ID_TOKEN_LIFETIME,
            "auth_time": granted.auth_time,
        });
        if let Some(nonce) = granted.nonce {
            claims["nonce"] = json!(nonce);
        }
        response["id_token"] = json!(signer.sign("JWT", &claims)?);
    }
    Ok(response)
}
