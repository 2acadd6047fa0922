//! A login in use: a token for each request, renewed in time, and widened when more is asked for.

#[cfg(test)]
mod tests;

use countersign_core::oauth::scope::ScopeSet;
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    Error, Http, Secret,
    discovery::{self, Challenge},
    login::{self, Ask, By, Options},
    registration::{Origin, Ways},
    store::{Login, Store},
    token::{Asking, Grant, Tokens, now},
};

/// A token that ends within this many seconds is renewed before it is used.
const MARGIN: u64 = 30;

/// Most logins for more scopes within one session: a server that asks again and again has no end in mind
/// (MCP authorization, step-up authorization flow).
const MAX_STEP_UPS: u8 = 2;

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same request once more: there is a new token, or a nonce.
    Retry,
    /// Only a user can help: log in anew, with [`Session::log_in_again`].
    LogIn,
}

/// A login in use.
#[derive(Debug)]
pub struct Session<'a> {
    http: &'a Http,
    store: &'a Store,
    url: &'a str,
    login: Login,
    /// The nonce for proofs that the server gave last (RFC 9449 §9).
    nonce: Option<String>,
    nonce_was_asked: bool,
    has_renewed: bool,
    has_logged_in: bool,
    step_ups: u8,
}

impl<'a> Session<'a> {
    /// Takes up the login to an MCP server.
    ///
    /// # Errors
    /// [`Error::LoginRequired`], [`Error::Store`].
    pub fn open(http: &'a Http, store: &'a Store, url: &'a str) -> Result<Self, Error> {
        let login = store.login(url)?;
        let login = login.ok_or_else(|| Error::LoginRequired { url: url.to_owned() })?;
        Ok(Self { has_logged_in: false, ..Self::new(http, store, url, login) })
    }

    /// Takes up a login that was just made.
    #[must_use]
    pub const fn new(http: &'a Http, store: &'a Store, url: &'a str, login: Login) -> Self {
        Self {
            http,
            store,
            url,
            login,
            nonce: None,
            nonce_was_asked: false,
            has_renewed: false,
            has_logged_in: true,
            step_ups: 0,
        }
    }

    /// The login as it is now.
    #[must_use]
    pub const fn login(&self) -> &Login {
        &self.login
    }

    /// An access token that is good for some time yet.
    ///
    /// # Errors
    /// [`Error::LoginRequired`], and those of a renewal.
    pub async fn access_token(&mut self) -> Result<&Secret, Error> {
        // What cannot be renewed is good to its end.
        if self.ends_within(MARGIN) && !self.renew().await? && self.ends_within(0) {
            return Err(Error::LoginRequired { url: self.url.to_owned() });
        }
        Ok(&self.login.tokens.access_token)
    }

    fn ends_within(&self, seconds: u64) -> bool {
        self.login.tokens.expires_at.is_some_and(|end| end <= now().saturating_add(seconds))
    }

