//! `countersign client`: clients that the administrator vouches for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use countersign_issuer::{Client, ClientKind, ClientResource, NewClient, grant_types};
use serde_json::{Value, json};

use crate::{
    Global, client_set,
    output::{Outcome, Problem, lines, print},
    settings::{open_database, open_existing_database},
};

const EXAMPLES: &str = "\
Examples:
  An application that sends users to log in:
    countersign client add --name 'My app' --redirect-uri https://app.example.com/callback
  A program without a browser, where users log in with a code that it shows:
    countersign client add --name 'Build tool' --device
  A program that acts for itself, and signs what it is:
    countersign client add --name 'Nightly job' --jwks job.jwks.json \\
      --service 'https://mcp.example.com/mcp=files:read'
  An MCP server that calls another one for its users, with a token of its own for that:
    countersign client add --name 'My files' --introspects https://mcp.example.com/mcp \
      --exchanges 'https://search.example.com/mcp=files:read'
  An MCP server that asks what a token is worth:
    countersign client add --name 'My files' --introspects https://mcp.example.com/mcp";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a client; prints its client_id, and a confidential client's secret this one time
    #[command(after_help = EXAMPLES)]
    Add(Add),
    /// Change a client that was added here; what is not named stays
    ///
    /// What users allowed it stays, and its tokens keep what they have until they end. How it proves who
    /// it is does not change: for that, add another one.
    Set(Box<client_set::Set>),
    /// Give a client another secret; the old one is worth nothing at once
    Secret {
        /// The client_id
        id: String,
    },
    /// Shut a client out: it cannot authenticate, its grants end, access tokens are revoked
    Disable {
        /// The client_id
        id: String,
    },
    /// Let a client in again; what was revoked stays so
    Enable {
        /// The client_id
        id: String,
    },
    /// Remove a client, after all that a disabled one loses
    Delete {
        /// The client_id
        id: String,
    },
    /// Supply the document of a client whose client_id is its URL, where it cannot be fetched
    Pin {
        /// The client_id
        url: String,
        /// The document
        #[arg(long, value_name = "FILE")]
        document: PathBuf,
    },
    /// Let a document be fetched again
    Unpin {
        /// The client_id
        url: String,
    },
    /// Tokens that let clients register with `--registration token` (RFC 7591)
    #[command(subcommand)]
    InitialToken(InitialToken),
    /// List all clients, those that registered themselves included
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InitialToken {
    /// Make a token; it is shown this one time
    Add {
        /// What it is for
        #[arg(long)]
        name: String,
        /// How many clients may register with it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it is good
        #[arg(long, value_name = "SECONDS", default_value_t = 604_800)]
        lifetime: u32,
    },
    /// List the tokens that are still good
    List,
    /// Take all tokens of a name back
    Delete {
        /// What it was for
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// A name for the consent page
    #[arg(long)]
    name: String,
    /// Where its users may be sent back to; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI",
          required_unless_present_any = ["service", "introspects", "device", "exchanges", "identity_assertions"])]
    redirect_uris: Vec<String>,
    /// A resource that it may use for itself (client_credentials), and the scopes for that,
    /// separated by commas; may be repeated
    #[arg(long, value_name = "URI=SCOPES")]
    service: Vec<String>,
    /// A resource that it may have tokens for by exchange of a user's token (RFC 8693), and the scopes
    /// for that, separated by commas; may be repeated
    #[arg(long, value_name = "URI=SCOPES")]
    exchanges: Vec<String>,
    /// It may come with assertions about users, made by an identity provider: see `idp`
    #[arg(long)]
    identity_assertions: bool,
    /// It has no browser of its own: users log in elsewhere, with a code that it shows (RFC 8628)
    #[arg(long)]
    device: bool,
    /// A resource that it is the server of: it may introspect tokens for it; may be repeated
    #[arg(long, value_name = "URI")]
    introspects: Vec<String>,
    /// The resource that it means when it names none
    #[arg(long, value_name = "URI")]
    default_resource: Option<String>,
    /// Give it a secret, for a client that can keep one; those that act for themselves always have
    /// one, or keys
    #[arg(long)]
    confidential: bool,
    /// Where a confidential client puts its secret [default: client_secret_basic]
    #[arg(long, value_name = "METHOD",
          value_parser = ["client_secret_basic", "client_secret_post"])]
    auth_method: Option<String>,
    /// Its public keys instead of a secret (private_key_jwt): a file with a JSON Web Key Set
    #[arg(long, value_name = "FILE", conflicts_with_all = ["confidential", "auth_method"])]
    jwks: Option<PathBuf>,
    /// Give it no tokens but those that are bound to a key of its own (DPoP, RFC 9449)
    #[arg(long)]
    dpop: bool,
    /// Take no authorization requests of it but those that it signed (RFC 9101)
    #[arg(long, requires = "jwks")]
    signed_requests: bool,
}

