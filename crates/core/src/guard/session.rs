//! MCP sessions bound to whom they were given to (MCP up to 2025-11-25, Streamable HTTP, session
//! management; security best practices, session hijacking).
//!
//! A server's session id is not a secret that can be relied on: whoever learns it could go on with
//! somebody else's session. So the client is given the id with a seal behind it, which only the guard can
//! make, and which is good for one caller at one resource. The server sees its own id, and no session that
//! another caller brings. Nothing is remembered: every worker and every node can check every seal.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::{
    decision::Header,
    identity::Identity,
    policy::{Mode, ResourcePolicy},
    request::{RequestHead, Single},
};
use crate::{Reason, jose::base64url};

/// The header's name, in lower case.
const HEADER: &str = "mcp-session-id";

/// Longest id of a server that is sealed, in bytes.
const MAX_ID: usize = 1024;

/// Length of a seal in bytes, and as text.
const SEAL: usize = 16;
const SEAL_TEXT: usize = 22;

/// The secret from which seals are made.
#[derive(Clone)]
pub struct SessionSecret(Vec<u8>);

/// Never shown.
impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret")
    }
}

impl SessionSecret {
    /// Takes the bytes if there are at least 32 of them.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() >= 32).then_some(Self(bytes))
    }

    /// What seals the sessions of this caller at this resource.
    fn seal_of(&self, resource: &str, identity: &Identity) -> SessionSeal {
        let subject = identity.subject.as_deref();
        let client = identity.client_id.as_deref();
        let parts = [Some(resource), Some(identity.issuer.as_str()), subject, client];
        let parts = parts.into_iter().flat_map(|part| {
            // Each with its length, so that no two lists of parts are the same bytes.
            let length = part.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes();
            [length.to_vec(), part.unwrap_or_default().as_bytes().to_vec()]
        });
        SessionSeal(mac(&self.0, b"countersign session 1\0", parts))
    }
}

/// Seals the session ids that a server gives to one caller at one resource.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSeal([u8; 32]);

/// Never shown: it is a key.
impl fmt::Debug for SessionSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSeal")
    }
}

impl SessionSeal {
    /// From the key that [`Self::key`] gave, for hosts that keep it in another language.
    #[must_use]
    pub const fn from_key(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key. Secret.
    #[must_use]
    pub const fn key(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the client gets in the place of the server's `Mcp-Session-Id`; `None` for one that is none:
    /// empty, longer than 1024 bytes, or not visible ASCII. Then the client must get no such header.
    #[must_use]
    pub fn seal(&self, id: &[u8]) -> Option<String> {
        let id = core::str::from_utf8(id).ok().filter(|id| is_id(id))?;
        Some(format!("{id}.{}", self.tag(id)))
    }

    /// The server's own id, if this caller was given it.
    fn open<'a>(&self, sealed: &'a str) -> Option<&'a str> {
        let end = sealed.len().checked_sub(SEAL_TEXT + 1)?;
        let (id, tag) = sealed.split_at_checked(end)?;
        let tag = tag.strip_prefix('.')?;
        let same: bool = self.tag(id).as_bytes().ct_eq(tag.as_bytes()).into();
        (same && is_id(id)).then_some(id)
    }

    fn tag(&self, id: &str) -> String {
        let tag = mac(&self.0, b"", [id.as_bytes().to_vec()]);
        base64url::encode(tag.split_at(SEAL).0)
    }
}

/// The session of a request, where sessions are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Session {
    /// Not bound here, or none was sent.
    #[default]
    None,
    /// Sent twice, or no text.
    Invalid,
    Id(String),
}

impl Session {
    pub(super) fn of(head: &RequestHead<'_>, resource: &ResourcePolicy) -> Self {
        if secret_of(resource).is_none() {
            return Self::None;
        }
        match head.single(HEADER) {
            Single::Absent => Self::None,
            Single::Repeated => Self::Invalid,
            Single::Value(value) => {
                core::str::from_utf8(value).map_or(Self::Invalid, |id| Self::Id(id.trim().into()))
            }
        }
    }

    /// What the server gets, and what seals its answer.
    ///
    /// # Errors
    /// [`Reason::SessionUnknown`] for a session that was not given to this caller.
    pub(super) fn bind(
        &self,
        resource: &ResourcePolicy,
        identity: &Identity,
    ) -> Result<(Option<Header>, Option<SessionSeal>), Reason> {
        let Some(secret) = secret_of(resource) else { return Ok((None, None)) };
        let seal = secret.seal_of(resource.audience.resource.as_str(), identity);
        let header = match self {
            Self::None => None,
            Self::Invalid => return Err(Reason::SessionUnknown),
            Self::Id(sealed) => {
                let id = seal.open(sealed).ok_or(Reason::SessionUnknown)?;
                Some(Header::fixed(HEADER, id))
            }
        };
        Ok((header, Some(seal)))
    }
}

/// The header by which sessions are bound at this resource, if they are.
pub(super) fn header(resource: &ResourcePolicy) -> Option<&'static str> {
    secret_of(resource).map(|_| HEADER)
}

/// In shadow mode clients and server are to notice nothing.
fn secret_of(resource: &ResourcePolicy) -> Option<&SessionSecret> {
    resource.session_secret.as_ref().filter(|_| resource.mode == Mode::Enforce)
}

/// MCP 2025-06-18, session management: visible ASCII.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn mac(key: &[u8], label: &[u8], parts: impl IntoIterator<Item = Vec<u8>>) -> [u8; 32] {
    // HMAC takes keys of any length: there is always one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(label);
    parts.into_iter().for_each(|part| mac.update(&part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: SessionSeal = SessionSeal([7; 32]);

    #[test]
    fn what_is_sealed_opens() {
        for id in ["1868a90c", "a.b.c", "~", "x"] {
            let sealed = SEAL.seal(id.as_bytes()).unwrap();
            assert_eq!(SEAL.open(&sealed), Some(id));
            assert_eq!(SessionSeal([8; 32]).open(&sealed), None, "another caller");
        }
        let long = [b'a'; MAX_ID];
        assert!(SEAL.seal(&long).is_some_and(|sealed| SEAL.open(&sealed).is_some()));
    }

    #[test]
    fn what_is_no_id_is_not_sealed() {
        for id in [&b""[..], b"a b", b"a\n", b"\xff", "ä".as_bytes(), &[b'a'; MAX_ID + 1]] {
            assert_eq!(SEAL.seal(id), None, "{id:?}");
        }
    }

    #[test]
    fn nothing_else_opens() {
        let sealed = SEAL.seal(b"id").unwrap();
        for wrong in [
            String::new(),
            "id".into(),
            "id.".into(),
            sealed.replacen("id", "ie", 1),
            sealed.replacen("id", "", 1),
            format!("{sealed}x"),
            sealed[..sealed.len() - 1].into(),
            sealed.replace('.', "-"),
            format!("ä{sealed}"),
            "é".repeat(20),
        ] {
            assert_eq!(SEAL.open(&wrong), None, "{wrong:?}");
        }
    }
}
