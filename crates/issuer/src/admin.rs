//! What an administrator adds. Everything is checked here, for the command line and for tests.

use countersign_core::oauth::{
    resource::ResourceId,
    scope::{Implications, Scope, ScopeSet},
};

use crate::{
    Error, client_document, client_metadata, clock, grant_types,
    http::GENERAL_SCOPES,
    password, redirect_uri,
    secret::{self, Kind},
    store::{
        Client, ClientKind, ClientResource, ClientRow, FoundDocument, InitialToken, Resource,
        ScopeText, Store, ToolRule, User,
    },
};

/// A user to add.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// The name for logging in.
    pub name: &'a str,
    /// An address, if known.
    pub email: Option<&'a str>,
    /// The password in clear; it is hashed with argon2id.
    pub password: &'a str,
}

/// A resource to add.
#[derive(Clone, Debug, Default)]
pub struct NewResource {
    /// The identifier (RFC 8707): the URL of the MCP server as clients type it.
    pub uri: String,
    /// A name for people.
    pub name: String,
    /// Its scopes; the first is granted when a client names none.
    pub scopes: Vec<NewScope>,
    /// Further spellings that clients may send.
    pub aliases: Vec<String>,
    /// Whether it is meant when a client names none. A single resource always is.
    pub is_default: bool,
    /// The scopes that single tools of the server need.
    pub tools: Vec<ToolRule>,
    /// Lifetime of its access tokens in seconds, 10 to 86400; the server's if not given.
    pub token_lifetime: Option<u32>,
    /// `ES256`, `RS256` or `EdDSA`; ES256 if not given.
    pub token_alg: Option<String>,
}

/// A scope to add.
#[derive(Clone, Debug, Default)]
pub struct NewScope {
    /// The scope token.
    pub name: String,
    /// What it allows, for the consent page.
    pub description: String,
    /// The scopes of the same resource that it implies.
    pub implies: Vec<String>,
}

/// A client to add.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// How it came to be known.
    pub kind: ClientKind,
    /// Its name.
    pub name: String,
    /// Where its users may be sent back to; none for a client without users.
    pub redirect_uris: Vec<String>,
    /// `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    pub auth_method: String,
    /// The grant types it may use.
    pub grant_types: Vec<String>,
    /// Its public keys, as a JSON Web Key Set, for `private_key_jwt`.
    pub jwks: Option<String>,
    /// What it may do with resources without a user.
    pub resources: Vec<ClientResource>,
    /// The resource that it means when it names none.
    pub default_resource: Option<String>,
    /// It gets no tokens but those that are bound to a key (DPoP, RFC 9449 §5.2).
    pub dpop_bound: bool,
    /// Its authorization requests must be signed (RFC 9101 §10.5): it needs keys.
    pub signed_requests: bool,
}

/// A client that was added, with its secret, which is shown this one time.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    /// The client.
    pub client: Client,
    /// Its secret, unless it is public.
    pub secret: Option<String>,
}

/// Lifetime and algorithm of a resource's tokens, and that its tools ask for scopes that it has.
fn check_tokens(resource: &Resource) -> Result<(), Error> {
    if resource.token_lifetime.is_some_and(|seconds| !(10..=86_400).contains(&seconds)) {
        return Err(Error::Invalid("a token lifetime is between 10 and 86400 seconds".to_owned()));
    }
    if let Some(alg) = &resource.token_alg
        && !matches!(alg.as_str(), "ES256" | "RS256" | "EdDSA")
    {
        return Err(Error::Invalid(format!("{alg}: tokens are signed with ES256, RS256 or EdDSA")));
    }
    for rule in &resource.tools {
        let known = |name: &str| resource.scopes.iter().any(|scope| scope.name == name);
        if let Some(unknown) = rule.scopes.split_whitespace().find(|name| !known(name)) {
            let text = format!("the tool {} needs {unknown}, which is no scope here", rule.tool);
            return Err(Error::Invalid(text));
        }
    }
    Ok(())
}

