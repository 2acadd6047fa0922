//! `/register`: dynamic client registration (RFC 7591), open to everybody where it is on.

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{Method, Request, StatusCode},
    response::Response,
};
use serde_json::{Value, json};

use super::{App, MAX_BODY, Shared, reply};
use crate::{
    ClientKind, RegisteredClient, Registration,
    client_metadata::{ClientMetadata, object},
    clock,
    store::{Client, ClientRow},
};

/// The grant types that a client can register for itself: none without a user.
const GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];

pub(super) async fn endpoint(State(app): Shared, request: Request<Body>) -> Response {
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
    let response = match to_bytes(request.into_body(), MAX_BODY).await {
        Ok(body) => register(&app, &body).await,
        Err(_) => reply::oauth_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_client_metadata",
            "The body is too large",
        ),
    };
    reply::cors(response)
}

async fn register(app: &App, body: &[u8]) -> Response {
    let read = object(body).and_then(|members| ClientMetadata::read(&members, &GRANTS));
    let metadata = match read {
        Ok(metadata) => metadata,
        Err((error, text)) => return reply::oauth_error(StatusCode::BAD_REQUEST, error, &text),
    };
    match app.store.register(row(&metadata), &[]).await {
        Ok(registered) => {
            tracing::info!(client = registered.client.id, "a client registered itself");
            reply::json(StatusCode::CREATED, &document(&registered, &metadata))
        }
        Err(error) => reply::server_error(&error),
    }
}

fn row(metadata: &ClientMetadata) -> ClientRow {
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
            not_before: 0,
        },
        secret_hash: None,
        jwks: metadata.jwks.clone(),
        jwks_uri: metadata.jwks_uri.clone(),
        metadata: metadata.descriptive_json(),
    }
}

/// RFC 7591 §3.2.1: everything that was registered.
fn document(registered: &RegisteredClient, metadata: &ClientMetadata) -> Value {
    let RegisteredClient { client, secret } = registered;
    let descriptive = metadata.descriptive_json();
    let mut document: Value = serde_json::from_str(&descriptive).unwrap_or_default();
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
    let jwks = metadata.jwks.as_ref().and_then(|jwks| serde_json::from_str::<Value>(jwks).ok());
    if let Some(jwks) = jwks {
        document["jwks"] = jwks;
    }
    if let Some(uri) = &metadata.jwks_uri {
        document["jwks_uri"] = json!(uri);
    }
    if !client.name.is_empty() {
        document["client_name"] = json!(client.name);
    }
    if let Some(secret) = secret {
        document["client_secret"] = json!(secret);
        document["client_secret_expires_at"] = json!(0);
    }
    document
}
