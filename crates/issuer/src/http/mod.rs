//! The endpoints.

mod access_token;
mod assertion;
mod authorize;
mod client_auth;
mod client_keys;
mod clients;
mod cookies;
mod device;
mod documents;
mod interaction;
mod introspect;
mod issue;
mod limit;
mod manage;
mod pages;
mod par;
mod params;
mod post;
mod register;
mod reply;
mod request;
mod revoke;
mod status_lists;
mod throttle;
mod token;
mod userinfo;
mod verification;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode, Uri},
    response::Response,
    routing::{any, get},
};

use tokio::sync::Semaphore;

use crate::{
    Config, Error, background, issuer::Issuer, keys::Keys, outbound::Fetcher, status::StatusLists,
    store::Store,
};

/// Longest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// What every endpoint shares.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) issuer: Issuer,
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    /// The name of this process in leases.
    pub(crate) node: String,
    status: StatusLists,
    fetcher: Fetcher,
    /// Turns for fetching.
    fetches: Semaphore,
    own_keys: access_token::OwnKeys,
    client_keys: client_keys::ClientKeys,
    /// Those of identity providers, apart: no flood of clients takes their place.
    provider_keys: client_keys::ClientKeys,
    pages: pages::Pages,
    throttle: throttle::Throttle,
    /// Authorizations that begin, by address.
    beginnings: limit::Limit,
    /// Registrations, by address.
    registrations: limit::Limit,
    /// Codes of devices that somebody typed, by address.
    user_codes: limit::Limit,
}

type Shared = State<Arc<App>>;

impl App {
    pub(crate) fn new(
        config: Config,
        issuer: Issuer,
        store: Store,
        keys: Keys,
    ) -> Result<Self, Error> {
        Ok(Self {
            fetcher: Fetcher::new(&config.outbound)?,
            fetches: Semaphore::new(clients::FETCHES),
            status: StatusLists::default(),
            own_keys: access_token::OwnKeys::default(),
            client_keys: client_keys::ClientKeys::default(),
            provider_keys: client_keys::ClientKeys::default(),
            config,
            issuer,
            store,
            keys,
            node: background::node_name()?,
            pages: pages::Pages::new()?,
            throttle: throttle::Throttle::default(),
            beginnings: limit::Limit::new(120, 240),
            registrations: limit::Limit::new(60, 100),
            user_codes: limit::Limit::new(10, 10),
        })
    }
}

/// All routes, under the issuer's path where it has one.
pub(crate) fn router(app: Arc<App>) -> Router {
    let path = app.issuer.path().to_owned();
    let mut router = Router::new()
        .route(&format!("{path}/authorize"), any(authorize::endpoint))
        .route(&format!("{path}/token"), any(token::endpoint))
        .route(&format!("{path}/par"), any(par::endpoint))
        .route(&format!("{path}/device_authorization"), any(device::endpoint))
        .route(&format!("{path}/device"), any(verification::endpoint))
        .route(&format!("{path}/revoke"), any(revoke::endpoint))
        .route(&format!("{path}/introspect"), any(introspect::endpoint))
        .route(&format!("{path}/userinfo"), any(userinfo::endpoint))
        .route(&format!("{path}/status-lists"), any(status_lists::all))
        .route(&format!("{path}/status-lists/{{list}}"), any(status_lists::one))
        .route(&format!("{path}/register"), any(register::endpoint))
        .route(&format!("{path}/register/{{client}}"), any(manage::endpoint))
        .route(&format!("{path}/jwks"), any(documents::jwks))
        .route(&format!("{path}/healthz"), get(healthz))
        .route(&format!("{path}/readyz"), get(readyz))
        .route(&format!("{path}/"), get(front));
    // RFC 8414 §3.1 inserts the well-known part before the issuer's path, OpenID appends it; some
    // clients do the one for the other. And some write a slash after the issuer.
    let mut known = Vec::new();
    for name in ["oauth-authorization-server", "openid-configuration"] {
        known.push(format!("/.well-known/{name}{path}"));
        known.push(format!("/.well-known/{name}{path}/"));
        if !path.is_empty() {
            known.push(format!("{path}/.well-known/{name}"));
        }
    }
    for known in known {
        router = router.route(&known, any(documents::metadata));
    }
    router.fallback(not_found).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(app)
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(app): Shared) -> Response {
    match app.store.ping().await {
        Ok(()) => reply::text(StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(reason = error.reason(), "not ready: {error}");
            reply::text(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}

async fn front(State(app): Shared) -> Response {
    app.pages.message(
        StatusCode::OK,
        "This is an authorization server",
        "Applications send you here to log in and to ask for your permission. There is nothing to \
         do on this page.",
    )
}

async fn not_found(State(app): Shared, method: Method, uri: Uri) -> Response {
    // Whoever probes for a document must not take a page for one, and a script of another origin
    // must be able to read that there is none.
    if uri.path().contains("/.well-known/") {
        if method == Method::OPTIONS {
            return reply::preflight("GET, HEAD, OPTIONS");
        }
        let body = serde_json::json!({ "error": "not_found" });
        return reply::cors(reply::json(StatusCode::NOT_FOUND, &body));
    }
    app.pages.message(
        StatusCode::NOT_FOUND,
        "There is nothing here",
        "The address is wrong, or the link that brought you here is.",
    )
}
