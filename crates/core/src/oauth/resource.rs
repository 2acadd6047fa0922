//! Resource indicators (RFC 8707, RFC 9728 §1.2): kept as written, compared canonically.

use alloc::{
    borrow::ToOwned as _,
    string::{String, ToString as _},
};
use core::fmt;

/// A resource identifier: an absolute URI without fragment.
///
/// The text is published exactly as it was written, since clients compare it byte for byte; a URL
/// type that would add or drop a slash never touches it. Comparison follows RFC 3986 §6.2.2 as far
/// as it cannot confuse two resources: case of scheme and host, default port, and the empty path.
#[derive(Clone, Debug)]
pub struct ResourceId {
    text: String,
    canonical: String,
}

/// Why a text is no resource identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceIdError {
    /// It has a fragment (RFC 8707 §2).
    Fragment,
    /// It has characters that no URI has.
    InvalidCharacter,
    /// It is not `scheme://host…`, or its port is not a number.
    NotAbsolute,
    /// It has user information before the host.
    UserInfo,
}

impl fmt::Display for ResourceIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fragment => "a resource identifier has no fragment",
            Self::InvalidCharacter => "the identifier has characters that no URI has",
            Self::NotAbsolute => "the identifier is not an absolute URI like https://host/path",
            Self::UserInfo => "the identifier has user information before the host",
        })
    }
}

impl core::error::Error for ResourceIdError {}

impl ResourceId {
    /// Checks an identifier.
    ///
    /// # Errors
    /// [`ResourceIdError`] says what is wrong with it.
    ///
    /// ```
    /// use countersign_core::oauth::resource::ResourceId;
    /// let resource = ResourceId::parse("https://mcp.example.com").unwrap();
    /// assert!(resource.matches("HTTPS://MCP.example.com:443/"));
    /// assert!(!resource.matches("https://mcp.example.com/mcp"));
    /// assert_eq!(resource.as_str(), "https://mcp.example.com");
    /// ```
    pub fn parse(text: &str) -> Result<Self, ResourceIdError> {
        Ok(Self { text: text.to_owned(), canonical: canonical(text)? })
    }

    /// The identifier as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether another spelling names the same resource. A text that is no resource identifier
    /// names none.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.text == other || canonical(other).is_ok_and(|other| other == self.canonical)
    }

    /// Scheme, authority, and the rest (path and query) as written.
    #[must_use]
    pub fn parts(&self) -> (&str, &str, &str) {
        split(&self.text).unwrap_or((&self.text, "", ""))
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for ResourceId {}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `scheme`, `authority`, and what follows it.
pub(crate) fn split(uri: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    Some((scheme, rest.get(..end)?, rest.get(end..)?))
}

/// The port that a scheme has when none is written.
pub(crate) fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

/// Host and, if written, port. `None` when the port is not a number or the host is empty.
pub(crate) fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    // The colons of an IPv6 literal are inside its brackets.
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority.get(host_end..)?.rfind(':') {
        Some(colon) => {
            let colon = host_end + colon;
            (authority.get(..colon)?, Some(authority.get(colon + 1..)?))
        }
        None => (authority, None),
    };
    let numeric = port.is_none_or(|port| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    let bracketed = host.starts_with('[') && host.ends_with(']');
    (numeric && !host.is_empty() && (bracketed || !host.contains([':', '[', ']'])))
        .then_some((host, port))
}

fn canonical(text: &str) -> Result<String, ResourceIdError> {
    // The characters of RFC 3986 §2; `%` stands for itself, nothing is decoded.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%#".contains(&b);
    if !text.bytes().all(allowed) {
        return Err(ResourceIdError::InvalidCharacter);
    }
    if text.contains('#') {
        return Err(ResourceIdError::Fragment);
    }
    let (scheme, authority, rest) = split(text).ok_or(ResourceIdError::NotAbsolute)?;
    if !is_scheme(scheme) {
        return Err(ResourceIdError::NotAbsolute);
    }
    if authority.contains('@') {
        return Err(ResourceIdError::UserInfo);
    }
    let (host, port) = host_and_port(authority).ok_or(ResourceIdError::NotAbsolute)?;
    let mut canonical = scheme.to_ascii_lowercase();
    let default_port = default_port(&canonical);
    canonical.push_str("://");
    canonical.push_str(&host.to_ascii_lowercase());
    // Leading zeros of a port are no second spelling: they are compared as a number.
    if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()).map(|port| port.to_string())
        && default_port != Some(port.as_str())
    {
        canonical.push(':');
        canonical.push_str(&port);
    }
    if !rest.starts_with('/') {
        canonical.push('/');
    }
    canonical.push_str(rest);
    Ok(canonical)
}

