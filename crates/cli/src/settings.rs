//! Where the issuer's settings come from: options, then the environment, then `countersign.toml`,
//! then what suits a developer's machine.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use countersign_issuer::{
    ClientDocuments, Config, Database, Network, Outbound, Registration, Store,
};
use serde::Deserialize;

use crate::{Global, output::Problem};

/// Options of the server; each stands under the same name, with underscores, in `countersign.toml`.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Where to listen [default: 127.0.0.1:8090]
    #[arg(long, env = "COUNTERSIGN_LISTEN", hide_env_values = true, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The public URL, without a trailing slash; it stands in every token and must never change
    /// [default: http:// and the address of --listen, for development]
    #[arg(long, env = "COUNTERSIGN_ISSUER", hide_env_values = true, value_name = "URL")]
    issuer: Option<String>,
    /// The file with the key that seals the signing keys. COUNTERSIGN_KEY in the environment, 32
    /// random bytes as base64url, takes its place [default: countersign.key beside the database]
    #[arg(long, env = "COUNTERSIGN_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// After how long another signing key takes over; at least 604800 (a week), or 0 for never
    /// [default: 7776000, 90 days]
    #[arg(long, env = "COUNTERSIGN_KEY_ROTATION", hide_env_values = true, value_name = "SECONDS")]
    key_rotation: Option<u64>,
    /// How long an access token is valid; 10 to 86400 [default: 900]
    #[arg(
        long,
        env = "COUNTERSIGN_ACCESS_TOKEN_LIFETIME",
        hide_env_values = true,
        value_name = "SECONDS"
    )]
    access_token_lifetime: Option<u64>,
    /// How long guards may use a published status list, so how long they go on while this server is
    /// down, and how long a revocation can be hidden from one that is cut off; 60 to 3600 [default: 60]
    #[arg(
        long,
        env = "COUNTERSIGN_STATUS_LIST_LIFETIME",
        hide_env_values = true,
        value_name = "SECONDS"
    )]
    status_list_lifetime: Option<u64>,
    /// Whether MCP clients may register by themselves; what is not open closes --client-documents too,
    /// unless that is given [default: open]
    #[arg(long, env = "COUNTERSIGN_REGISTRATION", hide_env_values = true)]
    registration: Option<RegistrationMode>,
    /// Which clients may come with the URL of a document about them as their client_id: open, off,
    /// or domains separated by commas, each with the names below it [default: open; off where
    /// --registration is off or token]
    #[arg(
        long,
        env = "COUNTERSIGN_CLIENT_DOCUMENTS",
        hide_env_values = true,
        value_name = "WHICH"
    )]
    client_documents: Option<String>,
    /// Private networks, separated by commas, where documents and keys of clients may be fetched all
    /// the same, like 10.1.0.0/16 [default: none; only the public internet]
    #[arg(
        long,
        env = "COUNTERSIGN_OUTBOUND_NETWORKS",
        hide_env_values = true,
        value_name = "NETWORKS"
    )]
    outbound_networks: Option<String>,
    /// A PEM file with certificate authorities to trust for that, besides the system's
    #[arg(
        long,
        env = "COUNTERSIGN_OUTBOUND_CERTIFICATES",
        hide_env_values = true,
        value_name = "FILE"
    )]
    outbound_certificates: Option<PathBuf>,
    /// How many proxies in front append the address that they saw to X-Forwarded-For; without one the
    /// header is not looked at [default: 0]
    #[arg(
        long,
        env = "COUNTERSIGN_TRUSTED_PROXIES",
        hide_env_values = true,
        value_name = "NUMBER"
    )]
    trusted_proxies: Option<u8>,
    /// Names, separated by commas, of the claims about users that their access tokens carry: see
    /// `user claims` [default: none]
    #[arg(long, env = "COUNTERSIGN_TOKEN_CLAIMS", hide_env_values = true, value_name = "NAMES")]
    token_claims: Option<String>,
    /// A Redis in which nodes count together and keep what lives for minutes: redis://, rediss:// or
    /// unix:// [default: none; each node counts for itself, the rest is in the database]
    #[arg(long, env = "COUNTERSIGN_REDIS", hide_env_values = true, value_name = "URL")]
    redis: Option<String>,
    /// Whether DPoP proofs must carry a nonce of this server (RFC 9449) [default: false]
    #[arg(
        long,
        env = "COUNTERSIGN_DPOP_NONCES",
        hide_env_values = true,
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    dpop_nonces: Option<bool>,
    /// Only in the file: on the command line it is an option of all commands.
    #[arg(skip)]
    database: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RegistrationMode {
    /// Every client may; users see that its name is not verified
    Open,
    /// Those that the administrator gave a token: see `client initial-token`
    Token,
    /// Only the administrator adds clients
    Off,
}

