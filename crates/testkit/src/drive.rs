//! A host without a network: answers the engine's steps from memory.

use std::collections::BTreeMap;

use countersign_core::guard::{
    Answer, Decision, Engine, Forward, Pending, RequestHead, Response, Step,
};

/// What the addresses that the engine may fetch from answer; others do not answer at all.
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

/// How a request came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It goes to the server, changed thus.
    Forward(Forward),
    /// It is answered thus.
    Respond(Response),
}

impl Outcome {
    /// The record for the log.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        match self {
            Self::Forward(forward) => &forward.decision,
            Self::Respond(response) => &response.decision,
        }
    }
}

/// The first step of a request.
pub fn begin(engine: &mut Engine, request: &Request, now: u64) -> Step {
    let headers: Vec<(&[u8], &[u8])> =
        request.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    engine.begin(
        RequestHead {
            method: request.method.as_bytes(),
            authority: request.authority.as_bytes(),
            path: request.path.as_bytes(),
            headers: &headers,
            has_body: request.body.is_some(),
            client: None,
        },
        now,
    )
}

/// Takes a request to its end.
///
/// # Panics
/// When the engine asks for keys again and again without an end.
pub fn run(engine: &mut Engine, request: &Request, fetches: &Fetches, now: u64) -> Outcome {
    let mut step = begin(engine, request, now);
    for _ in 0..20 {
        step = match step {
            Step::Forward(forward) => return Outcome::Forward(forward),
            Step::Respond(response) => return Outcome::Respond(response),
            Step::NeedSignature(pending) => {
                let verified = pending.signature().is_some_and(|check| check.verify());
                engine.resume(pending, Answer::Signature(verified), now)
            }
            Step::NeedBody(pending) => send_body(engine, pending, request, now),
            Step::NeedKeys(pending) | Step::NeedStatus(pending) => {
                fetch(engine, fetches, now);
                engine.resume(pending, Answer::Fetched, now)
            }
        };
    }
    panic!("the engine does not come to an end");
}

/// Gives the engine the body, as it comes, until it wants no more.
fn send_body(engine: &mut Engine, mut pending: Pending, request: &Request, now: u64) -> Step {
    let body = request.body.as_deref().unwrap_or_default();
    if request.body_parts == 0 {
        return engine.resume(pending, Answer::Body(body), now);
    }
    for part in body.chunks(request.body_parts) {
        match engine.resume(pending, Answer::BodyPart(part), now) {
            Step::NeedBody(next) => pending = next,
            step => return step,
        }
    }
    engine.resume(pending, Answer::Body(&[]), now)
}

/// Carries out what is due, as far as there is an answer.
pub fn fetch(engine: &mut Engine, fetches: &Fetches, now: u64) {
    for _ in 0..10 {
        let due = engine.due(now);
        if due.is_empty() {
            return;
        }
        for fetch in due {
            let answer = fetches.get(&fetch.url).map(|(status, body)| (*status, &body[..]));
            // Why it was of no use is not asked here.
            let _ = engine.fetched(fetch.id, answer, now);
        }
    }
}
