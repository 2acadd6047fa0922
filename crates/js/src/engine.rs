//! The engine as a JavaScript class.

use std::cell::RefCell;

use countersign_core::{
    UnixSeconds,
    guard::{
        Answer, Engine, Fetch, FetchId, Form, Pending, Policy, PolicyError, RequestHead,
        SessionSeal, Step,
    },
    jose::{
        alg::Algorithm,
        base64url,
        host_check::{HostCheck, KnownAnswers},
    },
};
use countersign_verify::{Limits, Verifier};
use js_sys::{Array, Error, Reflect, TypeError, Uint8Array};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::{filter::WasmListFilter, latin1, wire};

/// One engine under one policy. Signatures are verified by the engine's own verifiers, unless the host
/// asked to do it.
///
/// A step is the JSON text of a final answer, a [`Waiting`] request, or a [`WasmListFilter`] for a
/// request that goes on and a response to be filtered.
#[derive(Debug)]
#[wasm_bindgen]
pub struct WasmEngine {
    engine: Engine,
    asks_host: bool,
}

/// A request in the middle of its decision. Consumed by what resumes it, else to be freed.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Waiting {
    pending: Pending,
    wants: Wants,
}

#[wasm_bindgen(typescript_custom_section)]
const SIGNATURE_PARTS: &str = "export type SignatureParts = \
    [algorithm: string, key: string, message: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>];";

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[wasm_bindgen]
pub enum Wants {
    /// Something that is fetched.
    Fetch,
    /// The next part of its body.
    Body,
    /// A signature to be verified by the host.
    Signature,
}

#[wasm_bindgen]
impl Waiting {
    /// What it waits for.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// The signature that it waits for: JOSE's name of the algorithm, a name of the key that no other key
    /// has, the bytes that were signed, and the signature. Empty when it waits for something else.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "SignatureParts | []")]
    pub fn signature(&self) -> Array {
        self.pending.signature().and_then(|check| Some((check, check.for_host()?))).map_or_else(
            Array::new,
            |(check, asked)| {
                let name = base64url::encode(check.key.thumbprint());
                signature_to_verify(&name, asked)
            },
        )
    }

    /// The key of that signature, as `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn key(&self) -> Option<Vec<u8>> {
        Some(self.pending.signature()?.for_host()?.key.to_vec())
    }
}

fn signature_to_verify(key: &str, asked: HostCheck<'_>) -> Array {
    let bytes = |bytes: &[u8]| JsValue::from(Uint8Array::from(bytes));
    let name = JsValue::from(asked.algorithm.name());
    Array::of4(&name, &key.into(), &bytes(asked.message), &bytes(asked.signature))
}

/// By which a host's verifier of this algorithm is proven: the key, as [`Waiting::key`] gives it, and then
/// signatures as [`Waiting::signature`] does, each followed by whether it is good. Nothing for algorithms
/// that no host is asked for.
#[must_use]
#[wasm_bindgen(
    unchecked_return_type = "[Uint8Array<ArrayBuffer>, ...(SignatureParts | boolean)[]] | []"
)]
pub fn known_answers(algorithm: &str) -> Array {
    let found = Array::new();
    let Some(algorithm) = Algorithm::from_name(algorithm) else {
        return found;
    };
    // No thumbprint has a blank in it.
    let name = format!("known {}", algorithm.name());
    for (asked, good) in KnownAnswers::of(algorithm).checks() {
        if found.length() == 0 {
            found.push(&Uint8Array::from(asked.key).into());
        }
        found.push(&signature_to_verify(&name, asked).into());
        found.push(&good.into());
    }
    found
}

#[wasm_bindgen]
impl WasmEngine {
    /// An engine for a policy document.
    ///
    /// # Errors
    /// An `Error` with the mistake's JSON `path` beside its message.
    #[wasm_bindgen(constructor)]
    pub fn new(policy: &str) -> Result<Self, JsValue> {
        let policy = Policy::parse(policy.as_bytes()).map_err(|error| policy_error(&error))?;
        Ok(Self { engine: Engine::new(policy), asks_host: false })
    }

    /// From now on requests wait for signatures that a host may be faster with.
    pub fn ask_host(&mut self) {
        self.asks_host = true;
    }