/// Which issuer it is, for commands that are not the server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IssuerOptions {
    /// The issuer's public URL
    #[arg(long, env = "COUNTERSIGN_ISSUER", hide_env_values = true, value_name = "URL")]
    issuer: Option<String>,
    /// Where `serve` listens, if it has no other URL [default: 127.0.0.1:8090]
    #[arg(long, env = "COUNTERSIGN_LISTEN", hide_env_values = true, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// What tells the issuer's own tokens from others.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TokenOptions {
    #[command(flatten)]
    issuer: IssuerOptions,
    /// The file with the key that seals the signing keys; or COUNTERSIGN_KEY in the environment. Needed
    /// only for tokens of clients that act for themselves, once one of them was shut out
    /// [default: countersign.key beside the database]
    #[arg(long, env = "COUNTERSIGN_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl IssuerOptions {
    /// The issuer that `serve` would be.
    pub(crate) fn url(self, global: &Global) -> Result<String, Problem> {
        let Self { issuer, listen } = self;
        let config = Options { issuer, listen, ..Options::default() }.resolve(global)?;
        config.check()?;
        Ok(config.issuer_url()?)
    }
}

impl TokenOptions {
    /// The server's configuration, as far as its tokens are concerned.
    pub(crate) fn resolve(self, global: &Global) -> Result<Config, Problem> {
        let Self { issuer: IssuerOptions { issuer, listen }, key_file } = self;
        Options { issuer, listen, key_file, ..Options::default() }.resolve(global)
    }
}

/// What opens the signing keys, for commands that are not the server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KeyOptions {
    /// The file with the key that seals the signing keys; or COUNTERSIGN_KEY in the environment
    /// [default: countersign.key beside the database]
    #[arg(
        long,
        env = "COUNTERSIGN_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    key_file: Option<PathBuf>,
    /// How long a new key shall sign, as for `serve` [default: 7776000, 90 days]
    #[arg(
        long,
        env = "COUNTERSIGN_KEY_ROTATION",
        hide_env_values = true,
        value_name = "SECONDS",
        global = true
    )]
    key_rotation: Option<u64>,
}

impl KeyOptions {
    /// The server's configuration, as far as keys are concerned.
    pub(crate) fn resolve(self, global: &Global) -> Result<Config, Problem> {
        let Self { key_file, key_rotation } = self;
        Options { key_file, key_rotation, ..Options::default() }.resolve(global)
    }
}

