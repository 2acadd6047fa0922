//! `/userinfo` (OpenID Connect Core §5.3): who the user is, for a client that asked for `openid`.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use countersign_core::jwt::confirmation::Presentation;
use serde_json::json;

use super::{
    App, Shared, body,
    dpop::{self, Refused},
    params::Params,
    post::{self, Failure, is_form},
    reply,
};
use crate::tokens::OwnToken;

/// Its place under the issuer's URL.
const PATH: &str = "/userinfo";

pub(super) async fn endpoint(State(app): Shared, request: Request<Body>) -> Response {
    match *request.method() {
        Method::GET | Method::POST => {}
        Method::OPTIONS => return reply::preflight("GET, POST, OPTIONS"),
        _ => return reply::cors(reply::method_not_allowed("GET, POST, OPTIONS")),
    }
    let (parts, body) = request.into_parts();
    let form = match (&parts.method, is_form(&parts.headers)) {
        (&Method::POST, true) => match body::read(body).await {
            Ok(body) => Params::parse(&body),
            Err(unread) => {
                let (status, text) = (unread.status(), unread.text());
                return reply::cors(reply::oauth_error(status, "invalid_request", text));
            }
        },
        _ => Params::default(),
    };
    post::answer(userinfo(&app, &parts.method, &parts.headers, &form).await)
}

async fn userinfo(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    form: &Params,
) -> Result<Response, Failure> {
    let Some((scheme, token)) = presented(headers, form)? else {
        return Err(challenge(Scheme::Bearer, StatusCode::UNAUTHORIZED, None));
    };
    let challenge = |status, error| challenge(scheme, status, error);
    let invalid = || challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"));
    let judge = app.judge();
    let own = judge.access_token(&token).map_err(|_| invalid())?;
    let possession = match scheme {
        Scheme::Bearer => None,
        Scheme::Dpop => {
            let proof = dpop::check(app, headers, method.as_str().as_bytes(), PATH, Some(&token));
            Some(proof.map_err(bad_proof)?)
        }
    };
    let shown =
        possession.as_ref().map_or(Presentation::Bearer, |shown| Presentation::Dpop(&shown.digest));
    // RFC 9449 §7.1, §7.2: a bound token with its key, and another without one.
    if own.claims.confirmation.check(shown).is_err() || judge.is_revoked(&own).await? {
        return Err(invalid());
    }
    if let Some(shown) = &possession {
        shown.take(app).await?.map_err(bad_proof)?;
    }
    let mut response = answer(app, &own, &challenge).await?;
    dpop::set_nonce(&mut response, possession.and_then(|shown| shown.nonce).as_deref());
    Ok(response)
}

async fn answer(
    app: &App,
    own: &OwnToken,
    challenge: &impl Fn(StatusCode, Option<&'static str>) -> Failure,
) -> Result<Response, Failure> {
    // Its audience is the resource that it is for, whichever that is; that it is for us too is what
    // `openid` says. It is kept here and not in the token: a token whose client gave the scope up tells
    // nothing, whatever its grant has.
    let user = app.store.user_of_token(&own.place.list, own.place.index).await?;
    let user = user.ok_or_else(|| challenge(StatusCode::FORBIDDEN, Some("insufficient_scope")))?;
    let has = |scope: &str| user.general_scopes.split(' ').any(|granted| granted == scope);
    if !has("openid") {
        return Err(challenge(StatusCode::FORBIDDEN, Some("insufficient_scope")));
    }
    let mut claims = json!({ "sub": user.id });
    if has("profile") {
        claims["preferred_username"] = json!(user.name);
    }
    if let (true, Some(email)) = (has("email"), &user.email) {
        claims["email"] = json!(email);
        // An administrator wrote it down; nobody proved it.
        claims["email_verified"] = json!(false);
    }
    Ok(reply::json(StatusCode::OK, &claims))
}

/// How a token comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// RFC 6750 §2.1, §2.2: in the header or in the form, once. Never in the URL.
fn presented(headers: &HeaderMap, form: &Params) -> Result<Option<(Scheme, String)>, Failure> {
    let wrong = || challenge(Scheme::Bearer, StatusCode::BAD_REQUEST, Some("invalid_request"));
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let in_header = values.next();
    if values.next().is_some() || (in_header.is_some() && form.has("access_token")) {
        return Err(wrong());
    }
    let Some(value) = in_header else {
        return Ok(form.get("access_token").map(|token| (Scheme::Bearer, token.to_owned())));
    };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(wrong)?;
    let scheme = match scheme {
        known if known.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        known if known.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Ok(None),
    };
    Ok(Some((scheme, token.trim().to_owned())))
}

/// RFC 9449 §7.1, §9: a 401, with a nonce where that is what is missing.
fn bad_proof(refused: Refused) -> Failure {
    let status = StatusCode::UNAUTHORIZED;
    let mut response = reply::oauth_error(status, refused.error, &refused.description);
    refused.set_nonce(&mut response);
    let value = challenge_value(Scheme::Dpop, Some(refused.error));
    reply::set(response.headers_mut(), header::WWW_AUTHENTICATE, &value);
    Failure::from(response)
}

/// RFC 6750 §3, RFC 9449 §7.1.
fn challenge(scheme: Scheme, status: StatusCode, error: Option<&'static str>) -> Failure {
    let code = error.unwrap_or("invalid_token");
    let mut response = reply::oauth_error(status, code, "The access token will not do here");
    let value = challenge_value(scheme, error);
    reply::set(response.headers_mut(), header::WWW_AUTHENTICATE, &value);
    Failure::from(response)
}

fn challenge_value(scheme: Scheme, error: Option<&str>) -> String {
    let algorithms = format!("algs=\"{}\"", super::signature_algorithms().join(" "));
    let reason = match error {
        None => None,
        Some("insufficient_scope") => {
            Some("error=\"insufficient_scope\", scope=\"openid\"".to_owned())
        }
        Some(error) => Some(format!("error=\"{error}\"")),
    };
    match (scheme, reason) {
        // Who shows nothing is told both ways (RFC 9110 §11.6.1).
        (Scheme::Bearer, None) => format!("Bearer, DPoP {algorithms}"),
        (Scheme::Bearer, Some(reason)) => format!("Bearer {reason}"),
        (Scheme::Dpop, None) => format!("DPoP {algorithms}"),
        (Scheme::Dpop, Some(reason)) => format!("DPoP {reason}, {algorithms}"),
    }
}
