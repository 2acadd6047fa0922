//! Where `login` keeps what it was given.

use std::{env, path::PathBuf};

use countersign_client::store::Store;

use crate::output::Problem;

/// The file with logins.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Credentials {
    /// The file with your logins [default: countersign/credentials.json in your configuration folder]
    #[arg(long, env = "COUNTERSIGN_CREDENTIALS", hide_env_values = true, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl Credentials {
    pub(crate) fn store(&self) -> Result<Store, Problem> {
        if let Some(file) = &self.credentials {
            return Ok(Store::new(file));
        }
        let folder = folder().ok_or_else(|| {
            let text = "no folder for your configuration is known; name a file with --credentials";
            Problem::new("store_failed", text)
        })?;
        Ok(Store::new(folder.join("countersign").join("credentials.json")))
    }
}

/// The XDG base directory specification's folder, also on macOS, as most command lines have it; on
/// Windows %APPDATA%.
fn folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("APPDATA");
    }
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}
