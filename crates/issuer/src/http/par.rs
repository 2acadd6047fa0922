//! `/par` (RFC 9126): a client sends its authorization request itself, and the browser carries a
//! reference that nobody can change.

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::json;

use super::{
    App, Shared, client_auth,
    dpop::{self, Refused},
    params::Params,
    post::{self, Failure, Posted, refuse},
    reply,
    request::{AuthorizationRequest, PARAMETERS, redirect_target},
    request_object::{self, USED},
};
use crate::{
    Error,
    secret::{self, Kind},
};

/// What a reference begins with (RFC 9126 §2.2).
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// How long a reference is good, in seconds: the browser opens it at once.
const LIFETIME: i64 = 60;

pub(super) async fn endpoint(State(app): Shared, posted: Posted) -> Response {
    post::answer(push(&app, &posted).await)
}

async fn push(app: &App, posted: &Posted) -> Result<Response, Failure> {
    let Posted { address, headers, form } = posted;
    let row = client_auth::authenticate_first(app, headers, form, *address).await?;
    let client = &row.client;
    // §2.1: a request cannot be another reference.
    if form.has("request_uri") {
        return Err(refuse("invalid_request", "request_uri cannot be pushed"));
    }
    let possession = dpop::present(app, headers, "/par")?;
    // §3, RFC 9101 §6.3: what is not signed then does not count.
    let signed = match form.get("request") {
        Some(text) => Some(
            request_object::read(app, &row, text)
                .await?
                .map_err(|why| refuse("invalid_request_object", why))?,
        ),
        None if client.signed_requests => {
            return Err(refuse("invalid_request", "The client's requests must be signed"));
        }
        None => None,
    };
    let mut request = match &signed {
        Some(signed) => signed.params.clone(),
        None => form.clone(),
    };
    // RFC 9449 §10.1: a proof says the same as dpop_jkt, and must not say something else.
    if let Some(shown) = &possession {
        if request.has("dpop_jkt") && request.get("dpop_jkt") != Some(&shown.thumbprint) {
            return Err(dpop::wrong_key("dpop_jkt is not the key of the proof"));
        }
        request = request.with("dpop_jkt", vec![shown.thumbprint.clone()]);
    }
    // What the browser would be refused for, the client is told here (§2.3).
    let redirect_uri = redirect_target(&app.issuer, &request, client).map_err(|text| {
        Failure::from(reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", text))
    })?;
    let resources = app.store.known_resources().await?;
    AuthorizationRequest::check(&request, client, redirect_uri, &resources)
        .map_err(|error| refuse(error.error, error.description))?;
    // Last: what was refused for another reason may come again. A client makes a proof for each request
    // that it sends, and may send what it signed once more.
    if let Some(shown) = &possession {
        shown.take(app).await?.map_err(Refused::answer)?;
    }
    if let Some(signed) = &signed
        && !signed.take(app, &client.id).await?
    {
        return Err(refuse("invalid_request_object", USED));
    }
    let reference = secret::new(Kind::PushedRequest)?;
    let hash = secret::hash(Kind::PushedRequest, &reference);
    // What authenticates the client, and what nobody reads, is not stored.
    let request = request.only(&PARAMETERS);
    app.store.add_pushed_request(&hash, &client.id, &request, LIFETIME).await?;
    let body = json!({ "request_uri": format!("{PREFIX}{reference}"), "expires_in": LIFETIME });
    let mut response = reply::json(StatusCode::CREATED, &body);
    dpop::set_nonce(&mut response, possession.as_ref().and_then(|shown| shown.nonce.as_deref()));
    Ok(response)
}

/// Whether a `request_uri` is one of our references.
pub(super) fn is_reference(uri: &str) -> bool {
    uri.starts_with(PREFIX)
}

/// The request behind a reference, once (§4, §7.3); `None` when it is not this client's, was used, or
/// is over.
pub(super) async fn take(app: &App, uri: &str, client_id: &str) -> Result<Option<Params>, Error> {
    let Some(reference) = uri.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let hash = secret::hash(Kind::PushedRequest, reference);
    let request = app.store.take_pushed_request(&hash, client_id).await?;
    Ok(request.map(|text| Params::parse(text.as_bytes())))
}
