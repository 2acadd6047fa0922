//! `/authorize`: begins an authorization, and answers the client.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};

use super::{
    App, Shared, approval, body,
    clients::Found,
    cookies::Cookie,
    interaction::{self, Visit},
    limit::Visitor,
    par,
    params::Params,
    post::{Failure, is_form},
    reply,
    request::{AuthorizationRequest, RequestError, redirect_target},
    request_object::{self, SignedRequest, USED},
};
use crate::{
    Error, clock, redirect_uri,
    secret::{self, Kind},
    store::{Client, ClientKind, ClientRow},
};

/// How long a user has for login and consent, in seconds.
const INTERACTION_LIFETIME: i64 = 600;

pub(super) async fn endpoint(
    State(app): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = Visitor::of(&parts.headers, peer, app.config.trusted_proxies);
    let query = Params::parse(parts.uri.query().unwrap_or("").as_bytes());
    let outcome = match parts.method {
        Method::GET if query.has("interaction") => {
            let id = query.get("interaction").unwrap_or("");
            interaction::show(&app, &Visit::new(&app, &parts.headers, visitor), id).await
        }
        Method::GET => begin_limited(&app, &parts.headers, visitor.address, &query).await,
        Method::POST => {
            if !is_form(&parts.headers) {
                return reply::oauth_error(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "invalid_request",
                    "The body must be application/x-www-form-urlencoded",
                );
            }
            let body = match body::read(body).await {
                Ok(body) => body,
                Err(unread) => {
                    let status = unread.status();
                    return reply::oauth_error(status, "invalid_request", unread.text());
                }
            };
            let form = Params::parse(&body);
            if form.has("interaction") {
                interaction::act(&app, &Visit::new(&app, &parts.headers, visitor), &form).await
            } else {
                // OpenID Connect Core §3.1.2.1: the request may come as a form too.
                begin_limited(&app, &parts.headers, visitor.address, &form).await
            }
        }
        _ => return reply::method_not_allowed("GET, POST"),
    };
    outcome.unwrap_or_else(|error| {
        tracing::error!(reason = error.reason(), "{error}");
        app.pages.message(
            StatusCode::SERVICE_UNAVAILABLE,
            "Something is wrong on our side",
            "Go back to the application and try again in a moment.",
        )
    })
}

/// Each beginning is stored: not too many from one address.
async fn begin_limited(
    app: &Arc<App>,
    headers: &HeaderMap,
    address: Option<IpAddr>,
    params: &Params,
) -> Result<Response, Error> {
    let Err(seconds) = app.beginnings.take(address, clock::milliseconds()).await else {
        return begin(app, headers, params).await;
    };
    let text = format!("Wait {seconds} seconds, and start again from the application.");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = app.pages.message(status, "Too many requests from your network", &text);
    reply::set(response.headers_mut(), header::RETRY_AFTER, &seconds.to_string());
    Ok(response)
}

/// A request, or a reference to one that the client pushed (RFC 9126 §4): then nothing beside it counts.
async fn begin(app: &Arc<App>, headers: &HeaderMap, params: &Params) -> Result<Response, Error> {
    let (client_id, uri) = match (params.get("client_id"), params.get("request_uri")) {
        (Some(client_id), Some(uri)) if par::is_reference(uri) => (client_id, uri),
        _ => return begin_with(app, headers, params, false).await,
    };
    // RFC 9101 §5: the one or the other.
    if params.has("request") {
        return Ok(refuse(app, "The application sent two requests at once."));
    }
    match par::take(app, uri, client_id).await? {
        // The credentials of a client that authenticated by a header do not name it.
        Some(request) => {
            let request = request.with("client_id", vec![client_id.to_owned()]);
            begin_with(app, headers, &request, true).await
        }
        None => Ok(refuse(
            app,
            "It was used already, or it waited for more than a minute. Start again from the \
             application.",
        )),
    }
}

/// A page, for what cannot be told the client.
fn refuse(app: &App, text: &str) -> Response {
    // As a field: it may quote what a stranger sent, and fields are escaped.
    tracing::info!(reason = "request_refused", why = text, "authorization request refused");
    app.pages.message(StatusCode::BAD_REQUEST, "This request cannot be answered", text)
}

/// The request that a client signed, where it did (RFC 9101), or what it is answered.
async fn signed(
    app: &App,
    row: &ClientRow,
    params: &Params,
) -> Result<Result<Option<SignedRequest>, Response>, Error> {
    let problem = match params.get("request") {
        // RFC 9101 §5: the one or the other.
        Some(_) if params.has("request_uri") => RequestError {
            error: "invalid_request",
            description: "There is a request and a request_uri",
        },
        Some(text) => match request_object::read(app, row, text).await {
            Ok(Ok(signed)) => return Ok(Ok(Some(signed))),
            Ok(Err(why)) => RequestError { error: "invalid_request_object", description: why },
            Err(Failure::Server(error)) => return Err(error),
            Err(Failure::Refused(_)) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let text = "The keys of the application cannot be had at this moment.";
                let title = "This request cannot be answered now";
                return Ok(Err(app.pages.message(status, title, text)));
            }
        },
        None if row.client.signed_requests => RequestError {
            error: "invalid_request",
            description: "The client's requests must be signed",
        },
        None => return Ok(Ok(None)),
    };
    // Nobody vouches for these parameters: a redirect URI that is registered all the same gets the
    // error, and nothing else comes of them.
    Ok(Err(match redirect_target(&app.issuer, params, &row.client) {
        Ok(uri) => {
            let back = Back { redirect_uri: &uri, state: params.get("state") };
            answer_error(app, &row.client, back, problem)
        }
        Err(text) => refuse(app, text),
    }))
}

