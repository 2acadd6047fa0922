//! Issuer, MCP server and Envoy together, as an operator would run them.

use std::path::Path;
use std::process::Command;

use crate::envoy::{Envoy, EnvoyConfig};
use crate::failure::Outcome;
use crate::issuer::{ACCOUNT, Issuer, PASSWORD, Resource};
use crate::mcp_server::node_server;
use crate::places::Places;
use crate::ports::free_ports;
use crate::process::{Scratch, Server};

/// How a stack differs from the one that the README describes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Envoy holds the headers while the body is read (its setting
    /// `allow_on_headers_stop_iteration`); Istio and Envoy Gateway cannot.
    pub hold_headers: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { hold_headers: true }
    }
}

/// The running parts. Ends them, in the order of the fields, with the value.
#[derive(Debug)]
pub struct Stack {
    envoy: Envoy,
    mcp_server: Server,
    issuer: Issuer,
    upstream: u16,
    mcp: String,
    other: String,
    scratch: Scratch,
}

impl Stack {
    /// Starts everything on free ports in a temporary folder.
    pub fn start(places: &Places, options: Options) -> Outcome<Self> {
        let mut scratch = Scratch::new()?;
        let started = Self::start_in(places, options, scratch.path());
        match started {
            Ok((envoy, mcp_server, issuer, [listener, upstream])) => Ok(Self {
                envoy,
                mcp_server,
                issuer,
                upstream,
                mcp: mcp_url(listener),
                other: other_url(listener),
                scratch,
            }),
            Err(failure) => {
                scratch.keep();
                let logs = format!("the logs are in {}", scratch.path().display());
                Err(failure.or_next(logs))
            }
        }
    }

    fn start_in(
        places: &Places,
        options: Options,
        dir: &Path,
    ) -> Outcome<(Envoy, Server, Issuer, [u16; 2])> {
        let [listener, issuer, upstream] = free_ports()?;
        let scopes = ["files:read=Read files", "files:write=Write files"];
        let resources = [
            Resource::new(mcp_url(listener), "Example files", &scopes)
                .implies("files:write=files:read"),
            Resource::new(other_url(listener), "Example reports", &["reports:read=Read reports"]),
        ];
        let issuer = Issuer::start(places, issuer, &resources, dir)?;
        let mcp_server = node_server(places, "tests/demo/server.mjs", upstream, dir)?;
        let config =
            EnvoyConfig::plain(places, listener, issuer.port(), upstream, options.hold_headers)?;
        let envoy = Envoy::start(places, &config, dir)?;
        Ok((envoy, mcp_server, issuer, [listener, upstream]))
    }

    /// Runs `program script` (the path within the checkout) with `DEMO_*` variables that tell where
    /// everything is.
    pub fn client(&self, places: &Places, program: &str, script: &str) -> Command {
        let mut command = Command::new(program);
        command.arg(places.path(script));
        self.tell(&mut command);
        command.env("PYTHONPATH", places.sdk_python());
        command
    }

    /// Sets those variables for a program.
    pub fn tell(&self, command: &mut Command) {
        command
            .env("DEMO_MCP", self.mcp())
            .env("DEMO_ISSUER", self.issuer())
            .env("DEMO_ACCOUNT", ACCOUNT)
            .env("DEMO_PASSWORD", PASSWORD)
            .env("DEMO_OTHER_RESOURCE", &self.other)
            .env("DEMO_SEEN", format!("http://127.0.0.1:{}/seen", self.upstream))
            .env("DEMO_ENVOY_LOG", self.envoy.log());
    }

    /// The MCP endpoint, through Envoy.
    pub fn mcp(&self) -> &str {
        &self.mcp
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        self.issuer.url()
    }

    /// Where the issuer listens.
    pub fn issuer_port(&self) -> u16 {
        self.issuer.port()
    }

    /// Runs `countersign` with these arguments on the issuer's database; gives what it printed.
    pub fn administer(&self, args: &[&str]) -> Outcome<String> {
        self.issuer.administer(args)
    }

    /// The Envoy in front.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The folder with the configuration and the logs.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// What the MCP server has logged: one JSON line per request, with its identity headers.
    pub fn mcp_log(&self) -> String {
        self.mcp_server.output()
    }

    /// Leaves the folder in place for a look at the logs.
    pub fn keep_files(&mut self) {
        self.scratch.keep();
    }
}

fn mcp_url(listener: u16) -> String {
    format!("http://127.0.0.1:{listener}/mcp")
}

fn other_url(listener: u16) -> String {
    format!("http://127.0.0.1:{listener}/reports/mcp")
}
