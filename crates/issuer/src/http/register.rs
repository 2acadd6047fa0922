//! `/register`: dynamic client registration (RFC 7591), for everybody or for those who were given a
//! token, where it is on.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use countersign_core::jose::json::Object;
use serde_json::{Value, json};

use super::{App, Shared, body, limit::client_address, post::Failure, reply};
use crate::{
    ClientKind, Registration,
    client_metadata::{ClientMetadata, Refusal, object},
    clock,
    grant_types::OF_STRANGERS,
    redirect_uri,
    secret::{self, Kind},
    store::{Client, ClientRow},
};

pub(super) async fn endpoint(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    if app.config.registration == Registration::Off {
        return reply::cors(reply::oauth_error(
            StatusCode::FORBIDDEN,
            "access_denied",
            "Registration is off: ask the administrator for a client_id",
        ));
    }
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return reply::preflight("POST, OPTIONS"),
        _ => return reply::cors(reply::method_not_allowed("POST, OPTIONS")),
    }
    let (parts, body) = request.into_parts();
    let address = client_address(&parts.headers, peer, app.config.trusted_proxies);
    if let Err(seconds) = app.registrations.take(address, clock::milliseconds()).await {
        return reply::cors(reply::too_many(seconds));
    }
    super::post::answer(register(&app, &parts.headers, body).await)
}

async fn register(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
    let body = read_body(body).await?;
    let initial = match app.config.registration {
        Registration::Token => Some(initial_token(app, headers).await?),
        Registration::Off | Registration::Open => None,
    };
    let metadata = object(&body).and_then(|members| metadata(app, &members)).map_err(refused)?;
    let registration_token = secret::new(Kind::RegistrationToken)?;
    let row = ClientRow {
        registration_token_hash: Some(secret::hash(Kind::RegistrationToken, &registration_token)),
        ..row(&metadata)
    };
    // Last: what was refused for another reason uses nothing up.
    if let Some(hash) = initial
        && !app.store.use_initial_token(&hash).await?
    {
        return Err(invalid_token());
    }
    let registered = app.store.register(row, &[]).await?;
    tracing::info!(client = registered.client.id, "a client registered itself");
    let mut document = document(&registered.client, &metadata);
    if let Some(secret) = registered.secret {
        document["client_secret"] = json!(secret);
        document["client_secret_expires_at"] = json!(0);
    }
    manage(app, &mut document, &registered.client.id, &registration_token);
    Ok(reply::json(StatusCode::CREATED, &document))
}

/// What a client says about itself.
///
/// A software statement (RFC 7591 §2.3) is somebody's word for what a client is, and nobody's word is
/// trusted here. To ignore it, as §3.1.1 allows, would register something else than was asked for.
pub(super) fn metadata(app: &App, members: &Object) -> Result<ClientMetadata, Refusal> {
    if members.contains_key("software_statement") {
        let text = "software statements are not approved here: register without one";
        return Err(("unapproved_software_statement", text.to_owned()));
    }
    let metadata = ClientMetadata::read(members, &OF_STRANGERS)?;
    match metadata.redirect_uris.iter().find(|uri| redirect_uri::leads_to(uri, &app.issuer)) {
        None => Ok(metadata),
        Some(uri) => {
            let text = format!("the redirect URI {uri:?} is a page of this server");
            Err(("invalid_redirect_uri", text))
        }
    }
}

/// RFC 7592 §3: where the client can change what it registered, and with what.
pub(super) fn manage(app: &App, document: &mut Value, id: &str, token: &str) {
    document["registration_client_uri"] = json!(format!("{}/register/{id}", app.issuer));
    document["registration_access_token"] = json!(token);
}

pub(super) async fn read_body(body: Body) -> Result<Vec<u8>, Failure> {
    let read = body::read(body).await;
    read.map(Vec::from).map_err(|unread| {
        let (status, text) = (unread.status(), unread.text());
        Failure::from(reply::oauth_error(status, "invalid_client_metadata", text))
    })
}

pub(super) fn refused((error, text): Refusal) -> Failure {
    Failure::from(reply::oauth_error(StatusCode::BAD_REQUEST, error, &text))
}

/// The digest of the initial access token that was presented, if it is good.
async fn initial_token(app: &App, headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
    let token = bearer(headers).ok_or_else(invalid_token)?;
    let hash = secret::hash(Kind::InitialToken, token);
    match app.store.has_initial_token(&hash).await? {
        true => Ok(hash),
        false => Err(invalid_token()),
    }
}

/// RFC 6750 §2.1.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// RFC 6750 §3.1, RFC 7592 §2.
pub(super) fn invalid_token() -> Failure {
    let mut response = reply::oauth_error(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "The registration needs a token that is still good: ask the administrator",
    );
    let challenge = "Bearer error=\"invalid_token\"";
    reply::set(response.headers_mut(), header::WWW_AUTHENTICATE, challenge);
    Failure::from(response)
}

/// A client as it describes itself, without identifier and secrets.
pub(super) fn row(metadata: &ClientMetadata) -> ClientRow {
    ClientRow {
        client: Client {
            id: String::new(),
            kind: ClientKind::Registered,
            name: metadata.name.clone(),
            redirect_uris: metadata.redirect_uris.clone(),
            auth_method: metadata.auth_method.clone(),
            grant_types: metadata.grant_types.clone(),
            created_at: clock::now(),
            is_disabled: false,
            default_resource: None,
            dpop_bound: metadata.dpop_bound,
            signed_requests: metadata.signed_requests,
            not_before: 0,
        },
        secret_hash: None,
        jwks: metadata.jwks.clone(),
        jwks_uri: metadata.jwks_uri.clone(),
        metadata: metadata.descriptive_json(),
        registration_token_hash: None,
    }
}

/// RFC 7591 §3.2.1: everything that was registered.
fn document(client: &Client, metadata: &ClientMetadata) -> Value {
    let described = ClientRow { client: client.clone(), ..row(metadata) };
    described_as(&described)
}

/// The same of a client that is stored.
pub(super) fn described_as(row: &ClientRow) -> Value {
    let client = &row.client;
    let mut document: Value = serde_json::from_str(&row.metadata).unwrap_or_default();
    let own = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
    });
    if let (Some(all), Value::Object(own)) = (document.as_object_mut(), own) {
        all.extend(own);
    }
    let jwks = row.jwks.as_ref().and_then(|jwks| serde_json::from_str::<Value>(jwks).ok());
    if let Some(jwks) = jwks {
        document["jwks"] = jwks;
    }
    if let Some(uri) = &row.jwks_uri {
        document["jwks_uri"] = json!(uri);
    }
    for (name, is_so) in [
        ("dpop_bound_access_tokens", client.dpop_bound),
        ("require_signed_request_object", client.signed_requests),
    ] {
        if is_so {
            document[name] = json!(true);
        }
    }
    if !client.name.is_empty() {
        document["client_name"] = json!(client.name);
    }
    document
}