    /// Begins to decide a request. Everything is a byte string; `headers` has name and value in
    /// turn. `client` is the client's IP address, if it is known.
    ///
    /// # Errors
    /// A `TypeError` when something is no byte string.
    #[allow(clippy::too_many_arguments, reason = "JavaScript hands over texts, not a struct")]
    #[wasm_bindgen(unchecked_return_type = "string | Waiting | WasmListFilter")]
    pub fn begin(
        &mut self,
        method: &str,
        authority: &str,
        path: &str,
        #[wasm_bindgen(unchecked_param_type = "string[]")] headers: &Array,
        has_body: bool,
        client: Option<String>,
        now: f64,
    ) -> Result<JsValue, JsValue> {
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

    /// Goes on with a request whose signature the host has verified, or could not: then the engine does.
    #[wasm_bindgen(unchecked_return_type = "string | Waiting | WasmListFilter")]
    pub fn resume_with_signature(
        &mut self,
        waiting: Waiting,
        verified: Option<bool>,
        now: f64,
    ) -> JsValue {
        let verified = verified.unwrap_or_else(|| verify(&waiting.pending));
        self.answer(waiting, Answer::Signature(verified), now)
    }

    /// Goes on with a request that waits for keys, after something was fetched.
    #[wasm_bindgen(unchecked_return_type = "string | Waiting | WasmListFilter")]
    pub fn resume(&mut self, waiting: Waiting, now: f64) -> JsValue {
        self.answer(waiting, Answer::Fetched, now)
    }

    /// Goes on with a request that cannot wait any longer.
    #[wasm_bindgen(unchecked_return_type = "string | Waiting | WasmListFilter")]
    pub fn give_up(&mut self, waiting: Waiting, now: f64) -> JsValue {
        self.answer(waiting, Answer::GiveUp, now)
    }

    /// Goes on with a request whose body is being read: with a part of it, or nothing at its end.
    #[wasm_bindgen(unchecked_return_type = "string | Waiting | WasmListFilter")]
    pub fn resume_with_body(
        &mut self,
        waiting: Waiting,
        part: Option<Vec<u8>>,
        now: f64,
    ) -> JsValue {
        let answer = part.as_deref().map_or(Answer::Body(&[]), Answer::BodyPart);
        self.answer(waiting, answer, now)
    }

    /// The longest body that is read, in bytes. Of more than this, one byte tells as much as all.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn body_limit(&self) -> usize {
        self.engine.policy().limits.body_bytes
    }

    /// What is to be fetched now, as JSON: `[{"id":1,"url":"…"}]`, with
    /// `"form":{"authorization":"…","body":"…"}` what is to be sent by POST. Each fetch is given once.
    pub fn due(&mut self, now: f64) -> String {
        wire::fetches(&self.engine.due(seconds(now)))
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

    fn answer(&mut self, waiting: Waiting, answer: Answer<'_>, now: f64) -> JsValue {
        let step = self.engine.resume(waiting.pending, answer, seconds(now));
        self.proceed(step, now)
    }

    /// Takes a step as far as it goes without the host.
    fn proceed(&mut self, mut step: Step, now: f64) -> JsValue {
        loop {
            step = match step {
                Step::Forward(mut forward) => {
                    let text = wire::forward(&forward);
                    return match forward.response_filter.take() {
                        Some(filter) => WasmListFilter::new(text, filter).into(),
                        None => text.into(),
                    };
                }
                Step::Respond(response) => return wire::respond(&response).into(),
                Step::NeedBody(pending) => return Waiting { pending, wants: Wants::Body }.into(),
                Step::NeedIntrospection(pending)
                | Step::NeedKeys(pending)
                | Step::NeedStatus(pending) => {
                    return Waiting { pending, wants: Wants::Fetch }.into();
                }
                Step::NeedSignature(pending) if self.asks_host && is_for_host(&pending) => {
                    return Waiting { pending, wants: Wants::Signature }.into();
                }
                Step::NeedSignature(pending) => {
                    let verified = verify(&pending);
                    self.engine.resume(pending, Answer::Signature(verified), seconds(now))
                }
            };
        }
    }
}

thread_local! {
    /// One for all engines: an isolate has little memory, and `verifyAccessToken` makes several engines.
    static VERIFIER: RefCell<Verifier> = const { RefCell::new(Verifier::new(Limits::DEFAULT)) };
}

/// Whether the verifiers' arithmetic gives the known answers. `false`: well-known crates verify everything
/// instead, which is slow, and belongs into a log.
#[must_use]
#[wasm_bindgen]
pub fn self_test() -> bool {
    VERIFIER.with_borrow_mut(Verifier::self_test)
}

fn is_for_host(pending: &Pending) -> bool {
    pending.signature().is_some_and(|check| check.for_host().is_some())
}

fn verify(pending: &Pending) -> bool {
    let check = pending.signature();
    check.is_some_and(|check| VERIFIER.with_borrow_mut(|verifier| check.verify(verifier)))
}

/// The `Content-Type` header of a form.
#[must_use]
#[wasm_bindgen]
pub fn fetch_form_type() -> String {
    Form::CONTENT_TYPE.to_owned()
}

/// The `Accept` header of a fetch.
#[must_use]
#[wasm_bindgen]
pub fn fetch_accept() -> String {
    Fetch::ACCEPT.to_owned()
}

/// The longest answer to a fetch that is read, in bytes.
#[must_use]
#[wasm_bindgen]
pub fn fetch_max_bytes() -> usize {
    Fetch::MAX_BYTES
}

/// The longest time that an answer to a fetch is waited for, in seconds.
#[must_use]
#[wasm_bindgen]
pub fn fetch_timeout() -> f64 {
    Fetch::TIMEOUT as f64
}

/// What the client gets in the place of the server's session id; nothing if it must get none.
/// `key` is what a forwarded request came with.
#[must_use]
#[wasm_bindgen]
pub fn seal_session(key: &str, id: &str) -> Option<String> {
    let key = base64url::decode(key).ok()?.try_into().ok()?;
    SessionSeal::from_key(key).seal(&latin1::bytes(id)?)
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
