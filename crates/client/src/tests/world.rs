//! An MCP server and its authorization server, in order unless a test says otherwise.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::Url;

use super::stub::{Page, Seen, Stub};
use crate::{
    Http, Secret,
    client_auth::AuthMethod,
    login::Ask,
    random,
    registration::{Origin, Registration},
    store::{Login, Store},
    token::{Tokens, now},
};

/// Both servers at one origin, whose issuer is that origin, and a store.
pub(crate) struct World {
    pub(crate) stub: Stub,
    pub(crate) store: Store,
    pub(crate) http: Http,
    _folder: Folder,
}

impl World {
    /// What the closure does not answer is answered as it should be.
    pub(crate) fn start(answer: impl Fn(&Seen) -> Option<Page> + Send + Sync + 'static) -> Self {
        let stub = Stub::start(move |seen| answer(seen).unwrap_or_else(|| proper(seen)));
        let folder = Folder::new();
        let store = Store::new(folder.path().join("logins").join("credentials.json"));
        Self { stub, store, http: Http::new().unwrap(), _folder: folder }
    }

    pub(crate) fn url(&self) -> &str {
        &self.stub.url
    }

    /// Keeps a login to the MCP server, changed by the test.
    pub(crate) async fn keep(&self, change: impl FnOnce(&mut Login)) -> Login {
        let mut login = login(self.url(), &self.stub.origin());
        change(&mut login);
        self.store.lock().await.unwrap().keep(self.url(), login.clone()).unwrap();
        login
    }

    /// What is kept now.
    pub(crate) fn kept(&self) -> Option<Login> {
        self.store.login(self.url()).unwrap()
    }
}

/// A login as a user has it: of a client that registered itself, with a refresh token.
pub(crate) fn login(url: &str, issuer: &str) -> Login {
    Login {
        resource: url.to_owned(),
        issuer: issuer.to_owned(),
        client: Registration {
            client_id: "c".to_owned(),
            client_secret: None,
            client_key: None,
            auth_method: AuthMethod::None,
            redirect_uri: Some("http://127.0.0.1:1/callback".to_owned()),
            expires_at: None,
            origin: Origin::Registered,
        },
        asked_scope: "a b".to_owned(),
        is_client_credentials: false,
        tokens: Tokens {
            access_token: Secret::new("old"),
            is_dpop: false,
            expires_at: Some(now() + 3600),
            refresh_token: Some(Secret::new("old-r")),
            scope: "a".to_owned(),
        },
        dpop: None,
    }
}

/// The authorization server's metadata.
pub(crate) fn metadata(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "revocation_endpoint": format!("{origin}/revoke"),
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// A refusal of the MCP server, with a challenge.
pub(crate) fn challenge(status: u16, value: &str) -> Page {
    Page::status(status).header("www-authenticate", value)
}

fn proper(seen: &Seen) -> Page {
    let (origin, number) = (seen.origin(), seen.number);
    match seen.route().as_str() {
        "POST /mcp" if seen.header("authorization").is_empty() => challenge(401, "Bearer"),
        "POST /mcp" => match seen.method() {
            "server/discover" => seen.result(json!({
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": { "tools": {} },
            })),
            _ => seen.result(json!({ "tools": [] })),
        },
        "GET /.well-known/oauth-protected-resource/mcp" => Page::json(
            json!({ "resource": format!("{origin}/mcp"), "authorization_servers": [origin] })
                .to_string(),
        ),
        "GET /.well-known/oauth-authorization-server" => Page::json(metadata(&origin).to_string()),
        "POST /register" => Page::json(json!({ "client_id": format!("c-{number}") }).to_string()),
        "POST /token" => Page::json(
            json!({
                "access_token": format!("t-{number}"),
                "refresh_token": format!("r-{number}"),
                "token_type": "Bearer",
                "expires_in": 3600,
            })
            .to_string(),
        ),
        "POST /revoke" => Page::status(200),
        _ => Page::status(404),
    }
}

/// A user who agrees to everything, and pastes what the browser ends up at.
#[derive(Default)]
pub(crate) struct Agreeing {
    asked: Mutex<Vec<Url>>,
}

impl Agreeing {
    /// The parameters of one name in all that was asked.
    pub(crate) fn asked(&self, name: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|url| parameter(url, name)).collect()
    }

    pub(crate) fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Ask for Agreeing {
    fn ask(&self, url: &Url) -> Option<mpsc::Receiver<String>> {
        self.asked.lock().unwrap().push(url.clone());
        let (sender, receiver) = mpsc::channel(1);
        let back = format!("http://127.0.0.1/?code=c&state={}", parameter(url, "state"));
        sender.try_send(back).unwrap();
        Some(receiver)
    }
}

fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// A folder that ends with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("countersign-client-{}", random::text().unwrap());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
