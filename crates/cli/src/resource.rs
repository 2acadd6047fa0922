//! `countersign resource`: the MCP servers that tokens are issued for.

use clap::Subcommand;
use countersign_issuer::{NewResource, NewScope, Resource, ToolRule};
use serde_json::{Map, Value, json};

use crate::{
    Global,
    output::{Outcome, Problem, lines, print, print_line},
    resource_set,
    settings::{IssuerOptions, open_database, open_existing_database},
};

const EXAMPLE: &str = "\
Example:
  countersign resource add https://mcp.example.com/mcp --name 'My files' \\
    --scope 'files:read=Read your files' --scope 'files:write=Change your files' \\
    --implies 'files:write=files:read' --tool 'write_*=files:write'";

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
        /// A tool of the server, or a beginning and *, and the scopes that it needs, separated by
        /// commas; for `resource export`; may be repeated
        #[arg(long = "tool", value_name = "TOOL=SCOPES")]
        tools: Vec<String>,
        /// How long its access tokens are valid [default: the server's setting]
        #[arg(long, value_name = "SECONDS")]
        token_lifetime: Option<u32>,
        /// What its access tokens are signed with [default: ES256]
        #[arg(long, value_name = "ALG", value_parser = ["ES256", "RS256", "EdDSA"])]
        token_alg: Option<String>,
    },
    /// Change an MCP server; what is not named stays
    ///
    /// Its URL stands in tokens and policies and stays: for another one, add a resource. Tokens keep what
    /// they have until they end. Running servers notice within a second; give guards the policy that
    /// `resource export` prints anew.
    #[command(after_help = resource_set::EXAMPLES)]
    Set(Box<resource_set::Set>),
    /// Remove an MCP server that nothing refers to
    Delete {
        /// Its URL
        uri: String,
        /// Revoke the grants and take away what clients may do with it. Clients that act for themselves
        /// there, or by exchange, lose those tokens for other servers too, and get new ones
        #[arg(long)]
        force: bool,
    },
    /// Print the policy document for a guard of an MCP server, so that both agree
    ///
    /// The baseline, which every request needs, is the resource's first scope. The issuer is the one
    /// that `serve` would have: give the same --config, environment or --issuer.
    Export {
        /// Its URL
        uri: String,
        #[command(flatten)]
        issuer: IssuerOptions,
        /// Envoy's cluster for the issuer
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// Refuse what no rule names: tools without --tool, and methods other than lists
        #[arg(long)]
        deny_unlisted: bool,
    },
    /// List all MCP servers
    List,
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Add {
            uri,
            name,
            scopes,
            implies,
            aliases,
            default,
            tools,
            token_lifetime,
            token_alg,
        } => {
            let new = NewResource {
                uri,
                name,
                scopes: read_scopes(&scopes, &implies)?,
                aliases,
                is_default: default,
                tools: read_tools(&tools)?,
                token_lifetime,
                token_alg,
            };
            let store = open_database(global).await?;
            let resource = store.create_resource(new).await?;
            print(global.json, &describe(&resource), || {
                format!("Added the resource {}.", resource.uri)
            })?;
        }
        Command::Set(set) => {
            let uri = set.uri().to_owned();
            let changes = set.read()?;
            let store = open_existing_database(global).await?;
            let resource = store.change_resource(&uri, |resource| changes.apply(resource)).await?;
            print(global.json, &describe(&resource), || format!("Changed the resource {uri}."))?;
        }
        Command::Delete { uri, force } => {
            open_existing_database(global).await?.delete_resource(&uri, force).await?;
            print(global.json, &json!({ "resource": uri, "deleted": true }), || {
                format!("The resource {uri} is removed.")
            })?;
        }
        Command::Export { uri, issuer, cluster, deny_unlisted } => {
            let store = open_existing_database(global).await?;
            let resources = store.resources().await?;
            let resource = resources.iter().find(|resource| resource.uri == uri);
            let resource = resource.ok_or_else(|| {
                Problem::new("value_invalid", format!("there is no resource {uri}"))
            })?;
            let issuer = issuer.url(global)?;
            let policy = resource.policy(&issuer, cluster.as_deref(), deny_unlisted)?;
            // The same for people and programs: it is a document to be saved.
            print_line(format_args!("{policy:#}"))?;
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
            })?;
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
        "tools": resource
            .tools
            .iter()
            .map(|rule| (rule.tool.clone(), rule.scopes.split_whitespace().collect()))
            .collect::<Map<String, Value>>(),
        "token_lifetime": resource.token_lifetime,
        "token_alg": resource.token_alg,
    })
}

pub(crate) fn read_tools(rules: &[String]) -> Result<Vec<ToolRule>, Problem> {
    let read = |rule: &String| {
        let (tool, scopes) = rule.rsplit_once('=').ok_or_else(|| {
            wrong(format!("--tool {rule}: expected a tool and scopes, like 'write_*=files:write'"))
        })?;
        Ok(ToolRule { tool: tool.to_owned(), scopes: scopes.replace(',', " ") })
    };
    rules.iter().map(read).collect()
}

fn read_scopes(scopes: &[String], implies: &[String]) -> Result<Vec<NewScope>, Problem> {
    let mut read = Vec::new();
    for scope in scopes {
        let (name, description) = read_scope(scope)?;
        read.push(NewScope { name, description, implies: Vec::new() });
    }
    for rule in implies {
        let (name, implied) = read_implied(rule)?;
        let scope = read
            .iter_mut()
            .find(|scope| scope.name == name)
            .ok_or_else(|| wrong(format!("--implies {rule}: there is no --scope {name}")))?;
        scope.implies.extend(implied);
    }
    Ok(read)
}

pub(crate) fn read_scope(text: &str) -> Result<(String, String), Problem> {
    let (name, description) = text.split_once('=').ok_or_else(|| {
        wrong(format!("--scope {text}: expected a scope and a text, like 'files:read=Read files'"))
    })?;
    Ok((name.to_owned(), description.to_owned()))
}

pub(crate) fn read_implied(rule: &str) -> Result<(String, Vec<String>), Problem> {
    let (name, implied) = rule.split_once('=').ok_or_else(|| {
        wrong(format!("--implies {rule}: expected scopes, like 'files:write=files:read'"))
    })?;
    let implied = implied.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    Ok((name.to_owned(), implied.collect()))
}

fn wrong(text: String) -> Problem {
    Problem::new("value_invalid", text)
}
