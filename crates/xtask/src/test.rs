//! `cargo xtask test`: everything that must hold, in stages, on a machine that has nothing yet.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{cargo, files_below, line_of, not_started, say};
use crate::programs::{self, Plan};
use crate::{build, fuzz, lint, no_std, panics, space, tools, verdicts};

/// Programs of `tests/e2e` at a time. They wait for the most part: two cores bear so many.
const END_TO_END_AT_ONCE: usize = 4;

/// Those of the other crates calculate more.
const AT_ONCE: usize = 2;

/// A part of the run.
struct Stage {
    name: &'static str,
    what: &'static str,
    work: fn(&Places) -> Outcome<Count>,
}

const STAGES: [Stage; 11] = [
    Stage {
        name: "build",
        what: "the binary, the Envoy filter, the npm package",
        work: everything,
    },
    Stage { name: "lint", what: "formatting, links in the docs, clippy, licences", work: sources },
    Stage { name: "unit", what: "cargo test, all crates", work: crates },
    Stage { name: "postgres", what: "the issuer's tests on PostgreSQL", work: on_postgres },
    Stage { name: "redis", what: "the issuer's limits and replays in Redis", work: on_redis },
    Stage { name: "no-std", what: "the engine without a standard library", work: without_std },
    Stage { name: "wasm", what: "the verifier's verdicts in wasm, as natively", work: in_wasm },
    Stage { name: "panics", what: "no code of ours can panic in the modules", work: panic_free },
    Stage { name: "fuzz", what: "every fuzz target for a while", work: fuzzing },
    Stage { name: "js", what: "the npm package in Node 20, 22, 24 and workerd", work: javascript },
    Stage { name: "e2e", what: "real Envoy, MCP SDKs, conformance suite", work: end_to_end },
];

/// Runs the named stages, or all; a failed one does not keep the others from running.
pub(crate) fn run(places: &Places, args: &[String]) -> Outcome<()> {
    if let Some(unknown) = args.iter().find(|arg| STAGES.iter().all(|stage| stage.name != **arg)) {
        let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        return Err(Failure::new(format!("there is no stage `{unknown}`"))
            .next(format!("cargo xtask test [{}]", names.join("|"))));
    }
    let wanted = |stage: &&Stage| args.is_empty() || args.iter().any(|arg| arg == stage.name);
    if args.is_empty() {
        space::look(places);
    }
    let mut done = Vec::new();
    for stage in STAGES.iter().filter(wanted) {
        println!("\n=== {}: {}", stage.name, stage.what);
        let start = Instant::now();
        let result = (stage.work)(places);
        if let Err(failure) = &result {
            eprintln!("\nxtask: {failure}");
        }
        done.push((stage, result, start.elapsed()));
    }
    summarize(&done)
}

type Done<'a> = (&'a Stage, Outcome<Count>, Duration);

