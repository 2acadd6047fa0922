//! A PostgreSQL server of the tests' own, made from what is installed, on a socket in a temporary
//! folder. It ends with the process that started it, however that ends.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Stops the server and removes its files once nobody holds the other end of its standard input.
const JANITOR: &str =
    "cat >/dev/null; $0 -D \"$1/data\" -m immediate stop >/dev/null 2>&1; rm -rf \"$1\"";

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    /// It waits for its input to end; with this value, or with this process.
    janitor: Child,
    environment: Vec<(String, String)>,
}

/// A database on the server that all tests of a process share; dropped at the end.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: &'static Postgres,
}

static SHARED: LazyLock<Postgres> = LazyLock::new(|| {
    // What tests store may be lost with the machine, and they are faster.
    Postgres::start(&["fsync=off", "full_page_writes=off"])
});

impl Database {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let server = &*SHARED;
        Self { name: server.create_database(), server }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Runs one of the client programs of PostgreSQL on it; gives what that prints.
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        self.server.client(program, &[arguments, &["-d", &self.name]].concat())
    }

    /// It is deleted and made anew, empty.
    pub fn empty(&self) {
        self.server.client("dropdb", &["--force", &self.name]);
        self.server.client("createdb", &[&self.name]);
    }

    /// All that is in it, as SQL.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        self.server.client("pg_dump", &["--inserts", &self.name])
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server.client("dropdb", &["--force", &self.name]);
    }
}

impl Postgres {
    /// Makes and starts one with these settings.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::start_in(settings, &[])
    }

    /// The same in an environment.
    #[must_use]
    pub fn start_in(settings: &[&str], environment: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = short_temp_dir().join(format!("cs-pg-{}-{count}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        give_away(&folder);
        let mut command = Command::new("sh");
        command.args(["-c", JANITOR]).arg(program("pg_ctl")).arg(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let janitor = as_postgres(&mut command).spawn().unwrap();
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let server = Self { folder, janitor, environment: environment.collect() };
        let data = server.folder.join("data");
        let initdb = ["-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8", "-D"];
        let mut command = Command::new(program("initdb"));
        done(as_postgres(command.args(initdb).arg(data)));
        let socket = format!("unix_socket_directories='{}'", server.folder.display());
        let own = ["listen_addresses=''", "max_connections=1000", "shared_buffers=32MB", &socket];
        let mut configuration = own.map(str::to_owned).to_vec();
        configuration.extend(settings.iter().map(|text| (*text).to_owned()));
        let file = server.folder.join("data/postgresql.auto.conf");
        fs::write(file, configuration.join("\n") + "\n").unwrap();
        server.resume();
        server
    }

    /// Starts it again.
    pub fn resume(&self) {
        let mut command = self.control();
        // It inherits no pipe of ours, which would keep the janitor waiting.
        command.arg("-w").arg("-l").arg(self.folder.join("log")).arg("start");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        assert!(as_postgres(&mut command).status().unwrap().success(), "{}", self.log());
    }

    /// Ends it as a crash does.
    pub fn stop(&self) {
        done(as_postgres(self.control().args(["-m", "immediate", "-w", "stop"])));
    }

    /// Makes an empty database; gives its name.
    #[must_use]
    pub fn create_database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.client("createdb", &[&name]);
        name
    }

    /// Where a database of it is.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@localhost/{name}?host={}", self.folder.display())
    }

    /// Runs a statement; gives what `psql` prints.
    #[must_use]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let arguments = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, database];
        String::from_utf8(self.client("psql", &arguments)).unwrap().trim_end().to_owned()
    }

    fn client(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program(name));
        done(command.arg("-h").arg(&self.folder).args(["-U", "postgres"]).args(arguments))
    }

    fn control(&self) -> Command {
        let mut command = Command::new(program("pg_ctl"));
        command.arg("-D").arg(self.folder.join("data"));
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// The folder for temporary files where its name is short: a socket's path has at most 107 bytes. A new
/// database is some 300 files, which are made far faster where they are kept in memory.
fn short_temp_dir() -> PathBuf {
    let usual = env::temp_dir();
    if usual.as_os_str().len() <= 40 { usual } else { PathBuf::from("/tmp") }
}

#[track_caller]
fn done(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Debian has the programs in a folder of their version.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    found.filter(|path| path.exists()).max().unwrap_or_else(|| PathBuf::from(name))
}

// The server refuses to run as root. Then it runs as the user that Debian's package made.

fn postgres_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let home = fs::metadata("/var/lib/postgresql").expect("Debian's package postgresql");
    Some((home.uid(), home.gid()))
}

fn as_postgres(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt as _;
    command.current_dir(env::temp_dir());
    match postgres_user() {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}

fn give_away(folder: &Path) {
    if let Some((user, group)) = postgres_user() {
        std::os::unix::fs::chown(folder, Some(user), Some(group)).unwrap();
    }
}
