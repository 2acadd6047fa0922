//! The servers that are compared.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use countersign_e2e::{Places, Scratch, Server, free_ports, http};
use serde_json::Value;

pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";
pub(crate) const CALLBACK: &str = "https://app.example.com/callback";
pub(crate) const ACCOUNT: &str = "ada";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A server under load.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// A public client with redirect URI [`CALLBACK`].
    pub(crate) client_id: String,
    /// Id and secret of a client that acts for itself.
    pub(crate) service: (String, String),
    pub(crate) authorize: &'static str,
    pub(crate) jwks: &'static str,
    pub(crate) introspect: &'static str,
    /// The resource whose tokens it can introspect: oidc-provider's JWTs are not stored.
    pub(crate) introspected: &'static str,
    command: Command,
    administration: Option<(PathBuf, String)>,
    server: Option<Server>,
    log: PathBuf,
    folder: PathBuf,
}

impl Peer {
    /// Ours, on this database.
    pub(crate) fn countersign(
        name: &'static str,
        binary: &Path,
        scratch: &Scratch,
        database: &str,
    ) -> Self {
        let [port] = free_ports().unwrap();
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--database", database])
            .args(["--key-file", &format!("{port}.key")])
            .current_dir(scratch.path())
            // As in production, where nobody reads every success.
            .env("COUNTERSIGN_LOG", "warn");
        Self {
            name,
            port,
            client_id: String::new(),
            service: (String::new(), String::new()),
            authorize: "/authorize",
            jwks: "/jwks",
            introspect: "/introspect",
            introspected: RESOURCE,
            command,
            administration: Some((binary.to_owned(), database.to_owned())),
            server: None,
            log: scratch.path().join(format!("{port}.log")),
            folder: scratch.path().to_owned(),
        }
    }

    /// npm's.
    pub(crate) fn oidc_provider(places: &Places, scratch: &Scratch) -> Self {
        let [port] = free_ports().unwrap();
        // The version that it asks for.
        let mut command = Command::new(places.node22());
        command
            .arg(places.path("tests/e2e/oidc-provider.mjs"))
            .arg(port.to_string())
            .env("NODE_ENV", "production")
            .current_dir(places.root());
        Self {
            name: "oidc-provider",
            port,
            client_id: "app".to_owned(),
            service: ("service".to_owned(), "a secret of the benchmark".to_owned()),
            authorize: "/auth",
            jwks: "/jwks",
            introspect: "/token/introspection",
            introspected: "https://mcp.example.com/opaque",
            command,
            administration: None,
            server: None,
            log: scratch.path().join("oidc-provider.log"),
            folder: scratch.path().to_owned(),
        }
    }

    /// Adds what the requests need, and starts it.
    pub(crate) fn prepare(&mut self) {
        if self.administration.is_some() {
            self.administer(&["user", "add", ACCOUNT, "--password-stdin"], PASSWORD);
            let scope = ["--name", "Files", "--scope", "read=Read"];
            self.administer(&[&["resource", "add", RESOURCE], &scope[..]].concat(), "");
            let add = ["--json", "client", "add", "--name", "App", "--redirect-uri", CALLBACK];
            let text = |added: &Value, name: &str| added[name].as_str().unwrap().to_owned();
            self.client_id = text(&self.administer(&add, ""), "client_id");
            let may = format!("{RESOURCE}=read");
            let add = ["--json", "client", "add", "--name", "Job", "--service", &may];
            let added = self.administer(&add, "");
            self.service = (text(&added, "client_id"), text(&added, "client_secret"));
        }
        self.start();
        thread::sleep(Duration::from_secs(3));
    }

    fn start(&mut self) {
        let mut server = Server::start(self.name, &self.command, &self.log).unwrap();
        let (port, jwks) = (self.port, self.jwks);
        server.wait_until(Duration::from_secs(60), || http::is_ok(port, jwks)).unwrap();
        self.server = Some(server);
    }

    fn administer(&self, arguments: &[&str], input: &str) -> Value {
        let (binary, database) = self.administration.as_ref().unwrap();
        let mut child = Command::new(binary)
            .args(arguments)
            .args(["--database", database])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Seconds that the process has had of the processor. PostgreSQL's are not among them.
    pub(crate) fn processor_time(&self) -> f64 {
        processor_time(self.server.as_ref().and_then(Server::pid).unwrap())
    }

    /// Resident memory in MB.
    pub(crate) fn memory(&self) -> f64 {
        let pid = self.server.as_ref().and_then(Server::pid).unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024.0
    }

    /// Milliseconds from the start of the process to its first answer: the median of five.
    pub(crate) fn cold_start(&mut self) -> f64 {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                drop(self.server.take());
                thread::sleep(Duration::from_millis(300));
                let start = Instant::now();
                let server = Server::start(self.name, &self.command, &self.log).unwrap();
                while !http::is_ok(self.port, self.jwks) {
                    assert!(start.elapsed() < Duration::from_secs(60));
                    thread::sleep(Duration::from_millis(1));
                }
                let time = start.elapsed().as_secs_f64() * 1000.0;
                self.server = Some(server);
                time
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[2]
    }

    /// Puts so many grants into the database, each with a live refresh token.
    pub(crate) fn fill(&mut self, grants: usize) {
        let (_, database) = self.administration.clone().unwrap();
        drop(self.server.take());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench-issuer/fill.sh");
        let filled = Command::new("sh")
            .arg(script)
            .args([&database, &grants.to_string(), &self.client_id, RESOURCE])
            .current_dir(&self.folder)
            .status();
        assert!(filled.unwrap().success());
        self.start();
    }
}

/// Seconds that a process has had of the processor.
pub(crate) fn processor_time(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name before may have spaces; then come the state and ten numbers, and the two in ticks of 10 ms.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
