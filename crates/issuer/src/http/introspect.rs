//! `/introspect` (RFC 7662, and signed: RFC 9701): what a token is worth at this moment, for those whom
//! it concerns.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    App, Shared, client_auth,
    post::{self, Failure, Posted, refuse},
    reply,
};
use crate::{
    Error, clock,
    keys::DEFAULT_ALGORITHM,
    store::{Client, RefreshRow},
    tokens::{OwnToken, Token, Verdict},
};

/// The media type, and `typ`, of a signed answer (RFC 9701 §4, §5).
const SIGNED: &str = "token-introspection+jwt";

pub(super) async fn endpoint(State(app): Shared, posted: Posted) -> Response {
    post::answer(introspect(&app, &posted).await)
}

async fn introspect(app: &App, posted: &Posted) -> Result<Response, Failure> {
    let Posted { address, headers, form } = posted;
    let client = client_auth::authenticate_confidential(app, headers, form, *address).await?;
    let token = form.get("token").ok_or_else(|| refuse("invalid_request", "token is missing"))?;
    let answer = match app.judge().verdict(token).await? {
        Verdict::Own(token, None) if concerns(app, &client, &token).await? => match &token {
            Token::Access(own) => access_token(own)?,
            Token::Refresh(row) => refresh_token(app, row),
        },
        Verdict::Own(..) | Verdict::Foreign(_) => json!({ "active": false }),
    };
    if !wants_signed(headers) {
        return Ok(reply::json(StatusCode::OK, &answer));
    }
    // RFC 9701 §5: no `sub` or `exp` beside the answer, so that it is never taken for a token.
    let claims = json!({
        "iss": app.issuer.as_str(),
        "aud": client.id,
        "iat": clock::now(),
        "token_introspection": answer,
    });
    let body = app.keys.signer(DEFAULT_ALGORITHM).await?.sign(SIGNED, &claims)?;
    let mut response =
        reply::with_type(StatusCode::OK, "application/token-introspection+jwt", body);
    reply::set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    reply::set(response.headers_mut(), header::VARY, "Accept");
    Ok(response)
}

/// An access token is for the server of its resource, and for the client that has it; a refresh token for
/// its client only.
async fn concerns(app: &App, client: &Client, token: &Token) -> Result<bool, Error> {
    if token.client_id() == Some(&client.id) {
        return Ok(true);
    }
    let Token::Access(own) = token else {
        return Ok(false);
    };
    let resources = app.store.client_resources(&client.id).await?;
    let is_for = |uri: &String| own.claims.audience.contains(uri);
    Ok(resources.iter().any(|resource| resource.introspects && is_for(&resource.resource)))
}

fn access_token(own: &OwnToken) -> Result<Value, Error> {
    let claims = &own.claims;
    let mut answer = Map::new();
    answer.insert("active".to_owned(), Value::Bool(true));
    // RFC 9449 §6.2: with `cnf`, since it is no bearer token.
    let token_type = if claims.all.contains_key("cnf") { "DPoP" } else { "Bearer" };
    answer.insert("token_type".to_owned(), Value::from(token_type));
    for name in
        ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "auth_time", "act", "cnf"]
    {
        if let Some(value) = claims.all.get(name) {
            let value = serde_json::to_value(value);
            answer.insert(name.to_owned(), value.map_err(|_| Error::Crypto("not JSON"))?);
        }
    }
    Ok(Value::Object(answer))
}

/// `token_type` keeps everybody from taking it for an access token.
fn refresh_token(app: &App, row: &RefreshRow) -> Value {
    json!({
        "active": true,
        "token_type": "refresh_token",
        "iss": app.issuer.as_str(),
        "sub": row.user_id,
        "client_id": row.client_id,
        "scope": row.scopes,
        "exp": row.expires_at,
    })
}

/// RFC 9701 §4: asked for by `Accept`.
fn wants_signed(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let essence = range.split(';').next().unwrap_or("").trim();
            essence.eq_ignore_ascii_case("application/token-introspection+jwt")
        })
}
