//! A login from beginning to end.

#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_core::oauth::scope::ScopeSet;
use tokio::sync::mpsc;
use url::Url;

use crate::{
    Error, Http, Secret,
    authorization::{Code, Request},
    callback::Callback,
    discovery::{self, Resource, Server},
    dpop,
    identity::{self, Identity},
    registration::{self, Origin, Registration, Ways},
    store::{Locked, Login, Store},
    token::{Asking, Grant, now},
};

/// How long a user has in the browser.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The names that this machine goes by, in the order in which they are registered: the first is what
/// RFC 8252 §8.3 asks for, and some servers take the second only.
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// What a user wants.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The scopes; what the server asks for if not given.
    pub scope: Option<ScopeSet>,
    /// One of the server's authorization servers; the one of the last login, else its first, if not
    /// given.
    pub issuer: Option<String>,
    /// How to become a client.
    pub ways: Ways,
    /// Register anew even where a client is registered: it may be gone at the server.
    pub new_client: bool,
    /// Bind the tokens to a key even where the server does not demand it.
    pub dpop: bool,
    /// Who allows it.
    pub by: By,
    /// The port to receive the answer on, and no other; one that is free if not given.
    pub port: Option<u16>,
}

impl Options {
    /// Whether whoever is asked for a token learns what others could use in the client's name. A proof
    /// that is signed for one server is of no use at another one.
    fn shows_secret(&self) -> bool {
        let has_secret =
            self.ways.given.as_ref().is_some_and(|given| given.client_secret.is_some());
        has_secret || matches!(self.by, By::Assertion(_))
    }
}

/// Who allows what a login asks for.
#[derive(Clone, Debug, Default)]
pub enum By {
    /// Whoever has this assertion, by what it says (RFC 7523 §2.1): a workload, say.
    Assertion(Secret),
    /// The client itself has the right.
    Client,
    /// A user's organisation.
    Identity(Box<Identity>),
    /// A user, by way of a browser.
    #[default]
    User,
}

/// Who asks the user: opens a browser at the URL, or shows it. Lines that come from the channel are taken
/// for the URL that the browser was sent back to.
pub trait Ask {
    /// Asks.
    fn ask(&self, url: &Url) -> Option<mpsc::Receiver<String>>;

    /// Hears that a line from the channel was not the answer to what was asked.
    fn pasted_in_vain(&self) {}
}

/// Logs in to the MCP server at a URL, and keeps what came of it.
///
/// # Errors
/// Anything in [`Error`] but what calls bring.
pub async fn login(
    http: &Http,
    store: &Store,
    url: &str,
    options: &Options,
    user: &(impl Ask + Sync),
) -> Result<Login, Error> {
    let resource = discovery::resource(http, url).await?;
    let earlier = store.login(url)?;
    let issuer = choose(&resource, options, earlier.as_ref())?;
    let server = server(http, &resource, &issuer).await?;
    let attempt = Attempt { http, store, url, options, resource: &resource, server: &server };
    let client = attempt.client(options.new_client).await?;
    let may_be_gone = client.registration.origin == Origin::Registered && !client.is_new;
    match attempt.login(client, user).await {
        // A server may have pruned the client that registered itself here. Clients that do not register
        // anew are stuck.
        Err(Error::TokenRefused(refusal)) if may_be_gone && refusal.error == "invalid_client" => {
            let client = attempt.client(true).await?;
            attempt.login(client, user).await
        }
        outcome => outcome,
    }
}

/// The authorization server to use (RFC 9728 §7.6: the choice is the client's).
fn choose(
    resource: &Resource,
    options: &Options,
    earlier: Option<&Login>,
) -> Result<String, Error> {
    let listed = &resource.issuers;
    let before = earlier.filter(|login| listed.contains(&login.issuer));
    if let Some(issuer) = &options.issuer {
        let (issuer, listed) = (issuer.clone(), listed.clone());
        return match listed.contains(&issuer) {
            true => Ok(issuer),
            false => Err(Error::IssuerNotListed { issuer, listed }),
        };
    }
    // What proves who a client is must not go wherever an MCP server points (MCP authorization,
    // authorization server binding). Where it went before, its user had said so.
    let given = options.ways.given.as_ref();
    let is_same = |login: &&Login| given.is_some_and(|given| given.is(&login.client));
    if options.shows_secret() && before.filter(is_same).is_none() {
        return Err(Error::IssuerRequired { listed: listed.clone() });
    }
    let chosen = before.map(|login| &login.issuer).or_else(|| listed.first()).cloned();
    chosen.ok_or_else(|| Error::NotProtected { url: resource.id.clone() })
}

/// Its metadata; for a resource without metadata of its own, the endpoints of revision 2025-03-26 if
/// there are none.
pub(crate) async fn server(
    http: &Http,
    resource: &Resource,
    issuer: &str,
) -> Result<Server, Error> {
    match discovery::server(http, issuer).await {
        Err(Error::IssuerMetadataMissing { .. }) if resource.metadata.is_none() => {
            discovery::default_server(issuer)
        }
        found => found,
    }
}

struct Attempt<'a> {
    http: &'a Http,
    store: &'a Store,
    url: &'a str,
    options: &'a Options,
    resource: &'a Resource,
    server: &'a Server,
}

/// A client, and where it receives its answers.
struct Client {
    registration: Registration,
    /// Registered a moment ago.
    is_new: bool,
    /// `None` for a client without users.
    redirect: Option<Redirect>,
}

struct Redirect {
    callback: Callback,
    uri: String,
}

