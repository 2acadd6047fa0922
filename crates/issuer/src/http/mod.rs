//! The endpoints.

mod approval;
mod assertion;
mod authorize;
mod body;
mod client_auth;
mod client_keys;
mod clients;
mod cookies;
mod device;
mod documents;
mod dpop;
mod fetches;
mod in_progress;
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
mod request_object;
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
    http::{Method, StatusCode, Uri, header},
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, any, get},
};

use countersign_core::jose::alg::Algorithm;

use crate::{
    Config, Error, background,
    issuer::Issuer,
    keys::Keys,
    outbound::Fetcher,
    redis::Redis,
    status::StatusLists,
    store::Store,
    tokens::{Judge, OwnKeys},
};

pub(crate) use request::GENERAL_SCOPES;

/// Longest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Seconds by which the clocks of those who sign something for this server may differ from its own: FAPI
/// 2.0 asks for ten at least (§5.3.2.1).
pub(crate) const LEEWAY: i64 = 30;

/// What every endpoint shares.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) issuer: Issuer,
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    /// What nodes share besides the store, where it is configured.
    pub(crate) redis: Option<Redis>,
    /// The name of this process in leases.
    pub(crate) node: String,
    pub(crate) status: StatusLists,
    fetcher: Fetcher,
    /// Turns for documents of clients, which strangers name.
    fetches: fetches::Fetches,
    own_keys: OwnKeys,
    /// Where proofs must carry one.
    dpop_nonces: Option<dpop::Nonces>,
    /// Keys of clients that registered themselves or came with a document.
    client_keys: client_keys::ClientKeys,
    /// Those of identity providers, and of clients that the administrator added.
    trusted_keys: client_keys::ClientKeys,
    pages: pages::Pages,
    throttle: throttle::Throttle,
    /// Authorizations that begin, by address.
    beginnings: limit::Limit,
    /// Logins that failed, by address.
    logins: limit::Limit,
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
        let redis = config.redis.as_ref().map(|url| Redis::new(url, issuer.as_str()));
        let redis = redis.transpose()?;
        Ok(Self {
            throttle: throttle::Throttle::new(redis.clone()),
            beginnings: limit::Limit::new("begin", 120, 240, redis.clone()),
            logins: limit::Limit::new("login", 30, 60, redis.clone()).strict(),
            registrations: limit::Limit::new("register", 60, 100, redis.clone()),
            user_codes: limit::Limit::new("user_code", 10, 10, redis.clone()).strict(),
            redis,
            fetcher: Fetcher::new(&config.outbound)?,
            fetches: fetches::Fetches::default(),
            status: StatusLists::default(),
            own_keys: OwnKeys::default(),
            dpop_nonces: config.dpop_nonces.then(|| dpop::Nonces::new(keys.ring())),
            client_keys: client_keys::ClientKeys::default(),
            trusted_keys: client_keys::ClientKeys::default(),
            config,
            issuer,
            store,
            keys,
            node: background::node_name()?,
            pages: pages::Pages::new()?,
        })
    }

    /// What judges tokens of our own, by the key set and the revocations of this moment.
    pub(crate) fn judge(&self) -> Judge<'_> {
        Judge {
            issuer: self.issuer.as_str(),
            published: self.keys.published(),
            keys: &self.own_keys,
            status: &self.status,
            store: &self.store,
            ring: self.keys.ring(),
        }
    }
}

/// The endpoints, below the issuer's path. Each of them is described in `openapi.json`.
fn endpoints() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/authorize", any(authorize::endpoint)),
        ("/token", any(token::endpoint)),
        ("/par", any(par::endpoint)),
        ("/device_authorization", any(device::endpoint)),
        ("/device", any(verification::endpoint)),
        ("/revoke", any(revoke::endpoint)),
        ("/introspect", any(introspect::endpoint)),
        ("/userinfo", any(userinfo::endpoint)),
        ("/status-lists", any(status_lists::all)),
        ("/status-lists/{list}", any(status_lists::one)),
        ("/register", any(register::endpoint)),
        ("/register/{client}", any(manage::endpoint)),
        ("/jwks", any(documents::jwks)),
        ("/healthz", get(healthz)),
        ("/readyz", get(readyz)),
        ("/", get(front)),
    ]
}

/// Where clients look for the metadata of an issuer with this path.
///
/// RFC 8414 §3.1 inserts the well-known part before the issuer's path, OpenID appends it; some clients
/// do the one for the other. And some write a slash after the issuer.
fn metadata_paths(path: &str) -> Vec<String> {
    let mut known = Vec::new();
    for name in ["oauth-authorization-server", "openid-configuration"] {
        known.push(format!("/.well-known/{name}{path}"));
        known.push(format!("/.well-known/{name}{path}/"));
        if !path.is_empty() {
            known.push(format!("{path}/.well-known/{name}"));
        }
    }
    known
}

/// All routes, under the issuer's path where it has one.
pub(crate) fn router(app: Arc<App>) -> Router {
    let path = app.issuer.path().to_owned();
    let mut router = Router::new();
    for (below, endpoint) in endpoints() {
        router = router.route(&format!("{path}{below}"), endpoint);
    }
    for known in metadata_paths(&path) {
        router = router.route(&known, any(documents::metadata));
    }
    let is_https = app.issuer.is_https();
    let router = router.fallback(not_found).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(app);
    match is_https {
        true => router.layer(map_response(pin_https)),
        false => router,
    }
}

/// The algorithms by which clients may sign: assertions, proofs (RFC 9449 §5.1, §7.1), requests.
fn signature_algorithms() -> [&'static str; 9] {
    Algorithm::ASYMMETRIC.map(Algorithm::name)
}

/// Browsers that were here once do not come by http again (RFC 6797): nobody on the way can show them
/// another login page.
async fn pin_https(mut response: Response) -> Response {
    let headers = response.headers_mut();
    reply::set(headers, header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    response
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is served and what `openapi.json` describes is the same.
    #[test]
    fn every_route_is_described() {
        let document: serde_json::Value = serde_json::from_str(crate::OPENAPI).unwrap();
        let described: BTreeSet<String> =
            document["paths"].as_object().unwrap().keys().cloned().collect();
        let paths = endpoints().into_iter().map(|(path, _)| path.to_owned());
        // The slash at the end is for those who got the address wrong.
        let metadata = metadata_paths("").into_iter().filter(|path| !path.ends_with('/'));
        assert_eq!(described, paths.chain(metadata).collect());
    }
}
