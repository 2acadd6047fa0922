//! A running server with a database of its own, on the engine that `COUNTERSIGN_TEST_DATABASE` names;
//! with a Redis too, if `COUNTERSIGN_TEST_REDIS` is set.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_issuer::{
    ClientKind, ClientResource, Config, Database, Error, Grant, Identity, IdentityProvider,
    NewClient, NewResource, NewScope, NewUser, Resource, Server, Store,
};
use countersign_testkit::{keys::TestKey, postgres, redis, token::Token};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::http::{self, Answer, FORM, encode};

pub(crate) const ACCOUNT: &str = "ada";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const FILES: &str = "https://mcp.example.com/files";
pub(crate) const MAIL: &str = "https://mail.example.com";
pub(crate) const CALLBACK: &str = "https://app.example.com/callback";

/// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct Issuer {
    /// Where it is reached; its identifier too, unless configured otherwise.
    pub(crate) url: String,
    pub(crate) store: Store,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), Error>>>,
    folder: Folder,
}

/// Files and, if it is not one of them, the database; deleted at the end.
pub(crate) struct Folder {
    path: PathBuf,
    postgres: Option<postgres::Database>,
    redis: Option<String>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("countersign-test-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        let postgres = match env::var("COUNTERSIGN_TEST_DATABASE").as_deref() {
            Ok("postgres") => Some(postgres::Database::new()),
            Ok("sqlite") | Err(_) => None,
            Ok(other) => panic!("COUNTERSIGN_TEST_DATABASE={other}"),
        };
        let redis = env::var_os("COUNTERSIGN_TEST_REDIS").map(|_| redis::old_database());
        Self { path, postgres, redis }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> Database {
        match &self.postgres {
            Some(database) => Database::Postgres(database.url()),
            None => Database::Sqlite(self.path.join("countersign.db")),
        }
    }

