//! The engine as a JavaScript class.

use countersign_core::{
    UnixSeconds,
    guard::{Answer, Engine, FetchId, Forward, Pending, Policy, PolicyError, RequestHead, Step},
};
use js_sys::{Array, Error, Reflect, TypeError};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::{
    filter::WasmListFilter,
    host::{self, HostVerifier, Signatures},
    inbox, latin1,
    told::{Place, Told},
    waiting::{Waiting, Wants},
    wire,
};

/// One engine under one policy. Signatures are verified by the engine's own verifiers, unless the host
/// asked to do it.
///
/// A step is a number, so that the common answer costs no text. From 0 on it is the place of an answer
/// that was told before, and is told again thus. Below are:
///
/// - −1: a final answer as JSON, by [`WasmEngine::take_text`];
/// - −2: a [`Waiting`] request, by [`WasmEngine::take_waiting`];
/// - −3: a [`WasmListFilter`], by [`WasmEngine::take_filter`], for a request that goes on and a response to
///   be filtered;
/// - −4: the head cannot be begun like this, but by [`WasmEngine::begin`] it can;
/// - −5: an answer as below, which has no place;
/// - −16 − n: the answer for place n: how the request goes on, or the claims, by [`WasmEngine::take_text`], to be kept.
#[derive(Debug)]
#[wasm_bindgen]
pub struct WasmEngine {
    engine: Engine,
    signatures: Signatures,
    /// What is told is the claims of who may pass, instead of how the request goes on.
    claims_only: bool,
    told: Told,
    text: String,
    waiting: Option<Waiting>,
    filter: Option<WasmListFilter>,
}

const TEXT: i32 = -1;
const WAITING: i32 = -2;
const FILTER: i32 = -3;
const OTHER_WAY: i32 = -4;
const NOT_TO_KEEP: i32 = -5;
const TO_KEEP: i32 = -16;

/// What an engine tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[wasm_bindgen]
pub enum Tells {
    /// How the request goes on, or is answered.
    Answers,
    /// The claims of who may pass, or how the request is answered.
    Claims,
    /// As the first, with every check on the way in the decision.
    Trace,
}

#[wasm_bindgen]
impl WasmEngine {
    /// An engine for a policy document.
    ///
    /// # Errors
    /// An `Error` with the mistake's JSON `path` beside its message.
    #[wasm_bindgen(constructor)]
    pub fn new(policy: &str, tells: Tells) -> Result<Self, JsValue> {
        let policy = Policy::parse(policy.as_bytes()).map_err(|error| policy_error(&error))?;
        let make = if tells == Tells::Trace { Engine::explaining } else { Engine::new };
        let told = Told::new(policy.limits.cached_tokens);
        Ok(Self {
            engine: make(policy),
            signatures: Signatures::Module,
            claims_only: tells == Tells::Claims,
            told,
            text: String::new(),
            waiting: None,
            filter: None,
        })
    }

    /// From now on the host verifies what it may be faster with: at once, or, without `verifier`, while the
    /// request waits.
    pub fn ask_host(&mut self, verifier: Option<HostVerifier>) {
        self.signatures = verifier.map_or(Signatures::Later, Signatures::AtOnce);
    }

    /// Begins to decide whether a token may pass: that in the inbox, with its scheme before it, sent to this
    /// host and path.
    pub fn begin_token(&mut self, length: usize, authority: &str, now: f64) -> i32 {
        let step = inbox::text(length, |authorization| {
            let head = RequestHead {
                method: b"GET",
                authority: authority.as_bytes(),
                path: b"/",
                headers: &[(b"authorization", authorization)],
                has_body: false,
                client: None,
                certificate: None,
            };
            self.engine.begin(head, seconds(now))
        });
        step.map_or(OTHER_WAY, |step| self.proceed(step, now))
    }

