//! A black-box audit of how an MCP server and its authorization servers do authorization.
//!
//! It sends few requests, one after the other, and none that changes anything: no tool is called, nobody
//! is registered, no token is asked for that could be given. What it looks for is in [`CHECKS`]; what the
//! checks and the grade mean is in `docs/audit.md`.

mod catalogue;
mod challenge;
mod check;
mod document;
mod endpoints;
mod forge;
mod forged;
mod issuer;
mod keys;
mod leaks;
mod metadata;
mod report;
mod token;
mod transport;
mod wire;

use std::time::Duration;

use reqwest::Method;

use self::{
    check::Found,
    token::Token,
    wire::{Call, Seen, Wire},
};
pub use self::{
    check::{Check, Finding, Level, Role, Verdict},
    report::{Grade, Report},
    wire::Progress,
};
use crate::{Error, Http, Secret, check_url, token::now};

/// All checks, in the order in which they are reported.
pub const CHECKS: &[&[&Check]] =
    &[catalogue::resource_server::ALL, catalogue::authorization_server::ALL, catalogue::token::ALL];

/// An audit takes no longer than this, unless it is told otherwise.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(120);

/// So many authorization servers are looked at.
const MAX_ISSUERS: usize = 3;

/// A web site that there is not (RFC 2606 §2): the foreign origin, and where nobody may be redirected to.
const FOREIGN_ORIGIN: &str = "https://audit.countersign.invalid";

/// What an audit may use besides the URL.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// A good access token for the server: with it more can be looked at.
    pub token: Option<&'a Secret>,
    /// A client that the authorization server knows, to ask for a redirect that it must not do.
    pub client_id: Option<&'a str>,
    /// Is told of each request before it is sent.
    pub progress: Option<Progress<'a>>,
    /// How long it may take; two minutes if nothing is said.
    pub time_limit: Option<Duration>,
}

/// Looks at a server and at the authorization servers that it names.
///
/// # Errors
/// [`Error::Url`], [`Error::Unreachable`], [`Error::Redirected`] and [`Error::Answer`] when there is nothing
/// to audit.
pub async fn audit(http: &Http, url: &str, options: Options<'_>) -> Result<Report, Error> {
    check_url(url)?;
    let mut audit = Audit {
        wire: Wire::new(http, url, options.progress),
        findings: Vec::new(),
        issuers: Vec::new(),
        url,
        token: options.token.map(Token::read),
        given: options.token,
        client_id: options.client_id,
        message: INITIALIZE,
        session: None,
        now: now(),
    };
    let time_limit = options.time_limit.unwrap_or(TOTAL_TIMEOUT);
    let ended = tokio::time::timeout(time_limit, audit.run()).await;
    let is_complete = ended.is_ok();
    if let Ok(Err(error)) = ended {
        return Err(error);
    }
    let Audit { wire, findings, issuers, .. } = audit;
    let requests = wire.sent();
    Ok(Report { url: url.to_owned(), issuers, findings, requests, is_complete }.complete())
}

/// An audit under way.
struct Audit<'a> {
    wire: Wire<'a>,
    findings: Vec<Finding>,
    issuers: Vec<String>,
    url: &'a str,
    token: Option<Token>,
    given: Option<&'a Secret>,
    client_id: Option<&'a str>,
    /// The harmless message that all requests for the server are made of.
    message: &'static str,
    /// The session that the server began with its answer to a hello without a token.
    session: Option<String>,
    now: u64,
}

