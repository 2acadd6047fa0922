//! What stands between a connection and its authorization: the headers of each request, and what is done
//! about a refusal.

#[cfg(test)]
mod tests;

use std::fmt;

use countersign_core::oauth::scope::ScopeSet;
use reqwest::{Method, header::HeaderMap};

use crate::{
    Error, Http,
    login::{self, Ask, Options},
    mcp::{Caller, Notification, Refused},
    session::{Next, Session},
    store::Store,
};

/// An ear for what a server tells on the way.
pub type Listener = Box<dyn FnMut(&Notification) + Send>;

/// Access to one MCP server: by the login that is kept, by a new one, or without, where a server asks for
/// none.
pub struct Access<'a, U> {
    http: &'a Http,
    store: &'a Store,
    url: &'a str,
    session: Option<Session<'a>>,
    user: Option<&'a U>,
    listener: Option<Listener>,
}

impl<U> fmt::Debug for Access<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("url", &self.url).finish_non_exhaustive()
    }
}

impl<'a, U: Ask + Sync> Access<'a, U> {
    /// Takes up the login that is kept, if there is one. Without a user nobody is asked to log in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn new(
        http: &'a Http,
        store: &'a Store,
        url: &'a str,
        user: Option<&'a U>,
    ) -> Result<Self, Error> {
        let session = match Session::open(http, store, url) {
            Ok(session) => Some(session),
            Err(Error::LoginRequired { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { http, store, url, session, user, listener: None })
    }

    /// Has notifications told to somebody.
    #[must_use]
    pub fn listening(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Has a token that is good for the next request, if the server asks for one.
    ///
    /// # Errors
    /// Those of a renewal and of a login.
    pub async fn ready(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        match session.access_token().await {
            Ok(_) => Ok(()),
            Err(error @ Error::LoginRequired { .. }) => match self.user {
                Some(user) => session.log_in_again(None, user).await,
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Does what a refusal asks for. The same request can be made again then.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] and [`Error::StepUpRequired`] when nobody can be asked,
    /// those of [`Session::refused`], and those of renewals and logins.
    pub async fn refused(&mut self, refused: &Refused) -> Result<(), Error> {
        let challenge = refused.challenge.as_ref();
        let Some(session) = &mut self.session else {
            if refused.status == 403 && challenge.is_none() {
                return Err(Error::Forbidden { url: self.url.to_owned() });
            }
            let user =
                self.user.ok_or_else(|| Error::LoginRequired { url: self.url.to_owned() })?;
            let options = Options::default();
            let login = login::login(self.http, self.store, self.url, &options, user).await?;
            self.session = Some(Session::new(self.http, self.store, self.url, login));
            return Ok(());
        };
        if session.refused(refused.status, challenge).await? == Next::Retry {
            return Ok(());
        }
        match self.user {
            Some(user) => session.log_in_again(challenge, user).await,
            None if refused.status == 403 => {
                let asked = ScopeSet::parse(&session.login().asked_scope).unwrap_or_default();
                let more = challenge.and_then(|challenge| challenge.scope.clone());
                let scope = asked.union(&more.unwrap_or_default()).to_string();
                Err(Error::StepUpRequired { url: self.url.to_owned(), scope })
            }
            None => Err(Error::LoginRequired { url: self.url.to_owned() }),
        }
    }
}

impl<U: Sync> Caller for Access<'_, U> {
    fn headers(&mut self, method: &Method, url: &str) -> Result<HeaderMap, Error> {
        self.session.as_ref().map_or_else(|| Ok(HeaderMap::new()), |one| one.headers(method, url))
    }

    fn answered(&mut self, headers: &HeaderMap) {
        if let Some(session) = &mut self.session {
            session.learn(headers);
        }
    }

    fn notified(&mut self, notification: &Notification) {
        if let Some(listener) = &mut self.listener {
            listener(notification);
        }
    }
}