/// RFC 3986 §3.1.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_and_different_spellings() {
        let id = |text: &str| ResourceId::parse(text).unwrap();
        for (a, b) in [
            ("https://h", "https://h/"),
            ("https://H/mcp", "HTTPS://h:443/mcp"),
            ("http://h:80/mcp", "http://h/mcp"),
            ("https://h?x=1", "https://h/?x=1"),
            ("https://[2001:DB8::1]/", "https://[2001:db8::1]:443"),
            ("https://h:08443/", "https://h:8443"),
            ("mcp://files", "MCP://FILES/"),
        ] {
            assert!(id(a).matches(b) && id(b).matches(a), "{a} {b}");
        }
        for (a, b) in [
            ("https://h/mcp", "https://h/mcp/"),
            ("https://h/mcp", "https://h/MCP"),
            ("https://h/mcp", "http://h/mcp"),
            ("https://h/mcp", "https://h/mcp?x"),
            ("https://h/mcp", "https://h/mcp2"),
            ("https://h/mcp", "https://h"),
            ("https://h/a%2Fb", "https://h/a/b"),
            ("https://h/%61", "https://h/a"),
            ("https://h:8443/", "https://h/"),
            ("https://h/", "https://h.evil.example/"),
            ("http://h:443/", "http://h/"),
        ] {
            assert!(!id(a).matches(b) && !id(b).matches(a), "{a} {b}");
        }
    }

    /// RFC 8707 §2: an absolute URI without fragment.
    #[test]
    fn grammar() {
        for (text, expected) in [
            ("", ResourceIdError::NotAbsolute),
            ("mcp.example.com", ResourceIdError::NotAbsolute),
            ("/mcp", ResourceIdError::NotAbsolute),
            ("://h", ResourceIdError::NotAbsolute),
            ("https://", ResourceIdError::NotAbsolute),
            ("https://h:port/", ResourceIdError::NotAbsolute),
            ("https://h:/", ResourceIdError::NotAbsolute),
            ("https://h:99999/", ResourceIdError::NotAbsolute),
            ("https://::1/", ResourceIdError::NotAbsolute),
            ("https://h/#a", ResourceIdError::Fragment),
            ("https://h#", ResourceIdError::Fragment),
            ("https://user@h/", ResourceIdError::UserInfo),
            ("https://h/ ", ResourceIdError::InvalidCharacter),
            ("https://h/\r\nx: y", ResourceIdError::InvalidCharacter),
            ("https://h/ü", ResourceIdError::InvalidCharacter),
            ("https://h/\"", ResourceIdError::InvalidCharacter),
            ("https://h\\x", ResourceIdError::InvalidCharacter),
        ] {
            assert_eq!(ResourceId::parse(text).unwrap_err(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = ResourceId::parse(&text);
        }

        /// Reflexive, and the written text is never changed.
        #[test]
        fn keeps_the_text(path in "[a-z/%?=.]{0,12}") {
            let text = alloc::format!("https://Host.Example:443/{path}");
            let id = ResourceId::parse(&text).unwrap();
            prop_assert_eq!(id.as_str(), &text);
            prop_assert!(id.matches(&text));
            let other = alloc::format!("HTTPS://host.example/{path}");
            prop_assert!(id.matches(&other));
        }
    }
}
