//! `countersign backup` and `countersign restore`.

use std::path::PathBuf;

use countersign_issuer::{Backup, Store};
use serde_json::json;

use crate::{
    Global,
    output::{Outcome, Problem, print},
    settings::{database, open_existing_database},
};

/// Copy the SQLite database to a new file, while the server goes on
///
/// The copy is what the database was at one moment. The sealing key is not in it: keep a copy of
/// that somewhere else. For PostgreSQL, use pg_dump.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArguments {
    /// Where to; the file must not exist
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

/// Put a backup back, while the server goes on
///
/// All of the database is replaced in one transaction. Logins, codes, remembered consents and, unless
/// --keep-grants says otherwise, grants end: what was used or revoked since the backup would count
/// again. Keys that were revoked stay revoked, and users and clients that are disabled now stay
/// disabled. Passwords, client secrets and the keys of clients stay what they are now.
///
/// For PostgreSQL, stop the servers, use pg_restore, and run this without a file. Nothing is known then
/// of what was revoked, disabled, deleted or changed since the backup: do it again.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArguments {
    /// The backup; not for PostgreSQL
    #[arg(value_name = "FILE")]
    from: Option<PathBuf>,
    /// Grants and their refresh tokens go on, also those that were used or revoked since the backup
    #[arg(long)]
    keep_grants: bool,
}

pub(crate) async fn back_up(arguments: BackupArguments, global: &Global) -> Outcome {
    let store = open_existing_database(global).await?;
    store.back_up(&arguments.to).await?;
    store.close().await;
    let to = arguments.to.display();
    print(global.json, &json!({ "backup": arguments.to }), || {
        format!("The database is copied to {to}. The sealing key is not in it.")
    })?;
    Ok(())
}

pub(crate) async fn restore(arguments: RestoreArguments, global: &Global) -> Outcome {
    let RestoreArguments { from, keep_grants } = arguments;
    let database = database(global)?;
    let store = match (&from, database.file()) {
        (None, Some(_)) => {
            return Err(Problem::new("value_invalid", "name the backup: countersign restore FILE"));
        }
        (None, None) => {
            let store = Store::open(&database).await?;
            store.after_restore(keep_grants).await?;
            store
        }
        (Some(from), _) => {
            // First this: it may be that nothing is left but the backup, and the database is made anew.
            let backup = Backup::open(from, &database).await?;
            let store = Store::open(&database).await?;
            store.restore(backup, keep_grants).await?;
            store
        }
    };
    store.close().await;
    print(global.json, &json!({ "restored": from, "grants_kept": keep_grants }), || {
        let grants = if keep_grants { "were kept" } else { "have ended" };
        format!("The backup is in place. Grants {grants}; everybody logs in anew.")
    })?;
    Ok(())
}
