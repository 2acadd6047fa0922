//! Client authentication (OAuth 2.1 §2.4): exactly the registered method, exactly once.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{App, params::Params, reply};
use crate::{
    Error,
    secret::{self, Kind},
    store::Client,
};

/// What a request presents.
struct Presented {
    id: String,
    secret: Option<String>,
    method: &'static str,
}

/// The client of a request, or the answer for one that could not be told.
pub(super) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Result<Client, Response>, Error> {
    let with_basic = headers.contains_key(header::AUTHORIZATION);
    if with_basic && (form.has("client_secret") || form.has("client_assertion")) {
        return Ok(Err(reply::oauth_error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The client authenticates in more than one way",
        )));
    }
    let presented = if with_basic { from_basic(headers, form) } else { from_form(form) };
    let Some(presented) = presented else {
        return Ok(Err(invalid_client(with_basic)));
    };
    let Some(row) = app.store.client(&presented.id).await? else {
        return Ok(Err(invalid_client(with_basic)));
    };
    let secret_fits = match (&row.secret_hash, &presented.secret) {
        (None, None) => true,
        // Equal digests of 256 random bits: their comparison tells nothing about the secret.
        (Some(hash), Some(secret)) => *hash == secret::hash(Kind::ClientSecret, secret),
        _ => false,
    };
    if row.client.auth_method != presented.method || !secret_fits {
        return Ok(Err(invalid_client(with_basic)));
    }
    Ok(Ok(row.client))
}

fn from_form(form: &Params) -> Option<Presented> {
    let id = form.get("client_id")?.to_owned();
    let secret = form.get("client_secret").map(str::to_owned);
    let method = if secret.is_some() { "client_secret_post" } else { "none" };
    Some(Presented { id, secret, method })
}

/// RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
fn from_basic(headers: &HeaderMap, form: &Params) -> Option<Presented> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let (id, secret) = (decode(id)?, decode(secret)?);
    let same = form.get("client_id").is_none_or(|other| other == id);
    same.then_some(Presented { id, secret: Some(secret), method: "client_secret_basic" })
}

fn decode(text: &str) -> Option<String> {
    // The parser reads pairs; as a value alone it decodes just this.
    if text.contains(['&', '=']) {
        return None;
    }
    let pair = format!("v={text}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

/// 401, so that clients with a forgotten registration register again (issuer spec, complaint 7).
fn invalid_client(with_basic: bool) -> Response {
    let mut response = reply::oauth_error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "The client is not known, or did not authenticate as it is registered",
    );
    if with_basic {
        let challenge = "Basic realm=\"countersign\"";
        reply::set(response.headers_mut(), header::WWW_AUTHENTICATE, challenge);
    }
    response
}