impl Store {
    /// Adds a user.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name or a password of under 8 characters, [`Error::Exists`].
    pub async fn create_user(&self, new: NewUser<'_>) -> Result<User, Error> {
        let name = new.name.trim();
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::Invalid("a user name has 1 to 200 visible characters".to_owned()));
        }
        if new.password.chars().count() < password::MIN_LENGTH
            || new.password.len() > password::MAX_LENGTH
        {
            return Err(Error::Invalid("a password has at least 8 characters".to_owned()));
        }
        let user = User {
            id: secret::new(Kind::UserId)?,
            name: name.to_owned(),
            email: new.email.map(str::to_owned),
            is_disabled: false,
        };
        self.add_user(&user, &password::hash(new.password).await?).await?;
        Ok(user)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad identifier or scope, or implications that go in a circle;
    /// [`Error::Exists`].
    pub async fn create_resource(&self, new: NewResource) -> Result<Resource, Error> {
        let invalid = |subject: &str, error: &dyn std::fmt::Display| {
            Error::Invalid(format!("{subject}: {error}"))
        };
        for uri in [&new.uri].into_iter().chain(&new.aliases) {
            ResourceId::parse(uri).map_err(|error| invalid(uri, &error))?;
        }
        if new.scopes.is_empty() {
            return Err(Error::Invalid(
                "a resource needs at least one scope, like --scope 'files:read=Read your files'"
                    .to_owned(),
            ));
        }
        let mut direct = std::collections::BTreeMap::new();
        for scope in &new.scopes {
            let name = Scope::parse(&scope.name).map_err(|error| invalid(&scope.name, &error))?;
            if GENERAL_SCOPES.contains(&name.as_str()) {
                return Err(Error::Invalid(format!("the scope {name} has a meaning of its own")));
            }
            if let Some(unknown) = scope
                .implies
                .iter()
                .find(|name| !new.scopes.iter().any(|known| known.name == **name))
            {
                return Err(Error::Invalid(format!(
                    "{name} implies {unknown}, which is no scope here"
                )));
            }
            let implied = ScopeSet::parse(&scope.implies.join(" "))
                .map_err(|error| invalid(&scope.name, &error))?;
            direct.insert(name, implied);
        }
        Implications::new(&direct).map_err(|error| invalid(&new.uri, &error))?;
        let existing = self.resources().await?;
        let same = |other: &&Resource| {
            other.is_meant_by(&new.uri) || new.aliases.iter().any(|alias| other.is_meant_by(alias))
        };
        if let Some(other) = existing.iter().find(same) {
            return Err(Error::Exists(format!("the resource {} is the same one", other.uri)));
        }
        let scopes = new.scopes.into_iter().map(|scope| ScopeText {
            name: scope.name,
            description: scope.description,
            implies: scope.implies.join(" "),
        });
        let resource = Resource {
            uri: new.uri,
            name: new.name,
            is_default: new.is_default,
            aliases: new.aliases,
            scopes: scopes.collect(),
            tools: new.tools,
            token_lifetime: new.token_lifetime.map(i64::from),
            token_alg: new.token_alg,
        };
        check_tokens(&resource)?;
        // Whatever is wrong with tools and scopes, the guard's own reader finds it.
        resource.policy("https://issuer.example", None, true)?;
        self.add_resource(&resource).await?;
        Ok(resource)
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is not acceptable, and why.
    pub async fn create_client(&self, new: NewClient) -> Result<RegisteredClient, Error> {
        if new.name.contains('\0') {
            return Err(Error::Invalid("a client name has no NUL".to_owned()));
        }
        grant_types::check(&new.grant_types, &new.auth_method).map_err(Error::Invalid)?;
        let has_users = new.grant_types.iter().any(|grant| grant == "authorization_code");
        if new.redirect_uris.len() > 20 || has_users == new.redirect_uris.is_empty() {
            return Err(Error::Invalid("a client with users has 1 to 20 redirect URIs".to_owned()));
        }
        for uri in &new.redirect_uris {
            redirect_uri::check(uri)
                .map_err(|why| Error::Invalid(format!("the redirect URI {uri:?} {why}")))?;
        }
        if let Some(jwks) = &new.jwks {
            client_metadata::check_key_set(jwks)?;
        }
        if (new.auth_method == "private_key_jwt") != new.jwks.is_some() {
            return Err(Error::Invalid("keys and private_key_jwt belong together".to_owned()));
        }
        if new.signed_requests && new.jwks.is_none() {
            return Err(Error::Invalid("a client that signs its requests needs keys".to_owned()));
        }
        if new.auth_method == "none" && (new.grant_types.is_empty() || !new.resources.is_empty()) {
            let text = "a client that acts without users needs a secret or keys";
            return Err(Error::Invalid(text.to_owned()));
        }
        let exchanges = new.resources.iter().any(|resource| !resource.exchanges.is_empty());
        if exchanges != new.grant_types.iter().any(|grant| grant == grant_types::TOKEN_EXCHANGE) {
            let text = "token exchange is for certain resources and scopes: name them";
            return Err(Error::Invalid(text.to_owned()));
        }
        self.check_client_resources(&new.resources).await?;
        if let Some(uri) = &new.default_resource
            && !self.resources().await?.iter().any(|resource| resource.uri == *uri)
        {
            return Err(Error::Invalid(format!("there is no resource {uri}")));
        }
        let draft = ClientRow {
            client: Client {
                id: String::new(),
                kind: new.kind,
                name: new.name,
                redirect_uris: new.redirect_uris,
                auth_method: new.auth_method,
                grant_types: new.grant_types,
                created_at: clock::now(),
                is_disabled: false,
                default_resource: new.default_resource,
                dpop_bound: new.dpop_bound,
                signed_requests: new.signed_requests,
                not_before: 0,
            },
            secret_hash: None,
            jwks: new.jwks,
            jwks_uri: None,
            metadata: "{}".to_owned(),
            registration_token_hash: None,
        };
        self.register(draft, &new.resources).await
    }

    /// Gives a client its identifier, and a secret where its method needs one.
    pub(crate) async fn register(
        &self,
        mut row: ClientRow,
        resources: &[ClientResource],
    ) -> Result<RegisteredClient, Error> {
        let secret = match row.client.auth_method.as_str() {
            "none" | "private_key_jwt" => None,
            "client_secret_basic" | "client_secret_post" => Some(secret::new(Kind::ClientSecret)?),
            other => {
                return Err(Error::Invalid(format!(
                    "no client authentication is called {other:?}"
                )));
            }
        };
        row.client.id = secret::new(Kind::ClientId)?;
        row.secret_hash = secret.as_ref().map(|secret| secret::hash(Kind::ClientSecret, secret));
        self.add_client(&row, resources).await?;
        Ok(RegisteredClient { client: row.client, secret })
    }

    /// Makes a token with which so many clients may register within so many seconds (RFC 7591 §3).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, number or time; [`Error::Crypto`], [`Error::Database`].
    pub async fn create_initial_token(
        &self,
        name: &str,
        uses: u32,
        lifetime: u32,
    ) -> Result<String, Error> {
        if name.trim().is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::Invalid("a name has 1 to 200 visible characters".to_owned()));
        }
        if uses == 0 || lifetime == 0 {
            return Err(Error::Invalid("a token is for at least one use and second".to_owned()));
        }
        let token = secret::new(Kind::InitialToken)?;
        let row = InitialToken {
            name: name.to_owned(),
            uses_left: i64::from(uses),
            expires_at: clock::now() + i64::from(lifetime),
        };
        self.add_initial_token(&secret::hash(Kind::InitialToken, &token), &row).await?;
        Ok(token)
    }

    async fn check_client_resources(&self, wanted: &[ClientResource]) -> Result<(), Error> {
        let resources = self.resources().await?;
        for ClientResource { resource: uri, scopes, exchanges, introspects } in wanted {
            let resource = resources.iter().find(|known| known.uri == *uri);
            let resource =
                resource.ok_or_else(|| Error::Invalid(format!("there is no resource {uri}")))?;
            let parse = |text: &str| {
                ScopeSet::parse(text).map_err(|error| Error::Invalid(format!("{uri}: {error}")))
            };
            let scopes = parse(scopes)?.union(&parse(exchanges)?);
            if scopes.is_empty() && !introspects {
                return Err(Error::Invalid(format!("{uri}: name at least one scope")));
            }
            if let Some(unknown) = scopes.iter().find(|scope| resource.description(scope).is_none())
            {
                return Err(Error::Invalid(format!("{uri} has no scope {unknown}")));
            }
        }
        Ok(())
    }

    /// Supplies the document of a client whose `client_id` is its URL: it is never fetched then.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong with the URL or the document.
    pub async fn pin_client_document(&self, url: &str, body: &str) -> Result<(), Error> {
        client_document::check_url(url)
            .map_err(|why| Error::Invalid(format!("the address {url} {why}")))?;
        let metadata = client_document::read(url, body.as_bytes()).map_err(Error::Invalid)?;
        let found = FoundDocument { url, etag: None, pinned: true, fresh_until: clock::now() };
        self.put_document(&found, &metadata).await
    }
}