async fn begin_with(
    app: &Arc<App>,
    headers: &HeaderMap,
    params: &Params,
    is_pushed: bool,
) -> Result<Response, Error> {
    // Errors about client and redirect URI stay here (OAuth 2.1 §4.1.2.1).
    let Some(client_id) = params.get("client_id") else {
        return Ok(refuse(app, "The application did not say who it is (client_id)."));
    };
    let row = match app.find_client(client_id).await? {
        Found::Client(row) => row,
        Found::Unusable(text) => return Ok(refuse(app, &text)),
        Found::Unreachable(text) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(app.pages.message(status, "This request cannot be answered now", &text));
        }
    };
    // What was pushed was looked at then, by the authenticated client.
    let signed = match is_pushed {
        true => None,
        false => match signed(app, &row, params).await? {
            Ok(signed) => signed,
            Err(response) => return Ok(response),
        },
    };
    // RFC 9101 §6.3: then nothing beside it counts, whatever it says.
    let params = signed.as_ref().map_or(params, |signed| &signed.params);
    let redirect_uri = match redirect_target(&app.issuer, params, &row.client) {
        Ok(uri) => uri,
        Err(text) => return Ok(refuse(app, text)),
    };
    let back = Back {
        state: if params.is_repeated("state") { None } else { params.get("state") },
        redirect_uri: &redirect_uri,
    };
    let resources = app.store.known_resources().await?;
    let checked =
        AuthorizationRequest::check(params, &row.client, redirect_uri.clone(), &resources);
    let mut request = match checked {
        Ok(request) => request,
        Err(error) => return Ok(answer_error(app, &row.client, back, error)),
    };
    if let Some(signed) = &signed
        && !signed.take(app, &row.client.id).await?
    {
        let error = RequestError { error: "invalid_request_object", description: USED };
        return Ok(answer_error(app, &row.client, back, error));
    }
    // Nobody may be sent through a remembered consent from another site (issuer spec, attack 46).
    request.consent |= !came_by_itself(headers);
    if params.get("prompt") == Some("none") {
        return approval::silent(app, headers, &row.client, &request).await;
    }
    if let Some(response) = approval::without_questions(app, headers, &row.client, &request).await?
    {
        return Ok(response);
    }
    open_interaction(app, headers, &request).await
}

/// Stores a request for this browser, and sends it to the first page.
pub(super) async fn open_interaction(
    app: &App,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
) -> Result<Response, Error> {
    let browser = browser_of(app, headers)?;
    let text = serde_json::to_string(request)
        .map_err(|_| Error::Crypto("a request could not be stored"))?;
    let browser_hash = secret::hash(Kind::Browser, &browser);
    let id = app.add_interaction(&browser_hash, &text, INTERACTION_LIFETIME).await?;
    let mut response = reply::see_other(&format!("{}/authorize?interaction={id}", app.issuer));
    Cookie::Browser.set(&app.issuer, response.headers_mut(), &browser);
    Ok(response)
}

/// The name that this browser has, or a new one for it.
pub(super) fn browser_of(app: &App, headers: &HeaderMap) -> Result<String, Error> {
    match Cookie::Browser.read(&app.issuer, headers) {
        Some(browser) if secret::is_well_formed(Kind::Browser, &browser) => Ok(browser),
        _ => secret::new(Kind::Browser),
    }
}

/// Whether the user's own program opened the page. Browsers that do not say count as no. So does this
/// server: none of its own pages begins a request, but for a client whose redirect URI is one of them.
fn came_by_itself(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|value| value.as_bytes() == b"none")
}

/// Where and with which state a client is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back<'a> {
    pub(super) redirect_uri: &'a str,
    pub(super) state: Option<&'a str>,
}

impl<'a> Back<'a> {
    pub(super) fn of(request: &'a AuthorizationRequest) -> Self {
        Self { redirect_uri: &request.redirect_uri, state: request.state.as_deref() }
    }

    /// The URI with the response in its query, `state` and `iss` (RFC 9207) included.
    pub(super) fn location(self, app: &App, parameters: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(state) = self.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", app.issuer.as_str());
        let separator = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.redirect_uri, query.finish())
    }
}

/// Tells the client about an error. Whoever registered by themselves is not worth an automatic
/// redirect to another site, which would make this server an open redirector (RFC 9700 §4.11.2).
pub(super) fn answer_error(
    app: &App,
    client: &Client,
    back: Back<'_>,
    RequestError { error, description }: RequestError,
) -> Response {
    tracing::info!(reason = error, client = client.id, "authorization refused: {description}");
    let parameters = [("error", error), ("error_description", description)];
    let location = back.location(app, &parameters);
    if client.kind == ClientKind::Static || redirect_uri::is_local(back.redirect_uri) {
        return reply::see_other(&location);
    }
    let host = redirect_uri::shown_host(back.redirect_uri);
    app.pages.leave(&client.name, description, host, &location)
}
