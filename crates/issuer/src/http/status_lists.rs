//! `/status-lists` (draft-ietf-oauth-status-list-21 §8, §9): which tokens are revoked, for everybody who
//! holds one or checks one.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use serde_json::json;

use super::{
    Shared,
    documents::{matches_etag, not_a_read},
    reply,
};
use crate::status::list_uri;

/// Whoever stands in between may keep an answer for this long: shorter than `ttl`, so that both
/// together stay below the five seconds in which a revocation is to be seen.
const MAX_AGE: &str = "public, max-age=3";

/// `/status-lists`: the lists that there are (§9.3), to be fetched before the first token of each.
pub(super) async fn all(State(app): Shared, method: Method) -> Response {
    if let Some(response) = not_a_read(&method) {
        return response;
    }
    let lists = match app.store.status_lists().await {
        Ok(lists) => lists,
        Err(error) => return reply::cors(reply::server_error(&error)),
    };
    app.status.keep_only(&lists);
    let issuer = app.issuer.as_str();
    let uris: Vec<String> = lists.iter().map(|list| list_uri(issuer, list)).collect();
    let body = json!({ "status_lists": uris }).to_string();
    let mut response = reply::with_type(StatusCode::OK, "application/json", body);
    reply::set(response.headers_mut(), header::CACHE_CONTROL, MAX_AGE);
    reply::cors(response)
}

/// `/status-lists/{list}`: one of them, signed (§8.1).
pub(super) async fn one(
    State(app): Shared,
    list: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = not_a_read(&method) {
        return response;
    }
    // A name that is no text is none that there is.
    let list = list.map_or_else(|_| String::new(), |Path(list)| list);
    let published = match app.status.publish(&app, &list).await {
        Ok(Some(published)) => published,
        Ok(None) => {
            let body = json!({ "error": "not_found" });
            return reply::cors(reply::json(StatusCode::NOT_FOUND, &body));
        }
        // Never an old list: whoever has none fails closed.
        Err(error) => return reply::cors(reply::server_error(&error)),
    };
    let media_type = "application/statuslist+jwt";
    let mut response = if matches_etag(&headers, &published.etag) {
        reply::with_type(StatusCode::NOT_MODIFIED, media_type, "")
    } else {
        reply::with_type(StatusCode::OK, media_type, published.token.clone())
    };
    reply::set(response.headers_mut(), header::CACHE_CONTROL, MAX_AGE);
    reply::set(response.headers_mut(), header::ETAG, &published.etag);
    reply::cors(response)
}
