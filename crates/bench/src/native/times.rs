//! Times of many rounds, and what is said of them.

use std::collections::BTreeMap;

/// Nanoseconds, round by round, for each thing and whoever did it.
#[derive(Debug)]
pub(crate) struct Times<Who>(BTreeMap<(&'static str, Who), Vec<f64>>);

impl<Who: Ord> Times<Who> {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn add(&mut self, name: &'static str, who: Who, nanoseconds: f64) {
        self.0.entry((name, who)).or_default().push(nanoseconds);
    }

    pub(crate) fn median(&self, name: &'static str, who: Who) -> Option<f64> {
        let mut all = self.0.get(&(name, who))?.clone();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// Ours by theirs.
    pub(crate) fn ratio(&self, name: &'static str, ours: Who, theirs: Who) -> Option<f64> {
        Some(self.median(name, ours)? / self.median(name, theirs)?)
    }

    /// The median as text, or nothing.
    pub(crate) fn cell(&self, name: &'static str, who: Who) -> String {
        self.median(name, who).map_or_else(String::new, time)
    }

    /// The ratio as text, or nothing.
    pub(crate) fn ratio_cell(&self, name: &'static str, ours: Who, theirs: Who) -> String {
        let text = |ratio| format!("{ratio:.2}");
        self.ratio(name, ours, theirs).map_or_else(String::new, text)
    }
}

/// In microseconds.
pub(crate) fn time(nanoseconds: f64) -> String {
    let microseconds = nanoseconds / 1000.0;
    let digits = if microseconds < 10.0 { 1 } else { 0 };
    format!("{microseconds:.digits$} µs")
}
