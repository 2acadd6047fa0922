//! What commands print, for people or as JSON.

use serde_json::{Value, json};

/// How a command ended.
pub(crate) type Outcome = Result<(), Problem>;

/// Why a command failed, and a stable code for it.
#[derive(Debug)]
pub(crate) struct Problem {
    reason: &'static str,
    text: String,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    /// A refusal that was printed as data already.
    pub(crate) const fn printed(reason: &'static str) -> Self {
        Self { reason, text: String::new() }
    }

    pub(crate) fn print(&self, as_json: bool) {
        if self.text.is_empty() {
            return;
        }
        if as_json {
            eprintln!("{}", json!({ "error": self.reason, "message": self.text }));
        } else {
            eprintln!("countersign: {}", self.text);
        }
    }
}

impl From<countersign_issuer::Error> for Problem {
    fn from(error: countersign_issuer::Error) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

/// Says beside the output what is most likely a mistake.
pub(crate) fn warn(as_json: bool, reason: &str, text: &str) {
    if as_json {
        eprintln!("{}", json!({ "warning": reason, "message": text }));
    } else {
        eprintln!("warning: {text}");
    }
}

/// Prints data: as JSON if that was asked for, else as the text says.
pub(crate) fn print(as_json: bool, data: &Value, text: impl FnOnce() -> String) {
    if as_json {
        println!("{data}");
    } else {
        println!("{}", text());
    }
}

/// Lines of a list, or a sentence where there is nothing.
pub(crate) fn lines(lines: &[String], none: &str) -> String {
    if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
}
