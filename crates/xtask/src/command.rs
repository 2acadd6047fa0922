//! Runs other programs and says what they did.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use countersign_e2e::{Failure, Outcome, Places};

/// Prints a line that tells what is being done.
pub(crate) fn say(what: impl core::fmt::Display) {
    println!("xtask: {what}");
}

/// `cargo`, of the toolchain that runs us, in the checkout.
pub(crate) fn cargo(places: &Places) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    cargo_at(cargo, places)
}

/// A given `cargo`, in the checkout. In CI a lock file that lags behind is an error, and nothing is kept for
/// a next build, which takes some 2 GB.
pub(crate) fn cargo_at(program: impl AsRef<OsStr>, places: &Places) -> Command {
    let mut command = Command::new(program);
    command.current_dir(places.root());
    if env::var_os("CI").is_some() {
        command.arg("--locked").env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Runs to the end with the output shown; a failure names the command line.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let line = line_of(command);
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{line}` failed ({status})")))
}

/// Runs to the end in silence; the output is shown only on failure.
pub(crate) fn run_quietly(command: &mut Command) -> Outcome<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "`{}` failed ({}):\n{}{}",
        line_of(command),
        output.status,
        stdout,
        stderr
    )))
}

/// Runs `work` and says how long it took.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let start = Instant::now();
    let result = work()?;
    say(format_args!("{what}: {:.1} s", start.elapsed().as_secs_f32()));
    Ok(result)
}

/// The first program of this name on the search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|candidate| candidate.is_file())
}

/// Makes a folder and its parents.
pub(crate) fn make_dir(path: &Path) -> Outcome<()> {
    fs::create_dir_all(path).map_err(Failure::during(format_args!("making {}", path.display())))
}

/// Removes a folder; it may be absent.
pub(crate) fn remove_dir(path: &Path) -> Outcome<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::new(format!("removing {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Outcome<()> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    fs::write(path, content).map_err(Failure::during(format_args!("writing {}", path.display())))
}

/// Copies a file, making the folders above the target.
pub(crate) fn copy(from: &Path, to: &Path) -> Outcome<()> {
    if let Some(parent) = to.parent() {
        make_dir(parent)?;
    }
    fs::copy(from, to).map(drop).map_err(Failure::during(format_args!(
        "copying {} to {}",
        from.display(),
        to.display()
    )))
}

/// The files in a folder, in order of their names.
pub(crate) fn files_in(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let entries =
        fs::read_dir(dir).map_err(Failure::during(format_args!("reading {}", dir.display())))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// All files below a folder, in order of their names.
pub(crate) fn files_below(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let entries =
        fs::read_dir(dir).map_err(Failure::during(format_args!("reading {}", dir.display())))?;
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The command as a person would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let words = core::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Why a program could not be started.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    let failure = Failure::new(format!("cannot start `{program}`: {error}"));
    if error.kind() == ErrorKind::NotFound {
        failure.next(format!("install `{program}` and put it on the PATH"))
    } else {
        failure
    }
}
