//! `countersign grant`: what users allowed, and its end.

use clap::Subcommand;
use countersign_issuer::Grant;
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, Problem, lines, print},
    settings::open_existing_database,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the grants that are alive, the newest first
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only those of this client
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
    },
    /// End a grant: its refresh token stops at once, its access tokens when guards next look at the
    /// status lists, a few seconds later
    Revoke {
        /// The grant, as `grant list` names it
        id: String,
    },
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    let store = open_existing_database(global).await?;
    match command {
        Command::List { user, client } => {
            let grants = store.grants(user.as_deref(), client.as_deref()).await?;
            let data = grants.iter().map(describe).collect();
            print(global.json, &Value::Array(data), || {
                let all: Vec<String> = grants.iter().map(line).collect();
                lines(&all, "No grant is alive.")
            })?;
        }
        Command::Revoke { id } => {
            if !store.revoke_grant(&id, "revoked_by_administrator").await? {
                let text = format!("there is no grant {id} that is alive");
                return Err(Problem::new("value_invalid", text));
            }
            print(global.json, &json!({ "id": id, "revoked": true }), || {
                format!("Revoked the grant {id}.")
            })?;
        }
    }
    Ok(())
}

fn line(grant: &Grant) -> String {
    let user = grant.user.as_deref().unwrap_or("-");
    // Anybody can register a name: escaped, it cannot play with the terminal.
    format!("{}  {user}  {:?}  {}  {}", grant.id, grant.client_name, grant.resource, grant.scopes)
}

fn describe(grant: &Grant) -> Value {
    json!({
        "id": grant.id,
        "user": grant.user,
        "client_id": grant.client_id,
        "client_name": grant.client_name,
        "resource": grant.resource,
        "scope": grant.scopes,
        "created_at": grant.created_at,
        "last_used_at": grant.last_used_at,
    })
}
