//! What commands that decide offline read: files, standard input, and the answers to fetches.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_core::{
    Reason,
    guard::{Engine, Fetch, Policy},
};

use crate::output::Problem;

/// A file, or standard input by the name `-`.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let read = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    read.map_err(|error| Problem::new("io_failed", format!("{}: {error}", file.display())))
}

/// A text without the line's end.
pub(crate) fn read_text(file: &Path) -> Result<String, Problem> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| Problem::new("io_failed", format!("{}: not text", file.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

pub(crate) fn read_policy(file: &Path) -> Result<Policy, Problem> {
    Policy::parse(&read(file)?)
        .map_err(|error| Problem::new("policy_invalid", format!("{}: {error}", file.display())))
}

/// The machine's clock, in seconds since 1970.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// `URL=FILE`. The URL may have a query: the file's name comes after the last equals sign.
pub(crate) fn answer(text: &str) -> Result<(String, PathBuf), String> {
    let (url, file) = text.rsplit_once('=').ok_or("expected URL=FILE")?;
    Ok((url.to_owned(), file.into()))
}

/// What fetches are answered with, and what there is to say about it.
pub(crate) struct Answers {
    bodies: BTreeMap<String, Vec<u8>>,
    /// Each once, in the order in which they came up.
    pub(crate) notes: Vec<String>,
    /// The URLs that were asked for and had none.
    missing: BTreeSet<String>,
}

impl Answers {
    pub(crate) fn read(files: &[(String, PathBuf)]) -> Result<Self, Problem> {
        let mut bodies = BTreeMap::new();
        for (url, file) in files {
            bodies.insert(url.clone(), read(file)?);
        }
        Ok(Self { bodies, notes: Vec::new(), missing: BTreeSet::new() })
    }

    /// The URLs whose answers are missing, where that is why nothing was decided.
    pub(crate) fn missing_for(&self, reason: Option<Reason>) -> Vec<&str> {
        match reason {
            Some(reason) if reason.status() == 503 => {
                self.missing.iter().map(String::as_str).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Answers a fetch; says whether there is an answer to it.
    pub(crate) fn carry_out(&mut self, engine: &mut Engine, fetch: &Fetch, now: u64) -> bool {
        let body = self.bodies.get(&fetch.url);
        let is_there = body.is_some();
        let url = &fetch.url;
        let error = engine.fetched(fetch.id, body.map(|body| (200, &body[..])), now);
        let note = match (is_there, error) {
            (false, _) => {
                self.missing.insert(url.clone());
                format!("the guard fetches {url}: give its answer with --answer {url}=FILE")
            }
            (true, Some(error)) => format!("cannot use the answer of {url}: {error}"),
            (true, None) => return true,
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        is_there
    }
}

/// What to say where answers are missing.
pub(crate) fn not_decided(missing: &[&str]) -> String {
    let mut text =
        "Not decided: answers are missing. Fetch them (curl), and give them with".to_owned();
    for url in missing {
        text += &format!("\n    --answer {url}=FILE");
    }
    text
}
