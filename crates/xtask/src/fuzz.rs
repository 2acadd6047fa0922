//! `cargo xtask fuzz`: libFuzzer on the targets in `fuzz/`, with the stable compiler.
//!
//! What cargo-fuzz asks a nightly compiler for is the sanitizers; the coverage that guides libFuzzer is
//! an LLVM pass, which a stable compiler runs too. Without unsafe code there is little for an address
//! sanitizer to find. The targets are in cargo-fuzz's layout all the same.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{
    cargo, files_in, make_dir, not_started, remove_dir, run, run_quietly, say, timed,
};

/// Counters for libFuzzer, the checks of a debug build, and signatures that always verify.
const FLAGS: [&str; 13] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Each module has counters of its own: in one unit they are not merged away.
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Cforce-frame-pointers",
    "--cfg",
    "fuzzing",
    "--cfg",
    FUZZ_CFG,
];

/// The cfg under which signatures always verify.
const FUZZ_CFG: &str = "countersign_fuzz";

/// How long each target runs if nothing else is said.
const SECONDS: u32 = 10;

/// How many inputs each gets in `cargo xtask test`, the stored corpus among them: what five seconds gave on
/// two cores, and the same on a slow machine and a fast one. What was found before stands in the corpus; this
/// finds what a change breaks at once, and longer runs find the rest.
const SMOKE_RUNS: u32 = 600_000;

/// Those that take longer for an input, with a number of their own.
const SLOW_RUNS: [(&str, u32); 7] = [
    ("challenge", 200_000),
    ("ecdsa", 3_900),
    ("events", 60_000),
    ("guard", 58_000),
    ("list", 150_000),
    ("rsa", 4_300),
    ("status_list", 95_000),
];

/// For how long a target runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Seconds(u32),
    /// `SMOKE_RUNS`, from the stored corpus without what runs on this machine have added.
    Smoke,
}

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    target: Option<String>,
    seconds: u32,
}

/// Runs the named target, or all of them.
pub(crate) fn command(places: &Places, args: &[String]) -> Outcome<()> {
    let wish = parse(args)?;
    let all = targets(places)?;
    let chosen: Vec<String> = match &wish.target {
        None => all,
        Some(named) if all.contains(named) => vec![named.clone()],
        Some(named) => {
            return Err(Failure::new(format!("there is no fuzz target `{named}`"))
                .next(format!("cargo xtask fuzz [{}]", all.join("|"))));
        }
    };
    fuzz(places, &chosen, Length::Seconds(wish.seconds)).map(drop)
}

/// Every target on its corpus and a little more, and that no release has what they are built with; how many held.
pub(crate) fn smoke(places: &Places) -> Outcome<u32> {
    releases_refuse(places)?;
    let targets = targets(places)?;
    Ok(fuzz(places, &targets, Length::Smoke)? + 1)
}

fn parse(args: &[String]) -> Outcome<Wish> {
    let usage = || Failure::new("wrong arguments").next("cargo xtask fuzz [TARGET] [--seconds N]");
    let mut wish = Wish { target: None, seconds: SECONDS };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => {
                let seconds = args.next().and_then(|text| text.parse().ok());
                wish.seconds = seconds.filter(|seconds| *seconds > 0).ok_or_else(usage)?;
            }
            name if !name.starts_with('-') && wish.target.is_none() => {
                wish.target = Some(name.to_owned());
            }
            _ => return Err(usage()),
        }
    }
    Ok(wish)
}

