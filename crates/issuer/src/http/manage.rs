//! `/register/{client}`: a client looks at its registration, changes it, or ends it (RFC 7592).

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use countersign_core::jose::json::{Object, Value};
use serde_json::json;

use super::{
    App, Shared,
    post::{self, Failure},
    register::{bearer, described_as, invalid_token, manage, metadata, read_body, refused, row},
    reply,
};
use crate::{
    ClientKind, Registration,
    client_metadata::object,
    secret::{self, Kind},
    store::ClientRow,
};

const METHODS: &str = "GET, PUT, DELETE, OPTIONS";

/// What only the server says (RFC 7592 §2.2): whoever sends it has misunderstood something.
const OURS: [&str; 4] = [
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
];

pub(super) async fn endpoint(
    State(app): Shared,
    id: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Response {
    // A name that is no text is nobody's.
    let id = id.map_or_else(|_| String::new(), |Path(id)| id);
    let (parts, body) = request.into_parts();
    let outcome = match parts.method {
        Method::GET => look(&app, &parts.headers, &id).await,
        Method::PUT => change(&app, &parts.headers, &id, body).await,
        Method::DELETE => end(&app, &parts.headers, &id).await,
        Method::OPTIONS => return reply::preflight(METHODS),
        _ => Ok(reply::method_not_allowed(METHODS)),
    };
    post::answer(outcome)
}

async fn look(app: &App, headers: &HeaderMap, id: &str) -> Result<Response, Failure> {
    let held = holder(app, headers, id).await?;
    let mut document = described_as(&held.row);
    // The secret is not known here any more; the token is, since it was just presented.
    manage(app, &mut document, id, held.token);
    Ok(reply::json(StatusCode::OK, &document))
}

/// RFC 7592 §2.2: all of it is replaced. The registration access token changes with it.
async fn change(app: &App, headers: &HeaderMap, id: &str, body: Body) -> Result<Response, Failure> {
    let held = holder(app, headers, id).await?;
    let members = object(&read_body(body).await?).map_err(refused)?;
    check_own(&members, &held.row)?;
    let metadata = metadata(app, &members).map_err(refused)?;
    let mut new = row(&metadata);
    new.client.id = id.to_owned();
    new.client.created_at = held.row.client.created_at;
    let needs_secret = |method: &str| method.starts_with("client_secret_");
    let secret = match needs_secret(&metadata.auth_method) {
        true if needs_secret(&held.row.client.auth_method) => {
            new.secret_hash.clone_from(&held.row.secret_hash);
            None
        }
        true => Some(secret::new(Kind::ClientSecret)?),
        false => None,
    };
    if let Some(secret) = &secret {
        new.secret_hash = Some(secret::hash(Kind::ClientSecret, secret));
    }
    let token = secret::new(Kind::RegistrationToken)?;
    new.registration_token_hash = Some(secret::hash(Kind::RegistrationToken, &token));
    if !app.store.update_client(&new, &held.hash).await? {
        return Err(invalid_token());
    }
    tracing::info!(client = id, "a client changed its registration");
    let mut document = described_as(&new);
    if let Some(secret) = secret {
        document["client_secret"] = json!(secret);
        document["client_secret_expires_at"] = json!(0);
    }
    manage(app, &mut document, id, &token);
    Ok(reply::json(StatusCode::OK, &document))
}

/// RFC 7592 §2.3: with everything that was granted to it.
async fn end(app: &App, headers: &HeaderMap, id: &str) -> Result<Response, Failure> {
    holder(app, headers, id).await?;
    app.store.delete_client(id).await?;
    tracing::info!(client = id, "a client ended its registration");
    let mut response = reply::with_type(StatusCode::NO_CONTENT, "application/json", "");
    reply::set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    Ok(response)
}

/// Whoever holds the registration access token of a client.
struct Holder<'a> {
    row: ClientRow,
    token: &'a str,
    hash: Vec<u8>,
}

/// One answer for a wrong token and for a client that there is not: nobody learns which it was.
async fn holder<'a>(app: &App, headers: &'a HeaderMap, id: &str) -> Result<Holder<'a>, Failure> {
    if app.config.registration == Registration::Off {
        return Err(invalid_token());
    }
    let token = bearer(headers).ok_or_else(invalid_token)?;
    let hash = secret::hash(Kind::RegistrationToken, token);
    let row = app.store.client(id).await?.filter(|row| {
        row.client.kind == ClientKind::Registered
            && !row.client.is_disabled
            && row.registration_token_hash.as_ref() == Some(&hash)
    });
    row.map(|row| Holder { row, token, hash }).ok_or_else(invalid_token)
}

/// RFC 7592 §2.2: the client says who it is, and nothing that is ours to say.
fn check_own(members: &Object, row: &ClientRow) -> Result<(), Failure> {
    let wrong = |text: String| refused(("invalid_client_metadata", text));
    if let Some(name) = OURS.iter().find(|name| members.contains_key(**name)) {
        return Err(wrong(format!("{name} cannot be changed by the client")));
    }
    if members.get("client_id").and_then(Value::as_str) != Some(row.client.id.as_str()) {
        return Err(wrong("client_id must be that of the client".to_owned()));
    }
    let Some(presented) = members.get("client_secret") else {
        return Ok(());
    };
    let hash = presented.as_str().map(|secret| secret::hash(Kind::ClientSecret, secret));
    if hash.is_some() && hash == row.secret_hash {
        Ok(())
    } else {
        Err(wrong("client_secret must be the one that the client has, or be left out".to_owned()))
    }
}
