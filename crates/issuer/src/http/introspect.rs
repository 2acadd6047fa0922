//! `/introspect` (RFC 7662, and signed: RFC 9701): what a token is worth at this moment, for those whom
//! it concerns.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    App, Shared,
    access_token::OwnToken,
    client_auth,
    limit::client_address,
    params::Params,
    post::{self, Failure, refuse},
    reply,
};
use crate::{
    Error, clock,
    keys::DEFAULT_ALGORITHM,
    secret::{self, Kind},
    store::Client,
};

/// The media type, and `typ`, of a signed answer (RFC 9701 §4, §5).
const SIGNED: &str = "token-introspection+jwt";

pub(super) async fn endpoint(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let address = client_address(request.headers(), peer, app.config.trusted_proxies);
    let (headers, form) = match post::form(request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    post::answer(introspect(&app, address, &headers, &form).await)
}

async fn introspect(
    app: &App,
    address: Option<IpAddr>,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Response, Failure> {
    let client = client_auth::authenticate_confidential(app, headers, form, address).await?;
    let token = form.get("token").ok_or_else(|| refuse("invalid_request", "token is missing"))?;
    let found = match OwnToken::read(app, token) {
        Some(own) => access_token(app, &client, &own).await?,
        None => refresh_token(app, &client, token).await?,
    };
    let answer = found.unwrap_or_else(|| json!({ "active": false }));
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

/// For the server of the resource that it is for, and for the client that has it.
async fn access_token(app: &App, client: &Client, own: &OwnToken) -> Result<Option<Value>, Error> {
    let claims = &own.claims;
    let is_own = claims.client_id.as_ref() == Some(&client.id);
    let concerns =
        is_own
            || app.store.client_resources(&client.id).await?.iter().any(|resource| {
                resource.introspects && claims.audience.contains(&resource.resource)
            });
    if !concerns || own.is_revoked(app).await? {
        return Ok(None);
    }
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
    Ok(Some(Value::Object(answer)))
}

/// For its client only. `token_type` keeps everybody from taking it for an access token.
async fn refresh_token(app: &App, client: &Client, token: &str) -> Result<Option<Value>, Error> {
    if !secret::is_well_formed(Kind::RefreshToken, token) {
        return Ok(None);
    }
    let row = app.store.refresh_token(&secret::hash(Kind::RefreshToken, token)).await?;
    let is_good = |row: &crate::store::RefreshRow| {
        row.client_id == client.id
            && row.rotated_at.is_none()
            && !row.is_over()
            && row.expires_at > clock::now()
    };
    Ok(row.filter(is_good).map(|row| {
        json!({
            "active": true,
            "token_type": "refresh_token",
            "iss": app.issuer.as_str(),
            "sub": row.user_id,
            "client_id": row.client_id,
            "scope": row.scopes,
            "exp": row.expires_at,
        })
    }))
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
