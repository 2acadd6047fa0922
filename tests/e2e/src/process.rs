//! Child processes that cannot outlive us, and folders that are removed again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// Runs the program given as arguments until it ends or standard input does. Our end of that pipe
/// closes however we end, killed or not; so nothing is left running.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ read -r _; kill "$child"; } <&3 2>/dev/null &
watcher=$!
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// How long a process gets to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server that runs in the background, with its output in a file.
#[derive(Debug)]
pub struct Server {
    name: String,
    supervisor: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`; both output streams go to `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Outcome<Self> {
        let starting = format!("starting {name}");
        let file = File::create(log).map_err(Failure::during(&starting))?;
        let second = file.try_clone().map_err(Failure::during(&starting))?;
        let mut supervisor = Command::new("/bin/sh");
        supervisor
            .args(["-c", SUPERVISOR, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(second)
            // Ctrl-C is for us alone; we end our children in order.
            .process_group(0);
        if let Some(dir) = command.get_current_dir() {
            supervisor.current_dir(dir);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => supervisor.env(name, value),
                None => supervisor.env_remove(name),
            };
        }
        let supervisor = supervisor.spawn().map_err(Failure::during(&starting))?;
        Ok(Self { name: name.to_owned(), supervisor, log: log.to_path_buf() })
    }

    /// The process itself, below the shell that watches over it.
    pub fn pid(&self) -> Option<u32> {
        let shell = self.supervisor.id();
        let path = format!("/proc/{shell}/task/{shell}/children");
        let children = fs::read_to_string(path).ok()?;
        // The first child: the second one waits for our end.
        children.split_whitespace().next()?.parse().ok()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(no log: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Waits until `ready`, for at most `limit`; fails at once when the process ends.
    pub fn wait_until(&mut self, limit: Duration, ready: impl Fn() -> bool) -> Outcome<()> {
        let start = Instant::now();
        while !ready() {
            let ended = self.supervisor.try_wait().ok().flatten();
            let why = match ended {
                Some(status) => format!("ended early ({status})"),
                None if start.elapsed() > limit => format!("was not ready after {limit:?}"),
                None => {
                    sleep(Duration::from_millis(20));
                    continue;
                }
            };
            return Err(Failure::new(format!(
                "{} {why}; it said:\n{}",
                self.name,
                tail(&self.output(), 30)
            )));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !matches!(self.supervisor.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        eprintln!("{} does not end; giving up on it", self.name);
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

/// A folder of our own that goes away with the value, or with our process.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    janitor: Child,
    kept: bool,
}

/// Removes a folder when standard input ends, unless told to keep it. Who still writes there as we
/// end gets a second.
const JANITOR: &str = r#"
read -r word
[ "$word" = keep ] || rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
"#;

impl Scratch {
    /// A new, empty folder in the system's temporary folder.
    pub fn new() -> Outcome<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (path, making) = loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("countersign-{}-{count}", id()));
            let making = format!("making {}", path.display());
            match fs::create_dir(&path) {
                Ok(()) => break (path, making),
                // One that a process with our number kept.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::during(making)(error)),
            }
        };
        let janitor = Command::new("/bin/sh")
            .args(["-c", JANITOR, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(Failure::during(&making))?;
        Ok(Self { path, janitor, kept: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it in place, for a look at what went wrong.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.janitor.stdin.take() {
            let word: &[u8] = if self.kept { b"keep\n" } else { b"\n" };
            let _ = stdin.write_all(word);
        }
        let _ = self.janitor.wait();
    }
}

/// The last lines of a text.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{Scratch, Server, tail};

    #[test]
    fn a_server_ends_with_its_value() {
        let scratch = Scratch::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec sleep 600"]);
        let mut server = Server::start("sleeper", &command, &scratch.path().join("log")).unwrap();
        let log = server.log().to_path_buf();
        let read = move || std::fs::read_to_string(&log).unwrap();
        server.wait_until(Duration::from_secs(30), || !read().is_empty()).unwrap();
        let pid = server.output().trim().to_owned();
        let proc = std::path::PathBuf::from(format!("/proc/{pid}"));
        assert!(proc.exists());
        drop(server);
        assert!(!proc.exists());
    }

    #[test]
    fn a_folder_goes_unless_kept() {
        let mut kept = Scratch::new().unwrap();
        let gone = Scratch::new().unwrap();
        let paths = [kept.path().to_path_buf(), gone.path().to_path_buf()];
        kept.keep();
        drop((kept, gone));
        assert!(paths[0].exists());
        assert!(!paths[1].exists());
        std::fs::remove_dir(&paths[0]).unwrap();
    }

    #[test]
    fn a_folder_that_is_there_already_is_left_alone() {
        let first = Scratch::new().unwrap();
        let text = first.path().display().to_string();
        let (name, count) = text.rsplit_once('-').unwrap();
        let count: u32 = count.parse().unwrap();
        let others: Vec<_> =
            (count + 1..count + 9).map(|number| format!("{name}-{number}")).collect();
        // Other tests of this program make folders meanwhile.
        let made: Vec<_> = others.iter().filter(|path| std::fs::create_dir(path).is_ok()).collect();
        let next = Scratch::new().unwrap();
        assert!(!made.iter().any(|path| next.path() == std::path::Path::new(path)));
        made.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    }

    #[test]
    fn an_early_end_is_told_with_the_last_words() {
        let scratch = Scratch::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no port is free; exit 3"]);
        let mut server = Server::start("issuer", &command, &scratch.path().join("log")).unwrap();
        let start = Instant::now();
        let failure = server.wait_until(Duration::from_secs(60), || false).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(30));
        let text = failure.to_string();
        assert!(text.contains("ended early (exit status: 3)"), "{text}");
        assert!(text.contains("no port is free"), "{text}");
    }

    #[test]
    fn tails() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("", 2), "");
    }
}
