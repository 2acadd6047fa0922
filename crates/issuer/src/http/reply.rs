//! Responses with the headers that each kind must have.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use crate::Error;

/// JSON that must not be kept (RFC 6749 §5.1).
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = with_type(status, "application/json", body.to_string());
    set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    response
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Response {
    with_type(status, "text/plain; charset=utf-8", body)
}

/// An OAuth error (RFC 6749 §5.2).
pub(super) fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response {
    tracing::info!(reason = error, "refused: {description}");
    json(status, &json!({ "error": error, "error_description": description }))
}

/// Our own fault: said in the log, not on the wire.
pub(super) fn server_error(error: &Error) -> Response {
    tracing::error!(reason = error.reason(), "{error}");
    let mut response = json(
        StatusCode::SERVICE_UNAVAILABLE,
        &json!({ "error": "temporarily_unavailable", "error_description": "Try again in a moment" }),
    );
    set(response.headers_mut(), header::RETRY_AFTER, "5");
    response
}

/// 303: the browser goes on with GET (OAuth 2.1 §7.5.2 forbids 307).
pub(super) fn see_other(location: &str) -> Response {
    let mut response = with_type(StatusCode::SEE_OTHER, "text/plain", "");
    let headers = response.headers_mut();
    set(headers, header::LOCATION, location);
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    response
}

/// Somebody asks for too much (RFC 6585 §4).
pub(super) fn too_many(seconds: i64) -> Response {
    let mut response = oauth_error(
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
        "Too many requests from this address; wait before the next one",
    );
    set(response.headers_mut(), header::RETRY_AFTER, &seconds.to_string());
    response
}

pub(super) fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = oauth_error(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        "This endpoint does not take that HTTP method",
    );
    set(response.headers_mut(), header::ALLOW, allow);
    response
}

/// Lets pages of every origin read the response: what it says is public or for whoever asked.
pub(super) fn cors(mut response: Response) -> Response {
    let headers = response.headers_mut();
    set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        headers,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "DPoP-Nonce, Retry-After, WWW-Authenticate",
    );
    response
}

/// The answer to a CORS preflight.
pub(super) fn preflight(methods: &'static str) -> Response {
    let mut response = cors(with_type(StatusCode::NO_CONTENT, "text/plain", ""));
    let headers = response.headers_mut();
    set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    set(
        headers,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, DPoP, MCP-Protocol-Version",
    );
    set(headers, header::ACCESS_CONTROL_MAX_AGE, "600");
    response
}

pub(super) fn with_type(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set(response.headers_mut(), header::CONTENT_TYPE, media_type);
    set(response.headers_mut(), header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Sets a header. A value that no header can carry sets none.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
