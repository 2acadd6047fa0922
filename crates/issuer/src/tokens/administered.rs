//! What an operator may know of a token, and do to it. The token itself is never kept or told.

use std::sync::Arc;

use countersign_core::{
    jose::base64url,
    jwt::{claims::Claims, confirmation::Confirmation},
};

use super::{By, Judge, OwnKeys, OwnToken, Refusal, Token, Verdict};
use crate::{
    Config, Error,
    issuer::Issuer,
    keys::Published,
    seal::KeyRing,
    status::{StatusLists, list_uri},
    store::{GrantState, RefreshRow, Store, User},
};

/// The tokens of an issuer, beside its servers.
pub struct Tokens {
    store: Store,
    issuer: Issuer,
    published: Arc<Published>,
    keys: OwnKeys,
    status: StatusLists,
    ring: KeyRing,
}

/// What a token is worth, and what stands in it.
#[derive(Clone, Debug)]
pub struct TokenReport {
    /// Why it is worth nothing now; `None`: it is good.
    pub refused: Option<Refusal>,
    /// What it says; `None` for what is no token of this issuer's, since nobody vouches for it.
    pub token: Option<TokenInfo>,
}

/// What a token turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A JWT (RFC 9068).
    Access,
    /// Opaque; its grant is the family.
    Refresh,
}

/// What stands in a token of this issuer's, and what the database knows of it.
#[derive(Clone, Debug)]
pub struct TokenInfo {
    /// Which kind it is.
    pub kind: TokenKind,
    /// The name of an access token (`jti`).
    pub id: Option<String>,
    /// The issuer.
    pub issuer: String,
    /// Who it speaks for: a user, or a client that acts for itself.
    pub subject: Option<String>,
    /// The user, if the subject is one that there is.
    pub user: Option<User>,
    /// The client that has it.
    pub client_id: Option<String>,
    /// The client's name, as the registrant gave it, if there is such a client.
    pub client_name: Option<String>,
    /// Whether the client is shut out.
    pub client_disabled: bool,
    /// The resource that it is for.
    pub audience: Vec<String>,
    /// What it allows, separated by spaces.
    pub scope: String,
    /// When it was issued, in seconds since the epoch.
    pub issued_at: Option<i64>,
    /// First second at which it is over.
    pub expires_at: i64,
    /// The SHA-256 thumbprint of the key that it is bound to (RFC 9449 §6.1), as base64url.
    pub bound_to: Option<String>,
    /// The grant that it belongs to. Tokens that a client gets for itself have none.
    pub grant: Option<GrantState>,
    /// Where an access token stands.
    pub status: Option<StatusPlace>,
}

/// A place in a status list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusPlace {
    /// Where the list is published.
    pub uri: String,
    /// The place in it.
    pub index: u32,
    /// Whether the list says that the token is revoked. One that is gone has no valid tokens.
    pub is_revoked: bool,
}

/// What became of a token that was to be revoked.
#[derive(Clone, Debug)]
pub enum RevokedToken {
    /// It is worth nothing any more; with whether that is new.
    Ended(Box<TokenInfo>, bool),
    /// It is none of this issuer's: nothing was done.
    Foreign(Refusal),
}

impl Tokens {
    /// The tokens of the issuer of this configuration, in its database. The sealing key is needed only
    /// where a client was shut out that had tokens for itself, and is not missed before.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Database`], [`Error::Io`] for a key file that cannot be read.
    pub async fn open(store: Store, config: &Config) -> Result<Self, Error> {
        config.check()?;
        Ok(Self {
            issuer: config.issuer_at(config.listen)?,
            published: Published::read(&store).await?.into(),
            keys: OwnKeys::default(),
            status: StatusLists::default(),
            ring: KeyRing::load_if_there(config)?,
            store,
        })
    }

