//! A running Envoy with the filter.

mod clock;
mod config;
mod template;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

pub use clock::Clock;
pub use config::EnvoyConfig;

use crate::failure::Outcome;
use crate::http;
use crate::places::{Places, existing};
use crate::ports::free_ports;
use crate::process::Server;
use config::address;

/// Start-up compiles the module; another build may be using the cores.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    server: Server,
    port: u16,
    admin: u16,
}

impl Envoy {
    /// Starts it with its files in `dir`, and waits until it serves.
    pub fn start(places: &Places, config: &EnvoyConfig, dir: &Path) -> Outcome<Self> {
        let binary = existing(places.envoy(), "Envoy")?;
        existing(places.filter(), "the Envoy filter")?;
        let path = config.write(dir)?;
        let [admin] = free_ports()?;
        // Merged over the file: an admin page of its own for every instance.
        let mut over = json!({ "admin": { "address": address(admin) } });
        let mut command = Command::new(binary);
        command
            .args(["--disable-hot-restart", "--concurrency", &config.workers().to_string()])
            .args(["--log-level", "warning", "--component-log-level", "wasm:info"])
            .arg("--config-path")
            .arg(path)
            .arg("--config-yaml");
        if let Some(clock) = config.clock() {
            command.arg(over.to_string()).envs(clock.environment());
        } else {
            // Nobody waits long for access logs and histograms; by a fast clock it would be all the time.
            over["stats_flush_interval"] = json!("1s");
            command.arg(over.to_string()).args(["--file-flush-interval-msec", "100"]);
        }
        let mut server = Server::start("Envoy", &command, &dir.join("envoy.log"))?;
        server.wait_until(START_LIMIT, || http::is_ok(admin, "/ready"))?;
        Ok(Self { server, port: config.port(), admin })
    }

    /// Where MCP clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its admin page: `/stats`, `/config_dump`.
    pub fn admin(&self) -> u16 {
        self.admin
    }

    /// The file with its log, and so the filter's.
    pub fn log(&self) -> &Path {
        self.server.log()
    }

    /// The reason codes that the filter has logged, in order.
    pub fn reasons(&self) -> Vec<String> {
        let text = self.server.output();
        let codes = text.match_indices("reason=").map(|(at, found)| {
            let rest = text.get(at + found.len()..).unwrap_or_default();
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        });
        codes.collect()
    }

    /// The memory that it wrote to (RssAnon), in KiB. Pages of its files, the program itself first of all,
    /// come and go with the machine, so that growth is seen in this and not in VmRSS.
    pub fn written(&self) -> Option<u64> {
        self.status("RssAnon:")
    }

    /// A line of its `/proc/…/status`, in KiB.
    fn status(&self, name: &str) -> Option<u64> {
        let path = format!("/proc/{}/status", self.server.pid()?);
        let status = std::fs::read_to_string(path).ok()?;
        let memory = status.lines().find_map(|line| line.strip_prefix(name))?;
        memory.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// Its memory (VmRSS) in KiB, and its workers' processor time in microseconds.
    pub fn usage(&self) -> Option<(u64, u64)> {
        let pid = self.server.pid()?;
        let memory = self.status("VmRSS:")?;
        // Each thread's time on a processor, in nanoseconds: finer than the ticks of `stat`.
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let time = |thread: std::path::PathBuf| -> Option<u64> {
            // V8 compiles in threads of its own.
            let name = std::fs::read_to_string(thread.join("comm")).ok()?;
            if !name.starts_with("wrk:worker") {
                return None;
            }
            let times = std::fs::read_to_string(thread.join("schedstat")).ok()?;
            times.split_whitespace().next()?.parse().ok()
        };
        let nanoseconds: u64 = threads.flatten().filter_map(|thread| time(thread.path())).sum();
        Some((memory, nanoseconds / 1000))
    }

    /// A counter or gauge by its whole name; 0 when there is none.
    pub fn stat(&self, name: &str) -> u64 {
        let path = format!("/stats?filter=^{}$", name.replace('.', "\\."));
        let text = http::get(self.admin, &path).map(|answer| answer.text()).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// How many values a histogram has, by its name for Prometheus. Envoy adds them up now and then.
    pub fn samples(&self, name: &str) -> u64 {
        let page = http::get(self.admin, "/stats?format=prometheus");
        let page = page.map(|answer| answer.text()).unwrap_or_default();
        let line = page.lines().find(|line| line.contains(&format!("{name}_count")));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    /// Waits until the log has this text, a minute at most.
    pub fn logs(&self, text: &str) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if self.server.output().contains(text) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.server.output()
    }
}