impl Options {
    /// The server's configuration, not yet checked.
    pub(crate) fn resolve(self, global: &Global) -> Result<Config, Problem> {
        let file = Self::read(global)?;
        let default = Config::default();
        let registration = match self.registration.or(file.registration) {
            None => default.registration,
            Some(RegistrationMode::Off) => Registration::Off,
            Some(RegistrationMode::Open) => Registration::Open,
            Some(RegistrationMode::Token) => Registration::Token,
        };
        Ok(Config {
            listen: self.listen.or(file.listen).unwrap_or(default.listen),
            issuer: self.issuer.or(file.issuer),
            database: match (&global.database, file.database) {
                (Some(database), _) => database.clone(),
                (None, Some(text)) => parsed(&text).below(&folder(global)),
                (None, None) => default.database,
            },
            key_file: self.key_file.or(file.key_file),
            key_rotation: self.key_rotation.or(file.key_rotation).unwrap_or(default.key_rotation),
            access_token_lifetime: self
                .access_token_lifetime
                .or(file.access_token_lifetime)
                .unwrap_or(default.access_token_lifetime),
            status_list_lifetime: self
                .status_list_lifetime
                .or(file.status_list_lifetime)
                .unwrap_or(default.status_list_lifetime),
            registration,
            client_documents: match self.client_documents.or(file.client_documents) {
                Some(text) => client_documents(&text)?,
                None if registration == Registration::Open => default.client_documents,
                // Who closes the door means all of it.
                None => ClientDocuments::Off,
            },
            trusted_proxies: self
                .trusted_proxies
                .or(file.trusted_proxies)
                .map_or(default.trusted_proxies, usize::from),
            dpop_nonces: self.dpop_nonces.or(file.dpop_nonces).unwrap_or(default.dpop_nonces),
            token_claims: self
                .token_claims
                .or(file.token_claims)
                .unwrap_or_default()
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
            redis: self.redis.or(file.redis).map(|url| url.parse()).transpose()?,
            outbound: Outbound {
                allowed_networks: networks(self.outbound_networks.or(file.outbound_networks))?,
                certificates: self.outbound_certificates.or(file.outbound_certificates),
            },
        })
    }

    /// The file, where one is given. Paths in it start at its folder.
    fn read(global: &Global) -> Result<Self, Problem> {
        let Some(path) = &global.config else {
            return Ok(Self::default());
        };
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Problem::new("io_failed", format!("{shown}: {error}")))?;
        let mut file: Self = toml::from_str(&text)
            .map_err(|error| Problem::new("config_invalid", format!("{shown}: {error}")))?;
        for path in [&mut file.key_file, &mut file.outbound_certificates].into_iter().flatten() {
            *path = folder(global).join(&*path);
        }
        Ok(file)
    }
}

/// The folder of the configuration file: where paths in it start.
fn folder(global: &Global) -> PathBuf {
    let file = global.config.as_deref();
    file.and_then(Path::parent).unwrap_or_else(|| Path::new("")).to_owned()
}

fn parsed(text: &str) -> Database {
    match text.parse() {
        Ok(database) => database,
        Err(impossible) => match impossible {},
    }
}

fn client_documents(text: &str) -> Result<ClientDocuments, Problem> {
    match text {
        "open" => return Ok(ClientDocuments::Open),
        "off" => return Ok(ClientDocuments::Off),
        _ => {}
    }
    let domains: Vec<String> = text.split(',').map(|domain| domain.trim().to_owned()).collect();
    let is_domain = |domain: &String| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        domain.contains('.') && !domain.starts_with('.') && domain.bytes().all(allowed)
    };
    match domains.iter().find(|domain| !is_domain(domain)) {
        None => Ok(ClientDocuments::Domains(domains)),
        Some(domain) => Err(Problem::new(
            "config_invalid",
            format!(
                "client-documents: {domain:?} is not a domain. Say open, off, or domains in lower \
                 case like claude.ai,example.com"
            ),
        )),
    }
}

fn networks(text: Option<String>) -> Result<Vec<Network>, Problem> {
    let text = text.unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse().map_err(|error| {
                Problem::new("config_invalid", format!("outbound-networks: {part}: {error}"))
            })
        })
        .collect()
}

/// The database of this configuration.
pub(crate) fn database(global: &Global) -> Result<Database, Problem> {
    Ok(Options::default().resolve(global)?.database)
}

/// Opens the database to add something; it is made when there is none.
pub(crate) async fn open_database(global: &Global) -> Result<Store, Problem> {
    Ok(Store::open(&database(global)?).await?)
}

/// Opens the database to look something up.
pub(crate) async fn open_existing_database(global: &Global) -> Result<Store, Problem> {
    let database = database(global)?;
    if database.file().is_some_and(|path| !path.exists()) {
        return Err(Problem::new(
            "database_missing",
            format!("there is no database {database}: name it with --database"),
        ));
    }
    Ok(Store::open(&database).await?)
}
