//! Links between the project's own texts: every relative one leads to a file, and to a heading in it.
//! Addresses elsewhere are not asked.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{find_program, run_quietly, say};

/// Checks all Markdown files that git has.
pub(crate) fn check(places: &Places) -> Outcome<()> {
    if find_program("git").is_none() {
        say("git is not installed: links between the texts go unchecked");
        return Ok(());
    }
    let mut git = Command::new("git");
    git.current_dir(places.root()).args(["ls-files", "-z", "--", "*.md"]);
    let mut broken = Vec::new();
    for file in run_quietly(&mut git)?.split_terminator('\0') {
        let path = places.path(file);
        // One that is about to be deleted.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (line, target) in links(&text) {
            if let Err(wrong) = follow(&path, &text, target) {
                broken.push(format!("{file}:{line}: {target}: {wrong}"));
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("links that lead nowhere:\n{}", broken.join("\n"))))
}

/// Whether a relative link in this file leads somewhere.
fn follow(file: &Path, text: &str, target: &str) -> Result<(), &'static str> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let there = match path {
        "" => file.to_owned(),
        path => file.parent().unwrap_or(file).join(path),
    };
    if !there.exists() {
        return Err("no such file");
    }
    if anchor.is_empty() || there.extension().is_none_or(|extension| extension != "md") {
        return Ok(());
    }
    let other = if path.is_empty() { None } else { fs::read_to_string(&there).ok() };
    let is_there = anchors(other.as_deref().unwrap_or(text)).contains(anchor);
    is_there.then_some(()).ok_or("no such heading")
}

/// The targets of relative links, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let inline = line.match_indices("](").filter_map(|(at, mark)| {
            // In a code span it is no link.
            let is_code = line[..at].matches('`').count() % 2 == 1;
            let rest = &line[at + mark.len()..];
            rest.split_once(')').map(|(target, _)| target).filter(|_| !is_code)
        });
        let defined = line.strip_prefix('[').and_then(|rest| Some(rest.split_once("]: ")?.1));
        for target in inline.chain(defined) {
            // Behind the target there may be a title.
            let target = target.split_whitespace().next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !target.is_empty() {
                found.push((number, target));
            }
        }
    }
    found
}

/// The anchors of headings, as GitHub and npm make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = without_targets(title.trim()).chars().filter(kept).collect();
        let slug = slug.to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{slug}-{number}"));
        // A title that comes again gets a number.
        let mut names = core::iter::once(slug.clone()).chain(numbered);
        anchors.extend(names.find(|name| !anchors.contains(name)));
    }
    anchors
}

/// A title's text: of a link in it, what is shown.
fn without_targets(title: &str) -> String {
    let mut pieces = title.split("](");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |shown, piece| shown + piece.split_once(')').map_or("", |(_, rest)| rest))
}

/// The lines that are not in a block of code, by their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# `config check`, and *why*
See [the end](#the-end \"a title\"), [a file](../x.md#a-b) and `[no](#link)`.
```sh
# no heading [nor](#link)
```
[there]: y.md
[elsewhere](https://example.com/#x)
## The end
## [The](x.md) end
";

    #[test]
    fn what_links_there_are() {
        let expected = [(2, "#the-end"), (2, "../x.md#a-b"), (6, "y.md"), (9, "x.md")];
        assert_eq!(links(TEXT), expected);
    }

    #[test]
    fn what_headings_are_called() {
        let expected = ["config-check-and-why", "the-end", "the-end-1"];
        assert_eq!(anchors(TEXT), BTreeSet::from(expected.map(str::to_owned)));
    }

    #[test]
    fn what_leads_nowhere() {
        let here = Places::of_checkout().path("docs/policy.md");
        let follow = |target| follow(&here, TEXT, target);
        assert_eq!(follow("#the-end"), Ok(()));
        assert_eq!(follow("../README.md"), Ok(()));
        assert_eq!(follow("../crates"), Ok(()));
        assert_eq!(follow("#not-supported-yet"), Err("no such heading"));
        assert_eq!(follow("reasons.md#no_reason"), Err("no such heading"));
        assert_eq!(follow("reasons.md#token_expired"), Ok(()));
        assert_eq!(follow("none.md"), Err("no such file"));
    }
}
