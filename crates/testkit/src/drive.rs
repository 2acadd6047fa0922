//! A host without a network: answers the engine's steps from memory.

use std::collections::BTreeMap;

pub use countersign_core::guard::Outcome;
use countersign_core::guard::{
    Decision, Engine, Fetch, FilterStep, Forward, RequestHead, ResponseHead, Step, decide_offline,
};

use crate::vectors::Case;

/// What the addresses that the engine may fetch from answer; others do not answer at all. A form is
/// answered by what stands under its address, `?` and its body.
pub type Fetches = BTreeMap<String, (u16, Vec<u8>)>;

/// A request in memory.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The host.
    pub authority: String,
    /// The request target.
    pub path: String,
    /// Names and values, as bytes.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// How many bytes of it come at a time; 0 for all at once.
    pub body_parts: usize,
}

/// The request of a shared vector; its texts are byte strings, each character one byte.
impl From<&Case> for Request {
    fn from(case: &Case) -> Self {
        let bytes =
            |text: &str| text.chars().map(|c| u8::try_from(c).expect("a byte string")).collect();
        let request = &case.request;
        let header = |(name, value): &(String, String)| (name.clone().into_bytes(), bytes(value));
        Self {
            method: request.method.clone(),
            authority: request.authority.clone(),
            path: request.path.clone(),
            headers: request.headers.iter().map(header).collect(),
            body: request.body.as_deref().map(bytes),
            body_parts: 0,
        }
    }
}

impl Request {
    fn with_head<T>(&self, run: impl FnOnce(RequestHead<'_>) -> T) -> T {
        let headers: Vec<(&[u8], &[u8])> =
            self.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        run(RequestHead {
            method: self.method.as_bytes(),
            authority: self.authority.as_bytes(),
            path: self.path.as_bytes(),
            headers: &headers,
            has_body: self.body.is_some(),
            client: None,
            certificate: None,
        })
    }
}

/// The first step of a request.
pub fn begin(engine: &mut Engine, request: &Request, now: u64) -> Step {
    request.with_head(|head| engine.begin(head, now))
}

/// Takes a request to its end.
pub fn run(engine: &mut Engine, request: &Request, fetches: &Fetches, now: u64) -> Outcome {
    let body = request.body.as_deref().unwrap_or_default();
    let length = if request.body_parts == 0 { usize::MAX } else { request.body_parts };
    request.with_head(|head| {
        decide_offline(engine, head, body.chunks(length), now, |engine, fetch| {
            answer(engine, fetch, fetches, now);
            true
        })
    })
}

/// What the client gets of a server's response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The record for the log, where it was refused.
    pub refused: Option<Decision>,
}

/// Takes a server's response to the client, its body `parts_of` bytes at a time; 0 for all at once.
#[must_use]
pub fn respond(forward: &Forward, response: Answered, parts_of: usize) -> Answered {
    let Some(filter) = forward.response_filter.clone() else {
        return response;
    };
    let headers: Vec<(&[u8], &[u8])> =
        response.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let has_body = !response.body.is_empty();
    match filter.begin(ResponseHead { status: response.status, headers: &headers, has_body }) {
        FilterStep::Pass => response,
        FilterStep::Respond(answer) => Answered {
            status: answer.status,
            headers: answer
                .headers
                .iter()
                .map(|header| (header.name().to_owned(), header.value().to_owned()))
                .collect(),
            body: answer.body,
            refused: Some(answer.decision),
        },
        FilterStep::Filter(mut filtered) => {
            let removed = filtered.remove();
            let is_removed = |name: &str| {
                removed.iter().any(|removed| removed.as_str().eq_ignore_ascii_case(name))
            };
            let mut body = Vec::new();
            let parts_of = if parts_of == 0 { response.body.len() } else { parts_of };
            for part in response.body.chunks(parts_of) {
                body.extend(filtered.push(part));
            }
            body.extend(filtered.finish());
            let refused = filtered.take_refused();
            let kept = response.headers.into_iter().filter(|(name, _)| !is_removed(name));
            Answered { status: response.status, headers: kept.collect(), body, refused }
        }
    }
}

/// Carries out what is due, as far as there is an answer.
pub fn fetch(engine: &mut Engine, fetches: &Fetches, now: u64) {
    for _ in 0..10 {
        let due = engine.due(now);
        if due.is_empty() {
            return;
        }
        for fetch in due {
            answer(engine, &fetch, fetches, now);
        }
    }
}

fn answer(engine: &mut Engine, fetch: &Fetch, fetches: &Fetches, now: u64) {
    let url = match &fetch.form {
        None => fetch.url.clone(),
        Some(form) => format!("{}?{}", fetch.url, form.body),
    };
    let answer = fetches.get(&url).map(|(status, body)| (*status, &body[..]));
    // Why it was of no use is not asked here.
    let _ = engine.fetched(fetch.id, answer, now);
}
