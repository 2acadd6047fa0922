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
    DeviceCode,
    GrantId,
    InitialToken,
    Interaction,
    InteractionInRedis,
    Node,
    PushedRequest,
    RefreshToken,
    RegistrationToken,
    Session,
    TokenId,
    UserCode,
    UserId,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "ac_",
            Self::Browser => "br_",
            Self::ClientId => "c_",
            Self::ClientSecret => "cs_",
            Self::DeviceCode => "dc_",
            Self::GrantId => "g_",
            Self::InitialToken => "ia_",
            Self::Interaction => "in_",
            Self::InteractionInRedis => "ir_",
            Self::Node => "n_",
            Self::PushedRequest => "pr_",
            Self::RefreshToken => "rt_",
            Self::RegistrationToken => "ra_",
            Self::Session => "ss_",
            Self::TokenId => "t_",
            Self::UserCode => "uc_",
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

/// Whether a value could be one of ours.
pub(crate) fn is_well_formed(kind: Kind, value: &str) -> bool {
    value
        .strip_prefix(kind.prefix())
        .is_some_and(|random| base64url::decode(random).is_ok_and(|bytes| bytes.len() == 32))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack 6: a value of one kind is nothing as another.
    #[test]
    fn attack_6_kinds_are_apart() {
        let code = new(Kind::AuthorizationCode).unwrap();
        assert_ne!(hash(Kind::AuthorizationCode, &code), hash(Kind::RefreshToken, &code));
        assert!(is_well_formed(Kind::AuthorizationCode, &code));
        assert!(!is_well_formed(Kind::RefreshToken, &code));
        assert!(!is_well_formed(Kind::AuthorizationCode, &code[..45]));
        assert_eq!(code.len(), 46, "256 bits and a prefix");
    }
}
