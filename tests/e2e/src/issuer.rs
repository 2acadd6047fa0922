//! The real issuer: `countersign serve` with one user and two resources.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::http;
use crate::places::Places;
use crate::process::Server;

/// The account that logs in.
pub const ACCOUNT: &str = "ada";
/// Its password: these are throw-away databases on the loopback interface.
pub const PASSWORD: &str = "correct horse battery staple";

const START_LIMIT: Duration = Duration::from_secs(60);

/// A resource as `countersign resource add` takes it.
#[derive(Clone, Debug)]
pub struct Resource {
    uri: String,
    args: Vec<String>,
}

impl Resource {
    /// A resource named `name` with scopes of the form `files:read=Read files`.
    pub fn new(uri: impl Into<String>, name: &str, scopes: &[&str]) -> Self {
        let mut args = vec!["--name".to_owned(), name.to_owned()];
        for scope in scopes {
            args.extend(["--scope".to_owned(), (*scope).to_owned()]);
        }
        Self { uri: uri.into(), args }
    }

    /// Adds an implication such as `files:write=files:read`.
    #[must_use]
    pub fn implies(mut self, implication: &str) -> Self {
        self.args.extend(["--implies".to_owned(), implication.to_owned()]);
        self
    }

    /// Makes it the one that is meant when a client names none.
    #[must_use]
    pub fn by_default(mut self) -> Self {
        self.args.push("--default".to_owned());
        self
    }

    /// Its identifier.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    _server: Server,
    tool: Tool,
    url: String,
    port: u16,
}

impl Issuer {
    /// Makes its database in `dir` and starts it on `port`.
    pub fn start(places: &Places, port: u16, resources: &[Resource], dir: &Path) -> Outcome<Self> {
        Self::start_with(places, port, resources, dir, &[])
    }

    /// The same with more options of `countersign serve`.
    pub fn start_with(
        places: &Places,
        port: u16,
        resources: &[Resource],
        dir: &Path,
        options: &[&str],
    ) -> Outcome<Self> {
        let tool = Tool { binary: places.countersign()?, database: dir.join("issuer.db") };
        let url = format!("http://127.0.0.1:{port}");
        let mut command = tool.command(&["serve"]);
        command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--issuer", &url])
            .arg("--key-file")
            .arg(dir.join("issuer.keys"))
            .args(options)
            .current_dir(dir);
        let mut server = Server::start("the issuer", &command, &dir.join("issuer.log"))?;
        server.wait_until(START_LIMIT, || http::is_ok(port, "/healthz"))?;
        tool.run(&["user", "add", ACCOUNT, "--password-stdin"], PASSWORD)?;
        for resource in resources {
            let mut args = vec!["resource", "add", &resource.uri];
            args.extend(resource.args.iter().map(String::as_str));
            tool.run(&args, "")?;
        }
        server.wait_until(START_LIMIT, || http::is_ok(port, "/readyz"))?;
        Ok(Self { _server: server, tool, url, port })
    }

    /// Runs `countersign` with these arguments on its database; gives what it printed.
    pub fn administer(&self, args: &[&str]) -> Outcome<String> {
        self.tool.run(args, "")
    }

    /// Its identifier.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The command line, on one database.
#[derive(Debug)]
struct Tool {
    binary: PathBuf,
    database: PathBuf,
}

impl Tool {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--database").arg(&self.database);
        // Commands that change the signing keys need it too.
        command.env("COUNTERSIGN_KEY_FILE", self.database.with_file_name("issuer.keys"));
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Outcome<String> {
        let doing = format!("countersign {}", args.join(" "));
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Failure::during(&doing))?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end without reading.
            let _ = writeln!(stdin, "{input}");
        }
        let output = child.wait_with_output().map_err(Failure::during(&doing))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Failure::new(format!("{doing}: {}", String::from_utf8_lossy(&output.stderr))))
    }
}
