//! What an audit found, and its grade.

use std::fmt;

use serde_json::{Value, json};

use super::{
    CHECKS,
    check::{Finding, Verdict},
};

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was audited.
    pub url: String,
    /// Its authorization servers, as far as they were looked at.
    pub issuers: Vec<String>,
    /// Each check, in the order of [`CHECKS`]; those of authorization servers once for each of them.
    pub findings: Vec<Finding>,
    /// How many requests were sent.
    pub requests: u32,
    /// There was time for everything, and everything that was asked was answered.
    pub is_complete: bool,
}

/// How good a deployment is, in a letter; there is no E.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Grade {
    F,
    D,
    C,
    B,
    A,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Report {
    /// So many warnings do not cost an A.
    pub const WARNINGS_IN_A: usize = 2;
    /// So many failed checks do not cost a C.
    pub const FAILED_IN_C: usize = 3;

    /// The grade: F where strangers get in, or could; else C for up to
    /// [`Self::FAILED_IN_C`] failed checks, D for more; else B for more warnings than
    /// [`Self::WARNINGS_IN_A`], or where something was not answered; else A.
    #[must_use]
    pub fn grade(&self) -> Grade {
        let is_bypassed = self.findings.iter().any(|finding| finding.is_bypass);
        let warnings = self.count(Verdict::Warning);
        match self.count(Verdict::Fail) {
            _ if is_bypassed => Grade::F,
            0 if warnings > Self::WARNINGS_IN_A || !self.is_complete => Grade::B,
            0 => Grade::A,
            failed if failed <= Self::FAILED_IN_C => Grade::C,
            _ => Grade::D,
        }
    }

    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Whether a check failed that binds.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.count(Verdict::Fail) > 0
    }

    /// Sorts by the order of the checks, and adds those that were not reached.
    pub(super) fn complete(mut self) -> Self {
        for check in CHECKS.iter().copied().flatten().copied() {
            if !self.findings.iter().any(|finding| finding.check.id == check.id) {
                let why = super::check::Found::skipped(match self.is_complete {
                    true => "no authorization server is known",
                    false => "there was no time left",
                });
                self.findings.push(Finding::new(check, None, why));
            }
        }
        self.is_complete &= !self.findings.iter().any(|finding| finding.is_undecided);
        let order = |id| CHECKS.iter().copied().flatten().position(|check| check.id == id);
        let issuers = self.issuers.clone();
        let issuer = |finding: &Finding| {
            issuers.iter().position(|issuer| Some(issuer) == finding.issuer.as_ref())
        };
        self.findings.sort_by_key(|finding| {
            (finding.check.role as u8, issuer(finding), order(finding.check.id))
        });
        self
    }

    /// As one JSON object; `docs/audit.md` describes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                let check = finding.check;
                json!({
                    "id": check.id,
                    "role": check.role.code(),
                    "issuer": finding.issuer,
                    "level": check.level.code(),
                    "clause": check.clause,
                    "title": check.title,
                    "verdict": finding.verdict.code(),
                    "bypass": finding.is_bypass,
                    "seen": finding.seen,
                    "why": check.why,
                    "remedy": check.remedy,
                })
            })
            .collect();
        json!({
            "url": self.url,
            "grade": self.grade().to_string(),
            "complete": self.is_complete,
            "requests": self.requests,
            "authorization_servers": self.issuers,
            "passed": self.count(Verdict::Pass),
            "failed": self.count(Verdict::Fail),
            "warnings": self.count(Verdict::Warning),
            "skipped": self.count(Verdict::Skipped),
            "checks": findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::check::{Found, Level};

    /// `docs/audit.md`, The grade.
    #[test]
    fn grades() {
        let of = |failed: usize, warnings: usize, is_bypass: bool, is_complete: bool| {
            let checks = CHECKS.iter().copied().flatten().copied();
            let mut must = checks.clone().filter(|check| check.level == Level::Must);
            let mut should = checks.filter(|check| check.level == Level::Should);
            let mut findings = Vec::new();
            let found = || match is_bypass {
                true => Found::Bypass(String::new()),
                false => Found::wrong(""),
            };
            findings.extend((&mut must).take(failed).map(|c| Finding::new(c, None, found())));
            findings.extend(
                (&mut should).take(warnings).map(|c| Finding::new(c, None, Found::wrong(""))),
            );
            let url = String::new();
            Report { url, issuers: Vec::new(), findings, requests: 0, is_complete }.grade()
        };
        assert_eq!(of(0, 0, false, true), Grade::A);
        assert_eq!(of(0, 2, false, true), Grade::A);
        assert_eq!(of(0, 3, false, true), Grade::B);
        assert_eq!(of(0, 0, false, false), Grade::B);
        assert_eq!(of(1, 0, false, true), Grade::C);
        assert_eq!(of(3, 9, false, true), Grade::C);
        assert_eq!(of(4, 0, false, true), Grade::D);
        assert_eq!(of(1, 0, true, true), Grade::F);
    }
}
