//! Giving back what a login was given (RFC 7009).

#[cfg(test)]
mod tests;

use reqwest::Method;

use crate::{
    Error, Http, Refusal, discovery,
    store::{Login, Store},
    token::{authenticated, now},
};

/// What became of the tokens at their authorization server.
#[derive(Clone, Debug, PartialEq)]
pub enum Revocation {
    /// They are revoked.
    Done,
    /// The server has no endpoint for it: they end by themselves.
    NotOffered,
    /// It was asked, and did not do it.
    Failed(Error),
}

/// Forgets a login, and has its tokens revoked where that is possible. Nothing is kept here in any case.
///
/// # Errors
/// [`Error::LoginRequired`] when there is none, [`Error::Store`].
pub async fn logout(http: &Http, store: &Store, url: &str) -> Result<Revocation, Error> {
    let mut locked = store.lock().await?;
    let login = locked.login(url).cloned();
    let login = login.ok_or_else(|| Error::LoginRequired { url: url.to_owned() })?;
    locked.forget(url)?;
    // Whoever waits for the file need not wait for a server.
    drop(locked);
    Ok(revoke(http, &login).await.unwrap_or_else(Revocation::Failed))
}

/// The refresh token, with which the whole grant ends, else the access token.
async fn revoke(http: &Http, login: &Login) -> Result<Revocation, Error> {
    let server = discovery::server(http, &login.issuer).await?;
    let Some(endpoint) = server.optional("revocation_endpoint")? else {
        return Ok(Revocation::NotOffered);
    };
    let tokens = &login.tokens;
    let (token, hint) = match &tokens.refresh_token {
        Some(token) => (token, "refresh_token"),
        None => (&tokens.access_token, "access_token"),
    };
    let form = [("token", token.expose()), ("token_type_hint", hint)];
    let request = http.request(Method::POST, endpoint)?;
    let request = authenticated(request, &login.client, &server.issuer, &form, now())?;
    let answer = http.send(request).await?;
    match answer.status {
        200 => Ok(Revocation::Done),
        _ => Err(Error::RevocationRefused(Refusal::of(&answer))),
    }
}
