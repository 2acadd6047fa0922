//! `cargo xtask coverage`: which lines of the engine its own tests run, and that they are enough.
//!
//! Tests do not count as code: what stands behind `#[cfg(test)]` is left out. Lines that cannot be
//! reached are listed with the reason in `crates/core/coverage-exceptions.txt`, and nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{cargo, find_program, make_dir, remove_dir, run, run_quietly, say};
use crate::fuzz::host;

/// The least part of core's lines, in thousandths (spec: 96 %).
const FLOOR: usize = 960;

/// Where the engine is, and what its tests are.
const SOURCES: &str = "crates/core/src";
const PACKAGE: &str = "countersign-core";
const EXCEPTIONS: &str = "crates/core/coverage-exceptions.txt";

/// How often each line of a file was run, by its number.
type Lines = BTreeMap<usize, u64>;

/// Builds and runs core's tests with counters, prints the table, and fails below the floor.
pub(crate) fn measure(places: &Places, args: &[String]) -> Outcome<()> {
    if !matches!(args, [] | [_]) || args.iter().any(|arg| arg != "--lines") {
        return Err(Failure::new("wrong arguments").next("cargo xtask coverage [--lines]"));
    }
    let tools = Tools::find()?;
    let profiles = places.made("coverage/profiles");
    remove_dir(&profiles)?;
    make_dir(&profiles)?;
    let programs = build(places)?;
    for program in &programs {
        // Cargo runs tests in their package's folder.
        run(Command::new(program)
            .arg("--quiet")
            .current_dir(places.path("crates/core"))
            .env("LLVM_PROFILE_FILE", profiles.join("%m-%p.profraw")))?;
    }
    let merged = places.made("coverage/merged.profdata");
    tools.merge(&profiles, &merged)?;
    let counted = read_lcov(&tools.export(&merged, &programs, &places.path(SOURCES))?);
    report(places, counted, !args.is_empty())
}

/// The tests, built with counters. Their paths are in what cargo says.
fn build(places: &Places) -> Outcome<Vec<PathBuf>> {
    let mut command = cargo(places);
    command.args(["test", "--package", PACKAGE, "--all-features", "--no-run"]);
    command.args(["--lib", "--tests", "--target", &host()?]);
    command.env("CARGO_TARGET_DIR", places.made("coverage"));
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", "-Cinstrument-coverage");
    say("building the engine's tests with counters");
    let output = command.output().map_err(Failure::during("starting cargo"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::new(format!("the tests do not build:\n{text}")));
    }
    let program = |line: &str| {
        let (_, rest) = line.trim().strip_prefix("Executable ")?.rsplit_once('(')?;
        Some(PathBuf::from(rest.strip_suffix(')')?))
    };
    Ok(text.lines().filter_map(program).map(|path| places.root().join(path)).collect())
}

/// LLVM's tools, of the major version of rustc's own LLVM: the format of the counters changes.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    fn find() -> Outcome<Self> {
        let about = run_quietly(Command::new("rustc").arg("-vV"))?;
        let version = about.lines().find_map(|line| line.strip_prefix("LLVM version: "));
        let version = version.and_then(|version| version.split('.').next()).unwrap_or("?");
        let sysroot = run_quietly(Command::new("rustc").args(["--print", "sysroot"]))?;
        let bundled = Path::new(sysroot.trim()).join("lib/rustlib").join(host()?).join("bin");
        let find = |tool: &str| {
            // rustup's component llvm-tools, then Debian's and LLVM's own packages.
            let bundled = Some(bundled.join(tool)).filter(|path| path.is_file());
            bundled
                .or_else(|| find_program(&format!("{tool}-{version}")))
                .or_else(|| find_program(tool).filter(|path| is_version(path, version)))
                .ok_or_else(|| {
                    Failure::new(format!("{tool} of LLVM {version} is missing")).next(format!(
                        "apt-get install llvm-{version}, or: rustup component add llvm-tools"
                    ))
                })
        };
        Ok(Self { profdata: find("llvm-profdata")?, cov: find("llvm-cov")? })
    }

    fn merge(&self, profiles: &Path, to: &Path) -> Outcome<()> {
        let files = crate::command::files_in(profiles)?;
        let mut command = Command::new(&self.profdata);
        run_quietly(command.args(["merge", "-sparse", "-o"]).arg(to).args(files)).map(drop)
    }

    /// The counters of one folder's sources, line by line.
    fn export(&self, profile: &Path, programs: &[PathBuf], sources: &Path) -> Outcome<String> {
        let mut command = Command::new(&self.cov);
        command.args(["export", "--format=lcov", "--instr-profile"]).arg(profile);
        for program in programs {
            command.arg("--object").arg(program);
        }
        run_quietly(command.arg("--sources").arg(sources))
    }
}

fn is_version(tool: &Path, version: &str) -> bool {
    let says = format!("LLVM version {version}.");
    run_quietly(Command::new(tool).arg("--version")).is_ok_and(|text| text.contains(&says))
}

