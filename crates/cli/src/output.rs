//! What commands print, for people or as JSON.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};

/// How a command ended.
pub(crate) type Outcome = Result<(), Problem>;

/// Why a command failed, and a stable code for it.
#[derive(Debug)]
pub(crate) struct Problem {
    reason: &'static str,
    text: String,
    is_usage: bool,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), is_usage: false }
    }

    /// A refusal that was printed as data already.
    pub(crate) const fn printed(reason: &'static str) -> Self {
        Self { reason, text: String::new(), is_usage: false }
    }

    /// Options that do not go together.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { is_usage: true, ..Self::new("usage", text) }
    }

    /// 1 refused or failed, 2 usage.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(1 + u8::from(self.is_usage))
    }

    pub(crate) fn print(&self, as_json: bool) {
        if self.text.is_empty() {
            return;
        }
        complain(match as_json {
            true => json!({ "error": self.reason, "message": self.text }).to_string(),
            false => format!("countersign: {}", self.text),
        });
    }
}

impl From<countersign_issuer::Error> for Problem {
    fn from(error: countersign_issuer::Error) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl From<io::Error> for Problem {
    /// Standard output failed.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever reads has enough: that is no news for anybody.
            ErrorKind::BrokenPipe => Self::printed("output_closed"),
            _ => Self::new("io_failed", format!("standard output: {error}")),
        }
    }
}

/// Says beside the output what is most likely a mistake.
pub(crate) fn warn(as_json: bool, reason: &str, text: &str) {
    complain(match as_json {
        true => json!({ "warning": reason, "message": text }).to_string(),
        false => format!("warning: {text}"),
    });
}

/// A line on standard error. When that is closed there is nobody to tell.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints data: as JSON if that was asked for, else as the text says.
pub(crate) fn print(as_json: bool, data: &Value, text: impl FnOnce() -> String) -> Outcome {
    if as_json { print_line(data) } else { print_line(text()) }
}

/// A line on standard output.
///
/// What the command had to do is done: whoever closes the output before the end has read enough.
pub(crate) fn print_line(line: impl Display) -> Outcome {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Lines of a list, or a sentence where there is nothing.
pub(crate) fn lines(lines: &[String], none: &str) -> String {
    if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
}
