//! `countersign explain`: why a policy decides a request as it does.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_core::guard::{
    Answer, Decision, Engine, Forward, Header, Policy, RequestHead, Step,
};
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, Problem, print},
};

/// Explain how a policy decides a request, check by check
///
/// Nothing is sent anywhere: the request is described by options, and what the guard would fetch (key
/// sets, metadata, status lists) is read from files. The token itself is never printed.
///
/// Exit code 0: the request would pass; 1: it would be refused.
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
    #[arg(long, value_name = "URL=FILE", value_parser = answer)]
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

/// The URL may have a query: the file's name comes after the last equals sign.
fn answer(text: &str) -> Result<(String, PathBuf), String> {
    let (url, file) = text.rsplit_once('=').ok_or("expected URL=FILE")?;
    Ok((url.to_owned(), file.into()))
}

/// A request in memory, and what fetches are answered with.
struct Case {
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    answers: BTreeMap<String, Vec<u8>>,
    now: u64,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Outcome {
    let policy = Policy::parse(&read(&arguments.policy)?).map_err(|error| {
        Problem::new("policy_invalid", format!("{}: {error}", arguments.policy.display()))
    })?;
    let case = Case::of(arguments)?;
    let mut notes = Vec::new();
    let step = decide(&mut Engine::explaining(policy), arguments, &case, &mut notes);
    let decision = match &step {
        Step::Forward(forward) => &forward.decision,
        Step::Respond(response) => &response.decision,
        _ => return Err(Problem::new("undecided", "the engine did not come to a decision")),
    };
    print(global.json, &as_json(&step, decision, &notes), || as_text(&step, decision, &notes));
    match step {
        Step::Respond(response) if response.decision.reason.is_some() => {
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
        let mut answers = BTreeMap::new();
        for (url, file) in &arguments.answer {
            answers.insert(url.clone(), read(file)?);
        }
        let clock =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Ok(Self { headers, body, answers, now: arguments.now.unwrap_or_else(clock) })
    }

    /// Answers what is due from the files; gives how many could be answered.
    fn fetch(&self, engine: &mut Engine, notes: &mut Vec<String>) -> usize {
        let mut answered = 0;
        for fetch in engine.due(self.now) {
            let body = self.answers.get(&fetch.url);
            answered += usize::from(body.is_some());
            let error = engine.fetched(fetch.id, body.map(|body| (200, &body[..])), self.now);
            match (body, error) {
                (None, _) => notes.push(format!(
                    "the guard fetches {}: give its answer with --answer {}=FILE",
                    fetch.url, fetch.url
                )),
                (Some(_), Some(error)) => {
                    notes.push(format!("cannot use the answer of {}: {error}", fetch.url));
                }
                (Some(_), None) => {}
            }
        }
        answered
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

/// Takes the request to its end. Each round answers at least one fetch, or gives up.
fn decide(
    engine: &mut Engine,
    arguments: &Arguments,
    case: &Case,
    notes: &mut Vec<String>,
) -> Step {
    let headers: Vec<(&[u8], &[u8])> =
        case.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let head = RequestHead {
        method: arguments.method.as_bytes(),
        authority: arguments.url.authority.as_bytes(),
        path: arguments.url.path.as_bytes(),
        headers: &headers,
        has_body: case.body.is_some(),
        client: None,
    };
    let mut step = engine.begin(head, case.now);
    loop {
        step = match step {
            Step::NeedSignature(pending) => {
                let verified = pending.signature().is_some_and(|check| check.verify());
                engine.resume(pending, Answer::Signature(verified), case.now)
            }
            Step::NeedBody(pending) => {
                let body = case.body.as_deref().unwrap_or_default();
                engine.resume(pending, Answer::Body(body), case.now)
            }
            Step::NeedKeys(pending) | Step::NeedStatus(pending) => {
                let answered = case.fetch(engine, notes);
                let answer = if answered > 0 { Answer::Fetched } else { Answer::GiveUp };
                engine.resume(pending, answer, case.now)
            }
            last => return last,
        };
    }
}

fn as_json(step: &Step, decision: &Decision, notes: &[String]) -> Value {
    let trace: Vec<Value> = decision
        .trace
        .entries()
        .iter()
        .map(|entry| {
            json!({ "check": entry.check, "outcome": entry.outcome.code(), "text": entry.text })
        })
        .collect();
    let answer = match step {
        Step::Respond(response) => {
            json!({ "status": response.status, "headers": pairs(&response.headers) })
        }
        Step::Forward(forward) => json!({
            "remove": forward.remove.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
            "set": pairs(&forward.set),
        }),
        _ => Value::Null,
    };
    json!({
        "verdict": decision.verdict.code(),
        "reason": decision.reason.map(|reason| reason.code()),
        "resource": decision.resource,
        "operation": decision.operation,
        "rule": decision.rule,
        "trace": trace,
        "notes": notes,
        "answer": answer,
    })
}

fn pairs(headers: &[Header]) -> Vec<[&str; 2]> {
    headers.iter().map(|header| [header.name(), header.value()]).collect()
}

fn as_text(step: &Step, decision: &Decision, notes: &[String]) -> String {
    let mut text = decision.trace.to_string();
    for note in notes {
        text += &format!("--  fetch           {note}\n");
    }
    text.push('\n');
    match step {
        Step::Respond(response) => {
            text += &format!("The client gets {}", response.status);
            for header in response.headers.iter().filter(|header| is_telling(header.name())) {
                text += &format!("\n    {}: {}", header.name(), header.value());
            }
        }
        Step::Forward(forward) => text += &forwarded(forward),
        _ => {}
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

fn read(file: &PathBuf) -> Result<Vec<u8>, Problem> {
    let read = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    read.map_err(|error| Problem::new("io_failed", format!("{}: {error}", file.display())))
}

/// A text file's content without the line's end.
fn read_text(file: &PathBuf) -> Result<String, Problem> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| Problem::new("io_failed", format!("{}: not text", file.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