/// `SF:` begins a file, `DA:line,count` is a line of it. A file may come more than once.
fn read_lcov(text: &str) -> BTreeMap<PathBuf, Lines> {
    let mut files: BTreeMap<PathBuf, Lines> = BTreeMap::new();
    let mut current = PathBuf::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            current = PathBuf::from(path);
        } else if let Some((number, count)) =
            line.strip_prefix("DA:").and_then(|rest| rest.split_once(','))
            && let (Ok(number), Ok(count)) = (number.parse(), count.parse::<u64>())
        {
            let before = files.entry(current.clone()).or_default().entry(number).or_default();
            *before = before.saturating_add(count);
        }
    }
    files
}

/// A line that needs not be run.
#[derive(Debug, PartialEq, Eq)]
struct Exception {
    file: String,
    text: String,
    used: bool,
}

fn read_exceptions(text: &str) -> Outcome<Vec<Exception>> {
    let entries = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let mut parts = line.split(" | ").map(str::trim);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(file), Some(text), Some(reason)) if !reason.is_empty() => {
                Ok(Exception { file: file.to_owned(), text: text.to_owned(), used: false })
            }
            _ => Err(Failure::new(format!("{EXCEPTIONS}: not `file | line | reason`: {line}"))),
        }
    };
    entries.map(read).collect()
}

fn report(places: &Places, files: BTreeMap<PathBuf, Lines>, lines: bool) -> Outcome<()> {
    let text = fs::read_to_string(places.path(EXCEPTIONS)).map_err(Failure::during(EXCEPTIONS))?;
    let mut exceptions = read_exceptions(&text)?;
    let (mut run, mut all) = (0, 0);
    println!("{:<34} {:>6} {:>6} {:>7}", "file", "lines", "missed", "run");
    for (path, counts) in files {
        let source = fs::read_to_string(&path).map_err(Failure::during(path.display()))?;
        let file = path.strip_prefix(places.path(SOURCES)).unwrap_or(&path).display().to_string();
        if file.ends_with("tests.rs") {
            continue;
        }
        let counted = of_code(&source, counts);
        let missed: Vec<(usize, &str)> = missed(&source, &counted)
            .filter(|(_, text)| !is_excepted(&mut exceptions, &file, text))
            .collect();
        let hit = counted.len() - missed.len();
        let percent = hit as f64 / counted.len().max(1) as f64 * 100.0;
        println!("{file:<34} {:>6} {:>6} {percent:>6.1}%", counted.len(), missed.len());
        for (number, text) in missed.iter().filter(|_| lines) {
            println!("    {number:>4}: {text}");
        }
        run += hit;
        all += counted.len();
    }
    if let Some(Exception { file, text, .. }) = exceptions.iter().find(|entry| !entry.used) {
        return Err(Failure::new(format!("{EXCEPTIONS}: {file} has no such missed line: {text}"))
            .next("remove the entry"));
    }
    println!("{:<34} {all:>6} {:>6} {:>6.1}%", "all", all - run, run as f64 / all as f64 * 100.0);
    println!("{} lines excepted ({EXCEPTIONS})", exceptions.len());
    if all == 0 || run * 1000 < all * FLOOR {
        return Err(Failure::new(format!("below {}.{} % of the lines", FLOOR / 10, FLOOR % 10))
            .next("cargo xtask coverage --lines"));
    }
    Ok(())
}

/// The lines before the tests of the file.
fn of_code(source: &str, counts: Lines) -> Lines {
    let is_tests = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1] == "mod tests {";
    let lines: Vec<&str> = source.lines().collect();
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    counts.into_iter().filter(|(number, _)| *number <= end).collect()
}

fn missed<'a>(source: &'a str, counts: &Lines) -> impl Iterator<Item = (usize, &'a str)> {
    let never = |(index, text): (usize, &'a str)| {
        (counts.get(&(index + 1)) == Some(&0)).then(|| (index + 1, text.trim()))
    };
    source.lines().enumerate().filter_map(never)
}

/// Each entry stands for one line, so that no second one hides behind it.
fn is_excepted(exceptions: &mut [Exception], file: &str, text: &str) -> bool {
    let entry =
        exceptions.iter_mut().find(|entry| !entry.used && entry.file == file && entry.text == text);
    entry.map(|entry| entry.used = true).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn a() {\n    b();\n}\n\n#[cfg(test)]\nmod tests {\n    c();\n}\n";

    #[test]
    fn tests_do_not_count() {
        let lcov = "SF:/a.rs\nDA:1,2\nDA:2,0\nDA:7,0\nend_of_record\nSF:/a.rs\nDA:1,1\n";
        let files = read_lcov(lcov);
        let counts = of_code(SOURCE, files[Path::new("/a.rs")].clone());
        assert_eq!(counts, BTreeMap::from([(1, 3), (2, 0)]));
        assert!(missed(SOURCE, &counts).eq([(2, "b();")]));
    }

    #[test]
    fn an_exception_is_for_one_line_and_has_a_reason() {
        let mut exceptions = read_exceptions("# why\na.rs | b(); | never\n").unwrap();
        assert!(!is_excepted(&mut exceptions, "b.rs", "b();"));
        assert!(is_excepted(&mut exceptions, "a.rs", "b();"));
        assert!(!is_excepted(&mut exceptions, "a.rs", "b();"));
        assert!(read_exceptions("a.rs | b();\n").is_err());
    }
}