    /// Whether what lives for minutes is in Redis, which has just been started.
    pub(crate) fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            database: self.database(),
            key_file: Some(self.path.join("countersign.key")),
            redis: self.redis.as_ref().map(|url| url.parse().unwrap()),
            ..Config::default()
        }
    }

    /// All bytes that are stored, without the sealing key.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let mut stored = Vec::new();
        for entry in fs::read_dir(&self.path).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name != "countersign.key") {
                stored.extend(fs::read(path).unwrap());
            }
        }
        stored.extend(self.postgres.iter().flat_map(postgres::Database::dump));
        stored
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Issuer {
    /// With one user and two resources, the first of which is meant when a client names none.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// The same with other settings.
    pub(crate) fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let issuer = Self::empty(adjust);
        issuer.add_user(ACCOUNT, PASSWORD);
        let scopes = [
            ("files:read", "Read your files", ""),
            ("files:write", "Change your files", "files:read"),
        ];
        issuer.add_resource(FILES, &scopes, true);
        issuer.add_resource(MAIL, &[("mail:send", "Send mail", "")], false);
        issuer
    }

    /// Without anything in it.
    pub(crate) fn empty(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = Folder::new();
        let mut config = folder.config();
        adjust(&mut config);
        Self::run(folder, config).unwrap()
    }

    pub(crate) fn run(folder: Folder, config: Config) -> Result<Self, Error> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let server = runtime.block_on(Server::bind(config))?;
        let address = server.local_addr().unwrap();
        let url = match server.issuer() {
            here if here.starts_with("http://") => here.to_owned(),
            _ => format!("http://{address}"),
        };
        let store = server.store().clone();
        let (stop, stopped) = oneshot::channel();
        let running = runtime.spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Ok(Self {
            url,
            store,
            runtime: Some(runtime),
            stop: Some(stop),
            running: Some(running),
            folder,
        })
    }

    /// Ends it, and starts it again on the same database.
    pub(crate) fn restart(mut self) -> Self {
        let folder = self.end();
        let mut config = folder.config();
        // Clients know it under this address.
        config.listen = self.url.strip_prefix("http://").unwrap().parse().unwrap();
        Self::run(folder, config).unwrap()
    }

    /// Ends it, and leaves its files.
    pub(crate) fn end(&mut self) -> Folder {
        let _ = self.stop.take().unwrap().send(());
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(self.running.take().unwrap()).unwrap().unwrap();
        std::mem::replace(&mut self.folder, Folder::new())
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    pub(crate) fn add_user(&self, name: &str, password: &str) {
        let new = NewUser { name, email: None, password };
        self.block_on(self.store.create_user(new)).unwrap();
    }

    pub(crate) fn add_resource(&self, uri: &str, scopes: &[(&str, &str, &str)], is_default: bool) {
        self.try_add_resource(uri, scopes, is_default, &[]).unwrap();
    }

    pub(crate) fn try_add_resource(
        &self,
        uri: &str,
        scopes: &[(&str, &str, &str)],
        is_default: bool,
        aliases: &[&str],
    ) -> Result<(), Error> {
        let scopes = scopes.iter().map(|(name, description, implies)| NewScope {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            implies: implies.split_whitespace().map(str::to_owned).collect(),
        });
        let new = NewResource {
            uri: uri.to_owned(),
            name: format!("Server at {uri}"),
            scopes: scopes.collect(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            is_default,
            ..NewResource::default()
        };
        self.create_resource(new)
    }

    pub(crate) fn create_resource(&self, new: NewResource) -> Result<(), Error> {
        self.block_on(self.store.create_resource(new)).map(|_| ())
    }

    pub(crate) fn remove_scope(&self, uri: &str, name: &str) {
        let change = |resource: &mut NewResource| {
            resource.scopes.retain(|scope| scope.name != name);
            Ok(())
        };
        self.block_on(self.store.change_resource(uri, change)).unwrap();
    }

    pub(crate) fn resource(&self, uri: &str) -> Resource {
        let resources = self.block_on(self.store.resources()).unwrap();
        resources.into_iter().find(|resource| resource.uri == uri).unwrap()
    }

    /// A client that the administrator vouches for.
    pub(crate) fn add_client(&self, method: &str, redirect_uris: &[&str]) -> Client {
        self.try_add(NewClient {
            redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
            grant_types: ["authorization_code", "refresh_token"].map(str::to_owned).to_vec(),
            ..new_client(method)
        })
        .unwrap()
    }

    /// A client that gets tokens for itself: for these resources, with these scopes.
    pub(crate) fn add_service(&self, method: &str, resources: &[(&str, &str)]) -> Client {
        let resources = resources.iter().map(|(resource, scopes)| ClientResource {
            resource: (*resource).to_owned(),
            scopes: (*scopes).to_owned(),
            ..ClientResource::default()
        });
        self.try_add(NewClient {
            grant_types: vec!["client_credentials".to_owned()],
            resources: resources.collect(),
            ..new_client(method)
        })
        .unwrap()
    }

    /// The server of a resource, which may introspect tokens for it.
    pub(crate) fn add_resource_server(&self, resource: &str) -> Client {
        self.try_add(NewClient {
            resources: vec![ClientResource {
                resource: resource.to_owned(),
                introspects: true,
                ..ClientResource::default()
            }],
            ..new_client("client_secret_basic")
        })
        .unwrap()
    }

    pub(crate) fn trust(&self, provider: &IdentityProvider) -> Result<(), Error> {
        self.block_on(self.store.add_identity_provider(provider))
    }

    pub(crate) fn distrust(&self, issuer: &str) {
        self.block_on(self.store.delete_identity_provider(issuer)).unwrap();
    }

    pub(crate) fn link(&self, user: &str, issuer: &str, subject: &str) {
        let identity = Identity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            user: user.to_owned(),
        };
        self.block_on(self.store.link_user(&identity)).unwrap();
    }

    pub(crate) fn unlink(&self, issuer: &str, subject: &str) {
        self.block_on(self.store.unlink_user(issuer, subject)).unwrap();
    }

    pub(crate) fn set_user_claims(&self, name: &str, claims: &str) -> Result<(), Error> {
        self.block_on(self.store.set_user_claims(name, claims))
    }

    pub(crate) fn disable_user(&self, name: &str) {
        self.block_on(self.store.disable_user(name)).unwrap();
    }

    pub(crate) fn enable_user(&self, name: &str) {
        self.block_on(self.store.enable_user(name)).unwrap();
    }

    pub(crate) fn disable_client(&self, client: &Client) {
        self.block_on(self.store.disable_client(&client.id)).unwrap();
    }

    pub(crate) fn enable_client(&self, client: &Client) {
        self.block_on(self.store.enable_client(&client.id)).unwrap();
    }

    pub(crate) fn delete_client(&self, client: &Client) {
        self.block_on(self.store.delete_client(&client.id)).unwrap();
    }

    /// What ends a restore, here of the database as it is.
    pub(crate) fn after_restore(&self) {
        self.block_on(self.store.after_restore(true)).unwrap();
    }

    pub(crate) fn grants(&self) -> Vec<Grant> {
        self.block_on(self.store.grants(None, None)).unwrap()
    }

    pub(crate) fn revoke_grant(&self, id: &str) -> bool {
        self.block_on(self.store.revoke_grant(id, "revoked_by_administrator")).unwrap()
    }

    pub(crate) fn try_add(&self, new: NewClient) -> Result<Client, Error> {
        let method = new.auth_method.clone();
        let added = self.block_on(self.store.create_client(new))?;
        Ok(Client { id: added.client.id, secret: added.secret, method })
    }

    /// A public client with the usual callback.
    pub(crate) fn client(&self) -> Client {
        self.add_client("none", &[CALLBACK])
    }

    /// What a client sends to `/register`.
    pub(crate) fn register(&self, metadata: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        http::send("POST", &self.at("/register"), &headers, Some(&metadata.to_string()))
    }

    /// A client that registered itself.
    pub(crate) fn registered(&self, redirect_uri: &str) -> Client {
        let answer = self.register(&json!({
            "client_name": "Stranger",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
        }));
        let id = answer.json()["client_id"].as_str().unwrap().to_owned();
        Client { id, secret: None, method: "none".to_owned() }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// An authorization URL with the usual parameters; those given replace them, an empty value
    /// removes one.
    pub(crate) fn authorize_url(&self, client: &Client, changed: &[(&str, &str)]) -> String {
        let usual = [
            ("response_type", "code"),
            ("client_id", client.id.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "a state/with ünusual&chars"),
            ("scope", "files:read"),
            ("resource", FILES),
        ];
        self.at(&format!("/authorize?{}", encode(&replaced(&usual, changed))))
    }

    /// A token request of this client, authenticated as it is registered.
    pub(crate) fn token(&self, client: &Client, parameters: &[(&str, &str)]) -> Answer {
        self.post("/token", client, parameters)
    }

    /// A request of this client to an endpoint, authenticated as it is registered.
    pub(crate) fn post(&self, path: &str, client: &Client, parameters: &[(&str, &str)]) -> Answer {
        self.post_with(path, client, &[], parameters)
    }

    pub(crate) fn post_with(
        &self,
        path: &str,
        client: &Client,
        headers: &[(&str, &str)],
        parameters: &[(&str, &str)],
    ) -> Answer {
        let mut all = parameters.to_vec();
        let mut headers = [&[FORM], headers].concat();
        let secret = client.secret.as_deref().unwrap_or("");
        let basic = client.basic();
        let assertion = assertion(&self.url, &client.id).sign();
        match client.method.as_str() {
            "client_secret_basic" => headers.push(("authorization", &basic)),
            "client_secret_post" => {
                all.extend([("client_id", &*client.id), ("client_secret", secret)]);
            }
            "private_key_jwt" => all.extend(asserting(&assertion)),
            _ => all.push(("client_id", &client.id)),
        }
        http::send("POST", &self.at(path), &headers, Some(&encode(&all)))
    }

    /// Redeems a code with what belongs to it; those given replace it.
    pub(crate) fn redeem(&self, client: &Client, code: &str, changed: &[(&str, &str)]) -> Answer {
        let usual =
            [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        let is_changed = |name: &str| changed.iter().any(|(other, _)| *other == name);
        let kept = usual.iter().filter(|(name, _)| !is_changed(name));
        let parameters: Vec<(&str, &str)> =
            kept.chain(changed.iter().filter(|(_, value)| !value.is_empty())).copied().collect();
        self.token(client, &parameters)
    }

    pub(crate) fn refresh(&self, client: &Client, token: &str, more: &[(&str, &str)]) -> Answer {
        let usual = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(client, &[&usual[..], more].concat())
    }

    /// A token with which clients may register.
    pub(crate) fn initial_token(&self, name: &str, uses: u32, lifetime: u32) -> String {
        self.block_on(self.store.create_initial_token(name, uses, lifetime)).unwrap()
    }

    /// Supplies the document of a client.
    pub(crate) fn pin(&self, url: &str, document: &str) -> Result<(), Error> {
        self.block_on(self.store.pin_client_document(url, document))
    }

    /// What the database says, behind the server's back.
    pub(crate) fn number(&self, query: &'static str) -> i64 {
        self.block_on(async {
            match self.folder.database() {
                Database::Postgres(url) => {
                    let mut connection = PgConnection::connect(&url).await.unwrap();
                    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
                }
                Database::Sqlite(path) => {
                    let url = format!("sqlite:{}", path.display());
                    let mut connection = SqliteConnection::connect(&url).await.unwrap();
                    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
                }
            }
        })
    }

    /// Changes the database behind the server's back: for the passing of time.
    pub(crate) fn sql(&self, statement: &'static str) {
        self.sql_text(statement);
    }

    pub(crate) fn sql_text(&self, statement: &str) {
        let is_kept = statement.contains("clients") || statement.contains("resources");
        let statement = || sqlx::AssertSqlSafe(statement.to_owned());
        self.block_on(async {
            match self.folder.database() {
                Database::Postgres(url) => {
                    let mut connection = PgConnection::connect(&url).await.unwrap();
                    sqlx::query(statement()).execute(&mut connection).await.unwrap();
                    connection.close().await.unwrap();
                    // What servers keep of clients and resources may be a second old there.
                    if is_kept {
                        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
                    }
                }
                Database::Sqlite(path) => {
                    let url = format!("sqlite:{}", path.display());
                    let mut connection = SqliteConnection::connect(&url).await.unwrap();
                    sqlx::query(statement()).execute(&mut connection).await.unwrap();
                    connection.close().await.unwrap();
                }
            }
        });
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    pub(crate) method: String,
}

impl Client {
    /// RFC 6749 §2.3.1.
    pub(crate) fn basic(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let secret = self.secret.as_deref().unwrap_or("");
        format!("Basic {}", STANDARD.encode(format!("{}:{secret}", self.id)))
    }
}

/// A client of this authentication method that may do nothing.
pub(crate) fn new_client(method: &str) -> NewClient {
    let keys = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    NewClient {
        kind: ClientKind::Static,
        name: "Test client".to_owned(),
        redirect_uris: Vec::new(),
        auth_method: method.to_owned(),
        grant_types: Vec::new(),
        jwks: (method == "private_key_jwt").then(|| keys.to_string()),
        resources: Vec::new(),
        default_resource: None,
        dpop_bound: false,
        signed_requests: false,
    }
}

/// A good assertion of a client with the usual key, each with another `jti` (RFC 7523 §3).
pub(crate) fn assertion(issuer: &str, client_id: &str) -> Token {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = now();
    Token::new(client_id, issuer)
        .header("typ", "client-authentication+jwt")
        .claim("sub", client_id)
        .claim("client_id", Value::Null)
        .claim("scope", Value::Null)
        .claim("jti", format!("jti-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
        .claim("iat", now)
        .claim("exp", now + 60)
}

/// What goes with an assertion.
pub(crate) fn asserting(assertion: &str) -> [(&str, &str); 2] {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    [("client_assertion_type", kind), ("client_assertion", assertion)]
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Parameters of which some are replaced; an empty value removes one.
pub(crate) fn replaced<'a>(
    usual: &[(&'a str, &'a str)],
    changed: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let is_changed = |name: &str| changed.iter().any(|(other, _)| *other == name);
    let kept = usual.iter().filter(|(name, _)| !is_changed(name));
    kept.chain(changed.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}
