//! `countersign resource set`: what is changed in an MCP server.

use countersign_issuer::{Error, NewResource, NewScope, ToolRule};

use crate::{
    output::Problem,
    resource::{read_implied, read_scope, read_tools},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  One more scope, and the tools that need it:
    countersign resource set https://mcp.example.com/mcp \\
      --scope 'files:delete=Delete your files' --tool 'delete_*=files:delete'
  Short lives for its tokens, and back to the server's setting:
    countersign resource set https://mcp.example.com/mcp --token-lifetime 300
    countersign resource set https://mcp.example.com/mcp --token-lifetime default";

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args([
    "name", "scopes", "remove_scopes", "implies", "aliases", "remove_aliases", "default", "tools",
    "remove_tools", "token_lifetime", "token_alg",
])))]
pub(crate) struct Set {
    /// Its URL
    uri: String,
    /// A name for the consent page
    #[arg(long)]
    name: Option<String>,
    /// A scope to add, behind the others, or another text for one; may be repeated
    #[arg(long = "scope", value_name = "SCOPE=TEXT")]
    scopes: Vec<String>,
    /// A scope that is no more: nothing is issued with it, whatever was allowed; may be repeated
    #[arg(long = "remove-scope", value_name = "SCOPE")]
    remove_scopes: Vec<String>,
    /// A scope and all that it includes, separated by commas, or nothing; may be repeated
    #[arg(long = "implies", value_name = "SCOPE=SCOPES")]
    implies: Vec<String>,
    /// Another spelling of the URL that clients may send; may be repeated
    #[arg(long = "alias", value_name = "URI")]
    aliases: Vec<String>,
    /// A spelling to take back; may be repeated
    #[arg(long = "remove-alias", value_name = "URI")]
    remove_aliases: Vec<String>,
    /// Whether to use it when a client names no resource
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    default: Option<bool>,
    /// A tool of the server, or a beginning and *, and the scopes that it needs, separated by commas;
    /// for `resource export`; may be repeated
    #[arg(long = "tool", value_name = "TOOL=SCOPES")]
    tools: Vec<String>,
    /// A tool to say nothing about any more; may be repeated
    #[arg(long = "remove-tool", value_name = "TOOL")]
    remove_tools: Vec<String>,
    /// How long its access tokens are valid; default: as the server's setting says
    #[arg(long, value_name = "SECONDS|default", value_parser = lifetime)]
    token_lifetime: Option<Lifetime>,
    /// What its access tokens are signed with
    #[arg(long, value_name = "ALG", value_parser = ["ES256", "RS256", "EdDSA"])]
    token_alg: Option<String>,
}

/// How long tokens live, where a resource says that.
#[derive(Clone, Copy, Debug)]
struct Lifetime(Option<u32>);

/// What [`Set`] says, read.
#[derive(Debug)]
pub(crate) struct Changes {
    set: Set,
    scopes: Vec<(String, String)>,
    implies: Vec<(String, Vec<String>)>,
    tools: Vec<ToolRule>,
}

impl Set {
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn read(self) -> Result<Changes, Problem> {
        Ok(Changes {
            scopes: self.scopes.iter().map(|scope| read_scope(scope)).collect::<Result<_, _>>()?,
            implies: self
                .implies
                .iter()
                .map(|rule| read_implied(rule))
                .collect::<Result<_, _>>()?,
            tools: read_tools(&self.tools)?,
            set: self,
        })
    }
}

impl Changes {
    pub(crate) fn apply(self, resource: &mut NewResource) -> Result<(), Error> {
        let set = self.set;
        if let Some(name) = set.name {
            resource.name = name;
        }
        for name in &set.remove_scopes {
            take_out(&mut resource.scopes, |scope| scope.name == *name, "scope", name)?;
        }
        for (name, description) in self.scopes {
            match resource.scopes.iter_mut().find(|scope| scope.name == name) {
                Some(scope) => scope.description = description,
                None => resource.scopes.push(NewScope { name, description, implies: Vec::new() }),
            }
        }
        for (name, implied) in self.implies {
            let scope = resource.scopes.iter_mut().find(|scope| scope.name == name);
            scope.ok_or_else(|| missing("scope", &name))?.implies = implied;
        }
        for alias in &set.remove_aliases {
            take_out(&mut resource.aliases, |known| known == alias, "alias", alias)?;
        }
        resource.aliases.extend(set.aliases);
        for tool in &set.remove_tools {
            take_out(&mut resource.tools, |rule| rule.tool == *tool, "tool", tool)?;
        }
        for rule in self.tools {
            resource.tools.retain(|known| known.tool != rule.tool);
            resource.tools.push(rule);
        }
        resource.is_default = set.default.unwrap_or(resource.is_default);
        if let Some(Lifetime(lifetime)) = set.token_lifetime {
            resource.token_lifetime = lifetime;
        }
        resource.token_alg = set.token_alg.or_else(|| resource.token_alg.take());
        Ok(())
    }
}

fn take_out<T>(
    from: &mut Vec<T>,
    mut is: impl FnMut(&T) -> bool,
    kind: &str,
    name: &str,
) -> Result<(), Error> {
    let before = from.len();
    from.retain(|entry| !is(entry));
    if from.len() == before { Err(missing(kind, name)) } else { Ok(()) }
}

fn missing(kind: &str, name: &str) -> Error {
    Error::Invalid(format!("the resource has no {kind} {name}"))
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    match text {
        "default" => Ok(Lifetime(None)),
        _ => match text.parse() {
            Ok(seconds) => Ok(Lifetime(Some(seconds))),
            Err(_) => Err("expected a number of seconds, or: default".to_owned()),
        },
    }
}
