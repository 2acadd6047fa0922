//! What an Envoy is to run: the filter under any policy, or the copyable configuration in `envoy/plain`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::Clock;
use super::template::{continuing, with_module, with_number};
use crate::failure::{Failure, Outcome};
use crate::places::{Places, existing};

/// What the filter's module takes from its host: all of it, for plugins whose capabilities are
/// restricted. `docs/envoy.md` has the same list.
const CAPABILITIES: &str = include_str!("capabilities.txt");

/// What an Envoy is to run.
#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    document: Document,
    port: u16,
    workers: u16,
    clock: Option<Clock>,
}

#[derive(Clone, Debug)]
enum Document {
    Json(Value),
    Text(String),
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
                    "vm_id": "countersign",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": places.filter() } },
                },
            },
        });
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                      http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "mcp",
            "use_remote_address": true,
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
                // Both workers get connections, however few there are.
                "connection_balance_config": { "exact_balance": {} },
                "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
            }],
        } });
        Self { document: Document::Json(document), port, workers: 1, clock: None }
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
        let mut config = Self::at(places, "envoy/plain/envoy.yaml", [port, issuer, upstream])?;
        if let (Document::Text(text), false) = (&mut config.document, hold_headers) {
            *text = continuing(text)?;
        }
        Ok(config)
    }

    /// A configuration of one file as users copy it, with only its ports and the module's path replaced.
    pub fn at(places: &Places, file: &str, [port, issuer, upstream]: [u16; 3]) -> Outcome<Self> {
        let template = fs::read_to_string(places.path(file))
            .map_err(Failure::during(format_args!("reading {file}")))?;
        let mut text = with_module(&template, &places.filter());
        for (fixed, free) in [("10000", port), ("8090", issuer), ("3000", upstream)] {
            let replaced = with_number(&text, fixed, free);
            if replaced == text {
                return Err(Failure::new(format!("{file} names no port {fixed}")));
            }
            text = replaced;
        }
        Ok(Self { document: Document::Text(text), port, workers: 1, clock: None })
    }

    /// `envoy/xds` as users copy it: with the ports of listener, issuer and upstream replaced, in `dir`.
    pub fn watched(
        places: &Places,
        dir: &Path,
        [port, issuer, upstream]: [u16; 3],
    ) -> Outcome<Self> {
        let text = |name: &str| -> Outcome<String> {
            let path = places.path("envoy/xds").join(name);
            let text = fs::read_to_string(&path)
                .map_err(Failure::during(format_args!("reading {}", path.display())))?;
            let text = with_module(&text, &places.filter());
            let text = with_number(&text, "10000", port);
            let text = with_number(&with_number(&text, "8090", issuer), "3000", upstream);
            Ok(text.replace("envoy/xds", &dir.display().to_string()))
        };
        fs::write(dir.join("filter.yaml"), text("filter.yaml")?)
            .map_err(Failure::during("writing the filter's file"))?;
        Ok(Self { document: Document::Text(text("envoy.yaml")?), port, workers: 1, clock: None })
    }

    /// Another configuration as users copy it, with only the module's path replaced: to be validated.
    pub fn copied(places: &Places, file: &str) -> Outcome<Self> {
        let text = fs::read_to_string(places.path(file))
            .map_err(Failure::during(format_args!("reading {file}")))?;
        let document = Document::Text(with_module(&text, &places.filter()));
        Ok(Self { document, port: 0, workers: 1, clock: None })
    }

    /// So many worker threads instead of one.
    #[must_use]
    pub fn with_workers(self, workers: u16) -> Self {
        Self { workers, ..self }
    }

    /// Other configurations beside this one, each with its port: the same clusters, and one virtual machine
    /// for all their filters.
    #[must_use]
    pub fn beside(self, others: impl IntoIterator<Item = Self>) -> Self {
        others.into_iter().fold(self, |all, other| {
            let Document::Json(mut document) = other.document else { return all };
            let mut listener = document["static_resources"]["listeners"][0].take();
            listener["name"] = json!(format!("mcp-{}", other.port));
            all.edit(|document| {
                if let Some(all) = document["static_resources"]["listeners"].as_array_mut() {
                    all.push(listener);
                }
            })
        })
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn with_clock(self, clock: &Clock) -> Self {
        Self { clock: Some(clock.clone()), ..self }
    }

    /// Changes the whole document; nothing for `plain`, which is run as it is.
    #[must_use]
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        if let Document::Json(document) = &mut self.document {
            change(document);
        }
        self
    }

    /// Changes the HTTP connection manager: its filters, routes and settings.
    #[must_use]
    pub fn manager(self, change: impl FnOnce(&mut Value)) -> Self {
        let path = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        self.edit(|document| {
            if let Some(manager) = document.pointer_mut(path) {
                change(manager);
            }
        })
    }

    /// Changes the filter's `PluginConfig`.
    #[must_use]
    pub fn plugin(self, change: impl FnOnce(&mut Value)) -> Self {
        self.manager(|manager| {
            if let Some(plugin) = manager.pointer_mut("/http_filters/0/typed_config/config") {
                change(plugin);
            }
        })
    }

    /// Another module is the filter.
    #[must_use]
    pub fn with_module(self, path: &Path) -> Self {
        self.plugin(|plugin| plugin["vm_config"]["code"]["local"]["filename"] = json!(path))
    }

    /// The filter may call everything but Envoy's foreign functions.
    #[must_use]
    pub fn without_foreign_functions(self) -> Self {
        self.without("proxy_call_foreign_function")
    }

    /// The filter's capabilities are restricted to all that it uses but this one.
    #[must_use]
    pub fn without(self, capability: &str) -> Self {
        self.plugin(|plugin| {
            let names = CAPABILITIES.lines().filter(|name| *name != capability);
            let allowed: serde_json::Map<String, Value> =
                names.map(|name| (name.to_owned(), json!({}))).collect();
            plugin["capability_restriction_config"] = json!({ "allowed_capabilities": allowed });
        })
    }

    /// The same, but that Envoy answers every request itself (`direct_response`), with this body.
    #[must_use]
    pub fn answering(self, media: &str, body: &str) -> Self {
        self.manager(|manager| {
            manager["route_config"]["virtual_hosts"][0]["routes"][0] = json!({
                "match": { "prefix": "/" },
                "direct_response": { "status": 200, "body": { "inline_string": body } },
                "response_headers_to_add": [{
                    "header": { "key": "content-type", "value": media },
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }],
            });
        })
    }

    /// The filter comes from a file that Envoy watches (`filter.json` in `dir`), as over xDS; see
    /// [`Self::replace_filter`].
    pub fn discovered(self, dir: &Path) -> Outcome<Self> {
        let path = dir.join("filter.json");
        let config = self.manager(|manager| {
            let resource = json!({ "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": "countersign",
                "typed_config": manager["http_filters"][0]["typed_config"].take(),
            }] });
            let written = fs::write(&path, resource.to_string());
            manager["http_filters"][0] = json!({ "name": "countersign", "config_discovery": {
                "config_source": {
                    "path_config_source": { "path": path, "watched_directory": { "path": dir } },
                    "initial_fetch_timeout": "5s",
                },
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            } });
            drop(written);
        });
        fs::metadata(&path).map_err(Failure::during(format_args!("writing {}", path.display())))?;
        // Envoy asks for its own name before it takes anything from a file.
        Ok(config.edit(|document| document["node"] = json!({ "id": "test", "cluster": "test" })))
    }

    /// Puts another policy into the file of [`Self::discovered`], in one step as Envoy wants it.
    pub fn replace_filter(dir: &Path, policy: &str) -> Outcome<()> {
        let path = dir.join("filter.json");
        let doing = || Failure::during(format!("replacing {}", path.display()));
        let text = fs::read(&path).map_err(doing())?;
        let mut resource: Value =
            serde_json::from_slice(&text).map_err(Failure::during("reading the filter's file"))?;
        resource["resources"][0]["typed_config"]["config"]["configuration"]["value"] =
            policy.into();
        let next = dir.join("filter.next");
        fs::write(&next, resource.to_string()).map_err(doing())?;
        fs::rename(next, &path).map_err(doing())
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

    /// Where MCP clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    pub(super) fn workers(&self) -> u16 {
        self.workers
    }

    pub(super) fn write(&self, dir: &Path) -> Outcome<PathBuf> {
        // Envoy reads YAML, and JSON is YAML.
        let path = dir.join("envoy.yaml");
        let text = match &self.document {
            Document::Json(document) => document.to_string(),
            Document::Text(text) => text.clone(),
        };
        fs::write(&path, text)
            .map_err(Failure::during(format_args!("writing {}", path.display())))?;
        Ok(path)
    }
}

pub(super) fn address(port: u16) -> Value {
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