impl Add {
    fn read(self) -> Result<NewClient, Problem> {
        let jwks = read_keys(self.jwks.as_deref())?;
        let mut resources: Vec<ClientResource> = Vec::new();
        for rule in &self.service {
            let (uri, scopes) = resource_and_scopes("--service", rule)?;
            of_resource(&mut resources, uri).scopes = scopes;
        }
        for rule in &self.exchanges {
            let (uri, scopes) = resource_and_scopes("--exchanges", rule)?;
            of_resource(&mut resources, uri).exchanges = scopes;
        }
        for uri in &self.introspects {
            of_resource(&mut resources, uri).introspects = true;
        }
        let grant_types = grant_types_for(
            !self.redirect_uris.is_empty(),
            self.device,
            &resources,
            self.identity_assertions,
        );
        let proves = self.confidential || self.identity_assertions || !resources.is_empty();
        let auth_method = match (&jwks, self.auth_method) {
            (Some(_), _) => "private_key_jwt".to_owned(),
            (None, Some(method)) => method,
            (None, None) if proves => "client_secret_basic".to_owned(),
            (None, None) => "none".to_owned(),
        };
        Ok(NewClient {
            kind: ClientKind::Static,
            name: self.name,
            redirect_uris: self.redirect_uris,
            auth_method,
            grant_types,
            jwks,
            resources,
            default_resource: self.default_resource,
            dpop_bound: self.dpop,
            signed_requests: self.signed_requests,
        })
    }
}

/// What a client may do decides which grants it has.
pub(crate) fn grant_types_for(
    redirects: bool,
    device: bool,
    resources: &[ClientResource],
    identity_assertions: bool,
) -> Vec<String> {
    let service = resources.iter().any(|resource| !resource.scopes.is_empty());
    let exchanges = resources.iter().any(|resource| !resource.exchanges.is_empty());
    [
        (redirects, grant_types::AUTHORIZATION_CODE),
        (device, grant_types::DEVICE_CODE),
        (redirects || device, grant_types::REFRESH_TOKEN),
        (service, grant_types::CLIENT_CREDENTIALS),
        (exchanges, grant_types::TOKEN_EXCHANGE),
        (identity_assertions, grant_types::JWT_BEARER),
    ]
    .into_iter()
    .filter(|(may, _)| *may)
    .map(|(_, grant)| grant.to_owned())
    .collect()
}

/// The key set in a file.
pub(crate) fn read_keys(file: Option<&Path>) -> Result<Option<String>, Problem> {
    let read = |path: &Path| {
        let shown = path.display();
        fs::read_to_string(path)
            .map_err(|error| Problem::new("io_failed", format!("{shown}: {error}")))
    };
    file.map(read).transpose()
}

/// Reads `URI=SCOPES`. A URL may have `=` in its query, a scope's name may not be in doubt.
pub(crate) fn resource_and_scopes<'a>(
    option: &str,
    rule: &'a str,
) -> Result<(&'a str, String), Problem> {
    let (uri, scopes) = rule.rsplit_once('=').ok_or_else(|| {
        let text = format!(
            "{option} {rule}: expected a resource and scopes, like \
             'https://mcp.example.com/mcp=files:read'"
        );
        Problem::new("value_invalid", text)
    })?;
    Ok((uri, scopes.replace(',', " ")))
}

