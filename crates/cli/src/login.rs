//! `countersign login` and `countersign logout`: tokens for an MCP server, as its clients get them.

use std::path::PathBuf;

use countersign_client::{
    Error, Http, Secret, check_url,
    client_auth::ClientKey,
    identity::Identity,
    login::{self, By, Options},
    logout::{self, Revocation},
    registration::{GivenClient, Ways},
    store::Login,
};
use countersign_core::oauth::scope::ScopeSet;
use serde_json::{Value, json};

use crate::{
    Global,
    browser::Browser,
    credentials::Credentials,
    input::read_text,
    output::{Outcome, Problem, date, lines, print, warn},
};

/// Log in to an MCP server, as an MCP client does
///
/// Finds the server's authorization server, becomes a client there, opens your browser, and keeps the
/// tokens in a file that only you can read, for `countersign call`, `audit` and `token show`. They are
/// renewed when that is needed. Without a URL: lists your logins.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArguments {
    /// The URL of the MCP server
    #[arg(value_name = "MCP_URL", value_parser = url)]
    url: Option<String>,
    /// The scopes to ask for, with spaces between them [default: what the server asks for]
    #[arg(long, value_name = "SCOPES", value_parser = scopes)]
    scope: Option<ScopeSet>,
    /// Which of the server's authorization servers to use [default: the first]. Has to be said where that
    /// server is shown a secret: --client-secret-file, --assertion-file
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A client that is registered there already [default: one that registers itself]
    #[arg(long, value_name = "CLIENT_ID", conflicts_with_all = ["client_metadata_url", "new_client"])]
    client_id: Option<String>,
    /// The file with that client's secret; - is standard input
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// The file with that client's private key (PKCS #8, PEM), for private_key_jwt
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_id",
        conflicts_with = "client_secret_file"
    )]
    client_key_file: Option<PathBuf>,
    /// The URL of a client metadata document that you host, for servers that support those
    #[arg(long, value_name = "URL")]
    client_metadata_url: Option<String>,
    /// Register a new client even where one is registered
    #[arg(long)]
    new_client: bool,
    /// Ask in the client's own name, without a user (client credentials)
    #[arg(long, requires = "client_id")]
    client_credentials: bool,
    /// Ask with an assertion in this file (RFC 7523), without a user: a workload's own token, say
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_id",
        conflicts_with = "client_credentials"
    )]
    assertion_file: Option<PathBuf>,
    /// Ask with what your organisation's identity provider says of you (ID-JAG), without a browser: the
    /// provider's URL
    #[arg(long, value_name = "URL", requires_all = ["client_id", "idp_client_id", "id_token_file"],
          conflicts_with_all = ["client_credentials", "assertion_file"])]
    idp: Option<String>,
    /// The client at the identity provider that has the ID token
    #[arg(long, value_name = "CLIENT_ID", requires = "idp")]
    idp_client_id: Option<String>,
    /// The file with that client's secret, if it has one
    #[arg(long, value_name = "FILE", requires = "idp")]
    idp_client_secret_file: Option<PathBuf>,
    /// The file with the ID token
    #[arg(long, value_name = "FILE", requires = "idp")]
    id_token_file: Option<PathBuf>,
    /// Bind the tokens to a key of this login (DPoP), even where the server does not demand it
    #[arg(long)]
    dpop: bool,
    /// The port of 127.0.0.1 to which the browser is sent back, and no other [default: one that is free]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    #[command(flatten)]
    browser: Browser,
    #[command(flatten)]
    credentials: Credentials,
}

/// Forget a login, and have its tokens revoked
#[derive(Debug, clap::Args)]
pub(crate) struct LogoutArguments {
    /// The URL of the MCP server
    #[arg(value_name = "MCP_URL", required_unless_present = "all")]
    url: Option<String>,
    /// All of them
    #[arg(long, conflicts_with = "url")]
    all: bool,
    #[command(flatten)]
    credentials: Credentials,
}

