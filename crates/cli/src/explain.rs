//! `countersign explain`: why a policy decides a request as it does.

use std::path::PathBuf;

use countersign_core::guard::{Engine, Forward, Header, Outcome, RequestHead, decide_offline};
use serde_json::{Value, json};

use crate::{
    Global,
    input::{self, Answers, read, read_text},
    output::{self, Problem, print},
};

/// Explain how a policy decides a request, check by check
///
/// Nothing is sent anywhere: the request is described by options, and what the guard would fetch (key
/// sets, metadata, status lists) is read from files. The token itself is never printed.
///
/// Exit code 0: the request would pass; 1: it would be refused, or answers are missing to decide it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The policy document
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The URL that the client calls, like https://mcp.example.com/mcp
    #[arg(value_parser = target)]
    url: Target,
    /// A file with the access token; - reads standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the DPoP proof that is sent with the token
    #[arg(long, value_name = "FILE", requires = "token_file")]
    proof_file: Option<PathBuf>,
    /// A further request header
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// The HTTP method
    #[arg(short = 'X', long, default_value = "POST")]
    method: String,
    /// Ask for a call of this tool
    #[arg(long, value_name = "NAME", conflicts_with = "body_file")]
    tool: Option<String>,
    /// A file with the JSON-RPC message [default: tools/list]
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// What a URL that the guard fetches from answers
    #[arg(long, value_name = "URL=FILE", value_parser = input::answer)]
    answer: Vec<(String, PathBuf)>,
    /// The time in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    now: Option<u64>,
}

/// What the client calls.
#[derive(Clone, Debug)]
struct Target {
    authority: String,
    path: String,
}

fn target(url: &str) -> Result<Target, String> {
    let (_, rest) =
        url.split_once("://").ok_or("expected a URL like https://mcp.example.com/mcp")?;
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Target { authority: authority.to_owned(), path: format!("{slash}{path}") })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected \"Name: value\"")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// A request in memory.
struct Case {
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    now: u64,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> output::Outcome {
    if arguments.tool.is_some() && arguments.method != "POST" {
        return Err(Problem::usage("--tool calls by POST: leave -X out, or --tool"));
    }
    let policy = input::read_policy(&arguments.policy)?;
    let case = Case::of(arguments)?;
    let mut answers = Answers::read(&arguments.answer)?;
    let outcome = decide(&mut Engine::explaining(policy), arguments, &case, &mut answers);
    let missing = answers.missing_for(outcome.decision().reason);
    let notes = &answers.notes;
    print(global.json, &as_json(&outcome, notes, &missing), || as_text(&outcome, notes, &missing))?;
    match outcome {
        _ if !missing.is_empty() => Err(Problem::printed("answers_missing")),
        Outcome::Respond(response) if response.decision.reason.is_some() => {
            Err(Problem::printed("refused"))
        }
        _ => Ok(()),
    }
}

impl Case {
    fn of(arguments: &Arguments) -> Result<Self, Problem> {
        let mut headers = Vec::new();
        if let Some(file) = &arguments.token_file {
            let scheme = if arguments.proof_file.is_some() { "DPoP" } else { "Bearer" };
            headers.push(("authorization".to_owned(), format!("{scheme} {}", read_text(file)?)));
        }
        if let Some(file) = &arguments.proof_file {
            headers.push(("dpop".to_owned(), read_text(file)?));
        }
        headers.extend(arguments.header.iter().cloned());
        let is_given =
            |name: &str| headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
        let body = body(arguments)?;
        if body.is_some() && !is_given("content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(Self { headers, body, now: arguments.now.unwrap_or_else(input::clock) })
    }
}

fn body(arguments: &Arguments) -> Result<Option<Vec<u8>>, Problem> {
    if let Some(file) = &arguments.body_file {
        return read(file).map(Some);
    }
    if arguments.method != "POST" {
        return Ok(None);
    }
    let message = match &arguments.tool {
        None => json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        Some(name) => json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name },
        }),
    };
    Ok(Some(message.to_string().into_bytes()))
}

fn decide(
    engine: &mut Engine,
    arguments: &Arguments,
    case: &Case,
    answers: &mut Answers,
) -> Outcome {
    let headers: Vec<(&[u8], &[u8])> =
        case.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let head = RequestHead {
        method: arguments.method.as_bytes(),
        authority: arguments.url.authority.as_bytes(),
        path: arguments.url.path.as_bytes(),
        headers: &headers,
        has_body: case.body.is_some(),
        client: None,
        certificate: None,
    };
    decide_offline(engine, head, case.body.as_deref(), case.now, |engine, fetch| {
        answers.carry_out(engine, fetch, case.now)
    })
}

fn as_json(outcome: &Outcome, notes: &[String], missing: &[&str]) -> Value {
    let decision = outcome.decision();
    let trace: Vec<Value> = decision
        .trace
        .entries()
        .iter()
        .map(|entry| {
            json!({ "check": entry.check, "outcome": entry.outcome.code(), "text": entry.text })
        })
        .collect();
    let answer = match outcome {
        Outcome::Respond(response) => {
            json!({ "status": response.status, "headers": pairs(&response.headers) })
        }
        Outcome::Forward(forward) => json!({
            "remove": forward.remove.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
            "set": pairs(&forward.set),
        }),
    };
    json!({
        "verdict": if missing.is_empty() { decision.verdict.code() } else { "undecided" },
        "reason": decision.reason.map(|reason| reason.code()),
        "resource": decision.resource,
        "operation": decision.operation,
        "rule": decision.rule,
        "trace": trace,
        "notes": notes,
        "missing_answers": missing,
        "answer": answer,
    })
}

fn pairs(headers: &[Header]) -> Vec<[&str; 2]> {
    headers.iter().map(|header| [header.name(), header.value()]).collect()
}

fn as_text(outcome: &Outcome, notes: &[String], missing: &[&str]) -> String {
    let decision = outcome.decision();
    if !missing.is_empty() {
        // A guard that cannot fetch would refuse; here nobody has tried.
        let trace = decision.trace.to_string();
        let checks = trace.lines().filter(|line| !line.starts_with("no  decision"));
        let checks: String = checks.map(|line| format!("{line}\n")).collect();
        return format!("{checks}\n{}", input::not_decided(missing));
    }
    let mut text = decision.trace.to_string();
    for note in notes {
        text += &format!("--  fetch           {note}\n");
    }
    text.push('\n');
    match outcome {
        Outcome::Respond(response) => {
            text += &format!("The client gets {}", response.status);
            for header in response.headers.iter().filter(|header| is_telling(header.name())) {
                text += &format!("\n    {}: {}", header.name(), header.value());
            }
        }
        Outcome::Forward(forward) => text += &forwarded(forward),
    }
    if let Some(reason) = decision.reason {
        text += &format!("\nWhat to do: docs/reasons.md#{reason}");
    }
    text
}

fn is_telling(name: &str) -> bool {
    matches!(name, "allow" | "dpop-nonce" | "retry-after" | "www-authenticate")
}

fn forwarded(forward: &Forward) -> String {
    let mut text = match forward.decision.reason {
        None => "The request goes to the server".to_owned(),
        Some(_) => "The request goes to the server all the same: shadow mode".to_owned(),
    };
    let names: Vec<&str> = forward.remove.iter().map(|name| name.as_str()).collect();
    if !names.is_empty() {
        text += &format!("\n    without {}", names.join(", "));
    }
    for header in &forward.set {
        text += &format!("\n    {}: {}", header.name(), header.value());
    }
    text
}
