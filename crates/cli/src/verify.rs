//! `countersign verify`: access tokens, one a line.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
    time::Instant,
};

use countersign_core::{
    Reason,
    corpus::{Corpus, Reply},
    guard::{Engine, Forward, Outcome, Policy, decide_token_offline, policy::ResourcePolicy},
};
use serde_json::{Value, json};

use crate::{
    Global,
    input::{self, Answers},
    output::{self, Problem, complain},
};

/// Verify access tokens from standard input, one a line
///
/// With --policy, each token is put to the guard as if it came with a request to the resource that
/// needs the baseline scopes only. Prints whether it is accepted, with its claims, or refused, with the
/// reason code (docs/reasons.md). Nothing is sent anywhere: what the guard would fetch is read from
/// files. Exit code 0: all were accepted; 1: some were not, or could not be decided.
///
/// With --jsonl, reads the lines of a corpus and answers each token in order: for machines that
/// compare verifiers. Exit code 0, whatever the verdicts.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["policy", "jsonl"])))]
pub(crate) struct Arguments {
    /// The policy document
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Read a corpus: a configuration, key sets and tokens, each a JSON object in a line
    #[arg(long, conflicts_with_all = ["resource", "answer"])]
    jsonl: bool,
    /// The resource that tokens must be for, where the policy has several
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// What a URL that the guard fetches from answers
    #[arg(long, value_name = "URL=FILE", value_parser = input::answer)]
    answer: Vec<(String, PathBuf)>,
    /// The time in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    now: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> output::Outcome {
    match &arguments.policy {
        Some(policy) => by_policy(&input::read_policy(policy)?, arguments, global),
        None => corpus(arguments.now),
    }
}

/// Gives each line of standard input, without its end, to `take`.
fn for_each_line(mut take: impl FnMut(usize, &[u8]) -> output::Outcome) -> output::Outcome {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        let read =
            read.map_err(|error| Problem::new("io_failed", format!("standard input: {error}")))?;
        if read == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !text.is_empty() {
            take(number, text)?;
        }
    }
    Ok(())
}

fn corpus(now: Option<u64>) -> output::Outcome {
    let mut corpus = Corpus::default();
    let mut output = io::stdout().lock();
    for_each_line(|number, line| {
        let started = Instant::now();
        match corpus.line(line, now.unwrap_or_else(input::clock)) {
            Reply::Noted => {}
            Reply::Unusable(mistake) => {
                complain(format_args!("countersign: line {number}: {mistake}"));
            }
            Reply::Verdict(verdict) => {
                let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                writeln!(output, "{}", verdict.to_line(microseconds))?;
                // Whoever asks line by line waits for it.
                output.flush()?;
            }
        }
        Ok(())
    })
}

/// What became of a token.
enum Judged<'a> {
    /// It was accepted, with these claims.
    Accept(Value),
    Reject(Reason, Option<&'a str>),
    /// Something that was not given has to be fetched.
    Undecided(Reason),
}

fn by_policy(policy: &Policy, arguments: &Arguments, global: &Global) -> output::Outcome {
    let resource = find(policy, arguments.resource.as_deref())?;
    let authority = resource.hosts.first().map(ToString::to_string).unwrap_or_default();
    let path = resource.path.clone();
    let mut engine = Engine::new(policy.clone());
    let mut answers = Answers::read(&arguments.answer)?;
    let (mut refused, mut missing) = (0, BTreeSet::new());
    for_each_line(|number, token| {
        let now = arguments.now.unwrap_or_else(input::clock);
        let place = (&authority[..], &path[..]);
        let outcome = decide_token_offline(&mut engine, place, token, now, |engine, fetch| {
            answers.carry_out(engine, fetch, now)
        });
        for note in answers.notes.drain(..) {
            complain(format_args!("countersign: {note}"));
        }
        let lacks = answers.missing_for(outcome.decision().reason);
        missing.extend(lacks.iter().map(|url| (*url).to_owned()));
        let found = judge(&outcome, !lacks.is_empty(), &path)?;
        refused += usize::from(!matches!(found, Judged::Accept(_)));
        // Whoever closes the output has not seen all: that is no acceptance.
        Ok(writeln!(io::stdout(), "{}", shown(number, &found, global.json))?)
    })?;
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    match (refused, missing.is_empty()) {
        (0, _) => Ok(()),
        (_, true) => Err(Problem::printed("refused")),
        (_, false) => Err(Problem::new("answers_missing", input::not_decided(&missing))),
    }
}

/// A token is accepted where the guard would name its caller, and nowhere else.
fn judge<'a>(outcome: &'a Outcome, lacks: bool, path: &str) -> Result<Judged<'a>, Problem> {
    let decision = outcome.decision();
    match (decision.reason, outcome) {
        (Some(reason), _) if lacks => Ok(Judged::Undecided(reason)),
        (Some(reason), _) => Ok(Judged::Reject(reason, decision.detail.as_deref())),
        (None, Outcome::Forward(Forward { identity: Some(identity), .. })) => {
            let claims = serde_json::to_value(&identity.claims);
            Ok(Judged::Accept(claims.unwrap_or_default()))
        }
        (None, _) => Err(Problem::new(
            "path_public",
            format!("the policy needs no token at {path}: nothing can be said about tokens there"),
        )),
    }
}

fn shown(number: usize, found: &Judged<'_>, as_json: bool) -> String {
    let data = |result: &str, reason: Option<Reason>, claims: &Value| {
        let reason = reason.map(Reason::code);
        json!({ "line": number, "result": result, "reason": reason, "claims": claims }).to_string()
    };
    match found {
        Judged::Accept(claims) if as_json => data("accept", None, claims),
        Judged::Accept(claims) => format!("{number}: accept {claims}"),
        // Nobody vouches for the claims of these.
        Judged::Reject(reason, _) if as_json => data("reject", Some(*reason), &Value::Null),
        Judged::Reject(reason, None) => format!("{number}: reject {reason}"),
        Judged::Reject(reason, Some(detail)) => {
            format!("{number}: reject {reason} ({})", detail.escape_debug())
        }
        Judged::Undecided(reason) if as_json => data("undecided", Some(*reason), &Value::Null),
        Judged::Undecided(_) => format!("{number}: not decided: answers are missing"),
    }
}

fn find<'a>(policy: &'a Policy, wanted: Option<&str>) -> Result<&'a ResourcePolicy, Problem> {
    let name = |resource: &ResourcePolicy| resource.audience.resource.to_string();
    let all: Vec<String> = policy.resources.iter().map(name).collect();
    let found = match (wanted, &policy.resources[..]) {
        (Some(wanted), resources) => {
            resources.iter().find(|resource| resource.audience.resource.matches(wanted))
        }
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let text = format!("name one of the policy's resources: --resource {}", all.join(" or "));
        Problem::new("resource_unknown", text)
    })
}
