//! The grant `client_credentials` (OAuth 2.1 §4.2): a client acts for itself, with the scopes that the
//! administrator gave it.

use axum::{http::StatusCode, response::Response};
use countersign_core::oauth::scope::ScopeSet;

use super::{
    super::{
        App, client_auth,
        dpop::Possession,
        issue::{self, Granted},
        params::Params,
        reply,
        request::find_resource,
    },
    Failure, refuse,
};
use crate::{Error, store::Client};

pub(super) async fn issue(
    app: &App,
    client: &Client,
    form: &Params,
    possession: Option<&Possession>,
) -> Result<Response, Failure> {
    // A public client has no credentials (OAuth 2.1 §4.2).
    if client.auth_method == "none" {
        return Err(refuse("unauthorized_client", "The client has no credentials of its own"));
    }
    let known = app.store.known_client(&client.id).await?;
    let allowed = known.as_ref().map_or(&[][..], |known| &known.resources);
    let resources = app.store.known_resources().await?;
    let requested = form.all("resource");
    let uri = match (requested, allowed) {
        // What it was given for is meant where it names none.
        ([], [only]) => &only.resource,
        _ => match find_resource(requested, &resources, client.default_resource.as_deref()) {
            Ok(resource) => &resource.uri,
            Err(error) => return Err(refuse(error.error, error.description)),
        },
    };
    let granted = allowed.iter().find(|allowed| allowed.resource == *uri);
    let granted = granted.map(|allowed| ScopeSet::parse(&allowed.scopes).unwrap_or_default());
    let granted = granted
        .filter(|scopes| !scopes.is_empty())
        .ok_or_else(|| refuse("invalid_target", "The client may not use this resource"))?;
    let scopes = match form.get("scope") {
        None => granted,
        Some(text) => {
            let malformed = |_| refuse("invalid_scope", "The scope is malformed");
            let scopes = ScopeSet::parse(text).map_err(malformed)?;
            let resource = resources.iter().find(|resource| resource.uri == *uri);
            if !resource.is_some_and(|resource| resource.gives(&granted, &scopes)) {
                return Err(refuse("invalid_scope", "The client may not have these scopes"));
            }
            scopes
        }
    };
    let access_token = match issue::plan(app, uri, Some(client), possession).await {
        Err(Failure::Server(Error::Ended)) => return Err(client_auth::invalid_client(false)),
        planned => planned?,
    };
    tracing::info!(client = client.id, resource = uri, "granted to the client itself: {scopes}");
    // No refresh token: the client can ask again (RFC 6749 §4.4.3).
    let response = issue::response(
        app,
        Granted {
            subject: &client.id,
            client_id: &client.id,
            resource: uri,
            scopes: &scopes,
            auth_time: None,
            nonce: None,
            actor: None,
        },
        &access_token,
    )
    .await?;
    Ok(reply::json(StatusCode::OK, &response))
}
