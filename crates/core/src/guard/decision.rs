//! What was decided: the record for logs, and the answer for the wire.

use alloc::{
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use super::trace::Trace;
use crate::{Reason, grammar::is_tchar};

/// A header name in lower case. Cheap to clone: each request gets those of the policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(Arc<str>);

impl HeaderName {
    /// Checks a name (RFC 9110 §5.1) and puts it into lower case.
    ///
    /// # Errors
    /// A sentence for people, when it is no token.
    pub fn parse(name: &str) -> Result<Self, String> {
        if !name.is_empty() && name.bytes().all(is_tchar) {
            Ok(Self(name.to_ascii_lowercase().into()))
        } else {
            Err(format!("{name:?} is not a header name"))
        }
    }

    /// A name known to be in lower case and well-formed.
    pub(super) fn fixed(name: &'static str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A header whose value cannot break out of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: String,
}

impl Header {
    /// `None` when the value has control characters, or spaces at its ends, which receivers drop.
    /// UTF-8 is allowed (RFC 9110 §5.5, obs-text).
    #[must_use]
    pub fn new(name: HeaderName, value: String) -> Option<Self> {
        let trimmed = value.trim_matches(' ').len() == value.len();
        (trimmed && !value.chars().any(char::is_control)).then_some(Self { name, value })
    }

    pub(super) fn fixed(name: &'static str, value: impl Into<String>) -> Self {
        let mut value = value.into();
        value.retain(|character| !character.is_control());
        Self { name: HeaderName::fixed(name), value }
    }

    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether its value is a list that others may add to, among the headers that the guard sets on
    /// responses.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.name(), "access-control-expose-headers" | "vary")
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// An answer that the host sends instead of forwarding the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// All headers but `content-length`.
    pub headers: Vec<Header>,
    /// The body; empty for HEAD and 204.
    pub body: Vec<u8>,
    /// The record for the log.
    pub decision: Decision,
}

/// How a request came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Authorized and forwarded.
    Allow,
    /// Refused.
    Deny,
    /// A metadata document was served.
    Metadata,
    /// A CORS preflight was answered.
    Preflight,
    /// A public path was forwarded without asking for a token.
    Public,
    /// Would have been refused, and was let pass because the resource is in shadow mode.
    Shadow,
}

impl Verdict {
    /// The word for logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Metadata => "metadata",
            Self::Preflight => "preflight",
            Self::Public => "public",
            Self::Shadow => "shadow",
        }
    }
}

/// The record of one decision. It never holds a token; its text form is one safe log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How it came out.
    pub verdict: Verdict,
    /// Why it was, or would have been, refused.
    pub reason: Option<Reason>,
    /// The resource asked for, if one was found.
    pub resource: Option<String>,
    /// The token's issuer, once its signature was verified.
    pub issuer: Option<String>,
    /// The token's client, likewise.
    pub client_id: Option<String>,
    /// The beginning of a digest of issuer and subject: tells callers apart without naming them.
    pub subject: Option<String>,
    /// The operation, once it is known.
    pub operation: Option<String>,
    /// The scope rule that matched.
    pub rule: Option<String>,
    /// What was found, where that helps to set it right.
    pub detail: Option<String>,
    /// Every check on the way, where the engine was asked to explain itself.
    pub trace: Trace,
}

impl Decision {
    pub(super) const fn new(verdict: Verdict, reason: Option<Reason>) -> Self {
        Self {
            verdict,
            reason,
            resource: None,
            issuer: None,
            client_id: None,
            subject: None,
            operation: None,
            rule: None,
            detail: None,
            trace: Trace::new(false),
        }
    }

    /// Reason code, or the verdict where nothing was refused: for counters and access logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.map_or_else(|| self.verdict.code(), Reason::code)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decision={}", self.verdict.code())?;
        if let Some(reason) = self.reason {
            write!(f, " reason={reason}")?;
        }
        for (name, value) in [
            ("resource", &self.resource),
            ("issuer", &self.issuer),
            ("client", &self.client_id),
            ("subject", &self.subject),
            ("operation", &self.operation),
            ("rule", &self.rule),
            ("detail", &self.detail),
        ] {
            if let Some(value) = value {
                write!(f, " {name}={}", loggable(value))?;
            }
        }
        Ok(())
    }
}

/// Quoted where needed, escaped, and cut: attackers choose some of these texts.
fn loggable(value: &str) -> String {
    const LONGEST: usize = 200;
    let cut: String = value.chars().take(LONGEST).collect();
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\' && byte != b'=';
    if cut.bytes().all(plain) && !cut.is_empty() { cut } else { format!("{:?}", cut.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_stays_one_line() {
        let mut decision = Decision::new(Verdict::Deny, Some(Reason::KeyUnknown));
        decision.detail = Some("a\n b=\"c\"\u{1b}[0m\u{2028}".into());
        let line = decision.to_string();
        assert_eq!(
            line,
            r#"decision=deny reason=key_unknown detail="a\n b=\"c\"\u{1b}[0m\u{2028}""#
        );
    }

    #[test]
    fn header_values_cannot_break_out() {
        let name = || HeaderName::parse("X-Mcp-Subject").unwrap();
        assert_eq!(name().as_str(), "x-mcp-subject");
        assert!(Header::new(name(), "Zoë".into()).is_some());
        for value in ["a\r\nb: c", " a", "a ", "\0", "\u{7f}", "\u{85}"] {
            assert!(Header::new(name(), value.into()).is_none(), "{value:?}");
        }
        for bad in ["", "a b", "a:b", "ä", ":path"] {
            assert!(HeaderName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