fn summarize(done: &[Done<'_>]) -> Outcome<()> {
    println!();
    let mut total = Count::default();
    let mut failed_stages = Vec::new();
    for (stage, result, time) in done {
        let (mark, count) = match result {
            Ok(count) => ("ok    ", *count),
            Err(_) => {
                failed_stages.push(stage.name);
                // A stage without tests of its own is one thing that failed.
                ("FAILED", Count { failed: 1, ..Count::default() })
            }
        };
        total.add(count);
        let tests = match count.passed {
            0 => String::new(),
            passed => format!("{passed} tests"),
        };
        let seconds = time.as_secs_f32();
        println!("{mark} {:<7} {seconds:>7.1} s  {tests:<11} {}", stage.name, stage.what);
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if let Some(unchecked) = total.unchecked {
        println!("not checked: {unchecked}");
    }
    if failed_stages.is_empty() {
        return Ok(());
    }
    let again = format!("cargo xtask test {}", failed_stages.join(" "));
    Err(Failure::new(format!("failed: {}", failed_stages.join(", "))).next(again))
}

fn everything(places: &Places) -> Outcome<Count> {
    build::parts(places, &[])?;
    // Last: what cannot be fetched stops only who needs it.
    tools::fetch_all(places)?;
    Ok(Count::default())
}

fn sources(places: &Places) -> Outcome<Count> {
    let unchecked = lint::check(places)?;
    Ok(Count { unchecked, ..Count::default() })
}

fn crates(places: &Places) -> Outcome<Count> {
    tools::redis(places)?;
    let packages = ["--workspace", "--exclude", "countersign-e2e"];
    let first = ["issuer", "process", "pressure"];
    let plan = Plan {
        packages: &packages,
        args: &[],
        env: &[],
        at_once: AT_ONCE,
        first: &first,
        alone: &[],
    };
    let programs = programs::run(places, &plan);
    // The examples in the documentation.
    let mut count =
        counted(cargo(places).args(["test", "--no-fail-fast", "--doc"]).args(packages))?;
    count.add(programs?);
    Ok(count)
}

/// The tests that start an issuer on the engine that is named. Those of its statements, and of the program,
/// have both engines in the stage `unit`.
fn on_postgres(places: &Places) -> Outcome<Count> {
    tools::redis(places)?;
    let plan = Plan {
        packages: &["-p", "countersign-issuer", "--test", "issuer", "--test", "pressure"],
        args: &[],
        env: &[("COUNTERSIGN_TEST_DATABASE", "postgres")],
        at_once: AT_ONCE,
        first: &["issuer"],
        alone: &[],
    };
    programs::run(places, &plan)
}

/// What a Redis is asked for. That it is away, or slow, or between nodes, is for the stage `unit`.
const IN_REDIS: [&str; 8] = [
    "authorize::",
    "device",
    "dpop_use::",
    "identity_assertion::",
    "limits::",
    "login::",
    "private_key_jwt::",
    "request_objects::",
];

fn on_redis(places: &Places) -> Outcome<Count> {
    tools::redis(places)?;
    counted(
        cargo(places)
            .args(["test", "-p", "countersign-issuer", "--test", "issuer", "--"])
            .args(IN_REDIS)
            // Some in them are older than this Redis: nobody can say whether they were used.
            .args(["--skip", "attack_26_replay_times_and_algorithms"])
            .args(["--skip", "rfc_9101_bad_objects"])
            .env("COUNTERSIGN_TEST_REDIS", "1"),
    )
}

fn without_std(places: &Places) -> Outcome<Count> {
    no_std::prove(places)?;
    Ok(Count::default())
}

fn in_wasm(places: &Places) -> Outcome<Count> {
    let passed = verdicts::compare(places)?;
    Ok(Count { passed, ..Count::default() })
}

fn panic_free(places: &Places) -> Outcome<Count> {
    let passed = panics::prove(places)?;
    Ok(Count { passed, ..Count::default() })
}

fn fuzzing(places: &Places) -> Outcome<Count> {
    let passed = fuzz::smoke(places)?;
    Ok(Count { passed, ..Count::default() })
}

fn end_to_end(places: &Places) -> Outcome<Count> {
    // Nothing to do in a full run; alone, this stage must not test what was built some time ago.
    tools::fetch_all(places)?;
    build::parts(places, &["native".to_owned(), "envoy".to_owned()])?;
    let plan = Plan {
        packages: &["-p", "countersign-e2e"],
        // Each test starts an Envoy.
        args: &["--test-threads=1"],
        env: &[],
        at_once: END_TO_END_AT_ONCE,
        first: &[
            "day",
            "fail_closed",
            "keys",
            "flow",
            "vectors",
            "gone",
            "bounds",
            "revocation_by_issuer",
        ],
        // They watch how much memory Envoy takes, or take all that it has.
        alone: &["memory", "sizing"],
    };
    programs::run(places, &plan)
}

/// The npm package's own tests: Node's runner on `js/test`, workerd's on its configurations.
fn javascript(places: &Places) -> Outcome<Count> {
    let dir = places.path("js/test");
    if !dir.is_dir() {
        say("js/test does not exist yet");
        return Ok(Count::default());
    }
    // The issuer is the native program.
    build::parts(places, &["native".to_owned(), "js".to_owned()])?;
    let corpus = verdicts::wycheproof(places)?;
    let files = files_below(&dir)?;
    let ending = |end: &str| {
        let is = |file: &&std::path::PathBuf| file.to_string_lossy().ends_with(end);
        files.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    let mut total = Count::default();
    // Those in `once` start other runtimes, bundlers and compilers: which Node does that is the same.
    let (once, scripts): (Vec<_>, Vec<_>) =
        ending(".test.mjs").into_iter().partition(|file| file.starts_with(dir.join("once")));
    if !scripts.is_empty() {
        let nodes = ["node".into(), places.node22(), tools::node24(places)?];
        for (node, scripts) in
            nodes.into_iter().zip([[once, scripts.clone()].concat(), scripts.clone(), scripts])
        {
            say(format_args!("node --test js/test with {}", node.display()));
            let mut command = Command::new(node);
            command.current_dir(places.path("js")).args(["--test", "--test-reporter=tap"]);
            // By default as many files at once as there are processors but one; most of them wait.
            command.arg("--test-concurrency=4");
            command.env("COUNTERSIGN_CORPUS", &corpus);
            total.add(counted(command.args(&scripts))?);
        }
    }
    for config in ending(".capnp") {
        say(format_args!("workerd test {}", config.display()));
        let mut command = Command::new(tools::workerd(places)?);
        crate::command::run(command.current_dir(places.path("js")).arg("test").arg(config))?;
        total.add(Count { passed: 1, ..Count::default() });
    }
    Ok(total)
}

/// How many tests ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    /// What this machine could not check, and why.
    pub(crate) unchecked: Option<&'static str>,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.unchecked = self.unchecked.or(other.unchecked);
    }

    /// Adds what a line of a test runner's output says.
    pub(crate) fn read(&mut self, line: &str) {
        // cargo test: `test result: ok. 12 passed; 0 failed; …`
        if let Some(rest) = line.strip_prefix("test result: ") {
            for part in rest.split([';', '.']) {
                let mut words = part.split_whitespace();
                let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                match words.next() {
                    Some("passed") => self.passed += number,
                    Some("failed") => self.failed += number,
                    _ => {}
                }
            }
        }
        // node --test: `# pass 12`
        let number = |prefix| line.strip_prefix(prefix).and_then(|rest: &str| rest.parse().ok());
        self.passed += number("# pass ").unwrap_or(0);
        self.failed += number("# fail ").unwrap_or(0);
    }
}

/// Runs a test runner, shows its output, and counts.
fn counted(command: &mut Command) -> Outcome<Count> {
    let line = line_of(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(command, &error))?;
    let mut count = Count::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{line}");
            count.read(&line);
        }
    }
    let status = child.wait().map_err(Failure::during(&line))?;
    if status.success() && count.failed == 0 {
        return Ok(count);
    }
    Err(Failure::new(format!("`{line}`: {} passed, {} failed", count.passed, count.failed)))
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn counts_what_runners_print() {
        let mut count = Count::default();
        count.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out");
        count.read("test result: FAILED. 3 passed; 2 failed; 0 ignored; finished in 0.03s");
        count.read("# pass 5");
        count.read("# fail 1");
        count.read("# passing thoughts");
        assert_eq!(count, Count { passed: 20, failed: 3, unchecked: None });
    }
}
