//! `countersign resource`: the MCP servers that tokens are issued for.

use clap::Subcommand;
use countersign_issuer::{NewResource, NewScope, Resource};
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, Problem, lines, print},
    settings::{open_database, open_existing_database},
};

const EXAMPLE: &str = "\
Example:
  countersign resource add https://mcp.example.com/mcp --name 'My files' \\
    --scope 'files:read=Read your files' --scope 'files:write=Change your files' \\
    --implies 'files:write=files:read'";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add an MCP server
    #[command(after_help = EXAMPLE)]
    Add {
        /// Its URL, exactly as clients type it
        uri: String,
        /// A name for the consent page
        #[arg(long)]
        name: String,
        /// A scope and what it allows; repeat it. The first is granted when a client asks for none
        #[arg(long = "scope", value_name = "SCOPE=TEXT", required = true)]
        scopes: Vec<String>,
        /// A scope and those that it includes, separated by commas; may be repeated
        #[arg(long = "implies", value_name = "SCOPE=SCOPES")]
        implies: Vec<String>,
        /// Another spelling of the URL that clients may send; may be repeated
        #[arg(long = "alias", value_name = "URI")]
        aliases: Vec<String>,
        /// Use it when a client names no resource
        #[arg(long)]
        default: bool,
    },
    /// List all MCP servers
    List,
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Add { uri, name, scopes, implies, aliases, default } => {
            let new = NewResource {
                uri,
                name,
                scopes: read_scopes(&scopes, &implies)?,
                aliases,
                is_default: default,
            };
            let store = open_database(global).await?;
            let resource = store.create_resource(new).await?;
            print(global.json, &describe(&resource), || {
                format!("Added the resource {}.", resource.uri)
            });
        }
        Command::List => {
            let store = open_existing_database(global).await?;
            let resources = store.resources().await?;
            let data = resources.iter().map(describe).collect();
            print(global.json, &Value::Array(data), || {
                let line = |resource: &Resource| {
                    let scopes: Vec<&str> =
                        resource.scopes.iter().map(|scope| scope.name.as_str()).collect();
                    let default = if resource.is_default { "  (default)" } else { "" };
                    let scopes = scopes.join(" ");
                    format!("{}  {}  {scopes}{default}", resource.uri, resource.name)
                };
                let all: Vec<String> = resources.iter().map(line).collect();
                lines(&all, "No resource yet. See: countersign resource add --help")
            });
        }
    }
    Ok(())
}

fn describe(resource: &Resource) -> Value {
    let scopes: Vec<Value> = resource
        .scopes
        .iter()
        .map(|scope| {
            let implies: Vec<&str> = scope.implies.split_whitespace().collect();
            json!({ "name": scope.name, "description": scope.description, "implies": implies })
        })
        .collect();
    json!({
        "resource": resource.uri,
        "name": resource.name,
        "default": resource.is_default,
        "aliases": resource.aliases,
        "scopes": scopes,
    })
}

fn read_scopes(scopes: &[String], implies: &[String]) -> Result<Vec<NewScope>, Problem> {
    let wrong = |text: String| Problem::new("value_invalid", text);
    let mut read = Vec::new();
    for scope in scopes {
        let (name, description) = scope.split_once('=').ok_or_else(|| {
            wrong(format!(
                "--scope {scope}: expected a scope and a text, like 'files:read=Read files'"
            ))
        })?;
        read.push(NewScope {
            name: name.to_owned(),
            description: description.to_owned(),
            implies: Vec::new(),
        });
    }
    for rule in implies {
        let (name, implied) = rule.split_once('=').ok_or_else(|| {
            wrong(format!("--implies {rule}: expected scopes, like 'files:write=files:read'"))
        })?;
        let scope = read
            .iter_mut()
            .find(|scope| scope.name == name)
            .ok_or_else(|| wrong(format!("--implies {rule}: there is no --scope {name}")))?;
        scope.implies.extend(implied.split(',').map(str::to_owned));
    }
    Ok(read)
}