    /// The issuer whose tokens these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// What a token is worth now, by the decision of `/introspect`.
    ///
    /// # Errors
    /// [`Error::Database`]; [`Error::Crypto`] when a status list does not open with the sealing key.
    pub async fn inspect(&self, text: &str) -> Result<TokenReport, Error> {
        Ok(match self.judge().verdict(text).await? {
            Verdict::Foreign(refusal) => TokenReport { refused: Some(refusal), token: None },
            Verdict::Own(token, reason) => TokenReport {
                refused: reason.map(Refusal::from),
                token: Some(self.describe(&token).await?),
            },
        })
    }

    /// Ends a token as `/revoke` does, whatever client it belongs to. One that has ended stays so.
    ///
    /// # Errors
    /// [`Error::Database`]; [`Error::Crypto`] when a status list does not open with the sealing key.
    pub async fn revoke(&self, text: &str) -> Result<RevokedToken, Error> {
        let judge = self.judge();
        let token = match judge.find(text).await? {
            Ok(token) => token,
            Err(refusal) => return Ok(RevokedToken::Foreign(refusal)),
        };
        let is_new = judge.end(&token, By::Administrator).await?;
        Ok(RevokedToken::Ended(Box::new(self.describe(&token).await?), is_new))
    }

    fn judge(&self) -> Judge<'_> {
        Judge {
            issuer: self.issuer.as_str(),
            published: Arc::clone(&self.published),
            keys: &self.keys,
            status: &self.status,
            store: &self.store,
            ring: &self.ring,
        }
    }

    async fn describe(&self, token: &Token) -> Result<TokenInfo, Error> {
        let mut info = match token {
            Token::Access(own) => self.access(own).await?,
            Token::Refresh(row) => self.refresh(row).await?,
        };
        if let Some(subject) = &info.subject {
            info.user = self.store.user(subject).await?;
        }
        if let Some(id) = &info.client_id
            && let Some(row) = self.store.client(id).await?
        {
            info.client_disabled = row.client.is_disabled;
            info.client_name = Some(row.client.name);
        }
        Ok(info)
    }

    async fn access(&self, own: &OwnToken) -> Result<TokenInfo, Error> {
        let OwnToken { claims, place, expires_at } = own;
        let status = StatusPlace {
            uri: list_uri(self.issuer(), &place.list),
            index: place.index,
            is_revoked: self.judge().is_revoked(own).await?,
        };
        Ok(TokenInfo {
            kind: TokenKind::Access,
            id: claims.token_id.clone(),
            issuer: self.issuer().to_owned(),
            subject: claims.subject.clone(),
            user: None,
            client_id: claims.client_id.clone(),
            client_name: None,
            client_disabled: false,
            audience: claims.audience.clone(),
            scope: claims.scope.to_string(),
            issued_at: claims.issued_at.and_then(|at| i64::try_from(at).ok()),
            expires_at: i64::try_from(*expires_at).unwrap_or(i64::MAX),
            bound_to: thumbprint(claims),
            grant: self.store.grant_at(&place.list, place.index).await?,
            status: Some(status),
        })
    }

    async fn refresh(&self, row: &RefreshRow) -> Result<TokenInfo, Error> {
        let cnf = row.cnf.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let jkt = cnf.and_then(|cnf: serde_json::Value| Some(cnf.get("jkt")?.as_str()?.to_owned()));
        Ok(TokenInfo {
            kind: TokenKind::Refresh,
            id: None,
            issuer: self.issuer().to_owned(),
            subject: Some(row.user_id.clone()),
            user: None,
            client_id: Some(row.client_id.clone()),
            client_name: None,
            client_disabled: false,
            audience: vec![row.resource.clone()],
            scope: row.scopes.clone(),
            issued_at: Some(row.issued_at),
            expires_at: row.expires_at,
            bound_to: jkt,
            grant: self.store.grant(&row.grant_id).await?,
            status: None,
        })
    }
}

/// The key that an access token is bound to.
fn thumbprint(claims: &Claims) -> Option<String> {
    match &claims.confirmation {
        Confirmation::Thumbprint(digest) | Confirmation::Certificate(digest) => {
            Some(base64url::encode(digest))
        }
        // This issuer binds to nothing else.
        Confirmation::None | Confirmation::Other => None,
    }
}
