//! What an administrator adds and changes. Everything is checked here, for the command line and for tests.

use crate::{
    Error,
    admin_checks::{check_client, check_password, checked_resource},
    client_document, clock, password,
    secret::{self, Kind},
    store::{
        Client, ClientKind, ClientResource, ClientRow, FoundDocument, InitialToken, Resource,
        Store, ToolRule, User,
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

impl From<Resource> for NewResource {
    fn from(resource: Resource) -> Self {
        let scopes = resource.scopes.into_iter().map(|scope| NewScope {
            name: scope.name,
            description: scope.description,
            implies: scope.implies.split_whitespace().map(str::to_owned).collect(),
        });
        Self {
            uri: resource.uri,
            name: resource.name,
            scopes: scopes.collect(),
            aliases: resource.aliases,
            is_default: resource.is_default,
            tools: resource.tools,
            token_lifetime: resource.token_lifetime.and_then(|seconds| seconds.try_into().ok()),
            token_alg: resource.token_alg,
        }
    }
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
        check_password(new.password)?;
        let user = User {
            id: secret::new(Kind::UserId)?,
            name: name.to_owned(),
            email: new.email.map(str::to_owned),
            is_disabled: false,
        };
        self.add_user(&user, &password::hash(new.password).await?).await?;
        Ok(user)
    }

    /// Gives a user another password. Logins end; grants and remembered consents stay unless they are to
    /// end too. Says how many grants did.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a password of under 8 characters, or when there is no user of this name;
    /// [`Error::Database`].
    pub async fn set_password(
        &self,
        name: &str,
        password: &str,
        revoke_grants: bool,
    ) -> Result<u64, Error> {
        check_password(password)?;
        self.replace_password(name, &password::hash(password).await?, revoke_grants).await
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad identifier or scope, or implications that go in a circle;
    /// [`Error::Exists`].
    pub async fn create_resource(&self, new: NewResource) -> Result<Resource, Error> {
        let resource = checked_resource(new, &self.resources().await?)?;
        self.add_resource(&resource).await?;
        Ok(resource)
    }

    /// Changes a resource, all but its identifier, which stands in tokens and in policies. Tokens that are
    /// out keep what they have; nothing more comes of a scope that it does not have any more.
    ///
    /// # Errors
    /// What `change` says, and what [`Store::create_resource`] would: [`Error::Invalid`] also when there
    /// is no such resource.
    pub async fn change_resource(
        &self,
        uri: &str,
        change: impl FnOnce(&mut NewResource) -> Result<(), Error>,
    ) -> Result<Resource, Error> {
        let mut others = self.resources().await?;
        others.retain(|other| other.uri != uri);
        self.replace_resource(uri, |old| {
            let mut new = NewResource::from(old);
            change(&mut new)?;
            uri.clone_into(&mut new.uri);
            checked_resource(new, &others)
        })
        .await
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is not acceptable, and why.
    pub async fn create_client(&self, new: NewClient) -> Result<RegisteredClient, Error> {
        check_client(&new, &self.resources().await?)?;
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

    /// Changes a client that the administrator added: all but who it is and how it proves that. Its
    /// grants stay, and tokens that are out keep what they have.
    ///
    /// # Errors
    /// What `change` says, and what [`Store::create_client`] would: [`Error::Invalid`] also when there is
    /// no such client, or it has registered itself or come with a document.
    pub async fn change_client(
        &self,
        id: &str,
        change: impl FnOnce(&mut NewClient) -> Result<(), Error>,
    ) -> Result<Client, Error> {
        let known = self.resources().await?;
        self.replace_client(id, |row, resources| {
            let client = row.client;
            if client.kind != ClientKind::Static {
                let text =
                    format!("{id} says itself what it is; disable or delete it, or add another");
                return Err(Error::Invalid(text));
            }
            let mut new = NewClient {
                kind: client.kind,
                name: client.name.clone(),
                redirect_uris: client.redirect_uris.clone(),
                auth_method: client.auth_method.clone(),
                grant_types: client.grant_types.clone(),
                jwks: row.jwks,
                resources,
                default_resource: client.default_resource.clone(),
                dpop_bound: client.dpop_bound,
                signed_requests: client.signed_requests,
            };
            change(&mut new)?;
            if new.auth_method != client.auth_method || new.kind != client.kind {
                return Err(Error::Invalid("how a client proves who it is stays".to_owned()));
            }
            check_client(&new, &known)?;
            let client = Client {
                name: new.name,
                redirect_uris: new.redirect_uris,
                grant_types: new.grant_types,
                default_resource: new.default_resource,
                dpop_bound: new.dpop_bound,
                signed_requests: new.signed_requests,
                ..client
            };
            Ok((ClientRow { client, jwks: new.jwks, ..row }, new.resources))
        })
        .await
    }

    /// Gives a client that has a secret another one; the old one is worth nothing from this moment.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such client or it has no secret; [`Error::Crypto`],
    /// [`Error::Database`].
    pub async fn renew_client_secret(&self, id: &str) -> Result<String, Error> {
        let secret = secret::new(Kind::ClientSecret)?;
        self.replace_secret(id, &secret::hash(Kind::ClientSecret, &secret)).await?;
        Ok(secret)
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
