//! Client authentication (OAuth 2.1 §2.4): exactly the registered method, exactly once.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    App, assertion, client_keys::signed_by, clients::Found, params::Params, post::Failure, reply,
};
use crate::{
    clock,
    secret::{self, Kind},
    store::{Client, ClientRow},
};

/// The methods that there are (`token_endpoint_auth_methods_supported`).
pub(super) const METHODS: [&str; 4] =
    ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];

/// The only `client_assertion_type` (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What `typ` an assertion may have: its own, the general one, or none (rfc7523bis §2.2). Anything
/// else was made for another purpose.
const ASSERTION_TYPES: [&str; 3] = ["client-authentication+jwt", "JWT", ""];

/// What a request presents.
struct Presented<'a> {
    id: String,
    credential: Credential<'a>,
}

enum Credential<'a> {
    None,
    Basic(String),
    Post(&'a str),
    Assertion(&'a str),
}

/// The client of a request, or the answer for one that could not be told. It was here before: for
/// strangers nothing is fetched or stored, and what is fetched anew is counted by address.
pub(super) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
    address: Option<IpAddr>,
) -> Result<Client, Failure> {
    let presented = read(headers, form)?;
    let found = app.find_known_client(&presented.id, address).await?;
    let row = usable(headers, found)?;
    proven(app, headers, row, &presented, address).await.map(|row| row.client)
}

/// The same with its keys, where a client may begin, and may come for the first time. What the server fetches and
/// stores for a client that has no credentials, or is not known yet, is counted by address.
pub(super) async fn authenticate_first(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
    address: Option<IpAddr>,
) -> Result<Box<ClientRow>, Failure> {
    let count = async || {
        let counted = app.beginnings.take(address, clock::milliseconds()).await;
        counted.map_err(|seconds| Failure::from(reply::too_many(seconds)))
    };
    let presented = read(headers, form)?;
    let is_stranger = app.is_stranger(&presented.id).await?;
    let found = match is_stranger {
        true => {
            count().await?;
            app.find_client(&presented.id).await?
        }
        false => app.find_known_client(&presented.id, address).await?,
    };
    let row = usable(headers, found)?;
    let row = proven(app, headers, row, &presented, address).await?;
    if row.client.auth_method == "none" && !is_stranger {
        count().await?;
    }
    Ok(row)
}

/// What a request presents, in one way only.
fn read<'a>(headers: &HeaderMap, form: &'a Params) -> Result<Presented<'a>, Failure> {
    let with_basic = headers.contains_key(header::AUTHORIZATION);
    let ways = [with_basic, form.has("client_secret"), form.has("client_assertion")];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(Failure::from(reply::oauth_error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The client authenticates in more than one way",
        )));
    }
    let presented = if with_basic { from_basic(headers, form) } else { from_form(form) };
    presented.ok_or_else(|| invalid_client(with_basic))
}

fn usable(headers: &HeaderMap, found: Found) -> Result<Box<ClientRow>, Failure> {
    match found {
        Found::Client(row) => Ok(row),
        Found::Unusable(_) => Err(invalid_client(headers.contains_key(header::AUTHORIZATION))),
        Found::Unreachable(_) => Err(unreachable()),
    }
}

/// The client, if it proves who it is as it is registered.
async fn proven(
    app: &App,
    headers: &HeaderMap,
    row: Box<ClientRow>,
    presented: &Presented<'_>,
    address: Option<IpAddr>,
) -> Result<Box<ClientRow>, Failure> {
    if let Err(why) = check(app, &row, &presented.credential, address).await? {
        tracing::info!(reason = "client_auth_failed", client = row.client.id, "{why}");
        return Err(invalid_client(headers.contains_key(header::AUTHORIZATION)));
    }
    Ok(row)
}

/// The client of a request that must not come from a public one.
pub(super) async fn authenticate_confidential(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
    address: Option<IpAddr>,
) -> Result<Client, Failure> {
    let client = authenticate(app, headers, form, address).await?;
    if client.auth_method == "none" {
        return Err(invalid_client(headers.contains_key(header::AUTHORIZATION)));
    }
    Ok(client)
}

