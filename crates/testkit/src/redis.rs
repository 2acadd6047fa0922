//! A Redis server of the tests' own, on a socket in a temporary folder, that can fail in every way. It ends
//! with the process that started it, however that ends.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

/// Ends the server and removes its files once nobody holds the other end of its standard input.
const JANITOR: &str = "cat >/dev/null; test -e \"$0/pid\" && kill -KILL \"$(cat \"$0/pid\")\"; \
                       rm -rf \"$0\"";

/// For everything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. It keeps nothing over a restart, as one without persistence.
#[derive(Debug)]
pub struct Redis {
    folder: PathBuf,
    server: Mutex<Option<Child>>,
    started: Mutex<Instant>,
    /// It waits for its input to end; with this value, or with this process.
    janitor: Child,
}

/// How old a server must be to say of something whether it was used before, if that says that it was
/// made [`AHEAD`] seconds from now.
const SETTLED: Duration = Duration::from_secs(15);

/// Seconds by which a clock may be ahead of the server's, but for a few: with such a clock, tests need
/// not wait until a server is older than that.
pub const AHEAD: u64 = 26;

static SHARED: LazyLock<Redis> = LazyLock::new(|| {
    let redis = Redis::start();
    redis.settle();
    redis
});

/// The same on a server that is old enough for what was made now by a right clock.
#[must_use]
pub fn old_database() -> String {
    let url = database();
    SHARED.wait(SETTLED + Duration::from_secs(AHEAD));
    url
}

/// The URL of an empty database on a server that all tests of a process share.
#[must_use]
pub fn database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(number < DATABASES, "more tests than databases");
    format!("{}?db={number}", SHARED.url())
}

const DATABASES: u32 = 4096;

impl Redis {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // A socket's path has at most 107 bytes.
        let folder = Path::new("/tmp").join(format!("cs-redis-{}-{count}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut janitor = Command::new("sh");
        janitor.args(["-c", JANITOR]).arg(&folder).stdin(Stdio::piped());
        let janitor = janitor.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Mutex::new(Instant::now());
        let redis = Self { folder, server: Mutex::default(), started, janitor };
        redis.resume();
        redis
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Ends it as a crash does, with all that it knew.
    pub fn stop(&self) {
        // First: the janitor must not look for a process that is somebody else's by then.
        let _ = fs::remove_file(self.folder.join("pid"));
        if let Some(mut server) = self.server.lock().unwrap().take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts it again, empty.
    pub fn resume(&self) {
        let socket = self.socket();
        let _ = fs::remove_file(&socket);
        let mut command = program();
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command
            .arg(&socket)
            .args(["--databases", &DATABASES.to_string()])
            .arg("--pidfile")
            .arg(self.folder.join("pid"));
        command.arg("--dir").arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        let child = child.expect("redis-server: `cargo xtask tools`, or Debian's package");
        *self.server.lock().unwrap() = Some(child);
        let started = Instant::now();
        *self.started.lock().unwrap() = started;
        while !socket.exists() || !self.folder.join("pid").exists() {
            assert!(started.elapsed() < PATIENCE, "Redis does not start");
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it is old enough to know what is made [`AHEAD`] seconds from now.
    pub fn settle(&self) {
        self.wait(SETTLED);
    }

    fn wait(&self, age: Duration) {
        let present = self.started.lock().unwrap().elapsed();
        sleep(age.saturating_sub(present));
    }

    /// Leaves it connected, and lets it do nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.server.lock().unwrap().as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// What is installed, or what `cargo xtask tools` took out of Debian's package.
fn program() -> Command {
    if let Some(named) = env::var_os("COUNTERSIGN_REDIS_SERVER") {
        return Command::new(named);
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/redis/usr");
    if !fetched.is_dir() {
        return Command::new("redis-server");
    }
    let mut command = Command::new(fetched.join("bin/redis-server"));
    let libraries = fs::read_dir(fetched.join("lib")).unwrap().flatten().map(|entry| entry.path());
    command.env("LD_LIBRARY_PATH", env::join_paths(libraries).unwrap());
    command
}