fn targets(places: &Places) -> Outcome<Vec<String>> {
    let files = files_in(&places.path("fuzz/fuzz_targets"))?;
    let name = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// Builds and runs targets, as many at a time as there are processors.
fn fuzz(places: &Places, targets: &[String], length: Length) -> Outcome<u32> {
    let programs = timed("fuzz targets built", || build(places, targets))?;
    let waiting = Mutex::new(targets.iter());
    let failures = Mutex::new(Vec::new());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let work = || {
        while let Some(target) = next() {
            if let Err(failure) = run_target(places, &programs, target, length)
                && let Ok(mut failures) = failures.lock()
            {
                failures.push(format!("{target}: {failure}"));
            }
        }
    };
    let at_once = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    if failures.is_empty() {
        return Ok(u32::try_from(targets.len()).unwrap_or(u32::MAX));
    }
    Err(Failure::new(failures.join("\n")))
}

/// The folder with the programs.
fn build(places: &Places, targets: &[String]) -> Outcome<PathBuf> {
    let host = host()?;
    let target_dir = places.made("fuzz");
    let mut command = cargo(places);
    command.args(["build", "--quiet", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target of its own, so that build scripts and macros are built without the counters.
    command.args(["--target", &host]);
    command.args(targets.iter().flat_map(|target| ["--bin", target]));
    command.env("CARGO_TARGET_DIR", &target_dir);
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    run(&mut command).map_err(|failure| failure.next("libFuzzer needs a C++ compiler"))?;
    Ok(target_dir.join(host).join("release"))
}

/// The machine that the active compiler compiles for.
pub(crate) fn host() -> Outcome<String> {
    let about = run_quietly(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("`rustc -vV` does not name its host"))
}

/// One target. What it finds that is new stays in `target/`; what breaks it goes where cargo-fuzz has it.
fn run_target(places: &Places, programs: &Path, target: &str, length: Length) -> Outcome<()> {
    let (folder, limit) = match length {
        Length::Seconds(seconds) => ("fuzz-corpus", format!("-max_total_time={seconds}")),
        Length::Smoke => ("fuzz-smoke", format!("-runs={}", smoke_runs(target))),
    };
    let found = places.made(&format!("{folder}/{target}"));
    if length == Length::Smoke {
        remove_dir(&found)?;
    }
    let artifacts = places.path(&format!("fuzz/artifacts/{target}"));
    make_dir(&found)?;
    make_dir(&artifacts)?;
    let log = found.with_extension("log");
    let output = File::create(&log).map_err(Failure::during(log.display()))?;
    let errors = output.try_clone().map_err(Failure::during(log.display()))?;
    let start = Instant::now();
    let mut command = Command::new(programs.join(target));
    command
        .current_dir(places.path("fuzz"))
        .arg(limit)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(&found)
        .arg(places.path(&format!("fuzz/corpus/{target}")))
        .stdout(output)
        .stderr(errors);
    let status = command.status().map_err(|error| not_started(&command, &error))?;
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    judge(target, status, &text)?;
    say(format_args!(
        "fuzz {target}: {} runs in {:.0} s, {}",
        value(&text, "stat::number_of_executed_units:").unwrap_or("?"),
        start.elapsed().as_secs_f32(),
        coverage(&text)
    ));
    Ok(())
}

fn smoke_runs(target: &str) -> u32 {
    SLOW_RUNS.iter().find(|(slow, _)| *slow == target).map_or(SMOKE_RUNS, |(_, runs)| *runs)
}

fn judge(target: &str, status: ExitStatus, log: &str) -> Outcome<()> {
    if status.success() {
        return Ok(());
    }
    let panicked = log.lines().skip_while(|line| !line.contains("panicked at")).take(4);
    let shown: Vec<&str> = panicked.collect();
    let input = log.split("Test unit written to ").nth(1).and_then(|rest| rest.lines().next());
    let failure = Failure::new(format!("{status}\n{}", shown.join("\n")));
    Err(match input {
        None => failure,
        Some(input) => failure.next(format!(
            "target/fuzz/*/release/{target} {input}; keep it as fuzz/corpus/{target}/regression-…"
        )),
    })
}

fn value<'a>(log: &'a str, name: &str) -> Option<&'a str> {
    log.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// What libFuzzer's last line says of its way through the code: `cov: 1234 ft: 5678 corp: …`.
fn coverage(log: &str) -> String {
    let last = log.lines().rev().find_map(|line| line.split_once("cov: "));
    let edges = last.and_then(|(_, rest)| rest.split(' ').next()).unwrap_or("?");
    format!("{edges} edges reached")
}

/// Proves that nothing can be released in which signatures always verify: the cfg alone does not
/// compile, with optimisation or without; only beside the others that fuzzing needs.
fn releases_refuse(places: &Places) -> Outcome<()> {
    let refused = |flags: &[&str]| -> Outcome<bool> {
        let output = Command::new("rustc")
            .current_dir(places.root())
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"])
            .arg(places.made("tmp"))
            .args(["--cfg", FUZZ_CFG])
            .args(flags)
            .arg("crates/verify/src/lib.rs")
            .output()
            .map_err(Failure::during("starting rustc"))?;
        // It has no dependencies here, and so does not compile either way.
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(!output.status.success()
            && errors.contains("error: countersign_fuzz turns signature verification off"))
    };
    make_dir(&places.made("tmp"))?;
    for flags in [&[][..], &["-O"], &["-O", "--cfg", "fuzzing"], &["-Cdebug-assertions"]] {
        if !refused(flags)? {
            return Err(Failure::new(format!("--cfg {FUZZ_CFG} compiles with {flags:?}"))
                .next("look at the compile_error! in crates/verify/src/lib.rs"));
        }
    }
    if refused(&["-Cdebug-assertions", "--cfg", "fuzzing"])? {
        return Err(Failure::new(format!("--cfg {FUZZ_CFG} does not compile for fuzzing either")));
    }
    say(format_args!("--cfg {FUZZ_CFG} is refused outside of fuzzing"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(args: &[&str]) -> Option<Wish> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse(&args).ok()
    }

    #[test]
    fn command_line() {
        let is = |target: Option<&str>, seconds| {
            Some(Wish { target: target.map(str::to_owned), seconds })
        };
        assert_eq!(wish(&[]), is(None, SECONDS));
        assert_eq!(wish(&["jws", "--seconds", "3600"]), is(Some("jws"), 3600));
        assert_eq!(wish(&["--seconds", "5"]), is(None, 5));
        for bad in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"], &["a", "b"]] {
            assert_eq!(wish(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_what_libfuzzer_prints() {
        let log = "#5\tNEW    cov: 10 ft: 11 corp: 3\n#9\tDONE   cov: 12 ft: 15 corp: 4\n\
                   stat::number_of_executed_units: 9\n";
        assert_eq!(coverage(log), "12 edges reached");
        assert_eq!(value(log, "stat::number_of_executed_units:"), Some("9"));
    }
}
