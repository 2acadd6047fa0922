//! `countersign client`: clients that the administrator vouches for.

use clap::Subcommand;
use countersign_issuer::{Client, ClientKind, NewClient};
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, lines, print},
    settings::{open_database, open_existing_database},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a client; prints its client_id, and a confidential client's secret this one time
    Add {
        /// A name for the consent page
        #[arg(long)]
        name: String,
        /// Where its users may be sent back to; may be repeated
        #[arg(long = "redirect-uri", value_name = "URI", required = true)]
        redirect_uris: Vec<String>,
        /// Give it a secret, for a client that can keep one
        #[arg(long)]
        confidential: bool,
        /// Where a confidential client puts its secret
        #[arg(long, value_name = "METHOD", default_value = "client_secret_basic",
              value_parser = ["client_secret_basic", "client_secret_post"], requires = "confidential")]
        auth_method: String,
    },
    /// List all clients, those that registered themselves included
    List,
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Add { name, redirect_uris, confidential, auth_method } => {
            let auth_method = if confidential { auth_method } else { "none".to_owned() };
            let new = NewClient {
                kind: ClientKind::Static,
                name,
                redirect_uris,
                auth_method,
                grant_types: ["authorization_code", "refresh_token"].map(str::to_owned).to_vec(),
            };
            let store = open_database(global).await?;
            let added = store.create_client(new).await?;
            let mut data = describe(&added.client);
            if let Some(secret) = &added.secret {
                data["client_secret"] = json!(secret);
            }
            print(global.json, &data, || {
                let id = format!("client_id      {}", added.client.id);
                match &added.secret {
                    Some(secret) => format!(
                        "{id}\nclient_secret  {secret}\nKeep the secret: it is not shown again."
                    ),
                    None => id,
                }
            });
        }
        Command::List => {
            let store = open_existing_database(global).await?;
            let clients = store.clients().await?;
            let data = clients.iter().map(describe).collect();
            print(global.json, &Value::Array(data), || {
                let line = |client: &Client| {
                    let kind = match client.kind {
                        ClientKind::Registered => "registered itself",
                        ClientKind::Static => "pre-registered",
                    };
                    // Anybody can register a name: escaped, it cannot play with the terminal.
                    format!("{}  {:?}  {kind}", client.id, client.name)
                };
                let all: Vec<String> = clients.iter().map(line).collect();
                lines(&all, "No client yet. MCP clients register by themselves when they connect.")
            });
        }
    }
    Ok(())
}

fn describe(client: &Client) -> Value {
    json!({
        "client_id": client.id,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": client.grant_types,
        "registered": client.kind == ClientKind::Registered,
        "created_at": client.created_at,
    })
}
