//! Tokens that this issuer gave out and that are shown to it: which one it is, what it is worth now, and
//! its end. The endpoints decide here, and so does the command line: there is no second opinion.

mod access;
mod administered;

use std::sync::Arc;

use countersign_core::Reason;

pub(crate) use self::access::{OwnKeys, OwnToken, auth_time};
pub use self::administered::{
    RevokedToken, StatusPlace, TokenInfo, TokenKind, TokenReport, Tokens,
};
use crate::{
    Error, clock,
    keys::Published,
    seal::KeyRing,
    secret::{self, Kind},
    status::StatusLists,
    store::{RefreshRow, Store},
};

/// Why a token is none of this issuer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The same reason that a guard would give.
    pub reason: Reason,
    /// What was found instead. It may hold what whoever made the token wrote: escape it.
    pub detail: Option<String>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None }
    }
}

/// What judges a token. The server makes it of what it has, the command line of the database.
pub(crate) struct Judge<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) published: Arc<Published>,
    pub(crate) keys: &'a OwnKeys,
    pub(crate) status: &'a StatusLists,
    pub(crate) store: &'a Store,
    pub(crate) ring: &'a KeyRing,
}

/// A token of this issuer's own.
#[derive(Debug)]
pub(crate) enum Token {
    Access(Box<OwnToken>),
    Refresh(Box<RefreshRow>),
}

/// What a token turned out to be.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// One of this issuer's own; with the reason, if it is worth nothing now.
    Own(Token, Option<Reason>),
    /// None of its own.
    Foreign(Refusal),
}

/// Who ends a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The client, which gives back what it has (RFC 7009).
    Client,
    Administrator,
}

impl Token {
    /// The client that it was issued to.
    pub(crate) fn client_id(&self) -> Option<&str> {
        match self {
            Self::Access(own) => own.claims.client_id.as_deref(),
            Self::Refresh(row) => Some(&row.client_id),
        }
    }
}

impl Judge<'_> {
    /// An access token of our own that is not over.
    pub(crate) fn access_token(&self, text: &str) -> Result<OwnToken, Refusal> {
        match OwnToken::read(self, text)? {
            own if own.is_over() => Err(Reason::TokenExpired.into()),
            own => Ok(own),
        }
    }

    /// Whether an access token was revoked, as of now.
    pub(crate) async fn is_revoked(&self, own: &OwnToken) -> Result<bool, Error> {
        self.status.is_revoked(self.store, self.ring, &own.place).await
    }

    /// Which token this is, whatever it is worth. It says by itself of which kind it is, so nobody needs to
    /// hint (RFC 7009 §2.1).
    pub(crate) async fn find(&self, text: &str) -> Result<Result<Token, Refusal>, Error> {
        if !secret::is_well_formed(Kind::RefreshToken, text) {
            return Ok(OwnToken::read(self, text).map(|own| Token::Access(Box::new(own))));
        }
        let row = self.store.refresh_token(&secret::hash(Kind::RefreshToken, text)).await?;
        let row = row.map(|row| Token::Refresh(Box::new(row)));
        Ok(row.ok_or_else(|| Reason::TokenInactive.into()))
    }

    /// What a token is worth at this moment.
    pub(crate) async fn verdict(&self, text: &str) -> Result<Verdict, Error> {
        let token = match self.find(text).await? {
            Ok(token) => token,
            Err(refusal) => return Ok(Verdict::Foreign(refusal)),
        };
        let reason = match &token {
            Token::Access(own) if own.is_over() => Some(Reason::TokenExpired),
            Token::Access(own) if self.is_revoked(own).await? => Some(Reason::TokenRevoked),
            Token::Refresh(row) if row.is_over() => Some(Reason::TokenRevoked),
            Token::Refresh(row) if row.expires_at <= clock::now() => Some(Reason::TokenExpired),
            // Its successor took its place.
            Token::Refresh(row) if row.rotated_at.is_some() => Some(Reason::TokenInactive),
            Token::Access(_) | Token::Refresh(_) => None,
        };
        Ok(Verdict::Own(token, reason))
    }

    /// Ends a token (RFC 7009 §2.1). A refresh token ends its grant, with all access tokens; an access
    /// token ends alone. Says whether anything was not over before.
    pub(crate) async fn end(&self, token: &Token, by: By) -> Result<bool, Error> {
        let reason = match by {
            By::Client => "revoked_by_client",
            By::Administrator => "revoked_by_administrator",
        };
        match (token, by) {
            // Also one whose time is over: guards' clocks may be behind.
            (Token::Access(own), _) => {
                let jti = own.claims.token_id.as_deref().unwrap_or("");
                let place = &own.place;
                self.store.revoke_access_token(&place.list, place.index, jti, reason).await
            }
            // What the user allowed the client is still allowed.
            (Token::Refresh(row), By::Client) => self.store.give_back_grant(&row.grant_id).await,
            (Token::Refresh(row), By::Administrator) => {
                self.store.revoke_grant(&row.grant_id, reason).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
