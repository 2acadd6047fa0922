//! The tokens themselves (RFC 9068, OpenID Connect Core §2).

use countersign_core::{jose::alg::Algorithm, oauth::scope::ScopeSet};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    App,
    dpop::{Possession, Refused},
    post::Failure,
    request::is_general,
};
use crate::{
    Error, clock,
    keys::DEFAULT_ALGORITHM,
    secret::{self, Kind},
    status::Place,
    store::{Client, IssuedToken},
};

/// Lifetime of an ID token, in seconds. It is read once, right after the login.
const ID_TOKEN_LIFETIME: i64 = 300;

/// What a grant says about the tokens made from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted<'a> {
    /// `sub`: the user, or the client that acts for itself.
    pub(super) subject: &'a str,
    pub(super) client_id: &'a str,
    pub(super) resource: &'a str,
    pub(super) scopes: &'a ScopeSet,
    /// When the user logged in.
    pub(super) auth_time: Option<i64>,
    pub(super) nonce: Option<&'a str>,
    /// Who acts for the subject (`act`, RFC 8693 §4.1), where somebody does.
    pub(super) actor: Option<&'a Value>,
}

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    scope: String,
    iat: i64,
    exp: i64,
    jti: &'a str,
    status: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// RFC 9449 §6.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Value>,
    /// Configured ones, which have names of their own.
    #[serde(flatten)]
    own: Map<String, Value>,
}

/// An access token that is going to be: named and placed before it is stored, so that it can be
/// revoked from its first moment on.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    place: Place,
    jti: String,
    issued_at: i64,
    expires_at: i64,
    algorithm: Algorithm,
    /// What it is bound to (`cnf`), if the client has shown a key.
    confirmation: Option<Value>,
}

/// Takes a place for an access token, among those of a client that acts for itself or of all grants.
/// The proof of the request is used up by this: nothing may be left to check that could refuse it.
pub(super) async fn plan(
    app: &App,
    resource: &str,
    itself: Option<&Client>,
    possession: Option<&Possession>,
) -> Result<Planned, Failure> {
    plan_with(app, resource, itself, i64::MAX, possession).await
}

/// The same for a token that lives no longer than until then.
pub(super) async fn plan_until(
    app: &App,
    resource: &str,
    until: i64,
    possession: Option<&Possession>,
) -> Result<Planned, Failure> {
    plan_with(app, resource, None, until, possession).await
}

async fn plan_with(
    app: &App,
    resource: &str,
    itself: Option<&Client>,
    until: i64,
    possession: Option<&Possession>,
) -> Result<Planned, Failure> {
    if let Some(possession) = possession {
        possession.take(app).await?.map_err(Refused::answer)?;
    }
    let settings = app.store.token_settings(resource).await?;
    let algorithm = match settings.token_alg {
        None => DEFAULT_ALGORITHM,
        Some(name) => Algorithm::from_name(&name)
            .ok_or(Error::Crypto("a resource names an unknown algorithm"))?,
    };
    let issued_at = clock::now();
    let usual = i64::try_from(app.config.access_token_lifetime).unwrap_or(900);
    let lifetime = settings.token_lifetime.unwrap_or(usual);
    let expires_at = until.min(issued_at + lifetime);
    let client = itself.map(|client| (client.id.as_str(), client.not_before));
    let place = app.status.take(app, expires_at, client).await?;
    let jti = secret::new(Kind::TokenId)?;
    let confirmation = possession.map(Possession::confirmation);
    Ok(Planned { place, jti, issued_at, expires_at, algorithm, confirmation })
}

impl Planned {
    /// As it is stored. What `/userinfo` may tell for it is added by `general_scopes`.
    pub(super) fn row(&self) -> IssuedToken<'_> {
        IssuedToken {
            status_list: &self.place.list,
            status_index: self.place.index,
            general_scopes: "",
            expires_at: self.expires_at,
        }
    }
}

/// The scopes of a token that no resource has, as they are stored with it.
pub(super) fn general(scopes: &ScopeSet) -> String {
    let general = scopes.iter().filter(|scope| is_general(scope.as_str())).cloned();
    general.collect::<ScopeSet>().to_string()
}

/// A token response (RFC 6749 §5.1) without the refresh token.
pub(super) async fn response(
    app: &App,
    granted: Granted<'_>,
    planned: &Planned,
) -> Result<Value, Error> {
    let issuer = app.issuer.as_str();
    // The resource gets to know the scopes that are its own.
    let scope: ScopeSet =
        granted.scopes.iter().filter(|scope| !is_general(scope.as_str())).cloned().collect();
    let claims = AccessClaims {
        iss: issuer,
        sub: granted.subject,
        aud: granted.resource,
        client_id: granted.client_id,
        scope: scope.to_string(),
        iat: planned.issued_at,
        exp: planned.expires_at,
        jti: &planned.jti,
        status: planned.place.claim(issuer),
        act: granted.actor,
        auth_time: granted.auth_time,
        cnf: planned.confirmation.as_ref(),
        // Who acts for itself is nobody's user.
        own: match granted.subject == granted.client_id {
            true => Map::new(),
            false => own_claims(app, granted.subject).await?,
        },
    };
    // RFC 9449 §5: who has the token needs the key too.
    let token_type = if planned.confirmation.is_some() { "DPoP" } else { "Bearer" };
    let signer = app.keys.signer(planned.algorithm).await?;
    let mut response = json!({
        "access_token": signer.sign("at+jwt", &claims)?,
        "token_type": token_type,
        "expires_in": planned.expires_at - planned.issued_at,
        "scope": granted.scopes.to_string(),
    });
    if let Some(claims) = id_token(app, granted, planned.issued_at) {
        // Clients are told one algorithm for these, whatever the resource has.
        let signer = app.keys.signer(DEFAULT_ALGORITHM).await?;
        response["id_token"] = json!(signer.sign("JWT", &claims)?);
    }
    Ok(response)
}

/// What the administrator wrote down about the user, as far as tokens are configured to carry it.
async fn own_claims(app: &App, user: &str) -> Result<Map<String, Value>, Error> {
    let names = &app.config.token_claims;
    if names.is_empty() {
        return Ok(Map::new());
    }
    let known = app.store.user_claims(user).await?;
    Ok(known.into_iter().filter(|(name, _)| names.contains(name)).collect())
}

/// The claims of an ID token: for who asked for `openid`, about a user who logged in.
fn id_token(app: &App, granted: Granted<'_>, now: i64) -> Option<Value> {
    let auth_time = granted.auth_time?;
    if !granted.scopes.iter().any(|scope| scope.as_str() == "openid") {
        return None;
    }
    let mut claims = json!({
        "iss": app.issuer.as_str(),
        "sub": granted.subject,
        "aud": granted.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_LIFETIME,
        "auth_time": auth_time,
    });
    if let Some(nonce) = granted.nonce {
        claims["nonce"] = json!(nonce);
    }
    Some(claims)
}
