//! Test programs, several at a time: most of what ours do is wait, for an Envoy to start or a key to age.
//!
//! `cargo test` runs one program after the other. Here cargo only builds them; what each prints comes in
//! one piece when it has ended, with what to type to run it again. One that does not end is ended.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use countersign_e2e::{Failure, Outcome, Places};
use serde_json::Value;

use crate::command::{cargo, line_of, make_dir, not_started, say};
use crate::test::Count;

/// For one program. The longest takes four minutes by itself, and some ten on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How a set of programs is built and run.
pub(crate) struct Plan<'a> {
    /// Which packages: arguments for `cargo test`.
    pub(crate) packages: &'a [&'a str],
    /// For each program.
    pub(crate) args: &'a [&'a str],
    /// For each program.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// How many run at a time.
    pub(crate) at_once: usize,
    /// Names of programs to begin with: those that take longest.
    pub(crate) first: &'a [&'a str],
    /// Names of programs that run when all others have ended, one after the other: those that measure, or
    /// take what memory there is.
    pub(crate) alone: &'a [&'a str],
}

/// A compiled test program.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// Package and target: `countersign-e2e --test day`.
    name: String,
    /// The target alone.
    target: String,
    file: PathBuf,
    /// Its package's folder: tests are run there.
    dir: PathBuf,
}

/// Builds the programs, runs them all, and counts.
pub(crate) fn run(places: &Places, plan: &Plan<'_>) -> Outcome<Count> {
    let mut programs = build(places, plan.packages)?;
    check(&programs, plan)?;
    programs.sort_by_key(|program| {
        plan.first.iter().position(|name| *name == program.target).unwrap_or(usize::MAX)
    });
    let (alone, together): (Vec<_>, Vec<_>) =
        programs.iter().partition(|program| plan.alone.contains(&program.target.as_str()));
    let total = Mutex::new((Count::default(), Vec::new()));
    let work = |program| {
        let result = run_one(places, program, plan);
        if let Ok(mut total) = total.lock() {
            match result {
                Ok(count) => total.0.add(count),
                Err(failure) => total.1.push(failure.to_string()),
            }
        }
    };
    let waiting = Mutex::new(together.iter());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    thread::scope(|scope| {
        for _ in 0..plan.at_once.clamp(1, together.len().max(1)) {
            scope.spawn(|| {
                while let Some(program) = next() {
                    work(program);
                }
            });
        }
    });
    for program in alone {
        work(program);
    }
    let (count, failures) = total.into_inner().unwrap_or_default();
    if failures.is_empty() {
        return Ok(count);
    }
    Err(Failure::new(failures.join("\n")))
}

fn build(places: &Places, packages: &[&str]) -> Outcome<Vec<Program>> {
    let mut command = cargo(places);
    command.args(["test", "--no-run", "--message-format=json-render-diagnostics"]).args(packages);
    let line = line_of(&command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(&command, &error))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{line}` failed ({})", output.status)));
    }
    String::from_utf8_lossy(&output.stdout).lines().filter_map(read_message).collect()
}

/// A plan that is about other programs than there are would pass without a test.
fn check(programs: &[Program], plan: &Plan<'_>) -> Outcome<()> {
    if programs.is_empty() {
        return Err(Failure::new("cargo built no test programs").next("look at Plan::packages"));
    }
    let is_built = |name: &&&str| programs.iter().any(|program| program.target == **name);
    match plan.first.iter().chain(plan.alone).find(|name| !is_built(name)) {
        None => Ok(()),
        Some(name) => Err(Failure::new(format!("there is no test program {name}"))
            .next("take it out of the plan in crates/xtask/src/test.rs")),
    }
}

/// The test program of which a line of cargo's messages tells, if it tells of one.
fn read_message(line: &str) -> Option<Outcome<Program>> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.pointer("/profile/test") != Some(&Value::Bool(true)) {
        return None;
    }
    let unread = || Failure::new(format!("cargo says of a test program: {line}"));
    Some(program(&message).ok_or_else(unread))
}

fn program(message: &Value) -> Option<Program> {
    let text = |path| message.pointer(path).and_then(Value::as_str);
    let manifest = PathBuf::from(text("/manifest_path")?);
    let (target, kind) = (text("/target/name")?.to_owned(), text("/target/kind/0")?);
    let id = text("/package_id")?;
    let package = id.rsplit(['/', '#']).next().and_then(|name| name.split('@').next())?;
    // `…/crates/core#countersign-core@0.1.0`, or `…/crates/xtask#0.1.0` where the folder has the name.
    let package = if package.starts_with(|first: char| first.is_ascii_digit()) {
        manifest.parent()?.file_name()?.to_string_lossy().into_owned()
    } else {
        package.to_owned()
    };
    let name = match kind {
        "test" | "bin" | "example" => format!("{package} --{kind} {target}"),
        _ => format!("{package} --lib"),
    };
    let file = PathBuf::from(text("/executable")?);
    Some(Program { name, target, file, dir: manifest.parent()?.to_path_buf() })
}