    /// The headers for one request with the token as it is now (RFC 6750 §2.1, RFC 9449 §7.1).
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn headers(&self, method: &Method, url: &str) -> Result<HeaderMap, Error> {
        let Login { tokens, dpop, .. } = &self.login;
        let key = dpop.as_ref().filter(|_| tokens.is_dpop);
        let scheme = if key.is_some() { "DPoP" } else { "Bearer" };
        let token = tokens.access_token.expose();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, sensitive(&format!("{scheme} {token}"))?);
        if let Some(key) = key {
            let token = Some(&tokens.access_token);
            let proof = key.proof(method.as_str(), url, token, self.nonce.as_deref(), now())?;
            headers.insert(HeaderName::from_static("dpop"), sensitive(proof.expose())?);
        }
        Ok(headers)
    }

    /// Takes the nonce for further proofs out of an answer (RFC 9449 §8.2).
    pub fn learn(&mut self, headers: &HeaderMap) {
        let nonce = headers.get("dpop-nonce").and_then(|nonce| nonce.to_str().ok());
        if let Some(nonce) = nonce {
            self.nonce = Some(nonce.to_owned());
        }
    }

    /// Decides what to do about a 401 or 403.
    ///
    /// # Errors
    /// [`Error::ScopeInsufficient`] when more scopes were asked for often enough,
    /// [`Error::TokenRejected`] when not even a new login brought a token that is taken,
    /// [`Error::Forbidden`] when no token is asked for, and those of a renewal.
    pub async fn refused(
        &mut self,
        status: u16,
        challenge: Option<&Challenge>,
    ) -> Result<Next, Error> {
        let error = challenge.and_then(|challenge| challenge.error.as_deref());
        // The nonce came with the refusal. A second time it is no nonce that is missing.
        if error == Some("use_dpop_nonce") && !self.nonce_was_asked {
            self.nonce_was_asked = true;
            return Ok(Next::Retry);
        }
        if status == 403 || error == Some("insufficient_scope") {
            return self.stepping_up(challenge);
        }
        // Once: a token that is refused as soon as it was made will not be better the next time.
        if !self.has_renewed && self.renew().await? {
            self.has_renewed = true;
            return Ok(Next::Retry);
        }
        // Nor will the one of yet another login: a server that takes none would have its users log in
        // without an end.
        if self.has_logged_in {
            return Err(Error::TokenRejected { url: self.url.to_owned() });
        }
        Ok(Next::LogIn)
    }

    fn stepping_up(&mut self, challenge: Option<&Challenge>) -> Result<Next, Error> {
        let scope = challenge.and_then(|challenge| challenge.scope.as_ref());
        // No login changes what no scope allows.
        if scope.is_none() {
            return Err(Error::Forbidden { url: self.url.to_owned() });
        }
        if self.step_ups == MAX_STEP_UPS {
            let scope = scope.map(ToString::to_string).unwrap_or_default();
            return Err(Error::ScopeInsufficient { scope });
        }
        self.step_ups += 1;
        Ok(Next::LogIn)
    }

    /// Asks the user again: for what was asked for before, and what a challenge asks for besides (MCP
    /// authorization, step-up authorization flow: a refresh cannot widen).
    ///
    /// # Errors
    /// Those of [`login::login`].
    pub async fn log_in_again(
        &mut self,
        challenge: Option<&Challenge>,
        user: &(impl Ask + Sync),
    ) -> Result<(), Error> {
        let asked = ScopeSet::parse(&self.login.asked_scope).unwrap_or_default();
        let more = challenge.and_then(|challenge| challenge.scope.as_ref());
        let client = &self.login.client;
        let options = Options {
            // A client that was given belongs to one authorization server: where the MCP server names
            // another one now, that is for its user to look at, and no secret goes there (MCP
            // authorization, authorization server binding).
            issuer: (client.origin == Origin::Given).then(|| self.login.issuer.clone()),
            // Without a challenge the server's metadata say what to ask for, as at the first time.
            scope: more.map(|more| asked.union(more)),
            ways: Ways::of(client),
            dpop: self.login.tokens.is_dpop,
            by: if self.login.is_client_credentials { By::Client } else { By::User },
            ..Options::default()
        };
        self.login = login::login(self.http, self.store, self.url, &options, user).await?;
        self.has_renewed = false;
        self.has_logged_in = true;
        Ok(())
    }

    /// Gets a new token without a user, if that is possible: `false` means that only a login helps.
    ///
    /// The server is asked again who gives tokens for it: where that changed, what was given by another
    /// one is shown to nobody (MCP authorization, authorization server binding).
    async fn renew(&mut self) -> Result<bool, Error> {
        if let Some(outcome) = self.taken_over(self.store.login(self.url)?.as_ref()) {
            return Ok(outcome);
        }
        let resource = discovery::resource(self.http, self.url).await?;
        if !resource.issuers.contains(&self.login.issuer) {
            return Ok(false);
        }
        let server = login::server(self.http, &resource, &self.login.issuer).await?;
        // Only now: while a server takes its time over its metadata, other logins can be used.
        let mut locked = self.store.lock().await?;
        if let Some(outcome) = self.taken_over(locked.login(self.url)) {
            return Ok(outcome);
        }
        if server.issuer != self.login.issuer || resource.id != self.login.resource {
            return Ok(false);
        }
        let asking = Asking {
            server: &server,
            client: &self.login.client,
            resource: &resource.id,
            dpop: self.login.dpop.as_ref(),
        };
        let Login { tokens, asked_scope, .. } = &self.login;
        let (grant, scope) = match &tokens.refresh_token {
            _ if self.login.is_client_credentials => (Grant::ClientCredentials, asked_scope),
            // Nothing is asked for: it has what it had (OAuth 2.1 §4.3.1).
            Some(token) => (Grant::Refresh(token), &tokens.scope),
            None => return Ok(false),
        };
        let scope = ScopeSet::parse(scope).unwrap_or_default();
        let renewed = match asking.tokens(self.http, &grant, &scope).await {
            Ok(renewed) => renewed,
            // What was given is over. A server that is down or busy is another matter.
            Err(Error::TokenRefused(refusal))
                if matches!(refusal.error.as_str(), "invalid_grant" | "invalid_client") =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.login.tokens = kept(renewed, &self.login.tokens);
        locked.keep(self.url, self.login.clone())?;
        Ok(true)
    }

    /// What another program did to the login meanwhile: whether there is a good token now. `None` when
    /// there is still one to be had.
    fn taken_over(&mut self, kept: Option<&Login>) -> Option<bool> {
        let Some(kept) = kept else { return Some(false) };
        if kept.tokens == self.login.tokens {
            return None;
        }
        self.login = kept.clone();
        (!self.ends_within(MARGIN)).then_some(true)
    }
}

/// A refresh token that is not replaced stays good (OAuth 2.1 §4.3.3).
fn kept(renewed: Tokens, before: &Tokens) -> Tokens {
    let refresh_token = renewed.refresh_token.or_else(|| before.refresh_token.clone());
    Tokens { refresh_token, ..renewed }
}

fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::Crypto("the token does not fit into a header; log in again"))?;
    value.set_sensitive(true);
    Ok(value)
}
