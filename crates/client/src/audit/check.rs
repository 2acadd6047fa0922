//! What a check is, and what comes of it.

/// Something that a deployment does right or wrong. All of them are in [`super::CHECKS`].
#[derive(Debug)]
pub struct Check {
    /// A stable snake_case name.
    pub id: &'static str,
    /// Whose business it is.
    pub role: Role,
    /// How much it binds.
    pub level: Level,
    /// Where that is written: RFC and section, or MCP revision and page.
    pub clause: &'static str,
    /// What holds where it passes.
    pub title: &'static str,
    /// What goes wrong where it does not.
    pub why: &'static str,
    /// What to do then.
    pub remedy: &'static str,
}

/// Who has to see to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The MCP server, or the guard in front of it.
    ResourceServer,
    /// Who issues its tokens.
    AuthorizationServer,
    /// The token that the audit was given.
    Token,
}

impl Role {
    /// Its stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ResourceServer => "resource_server",
            Self::AuthorizationServer => "authorization_server",
            Self::Token => "token",
        }
    }
}

/// How much a check binds (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What is wrong here fails the audit.
    Must,
    /// What is wrong here is a warning.
    Should,
}

impl Level {
    /// Its stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done right.
    Pass,
    /// Done wrong, and it binds.
    Fail,
    /// Done wrong where better is only advised, or not clearly right.
    Warning,
    /// Not tried, or not decided.
    Skipped,
}

impl Verdict {
    /// Its stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
        }
    }
}

/// What one look showed, before the check's level turns it into a [`Verdict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// As it should be.
    Right(String),
    /// Not as it should be.
    Wrong(String),
    /// Strangers get in, or could: a request without a good token was let in, or keys are known.
    Bypass(String),
    /// Between right and wrong, whatever the level.
    Doubt(String),
    /// Not tried, and why.
    Skipped(String),
    /// Tried, and no answer came that decides it.
    Undecided(String),
}

impl Found {
    pub(super) fn right(seen: impl Into<String>) -> Self {
        Self::Right(seen.into())
    }

    pub(super) fn wrong(seen: impl Into<String>) -> Self {
        Self::Wrong(seen.into())
    }

    pub(super) fn doubt(seen: impl Into<String>) -> Self {
        Self::Doubt(seen.into())
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    pub(super) fn undecided(why: impl Into<String>) -> Self {
        Self::Undecided(why.into())
    }

    /// Right, unless something is wrong.
    pub(super) fn unless(wrong: Option<String>, right: impl Into<String>) -> Self {
        wrong.map_or_else(|| Self::right(right), Self::Wrong)
    }

    /// Right if it holds.
    pub(super) fn when(holds: bool, right: impl Into<String>, wrong: impl Into<String>) -> Self {
        if holds { Self::right(right) } else { Self::wrong(wrong) }
    }

    /// The worse of two looks: what both show counts only where neither is wrong.
    pub(super) fn and(self, other: Self) -> Self {
        let rank = |found: &Self| match found {
            Self::Bypass(_) => 0,
            Self::Wrong(_) => 1,
            Self::Doubt(_) => 2,
            Self::Undecided(_) => 3,
            Self::Skipped(_) => 4,
            Self::Right(_) => 5,
        };
        match (self, other) {
            (Self::Right(a), Self::Right(b)) => Self::Right(format!("{a}; {b}")),
            (a, b) if rank(&a) <= rank(&b) => a,
            (_, b) => b,
        }
    }
}

/// A check and what came of it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was checked.
    pub check: &'static Check,
    /// Of which authorization server, where it is one's.
    pub issuer: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// Strangers get in, or could.
    pub is_bypass: bool,
    /// It was tried, and no answer came that decides it.
    pub is_undecided: bool,
    /// What was seen, or why the check was skipped. Never a token.
    pub seen: String,
}

impl Finding {
    /// Longest text about what was seen, in characters: parts of it are a server's words.
    const LONGEST: usize = 240;

    pub(super) fn new(check: &'static Check, issuer: Option<&str>, found: Found) -> Self {
        let is_bypass = matches!(found, Found::Bypass(_));
        let is_undecided = matches!(found, Found::Undecided(_));
        let (verdict, seen) = match found {
            Found::Right(seen) => (Verdict::Pass, seen),
            Found::Wrong(seen) | Found::Bypass(seen) => match check.level {
                Level::Must => (Verdict::Fail, seen),
                Level::Should => (Verdict::Warning, seen),
            },
            Found::Doubt(seen) => (Verdict::Warning, seen),
            Found::Skipped(why) | Found::Undecided(why) => (Verdict::Skipped, why),
        };
        let shown: String = seen.chars().filter(|char| !char.is_control()).collect();
        Self {
            check,
            issuer: issuer.map(str::to_owned),
            verdict,
            is_bypass,
            is_undecided,
            seen: shown,
        }
    }

    /// Cuts what was seen.
    pub(super) fn shorten(&mut self) {
        if let Some((at, _)) = self.seen.char_indices().nth(Self::LONGEST) {
            self.seen.truncate(at);
            self.seen.push('…');
        }
    }
}
