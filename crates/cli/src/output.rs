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

/// A time for people: to the second, in UTC.
pub(crate) fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years from March on, so that the day that comes and goes is the last one; eras of 400 years.
    let day = days.saturating_add(719_468);
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * march + 2) / 5 + 1, (march + 2) % 12 + 1);
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Lines of a list, or a sentence where there is nothing.
pub(crate) fn lines(lines: &[String], none: &str) -> String {
    if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_795_348_286, "2026-11-22 11:51:26 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
        // The last second of all is a date as well.
        assert!(date(i64::MAX).ends_with(" UTC"));
    }
}
