//! Where things are in a checkout: one table, so that build, demo and tests agree.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// The checkout's folders and the things that `cargo xtask build` puts there.
#[derive(Clone, Debug)]
pub struct Places {
    root: PathBuf,
}

impl Places {
    /// The checkout that this crate was compiled in.
    pub fn of_checkout() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap_or(here);
        Self { root: root.to_path_buf() }
    }

    /// The repository's top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the top folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// What the build tool itself makes: never moved by `CARGO_TARGET_DIR`.
    pub fn made(&self, relative: &str) -> PathBuf {
        self.root.join("target").join(relative)
    }

    /// Fetched tools.
    pub fn tools(&self) -> PathBuf {
        self.made("tools")
    }

    /// Where cargo puts native builds.
    pub fn cargo_target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |dir| self.root.join(PathBuf::from(dir)))
    }

    /// The Envoy binary: `COUNTERSIGN_ENVOY`, or the one from the pinned wheel.
    pub fn envoy(&self) -> PathBuf {
        env::var_os("COUNTERSIGN_ENVOY")
            .map_or_else(|| self.tools().join("envoy/envoy/_bin/envoy"), PathBuf::from)
    }

    /// The pinned npm packages.
    pub fn node_modules(&self) -> PathBuf {
        self.tools().join("npm/node_modules")
    }

    /// The MCP Python SDK, for PYTHONPATH.
    pub fn sdk_python(&self) -> PathBuf {
        self.tools().join("sdk-python")
    }

    /// The client made of the MCP Rust SDK (`tests/sdk-rust`).
    pub fn sdk_rust(&self) -> PathBuf {
        self.tools().join("sdk-rust/debug/sdk-rust-walk")
    }

    /// Authlib, for PYTHONPATH.
    pub fn authlib(&self) -> PathBuf {
        self.tools().join("clients")
    }

    /// Schemathesis, for PYTHONPATH.
    pub fn schemathesis(&self) -> PathBuf {
        self.tools().join("schemathesis")
    }

    /// The scanner mcp-authlab, for PYTHONPATH.
    pub fn authlab(&self) -> PathBuf {
        self.tools().join("authlab")
    }

    /// Node 22 from npm, for what the machine's own Node is too old for.
    pub fn node22(&self) -> PathBuf {
        let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        self.node_modules().join(format!("node-linux-{cpu}/bin/node"))
    }

    /// The Envoy filter.
    pub fn filter(&self) -> PathBuf {
        self.made("wasm/countersign_envoy.wasm")
    }

    /// The newest native `countersign` (release or debug build).
    pub fn countersign(&self) -> Outcome<PathBuf> {
        let modified = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
        ["debug", "release"]
            .iter()
            .map(|profile| self.cargo_target().join(profile).join("countersign"))
            .filter(|path| path.is_file())
            .max_by_key(modified)
            .ok_or_else(|| {
                Failure::new("the binary `countersign` is not built").next("cargo xtask build")
            })
    }
}

/// `path` when it is a file; otherwise a failure that names the command which makes it.
pub fn existing(path: PathBuf, what: &str) -> Outcome<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(format!("{what} is missing ({})", path.display()))
        .next("cargo xtask build && cargo xtask tools"))
}
