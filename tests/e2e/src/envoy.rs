//! Envoy with the filter: under any policy, or as the copyable configuration in `envoy/plain` says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::http;
use crate::places::{Places, existing};
use crate::ports::free_ports;
use crate::process::Server;

/// Start-up compiles the module; another build may be using the cores.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What an Envoy is to run.
#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    text: String,
    port: u16,
}

impl EnvoyConfig {
    /// A configuration around `policy` (the JSON document): everything goes through the filter to
    /// `upstream`; `clusters` are what the policy's issuers name.
    pub fn new(
        places: &Places,
        port: u16,
        policy: &str,
        hold_headers: bool,
        upstream: u16,
        clusters: &[(&str, u16)],
    ) -> Self {
        let filter = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "countersign",
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": hold_headers,
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": policy,
                },
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": places.filter() } },
                },
            },
        });
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                      http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "mcp",
            "normalize_path": true,
            "merge_slashes": true,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "route_config": { "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } }],
            }] },
            "http_filters": [
                { "name": "countersign", "typed_config": filter },
                { "name": "router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                } },
            ],
        });
        let clusters: Vec<Value> = core::iter::once(&("upstream", upstream))
            .chain(clusters)
            .map(|(name, port)| cluster(name, *port))
            .collect();
        let document = json!({ "static_resources": {
            "clusters": clusters,
            "listeners": [{
                "name": "mcp",
                "address": address(port),
                "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
            }],
        } });
        Self { text: document.to_string(), port }
    }

    /// The same, but that Envoy answers every request itself (`direct_response`), with this body.
    #[must_use]
    pub fn answering(self, media: &str, body: &str) -> Self {
        let route = json!({ "route": { "cluster": "upstream" } }).to_string();
        let direct = json!({
            "direct_response": { "status": 200, "body": { "inline_string": body } },
            "response_headers_to_add": [{
                "header": { "key": "content-type", "value": media },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }],
        });
        // Their members, without the braces around them.
        let direct = direct.to_string();
        let members = |object: &str| object.get(1..object.len() - 1).unwrap_or_default().to_owned();
        Self { text: self.text.replacen(&members(&route), &members(&direct), 1), ..self }
    }

    /// `envoy/plain/envoy.yaml` as users copy it, with only its ports, the module's path and the
    /// header mode replaced.
    pub fn plain(
        places: &Places,
        port: u16,
        issuer: u16,
        upstream: u16,
        hold_headers: bool,
    ) -> Outcome<Self> {
        let path = places.path("envoy/plain/envoy.yaml");
        let template = fs::read_to_string(&path)
            .map_err(Failure::during(format_args!("reading {}", path.display())))?;
        let mut text = with_module(&template, &places.filter());
        for (fixed, free) in [("10000", port), ("8090", issuer), ("3000", upstream)] {
            let replaced = with_number(&text, fixed, free);
            if replaced == text {
                return Err(Failure::new(format!("{} names no port {fixed}", path.display())));
            }
            text = replaced;
        }
        if !hold_headers {
            text = continuing(&text)?;
        }
        Ok(Self { text, port })
    }

    /// Asks Envoy whether it would take this configuration; a refusal carries the filter's reasons.
    pub fn validate(&self, places: &Places, dir: &Path) -> Outcome<()> {
        let path = self.write(dir)?;
        let output = Command::new(existing(places.envoy(), "Envoy")?)
            .args(["--mode", "validate", "--disable-hot-restart", "--log-level", "warning"])
            .arg("--config-path")
            .arg(path)
            .output()
            .map_err(Failure::during("asking Envoy to validate"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::new(String::from_utf8_lossy(&output.stderr)))
    }

    fn write(&self, dir: &Path) -> Outcome<PathBuf> {
        // Envoy reads YAML, and JSON is YAML.
        let path = dir.join("envoy.yaml");
        fs::write(&path, &self.text)
            .map_err(Failure::during(format_args!("writing {}", path.display())))?;
        Ok(path)
    }
}

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
        let mut command = Command::new(binary);
        command
            .args(["--disable-hot-restart", "--concurrency", "1"])
            .args(["--log-level", "warning", "--component-log-level", "wasm:info"])
            .arg("--config-path")
            .arg(path)
            // Merged over the file: an admin page of its own for every instance.
            .arg("--config-yaml")
            .arg(json!({ "admin": { "address": address(admin) } }).to_string());
        let mut server = Server::start("Envoy", &command, &dir.join("envoy.log"))?;
        server.wait_until(START_LIMIT, || http::is_ok(admin, "/ready"))?;
        Ok(Self { server, port: config.port, admin })
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
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn cluster(name: &str, port: u16) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(port) } });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        // Off by default: with them, trailers are what ends a response that has them.
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } },
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [endpoint] }],
        },
    })
}

/// Replaces the path that ends in the module's name, wherever the template has it.
fn with_module(text: &str, module: &Path) -> String {
    const NAME: &str = "countersign_envoy.wasm";
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(NAME) {
        let path_start = before
            .rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .map_or(0, |at| at + 1);
        // `#` begins a comment: those are for people.
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.contains('#') {
            replaced.push_str(before);
            replaced.push_str(NAME);
        } else {
            replaced.push_str(before.get(..path_start).unwrap_or_default());
            replaced.push_str(&module.display().to_string());
        }
        rest = after;
    }
    replaced + rest
}

/// Replaces a number where it stands alone, not as part of a longer one.
fn with_number(text: &str, number: &str, by: u16) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(number) {
        let is_part = before.ends_with(|c: char| c.is_ascii_digit())
            || after.starts_with(|c: char| c.is_ascii_digit());
        replaced.push_str(before);
        if is_part {
            replaced.push_str(number);
        } else {
            replaced.push_str(&by.to_string());
        }
        rest = after;
    }
    replaced + rest
}

/// Turns the template's "hold headers" mode off, in Envoy's setting and in the policy.
fn continuing(text: &str) -> Outcome<String> {
    const ENVOY: &str = "allow_on_headers_stop_iteration: true";
    const POLICY: &str = "\"hold_headers\": true";
    for needed in [ENVOY, POLICY] {
        if !text.contains(needed) {
            return Err(Failure::new(format!("envoy/plain/envoy.yaml does not say `{needed}`")));
        }
    }
    Ok(text
        .replace(ENVOY, "allow_on_headers_stop_iteration: false")
        .replace(POLICY, "\"hold_headers\": false"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{continuing, with_module, with_number};

    #[test]
    fn only_whole_numbers_are_ports() {
        let text = "port_value: 3000\nmax: 30000\nuri: http://h:3000/mcp";
        let wanted = "port_value: 41\nmax: 30000\nuri: http://h:41/mcp";
        assert_eq!(with_number(text, "3000", 41), wanted);
    }

    #[test]
    fn the_module_is_ours() {
        let text =
            "# copy countersign_envoy.wasm there\nfilename: /etc/envoy/countersign_envoy.wasm\n";
        let wanted = "# copy countersign_envoy.wasm there\nfilename: /t/c.wasm\n";
        assert_eq!(with_module(text, Path::new("/t/c.wasm")), wanted);
    }

    #[test]
    fn both_places_tell_the_header_mode() {
        assert!(continuing("allow_on_headers_stop_iteration: true").is_err());
        let text = "allow_on_headers_stop_iteration: true\n\"hold_headers\": true";
        let wanted = "allow_on_headers_stop_iteration: false\n\"hold_headers\": false";
        assert_eq!(continuing(text).unwrap(), wanted);
    }
}
