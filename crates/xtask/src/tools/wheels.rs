//! Python packages by hashed requirements file: Envoy's binary, the MCP Python SDK, mcp-authlab, Authlib,
//! Schemathesis.

use std::process::Command;

use countersign_e2e::{Outcome, Places};

use super::{committed, once};
use crate::command::{run_quietly, say};

/// Installs `tests/requirements-{name}.txt` into `target/tools/{name}`.
pub(super) fn install(places: &Places, name: &str, what: &str) -> Outcome<()> {
    let requirements = places.path(&format!("tests/requirements-{name}.txt"));
    let mut pin = committed(&requirements)?;
    // Compiled modules fit one version of Python.
    pin.push_str(
        &run_quietly(Command::new("python3").arg("--version"))
            .map_err(|failure| failure.next("install Python 3.11 or newer with pip"))?,
    );
    once(places, name, &pin, |dir| {
        say(format_args!("fetching {what} from the Python package index"));
        run_quietly(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--require-hashes", "--no-deps", "--only-binary", ":all:"])
                .arg("--target")
                .arg(dir)
                .arg("--requirement")
                .arg(&requirements),
        )
        .map(drop)
        .map_err(|failure| {
            failure.next("this needs Python 3.11 or newer with pip (Debian: python3-pip)")
        })
    })
}
