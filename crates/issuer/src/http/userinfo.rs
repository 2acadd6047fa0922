//! `/userinfo` (OpenID Connect Core §5.3): who the user is, for a client that asked for `openid`.

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use serde_json::json;

use super::{
    App, MAX_BODY, Shared,
    access_token::OwnToken,
    params::Params,
    post::{self, Failure, is_form},
    reply,
};

pub(super) async fn endpoint(State(app): Shared, request: Request<Body>) -> Response {
    match *request.method() {
        Method::GET | Method::POST => {}
        Method::OPTIONS => return reply::preflight("GET, POST, OPTIONS"),
        _ => return reply::cors(reply::method_not_allowed("GET, POST, OPTIONS")),
    }
    let (parts, body) = request.into_parts();
    let form = match (parts.method, is_form(&parts.headers)) {
        (Method::POST, true) => match to_bytes(body, MAX_BODY).await {
            Ok(body) => Params::parse(&body),
            Err(_) => {
                let text = "The body is too large";
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return reply::cors(reply::oauth_error(status, "invalid_request", text));
            }
        },
        _ => Params::default(),
    };
    post::answer(userinfo(&app, &parts.headers, &form).await)
}

async fn userinfo(app: &App, headers: &HeaderMap, form: &Params) -> Result<Response, Failure> {
    let Some(token) = presented(headers, form)? else {
        return Err(challenge(StatusCode::UNAUTHORIZED, None));
    };
    let invalid = || challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"));
    let own = OwnToken::read(app, &token).ok_or_else(invalid)?;
    if own.is_revoked(app).await? {
        return Err(invalid());
    }
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

/// RFC 6750 §2.1, §2.2: in the header or in the form, once. Never in the URL.
fn presented(headers: &HeaderMap, form: &Params) -> Result<Option<String>, Failure> {
    let wrong = || challenge(StatusCode::BAD_REQUEST, Some("invalid_request"));
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let in_header = values.next();
    if values.next().is_some() || (in_header.is_some() && form.has("access_token")) {
        return Err(wrong());
    }
    let Some(value) = in_header else {
        return Ok(form.get("access_token").map(str::to_owned));
    };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    Ok(Some(token.trim().to_owned()))
}

/// RFC 6750 §3.
fn challenge(status: StatusCode, error: Option<&'static str>) -> Failure {
    let code = error.unwrap_or("invalid_token");
    let mut response = reply::oauth_error(status, code, "The access token will not do here");
    let value = match error {
        None => "Bearer".to_owned(),
        Some("insufficient_scope") => {
            "Bearer error=\"insufficient_scope\", scope=\"openid\"".to_owned()
        }
        Some(error) => format!("Bearer error=\"{error}\""),
    };
    reply::set(response.headers_mut(), header::WWW_AUTHENTICATE, &value);
    Failure::from(response)
}