impl Attempt<'_> {
    /// A client for this login. One that registers itself is kept for the next.
    async fn client(&self, anew: bool) -> Result<Client, Error> {
        let mut locked = self.store.lock().await?;
        let known = locked.client(&self.server.issuer).filter(|_| !anew).cloned();
        let ways = Ways { known, ..self.options.ways.clone() };
        let found = ways.without_request(self.server, now())?;
        if !matches!(self.options.by, By::User) {
            let given = found.filter(|client| client.origin == Origin::Given);
            let missing = || Error::ClientUnknown { issuer: self.server.issuer.clone() };
            let registration = given.ok_or_else(missing)?;
            return Ok(Client { registration, is_new: false, redirect: None });
        }
        let registered =
            found.as_ref().and_then(|client| Url::parse(client.redirect_uri.as_deref()?).ok());
        let callback = match self.options.port {
            Some(port) => Callback::listen_on(port).await?,
            None => Callback::listen(registered.as_ref().and_then(Url::port)).await?,
        };
        if let Some(registration) = found {
            let host = registered.as_ref().and_then(Url::host_str).unwrap_or(HOSTS[0]);
            let uri = callback.redirect_uri(host);
            let redirect = Some(Redirect { callback, uri });
            return Ok(Client { registration, is_new: false, redirect });
        }
        let (registration, uri) = self.register(&mut locked, &callback).await?;
        Ok(Client { registration, is_new: true, redirect: Some(Redirect { callback, uri }) })
    }

    async fn register(
        &self,
        locked: &mut Locked<'_>,
        callback: &Callback,
    ) -> Result<(Registration, String), Error> {
        let mut refused = None;
        for host in HOSTS {
            let uri = callback.redirect_uri(host);
            match registration::register(self.http, self.server, &uri).await {
                Ok(client) => {
                    locked.set_client(&self.server.issuer, Some(client.clone()))?;
                    return Ok((client, uri));
                }
                Err(Error::RegistrationRefused(refusal))
                    if refusal.error == "invalid_redirect_uri" =>
                {
                    refused = refused.or(Some(refusal));
                }
                Err(error) => return Err(error),
            }
        }
        Err(match refused {
            Some(refusal) => Error::RegistrationRefused(refusal),
            None => Error::ClientUnknown { issuer: self.server.issuer.clone() },
        })
    }

    async fn login(&self, client: Client, user: &(impl Ask + Sync)) -> Result<Login, Error> {
        let Client { registration, redirect, .. } = client;
        let wants_dpop = self.options.dpop || self.resource.is_dpop;
        let dpop = if wants_dpop { Some(dpop::Key::generate()?) } else { None };
        let scope = self.scope()?;
        let asking = Asking {
            server: self.server,
            client: &registration,
            resource: &self.resource.id,
            dpop: dpop.as_ref(),
        };
        let tokens = match redirect {
            Some(redirect) => {
                let code = self.ask(&asking, redirect, &scope, user).await?;
                asking.tokens(self.http, &Grant::Code(&code), &scope).await?
            }
            None => {
                let assertion = self.assertion(&asking, &scope).await?;
                let grant = assertion.as_ref().map_or(Grant::ClientCredentials, Grant::Assertion);
                asking.tokens(self.http, &grant, &scope).await?
            }
        };
        let login = Login {
            resource: self.resource.id.clone(),
            issuer: self.server.issuer.clone(),
            client: registration,
            asked_scope: scope.to_string(),
            is_client_credentials: matches!(self.options.by, By::Client),
            tokens,
            dpop,
        };
        self.store.lock().await?.keep(self.url, login.clone())?;
        Ok(login)
    }

    /// What vouches for the request; `None` where the client does.
    async fn assertion(
        &self,
        asking: &Asking<'_>,
        scope: &ScopeSet,
    ) -> Result<Option<Secret>, Error> {
        let (server, resource) = (self.server, asking.resource);
        Ok(match &self.options.by {
            By::Assertion(assertion) => Some(assertion.clone()),
            By::Identity(identity) => {
                let scope = scope.to_string();
                Some(identity::assertion(self.http, identity, server, resource, &scope).await?)
            }
            By::Client | By::User => None,
        })
    }

    /// What to ask for. `offline_access` is added only where the authorization server knows it (MCP
    /// authorization, refresh tokens), and the user did not say what to ask for.
    fn scope(&self) -> Result<ScopeSet, Error> {
        if let Some(scope) = &self.options.scope {
            return Ok(scope.clone());
        }
        let scope = self.resource.scope.clone();
        let offline = "offline_access";
        let is_known = self.server.texts("scopes_supported")?.contains(&offline);
        Ok(match ScopeSet::parse(offline) {
            Ok(offline) if is_known && matches!(self.options.by, By::User) => scope.union(&offline),
            _ => scope,
        })
    }

    async fn ask(
        &self,
        asking: &Asking<'_>,
        redirect: Redirect,
        scope: &ScopeSet,
        user: &(impl Ask + Sync),
    ) -> Result<Code, Error> {
        let jkt = asking.dpop.map(dpop::Key::thumbprint);
        let request = Request {
            server: self.server,
            client: asking.client,
            redirect_uri: &redirect.uri,
            resource: asking.resource,
            scope,
            dpop_jkt: jkt.as_deref(),
        };
        let pending = request.begin(self.http, now()).await?;
        let pasted = user.ask(&pending.url);
        redirect.callback.answer(pending, pasted, PATIENCE, &|| user.pasted_in_vain()).await
    }
}
