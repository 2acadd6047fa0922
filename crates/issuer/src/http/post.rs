//! What the endpoints that programs post forms to have in common.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, FromRequest, FromRequestParts as _},
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{App, body, limit::client_address, params::Params, reply};
use crate::Error;

/// Why a request is not answered as its sender wished.
pub(super) enum Failure {
    /// The answer says why.
    Refused(Box<Response>),
    /// Our own fault.
    Server(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<Response> for Failure {
    fn from(response: Response) -> Self {
        Self::Refused(Box::new(response))
    }
}

/// An error of the protocol (RFC 6749 §5.2).
pub(super) fn refuse(error: &'static str, description: &str) -> Failure {
    Failure::from(reply::oauth_error(StatusCode::BAD_REQUEST, error, description))
}

/// A form that a program posted.
pub(super) struct Posted {
    /// Where it comes from ([`client_address`]).
    pub(super) address: Option<IpAddr>,
    pub(super) headers: HeaderMap,
    pub(super) form: Params,
}

impl FromRequest<Arc<App>> for Posted {
    /// The answer for a request that has no form.
    type Rejection = Response;

    async fn from_request(request: Request<Body>, app: &Arc<App>) -> Result<Self, Response> {
        match *request.method() {
            Method::POST => {}
            Method::OPTIONS => return Err(reply::preflight("POST, OPTIONS")),
            _ => return Err(reply::cors(reply::method_not_allowed("POST, OPTIONS"))),
        }
        let (mut parts, body) = request.into_parts();
        let ConnectInfo(peer) = ConnectInfo::<SocketAddr>::from_request_parts(&mut parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let headers = parts.headers;
        let address = client_address(&headers, peer, app.config.trusted_proxies);
        let form = read(&headers, body).await.map_err(reply::cors)?;
        Ok(Self { address, headers, form })
    }
}

/// The answer, readable for scripts of every origin.
pub(super) fn answer(outcome: Result<Response, Failure>) -> Response {
    reply::cors(match outcome {
        Ok(response) => response,
        Err(Failure::Refused(response)) => *response,
        Err(Failure::Server(error)) => reply::server_error(&error),
    })
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Params, Response> {
    if !is_form(headers) {
        return Err(reply::oauth_error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "The body must be application/x-www-form-urlencoded",
        ));
    }
    let body = body::read(body)
        .await
        .map_err(|unread| reply::oauth_error(unread.status(), "invalid_request", unread.text()))?;
    let form = Params::parse(&body);
    match form.repeated(&["audience", "resource"]) {
        Some(_) => Err(reply::oauth_error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "A parameter is repeated",
        )),
        None => Ok(form),
    }
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}
