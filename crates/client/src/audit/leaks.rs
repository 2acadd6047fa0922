//! What answers show that they should not: tokens that were sent, and the server's inside.

use super::wire::Seen;

/// Something that an answer showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// The token of the request.
    Token,
    /// Where in its code the server failed; by which words that was noticed.
    Trace(&'static str),
}

/// Words of stack traces, and of databases that were asked something wrong.
const TRACES: [&str; 9] = [
    "Traceback (most recent call last)",
    "\n    at ",
    "\\n    at ",
    "panicked at ",
    "goroutine 1 [",
    "Stack trace:",
    "System.NullReferenceException",
    "SQLSTATE[",
    "Whitelabel Error Page",
];

/// Shorter ones than this are found by chance.
const SHORTEST_TOKEN: usize = 16;

/// What an answer shows of these credentials and of the server.
pub(super) fn find<'a>(seen: &Seen, mut credentials: impl Iterator<Item = &'a str>) -> Vec<Leak> {
    if seen.status < 400 {
        return Vec::new();
    }
    let body = String::from_utf8_lossy(&seen.body);
    let headers = || seen.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let shows = |token: &str| {
        token.len() >= SHORTEST_TOKEN
            && (body.contains(token) || headers().any(|value| value.contains(token)))
    };
    let mut leaks = Vec::new();
    if credentials.any(shows) {
        leaks.push(Leak::Token);
    }
    leaks.extend(TRACES.into_iter().find(|trace| body.contains(trace)).map(Leak::Trace));
    leaks
}
