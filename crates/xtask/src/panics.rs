//! `cargo xtask panics`: proves that no code of ours can panic in the modules that are shipped.
//!
//! `crates/panics` lists every call of the standard library's panics with the place in the sources that
//! is to be blamed. Ours may have none but for memory that runs out; those of dependencies are permitted
//! one crate at a time, with the reason, in `tests/panics.txt`.

use std::collections::BTreeMap;
use std::fs;

use countersign_e2e::{Failure, Outcome, Places};

use crate::build;
use crate::command::{cargo, run_quietly, say};

const PERMITTED: &str = "tests/panics.txt";

/// The modules that are shipped.
const MODULES: [&str; 2] = ["countersign-envoy", "countersign-js"];

/// Memory that runs out ends a module whatever we do: `alloc` has no other answer on stable Rust.
const OUT_OF_MEMORY: [&str; 4] =
    ["handle_error", "handle_alloc_error", "capacity_overflow", "__rust_alloc_error_handler"];

/// Reads both modules; how many were in order.
pub(crate) fn prove(places: &Places) -> Outcome<u32> {
    let text = fs::read_to_string(places.path(PERMITTED)).map_err(Failure::during(PERMITTED))?;
    let mut permits = read_permits(&text)?;
    let mut refused = Vec::new();
    for package in MODULES {
        let module = build::compile(places, package)?;
        let listed = run_quietly(
            cargo(places)
                .args(["run", "--quiet", "--package", "countersign-panics", "--"])
                .arg(&module),
        )?;
        let mut counts = BTreeMap::new();
        for place in listed.lines().filter_map(Place::read) {
            let whose = judge(&place, &mut permits);
            *counts.entry(whose.unwrap_or("refused")).or_insert(0) += place.times;
            if whose.is_none() {
                refused.push(format!("{package}: {} calls {}", place.source, place.callee));
            }
        }
        let counts: Vec<String> =
            counts.iter().map(|(whose, times)| format!("{whose} {times}")).collect();
        say(format_args!("{package}: places that can panic: {}", counts.join(", ")));
    }
    if let Some(unused) = permits.iter().find(|permit| !permit.used) {
        refused.push(format!("{PERMITTED}: nothing needs `{}` any more", unused.source));
    }
    if refused.is_empty() {
        return Ok(u32::try_from(MODULES.len()).unwrap_or(u32::MAX));
    }
    Err(Failure::new(refused.join("\n")).next(
        "write it so that the compiler sees that it cannot happen; or, in a dependency, give the \
         reason in tests/panics.txt",
    ))
}

/// A place that can panic: how often it is in the module, its source, and what it calls.
struct Place<'a> {
    times: usize,
    source: &'a str,
    callee: &'a str,
}

impl<'a> Place<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut parts = line.split('\t');
        let times = parts.next()?.parse().ok()?;
        Some(Self { times, source: parts.next()?, callee: parts.next()? })
    }
}

/// A crate that may panic, and why that is no matter.
#[derive(Debug)]
struct Permit {
    source: String,
    used: bool,
}

fn read_permits(text: &str) -> Outcome<Vec<Permit>> {
    let entries = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| match line.split_once(" | ") {
        Some((source, reason)) if reason.trim().len() > 20 => {
            Ok(Permit { source: source.trim().to_owned(), used: false })
        }
        _ => Err(Failure::new(format!("{PERMITTED}: not `source | reason`: {line}"))),
    };
    entries.map(read).collect()
}

/// Whose panic it is, if it may be there.
fn judge(place: &Place<'_>, permits: &mut [Permit]) -> Option<&'static str> {
    if OUT_OF_MEMORY.iter().any(|name| place.callee.contains(name)) {
        return Some("out of memory");
    }
    let permit = permits.iter_mut().find(|permit| {
        let (source, callee) = permit.source.split_once(" → ").unwrap_or((&permit.source, ""));
        place.source.contains(source) && place.callee.contains(callee)
    })?;
    permit.used = true;
    Some("dependencies and std")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_refused_but_for_memory() {
        let text = "# c\n/serde-1 | its own invariants, which no input reaches\n";
        let mut permits = read_permits(text).unwrap();
        let judged = |line, permits: &mut [Permit]| judge(&Place::read(line).unwrap(), permits);
        let ours = "1\t/countersign/crates/core/src/a.rs:1 f\tcore::option::unwrap_failed";
        assert_eq!(judged(ours, &mut permits), None);
        let memory = "1\t/countersign/crates/core/src/a.rs:1 f\talloc::raw_vec::handle_error";
        assert_eq!(judged(memory, &mut permits), Some("out of memory"));
        assert!(!permits[0].used);
        let theirs = "2\t/cargo/registry/src/serde-1/a.rs:1 f\tcore::option::unwrap_failed";
        assert!(judged(theirs, &mut permits).is_some() && permits[0].used);
        assert!(read_permits("serde | so").is_err(), "a reason");
    }
}