    /// Begins to decide the request in the inbox: so many fields, of which the first are method, authority,
    /// path and the client's IP address, which may be empty; then come name and value of each header.
    pub fn begin_written(&mut self, length: usize, fields: usize, has_body: bool, now: f64) -> i32 {
        let step = inbox::fields(length, fields, |fields| {
            let [method, authority, path, client, headers @ ..] = fields else { return None };
            let client = std::str::from_utf8(client).ok()?;
            let (pairs, _) = headers.as_chunks();
            let headers: Vec<(&[u8], &[u8])> =
                pairs.iter().map(|[name, value]| (*name, *value)).collect();
            let head = RequestHead {
                method,
                authority,
                path,
                headers: &headers,
                has_body,
                client: client.parse().ok(),
                certificate: None,
            };
            Some(self.engine.begin(head, seconds(now)))
        });
        step.flatten().map_or(OTHER_WAY, |step| self.proceed(step, now))
    }

    /// Begins to decide a request. Everything is a byte string; `headers` has name and value in
    /// turn. `client` is the client's IP address, if it is known.
    ///
    /// # Errors
    /// A `TypeError` when something is no byte string.
    #[allow(clippy::too_many_arguments, reason = "JavaScript hands over texts, not a struct")]
    pub fn begin(
        &mut self,
        method: &str,
        authority: &str,
        path: &str,
        #[wasm_bindgen(unchecked_param_type = "string[]")] headers: &Array,
        has_body: bool,
        client: Option<String>,
        now: f64,
    ) -> Result<i32, JsValue> {
        let method = byte_string(method)?;
        let authority = byte_string(authority)?;
        let path = byte_string(path)?;
        let headers = byte_strings(headers)?;
        let (pairs, _) = headers.as_chunks();
        let pairs: Vec<(&[u8], &[u8])> =
            pairs.iter().map(|[name, value]| (&name[..], &value[..])).collect();
        let head = RequestHead {
            method: &method,
            authority: &authority,
            path: &path,
            headers: &pairs,
            has_body,
            client: client.and_then(|address| address.parse().ok()),
            certificate: None,
        };
        let step = self.engine.begin(head, seconds(now));
        Ok(self.proceed(step, now))
    }

    /// The text that a step spoke of.
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// The request that a step spoke of.
    pub fn take_waiting(&mut self) -> Option<Waiting> {
        self.waiting.take()
    }

    /// The filter that a step spoke of.
    pub fn take_filter(&mut self) -> Option<WasmListFilter> {
        self.filter.take()
    }

    /// Goes on with a request whose signature the host has verified, or could not: then the engine does.
    pub fn resume_with_signature(
        &mut self,
        waiting: Waiting,
        verified: Option<bool>,
        now: f64,
    ) -> i32 {
        let verified = verified.unwrap_or_else(|| host::verify(&waiting.pending));
        self.answer(waiting, Answer::Signature(verified), now)
    }

    /// Goes on with a request that waits for keys, after something was fetched.
    pub fn resume(&mut self, waiting: Waiting, now: f64) -> i32 {
        self.answer(waiting, Answer::Fetched, now)
    }

    /// Goes on with a request that cannot wait any longer.
    pub fn give_up(&mut self, waiting: Waiting, now: f64) -> i32 {
        self.answer(waiting, Answer::GiveUp, now)
    }

    /// Goes on with a request whose body is being read: with a part of it, or nothing at its end.
    pub fn resume_with_body(&mut self, waiting: Waiting, part: Option<Vec<u8>>, now: f64) -> i32 {
        let answer = part.as_deref().map_or(Answer::Body(&[]), Answer::BodyPart);
        self.answer(waiting, answer, now)
    }