/// The entry of a resource, made where there is none.
pub(crate) fn of_resource<'a>(
    resources: &'a mut Vec<ClientResource>,
    uri: &str,
) -> &'a mut ClientResource {
    let at = resources.iter().position(|known| known.resource == uri).unwrap_or_else(|| {
        resources.push(ClientResource { resource: uri.to_owned(), ..ClientResource::default() });
        resources.len() - 1
    });
    &mut resources[at]
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Add(add) => {
            let new = add.read()?;
            let store = open_database(global).await?;
            let added = store.create_client(new).await?;
            let mut data = describe(&added.client);
            if let Some(secret) = &added.secret {
                data["client_secret"] = json!(secret);
            }
            print(global.json, &data, || {
                let id = format!("client_id      {}", added.client.id);
                match &added.secret {
                    Some(secret) => format!(
                        "{id}\nclient_secret  {secret}\nKeep the secret: it is not shown again."
                    ),
                    None => id,
                }
            })?;
        }
        Command::Set(set) => {
            let id = set.id().to_owned();
            let changes = set.read()?;
            let store = open_existing_database(global).await?;
            let client = store.change_client(&id, |client| changes.apply(client)).await?;
            print(global.json, &describe(&client), || format!("Changed the client {id}."))?;
        }
        Command::Secret { id } => {
            let secret = open_existing_database(global).await?.renew_client_secret(&id).await?;
            print(global.json, &json!({ "client_id": id, "client_secret": secret }), || {
                format!("client_secret  {secret}\nKeep the secret: it is not shown again.")
            })?;
        }
        Command::Disable { id } => {
            open_existing_database(global).await?.disable_client(&id).await?;
            print(global.json, &json!({ "client_id": id, "disabled": true }), || {
                format!("{id} is shut out. Guards know within seconds.")
            })?;
        }
        Command::Enable { id } => {
            open_existing_database(global).await?.enable_client(&id).await?;
            print(global.json, &json!({ "client_id": id, "disabled": false }), || {
                format!("{id} may come back.")
            })?;
        }
        Command::Delete { id } => {
            open_existing_database(global).await?.delete_client(&id).await?;
            print(global.json, &json!({ "client_id": id, "deleted": true }), || {
                format!("{id} is gone. Guards know within seconds.")
            })?;
        }
        Command::Pin { url, document } => {
            let shown = document.display();
            let body = fs::read_to_string(&document)
                .map_err(|error| Problem::new("io_failed", format!("{shown}: {error}")))?;
            open_database(global).await?.pin_client_document(&url, &body).await?;
            print(global.json, &json!({ "client_id": url, "pinned": true }), || {
                format!("{url} is known by the document that you gave.")
            })?;
        }
        Command::Unpin { url } => {
            open_existing_database(global).await?.unpin_client_document(&url).await?;
            print(global.json, &json!({ "client_id": url, "pinned": false }), || {
                format!("The document of {url} is fetched when it is needed next.")
            })?;
        }
        Command::InitialToken(command) => initial_token(command, global).await?,
        Command::List => {
            let store = open_existing_database(global).await?;
            let clients = store.clients().await?;
            let data = clients.iter().map(describe).collect();
            print(global.json, &Value::Array(data), || {
                let line = |client: &Client| {
                    let kind = match client.kind {
                        ClientKind::Document => "by document",
                        ClientKind::Registered => "registered itself",
                        ClientKind::Static => "pre-registered",
                    };
                    // Anybody can register a name: escaped, it cannot play with the terminal.
                    let disabled = if client.is_disabled { "  (disabled)" } else { "" };
                    format!("{}  {:?}  {kind}{disabled}", client.id, client.name)
                };
                let all: Vec<String> = clients.iter().map(line).collect();
                lines(&all, "No client yet. MCP clients register by themselves when they connect.")
            })?;
        }
    }
    Ok(())
}

async fn initial_token(command: InitialToken, global: &Global) -> Outcome {
    match command {
        InitialToken::Add { name, uses, lifetime } => {
            let store = open_database(global).await?;
            let token = store.create_initial_token(&name, uses, lifetime).await?;
            let data = json!({ "name": name, "initial_access_token": token });
            print(global.json, &data, || format!("{token}\nKeep it: it is not shown again."))?;
        }
        InitialToken::List => {
            let tokens = open_existing_database(global).await?.initial_tokens().await?;
            let data = tokens.iter().map(|token| {
                json!({
                    "name": token.name,
                    "uses_left": token.uses_left,
                    "expires_at": token.expires_at,
                })
            });
            print(global.json, &Value::Array(data.collect()), || {
                let line = |token: &countersign_issuer::InitialToken| {
                    format!("{:?}  {} uses left", token.name, token.uses_left)
                };
                let all: Vec<String> = tokens.iter().map(line).collect();
                lines(&all, "No token is good. See: countersign client initial-token add --help")
            })?;
        }
        InitialToken::Delete { name } => {
            open_existing_database(global).await?.delete_initial_tokens(&name).await?;
            print(global.json, &json!({ "name": name, "deleted": true }), || {
                format!("No client can register with {name} any more.")
            })?;
        }
    }
    Ok(())
}

pub(crate) fn describe(client: &Client) -> Value {
    json!({
        "client_id": client.id,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": client.grant_types,
        "registered": client.kind == ClientKind::Registered,
        "disabled": client.is_disabled,
        "default_resource": client.default_resource,
        "dpop_bound_access_tokens": client.dpop_bound,
        "require_signed_request_object": client.signed_requests,
        "created_at": client.created_at,
    })
}
