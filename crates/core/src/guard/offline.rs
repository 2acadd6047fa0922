//! A host without a network: takes a request to its end where everything is at hand.

use super::{
    engine::Engine,
    fetch::Fetch,
    request::RequestHead,
    step::{Answer, Forward, Step},
    {Decision, Response},
};
use crate::UnixSeconds;

/// Most rounds of fetches for one request. Metadata, key set and status list are three.
const MAX_ROUNDS: usize = 16;

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

/// Decides whether a bearer token is good, by a request without a body to this host and path: what
/// needs no more than the baseline scopes. Otherwise as [`decide_offline`].
pub fn decide_token_offline(
    engine: &mut Engine,
    (authority, path): (&str, &str),
    token: &[u8],
    now: UnixSeconds,
    carry_out: impl FnMut(&mut Engine, &Fetch) -> bool,
) -> Outcome {
    let authorization = [b"Bearer ", token].concat();
    let head = RequestHead {
        method: b"GET",
        authority: authority.as_bytes(),
        path: path.as_bytes(),
        headers: &[(b"authorization", &authorization)],
        has_body: false,
        client: None,
        certificate: None,
    };
    decide_offline(engine, head, [], now, carry_out)
}

/// Decides a request at the second `now`, with the engine's own signature verifiers. The body comes
/// in these parts. `carry_out` answers a fetch by [`Engine::fetched`] and says whether it had an
/// answer; a request that waits for what nobody answers is given up.
pub fn decide_offline<'a>(
    engine: &mut Engine,
    head: RequestHead<'_>,
    body: impl IntoIterator<Item = &'a [u8]>,
    now: UnixSeconds,
    mut carry_out: impl FnMut(&mut Engine, &Fetch) -> bool,
) -> Outcome {
    let mut parts = body.into_iter().peekable();
    let mut step = engine.begin(head, now);
    let mut rounds = 0;
    loop {
        step = match step {
            Step::Forward(forward) => return Outcome::Forward(forward),
            Step::Respond(response) => return Outcome::Respond(response),
            Step::NeedSignature(pending) => {
                let verified = engine.verify(&pending);
                engine.resume(pending, Answer::Signature(verified), now)
            }
            Step::NeedBody(pending) => {
                let part = parts.next().unwrap_or_default();
                let is_last = parts.peek().is_none();
                let answer = if is_last { Answer::Body(part) } else { Answer::BodyPart(part) };
                engine.resume(pending, answer, now)
            }
            Step::NeedIntrospection(pending)
            | Step::NeedKeys(pending)
            | Step::NeedStatus(pending) => {
                let due = engine.due(now);
                let answered = due.iter().filter(|fetch| carry_out(engine, fetch)).count();
                rounds += 1;
                let goes_on = answered > 0 && rounds < MAX_ROUNDS;
                let answer = if goes_on { Answer::Fetched } else { Answer::GiveUp };
                engine.resume(pending, answer, now)
            }
        };
    }
}
