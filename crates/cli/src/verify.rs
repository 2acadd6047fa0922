//! `countersign verify`: access tokens, one a line.

use std::{
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
    time::Instant,
};

use countersign_core::{
    corpus::{Corpus, Reply},
    guard::{Engine, Outcome, Policy, decide_token_offline, policy::ResourcePolicy},
};
use serde_json::{Value, json};

use crate::{
    Global,
    input::{self, Answers},
    output::{self, Problem},
};

/// Verify access tokens from standard input, one a line
///
/// With --policy, each token is put to the guard as if it came with a request to the resource that
/// needs the baseline scopes only. Prints whether it is accepted, with its claims, or refused, with the
/// reason code (docs/reasons.md). Nothing is sent anywhere: what the guard would fetch is read from
/// files. Exit code 0: all were accepted; 1: some were not.
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
fn for_each_line(mut take: impl FnMut(usize, &[u8]) -> io::Result<()>) -> output::Outcome {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| Problem::new("io_failed", format!("{what}: {error}"))
    };
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(failed("standard input"))? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !text.is_empty() {
            take(number, text).map_err(failed("standard output"))?;
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
            Reply::Noted => Ok(()),
            Reply::Unusable(mistake) => {
                writeln!(io::stderr(), "countersign: line {number}: {mistake}")
            }
            Reply::Verdict(verdict) => {
                let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                writeln!(output, "{}", verdict.to_line(microseconds))?;
                // Whoever asks line by line waits for it.
                output.flush()
            }
        }
    })
}

fn by_policy(policy: &Policy, arguments: &Arguments, global: &Global) -> output::Outcome {
    let resource = find(policy, arguments.resource.as_deref())?;
    let authority = resource.hosts.first().map(ToString::to_string).unwrap_or_default();
    let path = resource.path.clone();
    let mut engine = Engine::new(policy.clone());
    let mut answers = Answers::read(&arguments.answer)?;
    let mut refused = 0;
    for_each_line(|number, token| {
        let now = arguments.now.unwrap_or_else(input::clock);
        let place = (&authority[..], &path[..]);
        let outcome = decide_token_offline(&mut engine, place, token, now, |engine, fetch| {
            answers.carry_out(engine, fetch, now)
        });
        for note in answers.notes.drain(..) {
            writeln!(io::stderr(), "countersign: {note}")?;
        }
        let decision = outcome.decision();
        refused += usize::from(decision.reason.is_some());
        let claims = claims(&outcome);
        let reason = decision.reason.map(|reason| reason.code());
        if global.json {
            let result = if reason.is_none() { "accept" } else { "reject" };
            let data = json!({
                "line": number, "result": result, "reason": reason, "claims": claims,
            });
            return writeln!(io::stdout(), "{data}");
        }
        match (reason, &decision.detail) {
            (None, _) => writeln!(io::stdout(), "{number}: accept {claims}"),
            (Some(reason), None) => writeln!(io::stdout(), "{number}: reject {reason}"),
            (Some(reason), Some(detail)) => {
                writeln!(io::stdout(), "{number}: reject {reason} ({})", detail.escape_debug())
            }
        }
    })?;
    if refused > 0 { Err(Problem::printed("refused")) } else { Ok(()) }
}

/// The claims of a token that was accepted; nobody vouches for those of another.
fn claims(outcome: &Outcome) -> Value {
    let identity = match outcome {
        Outcome::Forward(forward) if forward.decision.reason.is_none() => forward.identity.as_ref(),
        _ => None,
    };
    identity.and_then(|identity| serde_json::to_value(&identity.claims).ok()).unwrap_or_default()
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