impl Audit<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let first = self.first().await?;
        self.look_at_challenge(&first).await;
        let resource = self.look_at_metadata(&first).await;
        self.look_at_transport(&first).await;
        let mut keys = Vec::new();
        for issuer in resource.issuers.iter().take(MAX_ISSUERS) {
            self.issuers.push(issuer.clone());
            keys.extend(self.look_at_issuer(issuer, &resource).await);
        }
        self.forge_tokens(&first, &resource, keys.first()).await?;
        self.use_token(&resource).await;
        self.look_at_leaks();
        self.wire.end_sessions(self.url).await;
        Ok(())
    }

    /// The request without a token, by whose answer the others are judged.
    async fn first(&mut self) -> Result<Seen, Error> {
        let first = self.ask_first("the server without a token").await?;
        let url = self.url.to_owned();
        if let Some(to) = first.redirect() {
            return Err(Error::Redirected { url, to: to.to_owned() });
        }
        let why = match first.status {
            404 | 410 => format!("status {}: there is nothing at this URL", first.status),
            405 | 415 | 501 => {
                format!("status {}: this URL takes no MCP messages by POST", first.status)
            }
            500.. => format!("status {}: the server is out of order", first.status),
            _ if first.lets_in() => return self.after_hello(first).await,
            _ => return Ok(first),
        };
        Err(Error::Answer { url, why })
    }

    /// Some servers let anybody say hello, and want a token from there on.
    async fn after_hello(&mut self, hello: Seen) -> Result<Seen, Error> {
        self.message = LIST_TOOLS;
        self.session = hello.header("mcp-session-id").map(str::to_owned);
        let listed = self.ask_first("the list of tools without a token").await?;
        if listed.status == 401 {
            return Ok(listed);
        }
        (self.message, self.session) = (INITIALIZE, None);
        Ok(hello)
    }

    async fn ask_first(&mut self, purpose: &str) -> Result<Seen, Error> {
        let answer = self.wire.ask(purpose, self.call()).await;
        answer.map_err(|why| Error::Unreachable { url: self.url.to_owned(), why })
    }

    /// A request for the server.
    fn call(&self) -> Call {
        let call = post(self.url, self.message);
        match &self.session {
            Some(session) => {
                call.header("mcp-session-id", session).header("mcp-protocol-version", "2025-11-25")
            }
            None => call,
        }
    }

    /// The same with a token.
    fn call_with(&self, token: &str) -> Call {
        self.call().header("authorization", format!("Bearer {token}"))
    }

    fn found(&mut self, check: &'static Check, found: Found) {
        self.keep(Finding::new(check, None, found));
    }

    fn found_at(&mut self, issuer: &str, check: &'static Check, found: Found) {
        self.keep(Finding::new(check, Some(issuer), found));
    }

    /// What was seen may be a server's words, and those may have the token in them.
    fn keep(&mut self, mut finding: Finding) {
        if let Some(token) = &self.given {
            finding.seen = finding.seen.replace(token.expose(), "(the token)");
        }
        finding.shorten();
        self.findings.push(finding);
    }

    fn look_at_leaks(&mut self) {
        use self::{catalogue::resource_server::ERRORS_LEAK_NOTHING, leaks::Leak};
        let leaks = &self.wire.leaks;
        let trace = leaks.iter().find_map(|leak| match leak {
            Leak::Trace(name) => Some(*name),
            Leak::Token => None,
        });
        let found = match (leaks.contains(&Leak::Token), trace) {
            (true, _) => Found::wrong("an error shows the token that was sent"),
            (false, Some(name)) => Found::doubt(format!("an error looks like {name}")),
            (false, None) => Found::right("none of them does"),
        };
        self.found(&ERRORS_LEAK_NOTHING, found);
    }
}

/// What every revision before 2026-07-28 begins with, and later ones refuse, but not before they have
/// asked for a token. It changes nothing.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"countersign-audit","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

/// What servers want a token for that let anybody say hello.
const LIST_TOOLS: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#;

/// A message to the server.
fn post(url: &str, message: &str) -> Call {
    Call::new(Method::POST, url)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(message)
}

/// What a request that has to be refused with 401 was answered.
fn refusal(answer: &wire::Answered) -> Found {
    match answer {
        Err(why) => Found::undecided(format!("no answer: {why}")),
        Ok(seen) if seen.status == 401 => Found::right("401"),
        Ok(seen) if seen.status == 429 => {
            Found::undecided("429: the server limits failed attempts; try again later")
        }
        Ok(seen) if seen.lets_in() => Found::Bypass(format!("let in: {}", seen.summary())),
        Ok(seen) => Found::wrong(format!("{} instead of 401", seen.summary())),
    }
}
