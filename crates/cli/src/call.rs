//! `countersign call`: one tool of an MCP server, or the list of them.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use countersign_client::{
    Http,
    access::Access,
    is_unseemly,
    mcp::{Connection, Notification, Outcome as Answer, Tools},
};
use serde_json::{Map, Value, json};

use crate::{
    Global,
    browser::Browser,
    credentials::Credentials,
    input::read_text,
    login,
    output::{Outcome, Problem, complain, print},
};

/// Call a tool of an MCP server
///
/// Uses the login that `countersign login` made, and renews its tokens. When the server wants a login or
/// more scopes, your browser is opened; without a terminal only with --login. Without a tool: lists the
/// server's tools. Exit code 1 when the tool says that it failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The URL of the MCP server
    #[arg(value_name = "MCP_URL", value_parser = login::url)]
    url: String,
    /// The tool [default: list them]
    tool: Option<String>,
    /// Its arguments: NAME=TEXT, or NAME:=JSON for numbers, lists and the like
    #[arg(value_name = "NAME=TEXT|NAME:=JSON", value_parser = argument)]
    arguments: Vec<(String, Value)>,
    /// All arguments as a JSON object, from a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "arguments")]
    arguments_file: Option<std::path::PathBuf>,
    /// Log in where that is needed, also without a terminal
    #[arg(long, conflicts_with = "no_login")]
    login: bool,
    /// Never ask to log in
    #[arg(long)]
    no_login: bool,
    #[command(flatten)]
    browser: Browser,
    #[command(flatten)]
    credentials: Credentials,
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT or NAME:=JSON")?;
    match name.strip_suffix(':') {
        None => Ok((name.to_owned(), value.into())),
        Some(name) => match serde_json::from_str(value) {
            Ok(value) => Ok((name.to_owned(), value)),
            Err(error) => Err(format!("not JSON: {error}; a text needs no colon: NAME=TEXT")),
        },
    }
}

pub(crate) async fn run(arguments: Arguments, global: &Global) -> Outcome {
    let given = arguments.given()?;
    let (store, http) = (arguments.credentials.store()?, Http::new()?);
    let may_ask = arguments.login || (!arguments.no_login && is_at_terminal());
    let user = may_ask.then_some(&arguments.browser);
    let mut access = Access::new(&http, &store, &arguments.url, user)?.listening(Box::new(tell));
    let mut connection = Connection::new(http.clone(), &arguments.url)?;
    let outcome = tokio::select! {
        outcome = talk(&mut connection, &mut access, arguments.tool.as_deref(), given) => outcome,
        // Dropped in the middle: what follows ends it at the server as well.
        _ = tokio::signal::ctrl_c() => Err(Problem::new("interrupted", "interrupted")),
    };
    connection.close(&mut access).await;
    match outcome? {
        Said::Tools(tools) => print_tools(&tools, global),
        Said::Result(result) => print_result(&result, global),
    }
}

fn is_at_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

impl Arguments {
    fn given(&self) -> Result<Map<String, Value>, Problem> {
        let Some(file) = &self.arguments_file else {
            return Ok(self.arguments.iter().cloned().collect());
        };
        from_file(file)
    }
}

fn from_file(file: &Path) -> Result<Map<String, Value>, Problem> {
    serde_json::from_str(&read_text(file)?).map_err(|error| {
        Problem::usage(format!("{}: not a JSON object of arguments: {error}", file.display()))
    })
}

enum Said {
    Tools(Tools),
    Result(Value),
}

/// Asks until the server has no more to ask for; the session counts how often.
async fn talk(
    connection: &mut Connection,
    access: &mut Access<'_, Browser>,
    tool: Option<&str>,
    given: Map<String, Value>,
) -> Result<Said, Problem> {
    loop {
        access.ready().await?;
        let refused = match tool {
            None => match connection.list_tools(access).await? {
                Answer::Done(tools) => return Ok(Said::Tools(tools)),
                Answer::Refused(refused) => refused,
            },
            Some(tool) => match connection.call_tool(tool, given.clone(), access).await? {
                Answer::Done(result) => return Ok(Said::Result(result)),
                Answer::Refused(refused) => refused,
            },
        };
        access.refused(&refused).await?;
    }
}

/// Says on standard error how far a tool is, and what its server logs.
fn tell(notification: &Notification) {
    if !io::stderr().is_terminal() {
        return;
    }
    let params = &notification.params;
    let text = match notification.method.as_str() {
        "notifications/progress" => match (&params["message"], &params["progress"]) {
            (Value::String(message), _) => message.clone(),
            (_, progress) => format!("progress {progress}"),
        },
        "notifications/message" => match &params["data"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        _ => return,
    };
    complain(harmless(&text));
}

fn print_tools(tools: &Tools, global: &Global) -> Outcome {
    let excluded =
        |tool: &countersign_client::mcp::Excluded| json!({ "name": tool.name, "why": tool.why });
    let data = json!({
        "tools": tools.tools.iter().map(|tool| &tool.definition).collect::<Vec<_>>(),
        "excluded": tools.excluded.iter().map(excluded).collect::<Vec<_>>(),
    });
    print(global.json, &data, || {
        let mut lines: Vec<String> = tools
            .tools
            .iter()
            .map(|tool| {
                let description = tool.definition.get("description").and_then(Value::as_str);
                let first = description.unwrap_or_default().lines().next().unwrap_or_default();
                let parameters = parameters(&tool.definition);
                harmless(format!("{}{parameters}  {first}", tool.name).trim_end())
            })
            .collect();
        for tool in &tools.excluded {
            lines.push(harmless(&format!("{}  must not be called: {}", tool.name, tool.why)));
        }
        crate::output::lines(&lines, "The server has no tools for you.")
    })
}

/// The names of a tool's parameters, those in brackets that can be left out.
fn parameters(definition: &Map<String, Value>) -> String {
    let Some(schema) = definition.get("inputSchema") else { return String::new() };
    let Some(properties) = schema["properties"].as_object() else { return String::new() };
    let required = schema["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let one = |name: &String| match is_required(name) {
        true => format!(" {name}="),
        false => format!(" [{name}=]"),
    };
    properties.keys().map(one).collect()
}

fn print_result(result: &Value, global: &Global) -> Outcome {
    print(global.json, result, || {
        let text = text(result);
        if io::stdout().is_terminal() { harmless(&text) } else { text }
    })?;
    match result["isError"].as_bool() {
        Some(true) => Err(Problem::printed("tool_failed")),
        _ => Ok(()),
    }
}

/// What a result says to people (MCP, tools: tool result).
fn text(result: &Value) -> String {
    let parts = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parts: Vec<String> = parts.iter().map(part).collect();
    match parts.is_empty() {
        true if !result["structuredContent"].is_null() => {
            format!("{:#}", result["structuredContent"])
        }
        true => "(nothing)".to_owned(),
        false => parts.join("\n"),
    }
}

fn part(content: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match content["type"].as_str() {
        Some("text") => text(&content["text"]),
        Some("resource_link") => format!("[resource {}]", text(&content["uri"])),
        Some("resource") => match content["resource"]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => format!("[resource {}; --json shows it]", text(&content["resource"]["uri"])),
        },
        Some(kind) => {
            format!("[{kind} {}; --json shows it]", text(&content["mimeType"]).trim_end())
        }
        None => content.to_string(),
    }
}

/// A server's text without what plays with a terminal.
fn harmless(text: &str) -> String {
    let shown = |char: char| match char {
        '\n' | '\t' => char,
        _ if is_unseemly(char) => '\u{fffd}',
        _ => char,
    };
    text.chars().map(shown).collect()
}
