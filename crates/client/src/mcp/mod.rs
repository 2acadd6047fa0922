//! A client of MCP servers over Streamable HTTP, of both eras: the stateless one that begins with
//! revision 2026-07-28, and the one of sessions before it, back to 2025-03-26.
//!
//! It knows no OAuth. Whoever holds a [`Connection`] is its [`Caller`]: it gives the headers that
//! authorize a request, and is handed a refusal as [`Outcome::Refused`], so that it can get another
//! token and ask again. What a server sends is bounded in bytes and in time, and read strictly.

mod connection;
mod events;
mod exchange;
mod headers;
mod message;
mod negotiate;
mod tools;

#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::{Method, header::HeaderMap};
use serde_json::{Map, Value};

pub use self::{
    connection::Connection,
    tools::{Excluded, Tool, Tools},
};
use crate::{Error, discovery::Challenge};

/// The revisions of MCP that are spoken, in the order of their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Revision {
    /// 2025-03-26, the first with Streamable HTTP. It alone has batches.
    V20250326,
    /// 2025-06-18.
    V20250618,
    /// 2025-11-25, the last with sessions.
    V20251125,
    /// 2026-07-28, the first without.
    V20260728,
}

impl Revision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V20250326, Self::V20250618, Self::V20251125, Self::V20260728];

    /// As it is written in messages and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
            Self::V20260728 => "2026-07-28",
        }
    }

    /// The one that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// Whether it begins with a handshake, and may have sessions.
    #[must_use]
    pub const fn has_sessions(self) -> bool {
        !matches!(self, Self::V20260728)
    }
}

/// Whoever holds a connection, as far as a request of it needs them.
pub trait Caller: Send {
    /// The headers that authorize one HTTP request, asked for before each: `Authorization`, and
    /// `DPoP` with a proof for this method and URL. Their values should be marked as sensitive.
    ///
    /// # Errors
    /// Ends the request.
    fn headers(&mut self, method: &Method, url: &str) -> Result<HeaderMap, Error>;

    /// The headers of each answer, refusals too, before anything is made of it: `DPoP-Nonce`.
    fn answered(&mut self, headers: &HeaderMap) {
        let _ = headers;
    }

    /// What the server wants to have before it goes on (2026-07-28, multi round-trip requests): its
    /// requests by their names. Gives back the result of each by the same name, or `None` where there
    /// is nobody to ask. Servers ask only for [what the client says it can](Connection::with_capability).
    fn asked(&mut self, requests: &Map<String, Value>) -> Option<Map<String, Value>> {
        let _ = requests;
        None
    }

    /// Something that the server tells on the way to its answer.
    fn notified(&mut self, notification: &Notification) {
        let _ = notification;
    }
}

/// Without authorization, and without an ear for notifications.
impl Caller for () {
    fn headers(&mut self, _: &Method, _: &str) -> Result<HeaderMap, Error> {
        Ok(HeaderMap::new())
    }
}

/// A notification of the server: `notifications/progress`, `notifications/message` and others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What it is about.
    pub method: String,
    /// The server's words about it: not to be shown without a look at control characters.
    pub params: Value,
}

/// What came of a request, where it was no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The server did what it was asked for.
    Done(T),
    /// The server did nothing: it wants another token. The same request can be made again.
    Refused(Refused),
}

/// A refusal for want of authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// 401 or 403.
    pub status: u16,
    /// What the server asks for; `None` when it does not say it.
    pub challenge: Option<Challenge>,
}

/// Bounds of what a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest time without a byte.
    pub silence: Duration,
    /// The longest time for one request with all that belongs to it, however much comes.
    pub total: Duration,
    /// The longest answer, in bytes, with the notifications before it.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(60),
            total: Duration::from_secs(30 * 60),
            bytes: 16 * 1024 * 1024,
        }
    }
}
