//! The `WWW-Authenticate` challenge (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).

use alloc::{format, string::String, vec::Vec};

use super::scope::ScopeSet;
use crate::{ChallengeError, jose::alg::Algorithm};

/// A challenge under construction. Every value is escaped, and control characters cannot be
/// expressed, so that nothing can be injected into the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    text: String,
}

impl Challenge {
    /// A challenge that points to the protected resource's metadata.
    #[must_use]
    pub fn bearer(resource_metadata: &str) -> Self {
        let mut challenge = Self { text: String::from("Bearer ") };
        challenge.push("resource_metadata", resource_metadata);
        challenge
    }

    /// A challenge for tokens that are bound to a key (RFC 9449 §7.1), likewise.
    #[must_use]
    pub fn dpop(resource_metadata: &str) -> Self {
        let mut challenge = Self { text: String::from("DPoP ") };
        challenge.push("resource_metadata", resource_metadata);
        challenge
    }

    /// Adds the algorithms that proofs may be signed with (RFC 9449 §7.1).
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        self.push("algs", &names.join(" "));
        self
    }

    /// Adds the challenge of another scheme behind this one (RFC 9110 §11.6.1).
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.text.push_str(", ");
        self.text.push_str(&other.text);
        self
    }

    /// Adds the error with its text. A request without credentials gets none (RFC 6750 §3.1).
    #[must_use]
    pub fn with_error(mut self, error: ChallengeError, description: &str) -> Self {
        self.push("error", error.code());
        self.push("error_description", description);
        self
    }

    /// Adds all scopes that the request needs. An empty set adds nothing.
    #[must_use]
    pub fn with_scope(mut self, scope: &ScopeSet) -> Self {
        if !scope.is_empty() {
            self.push("scope", &format!("{scope}"));
        }
        self
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn push(&mut self, name: &str, value: &str) {
        if !self.text.ends_with(' ') {
            self.text.push_str(", ");
        }
        self.text.push_str(name);
        self.text.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' | '\\' => {
                    self.text.push('\\');
                    self.text.push(character);
                }
                ' '..='~' => self.text.push(character),
                // A quoted-string has no place for these (RFC 9110 §5.6.4).
                _ => self.text.push('?'),
            }
        }
        self.text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_error() {
        let bare = Challenge::bearer("https://h/.well-known/oauth-protected-resource");
        assert_eq!(
            bare.as_str(),
            r#"Bearer resource_metadata="https://h/.well-known/oauth-protected-resource""#
        );
        let full = bare
            .with_error(ChallengeError::InsufficientScope, "more")
            .with_scope(&ScopeSet::parse("a b").unwrap());
        assert!(
            full.as_str().ends_with(
                r#"", error="insufficient_scope", error_description="more", scope="a b""#
            )
        );
    }

    #[test]
    fn nothing_can_be_injected() {
        let challenge = Challenge::bearer("x\"\\\r\nSet-Cookie: a=b\u{0}ü");
        assert_eq!(challenge.as_str(), "Bearer resource_metadata=\"x\\\"\\\\??Set-Cookie: a=b??\"");
    }
}
