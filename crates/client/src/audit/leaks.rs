//! What answers show that they should not: tokens that were sent, and the server's inside.

use super::wire::Seen;

/// Something that an answer showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// The token of the request.
    Token,
    /// Where in its code the server failed, and in which form.
    Trace(&'static str),
}

/// Words of stack traces, and of databases that were asked something wrong; and what to call them.
const TRACES: [(&str, &str); 9] = [
    ("Traceback (most recent call last)", "a Python traceback"),
    ("\n    at ", "a stack trace"),
    ("\\n    at ", "a stack trace"),
    ("panicked at ", "a Rust panic"),
    ("goroutine 1 [", "a Go panic"),
    ("Stack trace:", "a stack trace"),
    ("System.NullReferenceException", "a .NET exception"),
    ("SQLSTATE[", "a database error"),
    ("Whitelabel Error Page", "a Spring error page"),
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
    let trace = TRACES.into_iter().find(|(words, _)| body.contains(words));
    leaks.extend(trace.map(|(_, name)| Leak::Trace(name)));
    leaks
}
