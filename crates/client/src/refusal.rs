//! What an authorization server says when it refuses.

use std::fmt;

use serde_json::Value;

use crate::{Answer, text::shown};

/// An error answer of an authorization server (OAuth 2.1 §3.2.4, §4.1.2.1). The texts are the server's:
/// cut in length, and without what plays with a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its code, like `invalid_grant`.
    pub error: String,
    /// What it says about it.
    pub description: Option<String>,
    /// The status code, where it came as an answer to a request of ours.
    pub status: Option<u16>,
}

impl Refusal {
    /// Takes over what a server says.
    #[must_use]
    pub fn new(error: &str, description: Option<&str>, status: Option<u16>) -> Self {
        Self { error: shown(error), description: description.map(shown), status }
    }

    /// What an answer says (OAuth 2.1 §3.2.4, RFC 7591 §3.2.2), or its status where it says nothing.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        match text("error") {
            Some(error) => Self::new(error, text("error_description"), Some(answer.status)),
            None => Self::new(&format!("status {}", answer.status), None, Some(answer.status)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        if let Some(description) = &self.description {
            write!(f, " ({description})")?;
        }
        Ok(())
    }
}