async fn check(
    app: &App,
    row: &ClientRow,
    credential: &Credential<'_>,
    address: Option<IpAddr>,
) -> Result<Result<(), &'static str>, Failure> {
    let method = match credential {
        Credential::None => "none",
        Credential::Basic(_) => "client_secret_basic",
        Credential::Post(_) => "client_secret_post",
        Credential::Assertion(_) => "private_key_jwt",
    };
    if row.client.auth_method != method {
        return Ok(Err("the client is registered with another method"));
    }
    match credential {
        Credential::None => Ok(Ok(())),
        Credential::Basic(secret) => Ok(check_secret(row, secret)),
        Credential::Post(secret) => Ok(check_secret(row, secret)),
        Credential::Assertion(text) => check_assertion(app, row, text, address).await,
    }
}

fn check_secret(row: &ClientRow, secret: &str) -> Result<(), &'static str> {
    let presented = secret::hash(Kind::ClientSecret, secret);
    // Equal digests of 256 random bits: their comparison tells nothing about the secret.
    if row.secret_hash.as_ref() == Some(&presented) { Ok(()) } else { Err("the secret is wrong") }
}

/// RFC 7523 §3: signed by the client, about the client, for this issuer alone, once.
async fn check_assertion(
    app: &App,
    row: &ClientRow,
    text: &str,
    address: Option<IpAddr>,
) -> Result<Result<(), &'static str>, Failure> {
    let id = row.client.id.as_str();
    let assertion = match signed_by(app, row, text, &ASSERTION_TYPES, address).await? {
        Ok(assertion) => assertion,
        Err(why) => return Ok(Err(why)),
    };
    if assertion.claims.subject.as_deref() != Some(id) {
        return Ok(Err("the assertion's sub is somebody else"));
    }
    // Last: what was refused for another reason may still come right.
    let forget_at = i64::try_from(assertion.forget_at).unwrap_or(i64::MAX);
    let made_at = assertion.claims.issued_at.and_then(|at| i64::try_from(at).ok());
    let name = assertion.token_id.as_str();
    let is_first = app.is_first_use("client_assertion", id, name, made_at, forget_at).await?;
    Ok(if is_first { Ok(()) } else { Err("the assertion was used before (jti)") })
}

fn from_form(form: &Params) -> Option<Presented<'_>> {
    if form.has("client_assertion") || form.has("client_assertion_type") {
        let text = form.get("client_assertion")?;
        if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return None;
        }
        let id = assertion::claimed_issuer(text)?;
        // RFC 7521 §4.2: it may be said again, and then it must be the same.
        let same = form.get("client_id").is_none_or(|other| other == id);
        return same.then_some(Presented { id, credential: Credential::Assertion(text) });
    }
    let id = form.get("client_id")?.to_owned();
    let credential = match form.get("client_secret") {
        Some(secret) => Credential::Post(secret),
        None => Credential::None,
    };
    Some(Presented { id, credential })
}

/// RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
fn from_basic<'a>(headers: &HeaderMap, form: &Params) -> Option<Presented<'a>> {
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
    same.then_some(Presented { id, credential: Credential::Basic(secret) })
}

fn decode(text: &str) -> Option<String> {
    // The parser reads pairs; as a value alone it decodes just this.
    if text.contains(['&', '=']) {
        return None;
    }
    let pair = format!("v={text}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

/// Neither yes nor no: a 401 would make the client forget what it has.
pub(super) fn unreachable() -> Failure {
    let mut response = reply::oauth_error(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "The document or the keys that this needs cannot be had at this moment",
    );
    reply::set(response.headers_mut(), header::RETRY_AFTER, "30");
    Failure::from(response)
}

/// 401, so that clients with a forgotten registration register again (issuer spec, complaint 7).
pub(super) fn invalid_client(with_basic: bool) -> Failure {
    let mut response = reply::oauth_error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "The client is not known, or did not authenticate as it is registered",
    );
    if with_basic {
        let challenge = "Basic realm=\"countersign\"";
        reply::set(response.headers_mut(), header::WWW_AUTHENTICATE, challenge);
    }
    Failure::from(response)
}
