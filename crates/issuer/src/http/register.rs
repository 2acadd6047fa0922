//! `/register`: dynamic client registration (RFC 7591), open to everybody where it is on.

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{Method, Request, StatusCode},
    response::Response,
};
use countersign_core::jose::json::{self, Object, Value};
use serde_json::json;

use super::{App, MAX_BODY, Shared, reply};
use crate::{ClientKind, Error, NewClient, RegisteredClient, Registration};

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
    let new = match read(body) {
        Ok(new) => new,
        Err((error, text)) => return reply::oauth_error(StatusCode::BAD_REQUEST, error, &text),
    };
    match app.store.create_client(new).await {
        Ok(registered) => {
            tracing::info!(client = registered.client.id, "a client registered itself");
            reply::json(StatusCode::CREATED, &document(&registered))
        }
        Err(Error::Invalid(text)) => {
            reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_redirect_uri", &text)
        }
        Err(error) => reply::server_error(&error),
    }
}

type Refusal = (&'static str, String);

/// RFC 7591 §2: members that are not known are ignored.
fn read(body: &[u8]) -> Result<NewClient, Refusal> {
    let wrong = |text: &str| ("invalid_client_metadata", text.to_owned());
    let value = json::parse(body).map_err(|error| wrong(&format!("not strict JSON: {error}")))?;
    let members = value.as_object().ok_or_else(|| wrong("expected a JSON object"))?;
    let redirect_uris = texts(members, "redirect_uris")?
        .ok_or_else(|| ("invalid_redirect_uri", "redirect_uris is missing".to_owned()))?;
    if let Some(types) = texts(members, "response_types")?
        && types.iter().any(|name| name != "code")
    {
        return Err(wrong("only the response type \"code\" is supported"));
    }
    let mut grant_types =
        texts(members, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    // Others may be asked for by clients that know many servers; they get what there is.
    grant_types.retain(|name| matches!(name.as_str(), "authorization_code" | "refresh_token"));
    if !grant_types.iter().any(|name| name == "authorization_code") {
        return Err(wrong("grant_types must have \"authorization_code\""));
    }
    let auth_method = text(members, "token_endpoint_auth_method")?.unwrap_or("none");
    if !matches!(auth_method, "none" | "client_secret_basic" | "client_secret_post") {
        return Err(wrong(
            "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post",
        ));
    }
    for name in ["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"] {
        if text(members, name)?.is_some_and(|uri| !uri.starts_with("https://")) {
            return Err(wrong(&format!("{name} must be an https URL")));
        }
    }
    let name = text(members, "client_name")?.unwrap_or("");
    if name.len() > 512 {
        return Err(wrong("client_name is too long"));
    }
    Ok(NewClient {
        kind: ClientKind::Registered,
        name: name.to_owned(),
        redirect_uris,
        auth_method: auth_method.to_owned(),
        grant_types,
    })
}

fn document(registered: &RegisteredClient) -> serde_json::Value {
    let RegisteredClient { client, secret } = registered;
    let mut document = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
    });
    if !client.name.is_empty() {
        document["client_name"] = json!(client.name);
    }
    if let Some(secret) = secret {
        document["client_secret"] = json!(secret);
        document["client_secret_expires_at"] = json!(0);
    }
    document
}

fn text<'a>(members: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(("invalid_client_metadata", format!("{name} must be a string"))),
    }
}

fn texts(members: &Object, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let wrong = || ("invalid_client_metadata", format!("{name} must be an array of strings"));
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(elements)) => elements
            .iter()
            .map(|element| element.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(wrong()),
    }
}
