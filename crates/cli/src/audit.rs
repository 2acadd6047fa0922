//! `countersign audit`: how a server and its authorization servers do authorization, seen from outside.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use countersign_client::{
    Http, Secret,
    audit::{Finding, Grade, Options, Report, Role, Verdict, audit},
    session::Session,
};

use crate::{
    Global,
    credentials::Credentials,
    input::read_text,
    login,
    output::{Outcome, Problem, print},
};

/// Audit the authorization of an MCP server and of its authorization servers
///
/// Looks from outside, at your own server or at somebody else's: some 30 harmless requests one after the
/// other, up to ten more with a token and for each further authorization server (three at most), in two
/// minutes at most. No tool is called, nobody is registered, nothing is changed; the forged tokens that are tried
/// must be refused. The servers' logs will show all of it: audit a server of others only if they would not
/// mind.
///
/// With a token (--token-file, --with-login) more is looked at: whether it is accepted, what is in it, and whether it is refused where
/// it must be. It is then also sent in the URL once, where servers may log it: use one that expires soon.
/// The token itself is never printed.
///
/// docs/audit.md has all checks, and how the grade is made. Exit code 0: nothing failed that is a must; 1:
/// something failed, or there was nothing to audit; 2: usage.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The URL of the MCP server
    #[arg(value_name = "MCP_URL", value_parser = login::url)]
    url: String,
    /// A file with an access token for the server; - reads standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Look with the token of your login too, which `countersign login` made
    #[arg(long, conflicts_with = "token_file")]
    with_login: bool,
    #[command(flatten)]
    credentials: Credentials,
    /// A client that the authorization server knows: with it a redirect URI is tried that is not its own
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
}

pub(crate) async fn run(arguments: &Arguments, global: &Global) -> Outcome {
    let http = Http::new()?;
    let token = arguments.token(&http).await?;
    let options = Options {
        token: token.as_ref(),
        client_id: arguments.client_id.as_deref(),
        progress: io::stderr().is_terminal().then_some(&show),
        time_limit: None,
    };
    let report = audit(&http, &arguments.url, options).await;
    if options.progress.is_some() {
        wipe();
    }
    let report = report?;
    let paint = Paint::of_terminal();
    print(global.json, &report.to_json(), || as_text(&report, paint))?;
    if report.is_failed() { Err(Problem::printed("audit_failed")) } else { Ok(()) }
}

impl Arguments {
    async fn token(&self, http: &Http) -> Result<Option<Secret>, Problem> {
        if self.with_login {
            let store = self.credentials.store()?;
            let mut session = Session::open(http, &store, &self.url)?;
            return Ok(Some(session.access_token().await?.clone()));
        }
        let Some(file) = &self.token_file else { return Ok(None) };
        let token = read_text(file)?;
        match is_token(&token) {
            true => Ok(Some(Secret::new(token))),
            false => {
                let text = "the file with the token holds something else";
                Err(Problem::new("token_malformed", text))
            }
        }
    }
}

/// RFC 6750 §2.1.
fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.bytes().all(is_char)
}

/// The request under way, over the one before. Nobody is to be told where standard error is closed.
fn show(number: u32, purpose: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "\r\x1b[K{number:>3}  {purpose}").and_then(|()| stderr.flush());
}

fn wipe() {
    let _ = write!(io::stderr(), "\r\x1b[K");
}

/// Colours, where a terminal shows them.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    /// <https://no-color.org>: set and not empty.
    fn of_terminal() -> Self {
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(io::stdout().is_terminal() && !is_unwanted)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn verdict(self, verdict: Verdict) -> String {
        let code = match verdict {
            Verdict::Pass => "32",
            Verdict::Fail => "1;31",
            Verdict::Warning => "33",
            Verdict::Skipped => "2",
        };
        self.with(code, &format!("{:<8}", verdict.code()))
    }

    fn grade(self, grade: Grade) -> String {
        let code = match grade {
            Grade::A | Grade::B => "1;32",
            Grade::C | Grade::D => "1;33",
            Grade::F => "1;31",
        };
        self.with(code, &format!("Grade {grade}"))
    }
}

fn as_text(report: &Report, paint: Paint) -> String {
    let mut lines = Vec::new();
    let mut rest = report.findings.as_slice();
    while let Some(first) = rest.first() {
        let is_same = |other: &Finding| {
            (other.check.role, &other.issuer) == (first.check.role, &first.issuer)
        };
        let length = rest.iter().take_while(|finding| is_same(finding)).count();
        let (group, others) = rest.split_at(length);
        lines.extend([
            paint.with("1", &heading(first, &report.url)),
            table(group, paint),
            String::new(),
        ]);
        rest = others;
    }
    let by = |verdict| report.findings.iter().filter(move |one| one.verdict == verdict);
    let problems: Vec<&Finding> = by(Verdict::Warning).chain(by(Verdict::Fail)).collect();
    if !problems.is_empty() {
        lines.push(paint.with("1", "What to do"));
        lines.extend(problems.into_iter().map(|finding| explanation(finding, paint)));
    }
    lines.push(summary(report, paint));
    lines.join("\n")
}

fn heading(first: &Finding, url: &str) -> String {
    match (first.check.role, &first.issuer) {
        (Role::ResourceServer, _) => format!("MCP server {url}"),
        (Role::AuthorizationServer, Some(issuer)) => format!("Authorization server {issuer}"),
        (Role::AuthorizationServer, None) => "Authorization server".to_owned(),
        (Role::Token, _) => "Token".to_owned(),
    }
}

/// A line for each check; one for all where all were skipped for one reason.
fn table(group: &[Finding], paint: Paint) -> String {
    if let [first, rest @ ..] = group
        && !rest.is_empty()
        && first.verdict == Verdict::Skipped
        && rest.iter().all(|one| (one.verdict, &one.seen) == (first.verdict, &first.seen))
    {
        let verdict = paint.verdict(Verdict::Skipped);
        return format!("  {verdict} all {} checks: {}", group.len(), first.seen);
    }
    let width = group.iter().map(|finding| finding.check.id.len()).max().unwrap_or_default();
    let line = |one: &Finding| {
        format!("  {} {:<width$}  {}", paint.verdict(one.verdict), one.check.id, one.seen)
    };
    group.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn explanation(finding: &Finding, paint: Paint) -> String {
    let check = finding.check;
    let at = finding.issuer.as_ref().map_or_else(String::new, |issuer| format!(" at {issuer}"));
    let line = |label: &str, text: &str| format!("\n    {label:<8}{text}");
    format!(
        "  {} {}{at}{}{}{}{}{}\n",
        paint.verdict(finding.verdict).trim_end(),
        paint.with("1", check.id),
        line(check.level.code(), check.title),
        line("clause", check.clause),
        line("seen", &finding.seen),
        line("why", check.why),
        line("do", check.remedy),
    )
}

fn summary(report: &Report, paint: Paint) -> String {
    let count = |verdict| report.count(verdict);
    let mut text = format!(
        "{}: {} passed, {} failed, {} warning{}, {} skipped; {} requests",
        paint.grade(report.grade()),
        count(Verdict::Pass),
        count(Verdict::Fail),
        count(Verdict::Warning),
        if count(Verdict::Warning) == 1 { "" } else { "s" },
        count(Verdict::Skipped),
        report.requests,
    );
    if !report.is_complete {
        text += ".\nNot everything was answered in time: the grade is for what was";
    }
    text
}