fn run_one(places: &Places, program: &Program, plan: &Plan<'_>) -> Outcome<Count> {
    let mut command = Command::new(&program.file);
    command
        .current_dir(&program.dir)
        .args(plan.args)
        .env("CARGO_MANIFEST_DIR", &program.dir)
        .envs(plan.env.iter().copied())
        .stdin(Stdio::null());
    let doing = format!("running {}", program.name);
    let folder = places.made("test");
    make_dir(&folder)?;
    // Not a pipe: whoever looks while it runs, or after it was ended from outside, finds what it said.
    let env: String = plan.env.iter().map(|(name, value)| format!("{name}={value} ")).collect();
    let log = folder.join(format!("{env}{}.log", program.name.replace('/', "-")));
    let output = File::create(&log).map_err(Failure::during(&doing))?;
    let errors = output.try_clone().map_err(Failure::during(&doing))?;
    let start = Instant::now();
    say(format_args!("{env}{} …", program.name));
    let mut child = command
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| not_started(&command, &error))?;
    let ended = wait(&mut child, PATIENCE).map_err(Failure::during(&doing))?;
    let printed = fs::read(&log).map_err(Failure::during(&doing))?;
    let mut count = Count::default();
    String::from_utf8_lossy(&printed).lines().for_each(|line| count.read(line));
    let seconds = start.elapsed().as_secs_f32();
    // In one piece: others print too.
    let mut shown = format!("\n--- {env}{} ({seconds:.1} s)\n", program.name).into_bytes();
    shown.extend_from_slice(&printed);
    let _ = std::io::stdout().lock().write_all(&shown);
    let how = match ended {
        Some(status) if status.success() && count.failed == 0 => return Ok(count),
        Some(status) => status.to_string(),
        None => format!("ended after {} minutes", PATIENCE.as_secs() / 60),
    };
    let args: String = plan.args.iter().map(|arg| format!(" {arg}")).collect();
    let dashes = if args.is_empty() { "" } else { " --" };
    Err(Failure::new(format!(
        "{}: {} passed, {} failed ({how}); again: {env}cargo test -p {}{dashes}{args}",
        program.name, count.passed, count.failed, program.name
    )))
}

/// Waits for its end, and no longer than that: then it is killed, and there is no status.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, kind: &str, target: &str, is_test: bool) -> String {
        serde_json::json!({
            "reason": "compiler-artifact", "package_id": id,
            "manifest_path": "/w/crates/xtask/Cargo.toml",
            "target": { "kind": [kind], "name": target }, "profile": { "test": is_test },
            "executable": "/w/target/debug/deps/day-1",
        })
        .to_string()
    }

    #[test]
    fn reads_what_cargo_says() {
        let name = |line: &str| {
            read_message(line)
                .map(|program| program.map_or_else(|why| why.to_string(), |it| it.name))
        };
        let id = "path+file:///w/tests/e2e#countersign-e2e@0.1.0";
        assert_eq!(
            name(&message(id, "test", "day", true)).as_deref(),
            Some("countersign-e2e --test day")
        );
        assert_eq!(
            name(&message(id, "lib", "countersign_e2e", true)).as_deref(),
            Some("countersign-e2e --lib")
        );
        let id = "path+file:///w/crates/xtask#0.1.0";
        assert_eq!(name(&message(id, "bin", "xtask", true)).as_deref(), Some("xtask --bin xtask"));
        assert_eq!(name(&message(id, "bin", "xtask", false)), None);
        assert_eq!(name("   Compiling"), None);
        let unread = name("{\"profile\":{\"test\":true}}").unwrap_or_default();
        assert!(unread.contains("cargo says of a test program"), "{unread}");
    }

    #[test]
    fn a_plan_without_programs_is_a_mistake() {
        let plan =
            |alone| Plan { packages: &[], args: &[], env: &[], at_once: 1, first: &[], alone };
        let program = |target: &str| Program {
            name: target.to_owned(),
            target: target.to_owned(),
            file: PathBuf::new(),
            dir: PathBuf::new(),
        };
        assert!(check(&[], &plan(&[])).is_err());
        assert!(check(&[program("a")], &plan(&[])).is_ok());
        assert!(check(&[program("a")], &plan(&["a"])).is_ok());
        assert!(check(&[program("a")], &plan(&["memory"])).is_err());
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep");
        assert_eq!(wait(&mut child, Duration::ZERO).expect("waited for"), None);
        let mut child = Command::new("true").spawn().expect("true");
        let status = wait(&mut child, PATIENCE).expect("waited for");
        assert!(status.is_some_and(|status| status.success()));
    }
}