/// A URL that may be called.
pub(crate) fn url(text: &str) -> Result<String, String> {
    match check_url(text) {
        Ok(_) => Ok(text.to_owned()),
        // The URL stands before it.
        Err(Error::Url { why, .. }) => Err(why.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn scopes(text: &str) -> Result<ScopeSet, String> {
    ScopeSet::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn log_in(arguments: LoginArguments, global: &Global) -> Outcome {
    let store = arguments.credentials.store()?;
    let Some(url) = &arguments.url else {
        let logins = store.logins()?;
        let data = logins.iter().map(|(url, login)| describe(url, login)).collect();
        return print(global.json, &Value::Array(data), || {
            let all: Vec<String> = logins.iter().map(|(url, login)| line(url, login)).collect();
            lines(&all, "You are not logged in anywhere. Next: countersign login <MCP_URL>")
        });
    };
    let http = Http::new()?;
    let login = login::login(&http, &store, url, &arguments.options()?, &arguments.browser).await?;
    print(global.json, &describe(url, &login), || {
        format!("Logged in.\n\n{}\n\nNext: countersign call {url}", details(&login))
    })
}

impl LoginArguments {
    fn by(&self) -> Result<By, Problem> {
        let secret = |file: &Option<PathBuf>| -> Result<Option<Secret>, Problem> {
            Ok(file.as_deref().map(read_text).transpose()?.map(Secret::new))
        };
        if self.client_credentials {
            return Ok(By::Client);
        }
        if let Some(assertion) = secret(&self.assertion_file)? {
            return Ok(By::Assertion(assertion));
        }
        let id_token = secret(&self.id_token_file)?;
        match (&self.idp, &self.idp_client_id, id_token) {
            (Some(provider), Some(client_id), Some(id_token)) => {
                let client = GivenClient {
                    client_id: client_id.clone(),
                    client_secret: secret(&self.idp_client_secret_file)?,
                    client_key: None,
                };
                let provider = provider.clone();
                Ok(By::Identity(Box::new(Identity { provider, client, id_token })))
            }
            _ => Ok(By::User),
        }
    }

    fn options(&self) -> Result<Options, Problem> {
        let client_secret =
            self.client_secret_file.as_deref().map(read_text).transpose()?.map(Secret::new);
        let key = self.client_key_file.as_deref().map(read_text).transpose()?;
        let client_key = key.as_deref().map(ClientKey::from_pem).transpose()?;
        let given = self.client_id.clone();
        let given = given.map(|client_id| GivenClient { client_id, client_secret, client_key });
        Ok(Options {
            scope: self.scope.clone(),
            issuer: self.issuer.clone(),
            ways: Ways { given, document: self.client_metadata_url.clone(), known: None },
            new_client: self.new_client,
            dpop: self.dpop,
            by: self.by()?,
            port: self.port,
        })
    }
}

pub(crate) async fn log_out(arguments: LogoutArguments, global: &Global) -> Outcome {
    let store = arguments.credentials.store()?;
    let urls = match arguments.url {
        Some(url) => vec![url],
        None => store.logins()?.into_iter().map(|(url, _)| url).collect(),
    };
    let http = Http::new()?;
    let (mut data, mut texts) = (Vec::new(), Vec::new());
    for url in urls {
        let revocation = logout::logout(&http, &store, &url).await?;
        data.push(json!({ "url": url, "revoked": revocation == Revocation::Done }));
        texts.push(format!("Logged out of {url}."));
        let kept = "the tokens are forgotten here, and good until they end by themselves";
        match revocation {
            Revocation::Done => {}
            Revocation::NotOffered => {
                let text = format!("{url}: its authorization server revokes no tokens: {kept}");
                warn(global.json, "revocation_missing", &text);
            }
            Revocation::Failed(error) => {
                warn(global.json, error.reason(), &format!("{error}: {kept}"));
            }
        }
    }
    print(global.json, &Value::Array(data), || lines(&texts, "You were not logged in anywhere."))
}

fn describe(url: &str, login: &Login) -> Value {
    json!({
        "url": url,
        "resource": login.resource,
        "issuer": login.issuer,
        "client_id": login.client.client_id,
        "client_origin": login.client.origin,
        "scope": login.tokens.scope,
        "token_type": if login.tokens.is_dpop { "DPoP" } else { "Bearer" },
        "expires_at": login.tokens.expires_at,
        "renews_itself": renews_itself(login),
    })
}

const fn renews_itself(login: &Login) -> bool {
    login.is_client_credentials || login.tokens.refresh_token.is_some()
}

fn line(url: &str, login: &Login) -> String {
    format!("{url}  {}  {:?}", login.issuer, login.tokens.scope)
}

fn details(login: &Login) -> String {
    let end = match login.tokens.expires_at {
        Some(end) if renews_itself(login) => format!("{}, renewed by itself", moment(end)),
        Some(end) => format!("{}, then log in again", moment(end)),
        None => "not said by the server".to_owned(),
    };
    let scope = match login.tokens.scope.as_str() {
        "" => "none",
        scope => scope,
    };
    let kind = if login.tokens.is_dpop { ", bound to a key of this login (DPoP)" } else { "" };
    // The server's words, escaped: they cannot play with the terminal.
    let shown = |text: &str| text.escape_debug().to_string();
    format!(
        "  resource  {}\n  issuer    {}\n  client    {}\n  scope     {}\n  token     until {end}{kind}",
        shown(&login.resource),
        shown(&login.issuer),
        shown(&login.client.client_id),
        shown(scope),
    )
}

fn moment(seconds: u64) -> String {
    date(i64::try_from(seconds).unwrap_or(i64::MAX))
}