    /// The longest body that is read, in bytes. Of more than this, one byte tells as much as all.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn body_limit(&self) -> usize {
        self.engine.policy().limits.body_bytes
    }

    /// What is to be fetched now, as JSON: `[{"id":1,"url":"…","fresh":true,"outdated":false}]`,
    /// with `"form":{"authorization":"…","body":"…"}` what is to be sent by POST. Each fetch is given once.
    pub fn due(&mut self, now: f64) -> Option<String> {
        let due = self.engine.due(seconds(now));
        (!due.is_empty()).then(|| wire::fetches(&due))
    }

    /// Takes the answer to a fetch; no status when there was none. Gives why it could not be used.
    pub fn fetched(
        &mut self,
        id: f64,
        status: Option<u16>,
        body: &[u8],
        now: f64,
    ) -> Option<String> {
        let answer = status.map(|status| (status, body));
        let error = self.engine.fetched(FetchId::from_u64(id as u64), answer, seconds(now));
        error.map(|error| error.to_string())
    }

    fn answer(&mut self, waiting: Waiting, answer: Answer<'_>, now: f64) -> i32 {
        let step = self.engine.resume(waiting.pending, answer, seconds(now));
        self.proceed(step, now)
    }

    /// Takes a step as far as it goes without the host.
    fn proceed(&mut self, mut step: Step, now: f64) -> i32 {
        loop {
            step = match step {
                Step::Forward(forward) => return self.forward(forward),
                Step::Respond(response) => return self.say(wire::respond(&response)),
                Step::NeedBody(pending) => return self.park(pending, Wants::Body),
                Step::NeedIntrospection(pending)
                | Step::NeedKeys(pending)
                | Step::NeedStatus(pending) => return self.park(pending, Wants::Fetch),
                Step::NeedSignature(pending) => {
                    let verdict = match &self.signatures {
                        Signatures::Module => None,
                        Signatures::AtOnce(host) => host.verdict(&pending),
                        Signatures::Later if is_for_host(&pending) => {
                            return self.park(pending, Wants::Signature);
                        }
                        Signatures::Later => None,
                    };
                    let verified = verdict.unwrap_or_else(|| host::verify(&pending));
                    self.engine.resume(pending, Answer::Signature(verified), seconds(now))
                }
            };
        }
    }

    fn park(&mut self, pending: Pending, wants: Wants) -> i32 {
        self.waiting = Some(Waiting::new(pending, wants));
        WAITING
    }

    fn say(&mut self, text: String) -> i32 {
        self.text = text;
        TEXT
    }

    /// The request goes on: how, or who sends it.
    fn forward(&mut self, mut forward: Forward) -> i32 {
        let identity = forward.identity.take();
        if let Some(filter) = forward.response_filter.take() {
            let text = wire::forward(&forward, identity.as_deref());
            self.filter = Some(WasmListFilter::new(text, filter));
            return FILTER;
        }
        // What seals a session is for one request only.
        let identity = match identity {
            Some(identity) if forward.session_seal.is_none() => identity,
            other => return self.say(wire::forward(&forward, other.as_deref())),
        };
        let forward = (!self.claims_only).then_some(forward);
        let place = self.told.place(&identity, forward.as_ref());
        if let Some(Place::Known(place)) = place {
            return place as i32;
        }
        self.text = match &forward {
            None => wire::claims(&identity),
            Some(forward) => wire::forward(forward, Some(&identity)),
        };
        match place {
            Some(Place::New(place)) => {
                self.told.tell(place, identity, forward);
                TO_KEEP - place as i32
            }
            _ => NOT_TO_KEEP,
        }
    }
}

fn is_for_host(pending: &Pending) -> bool {
    pending.signature().is_some_and(|check| check.for_host().is_some())
}

/// Stands for what is no text, and is no byte string either.
const NO_TEXT: &str = "\u{fffd}";

/// All texts of an array.
pub(crate) fn byte_strings(texts: &Array) -> Result<Vec<Vec<u8>>, JsValue> {
    texts.iter().map(|text| byte_string(text.as_string().as_deref().unwrap_or(NO_TEXT))).collect()
}

fn byte_string(text: &str) -> Result<Vec<u8>, JsValue> {
    latin1::bytes(text).ok_or_else(|| TypeError::new("not a byte string").into())
}

/// The host's clock. What is no time becomes 1970, at which no token is valid.
fn seconds(now: f64) -> UnixSeconds {
    now as UnixSeconds
}

/// A mistake, with its `path` beside the message.
pub(crate) fn policy_error(error: &PolicyError) -> JsValue {
    let thrown = Error::new(&error.message);
    // Setting a member of a new object cannot fail; without it the message is still there.
    let _ = Reflect::set(&thrown, &"path".into(), &error.path.as_str().into());
    thrown.into()
}
