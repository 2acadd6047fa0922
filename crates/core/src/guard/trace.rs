//! The trace of a decision: each check in its order, with what was compared to what, in words.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// What was checked on the way to a decision. Empty unless the engine was made by
/// [`Engine::explaining`](super::Engine::explaining). It never holds a token, a proof or a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    enabled: bool,
    entries: Vec<TraceEntry>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// What was checked, in a word or two: `audience`, `token type`.
    pub check: &'static str,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// What was compared to what.
    pub text: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It stands against the request.
    Failed,
    /// Nothing was checked; this is how it is.
    Noted,
    /// Nothing against the request.
    Passed,
}

impl CheckOutcome {
    /// The word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Noted => "noted",
            Self::Passed => "passed",
        }
    }
}

impl Trace {
    pub(super) const fn new(enabled: bool) -> Self {
        Self { enabled, entries: Vec::new() }
    }

    /// The checks, in the order in which they were made.
    #[must_use]
    pub fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    pub(super) fn checked(
        &mut self,
        check: &'static str,
        passed: bool,
        text: impl FnOnce() -> String,
    ) {
        let outcome = if passed { CheckOutcome::Passed } else { CheckOutcome::Failed };
        self.add(check, outcome, text);
    }

    pub(super) fn passed(&mut self, check: &'static str, text: impl FnOnce() -> String) {
        self.add(check, CheckOutcome::Passed, text);
    }

    pub(super) fn failed(&mut self, check: &'static str, text: impl FnOnce() -> String) {
        self.add(check, CheckOutcome::Failed, text);
    }

    pub(super) fn noted(&mut self, check: &'static str, text: impl FnOnce() -> String) {
        self.add(check, CheckOutcome::Noted, text);
    }

    /// Without the feature nothing is ever enabled, and no text gets into the program.
    fn add(&mut self, check: &'static str, outcome: CheckOutcome, text: impl FnOnce() -> String) {
        if cfg!(feature = "explain") && self.enabled {
            let text = text().chars().flat_map(visible).collect();
            self.entries.push(TraceEntry { check, outcome, text });
        }
    }
}

/// Tokens choose some of the texts: none of them begins a line of its own, or turns one around. What
/// was quoted before stays as it is.
fn visible(character: char) -> impl Iterator<Item = char> {
    let plain = matches!(character, '"' | '\'' | '\\').then_some(character);
    let escaped = plain.is_none().then(|| character.escape_debug());
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// One line for each check.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TraceEntry { check, outcome, text } in &self.entries {
            let mark = match outcome {
                CheckOutcome::Failed => "no",
                CheckOutcome::Noted => "--",
                CheckOutcome::Passed => "ok",
            };
            writeln!(f, "{mark}  {check:<14}  {text}")?;
        }
        Ok(())
    }
}
