//! Random secrets: codes, tokens, cookies. Given out once, kept as digests.

use aws_lc_rs::{digest, rand};
use countersign_core::jose::base64url;

use crate::Error;

/// What a secret is for; the prefix makes leaks findable, and keeps the kinds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AuthorizationCode,
    Browser,
    ClientId,
    ClientSecret,
    GrantId,
    Interaction,
    RefreshToken,
    Session,
    TokenId,
    UserId,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "ac_",
            Self::Browser => "br_",
            Self::ClientId => "c_",
            Self::ClientSecret => "cs_",
            Self::GrantId => "g_",
            Self::Interaction => "in_",
            Self::RefreshToken => "rt_",
            Self::Session => "ss_",
            Self::TokenId => "t_",
            Self::UserId => "u_",
        }
    }
}

/// A new value with 256 random bits.
pub(crate) fn new(kind: Kind) -> Result<String, Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)?;
    Ok(format!("{}{}", kind.prefix(), base64url::encode(bytes)))
}

/// The digest under which a secret is stored: SHA-256 of kind, NUL and value.
pub(crate) fn hash(kind: Kind, value: &str) -> Vec<u8> {
    sha256(&[kind.prefix().as_bytes(), &[0], value.as_bytes()]).to_vec()
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
