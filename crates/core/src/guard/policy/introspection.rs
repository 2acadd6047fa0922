//! `issuers[].introspection`: who is asked about opaque tokens, and as whom.

use alloc::string::String;
use core::fmt;

use super::{PolicyError, issuer::read_uri, reader::Node};
use crate::{
    jwt::{access_token::Profile, preset::RFC_9068},
    oauth::introspection::basic_credentials,
};

/// Where an issuer is asked about tokens that only it can read (RFC 7662).
#[derive(Clone)]
pub struct IntrospectionPolicy {
    /// The introspection endpoint.
    pub endpoint: String,
    /// `Authorization` of the guard as a client of the issuer.
    pub(in crate::guard) authorization: String,
    /// How long an answer is used, in seconds.
    pub cache: u64,
    /// What the answer must say.
    pub profile: Profile,
}

/// Leaves out the secret.
impl fmt::Debug for IntrospectionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionPolicy")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl IntrospectionPolicy {
    /// `profile`: that of the issuer's own JWTs.
    pub(super) fn read(node: &Node<'_>, profile: &Profile) -> Result<Self, PolicyError> {
        let mut members = node.members()?;
        let endpoint = members.required("endpoint").and_then(|node| read_uri(&node))?;
        let mut text = |name| {
            let node = members.required(name)?;
            match node.text()? {
                "" => Err(node.error("must not be empty")),
                text => Ok(text),
            }
        };
        let authorization = basic_credentials(text("client_id")?, text("client_secret")?);
        let cache = members.read("cache", |node| node.number(1, 3600))?.unwrap_or(30);
        members.finish()?;
        let required = profile.required_claims.iter().filter(|name| *name != "jti");
        let profile = Profile {
            // The server speaks of tokens by their standard names (RFC 7662 §2.2), and a token of any
            // lifetime is good for as long as it says so. A name of their own few of them have.
            preset: &RFC_9068,
            required_claims: required.cloned().collect(),
            max_lifetime: u64::MAX,
            ..profile.clone()
        };
        Ok(Self { endpoint, authorization, cache, profile })
    }
}
