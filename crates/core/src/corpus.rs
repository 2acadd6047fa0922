//! A corpus of access tokens, put to the engine line by line: `countersign verify --jsonl`, and
//! `countersign/verify-jsonl` of the npm package.
//!
//! A line is a JSON object. `{"config":{"issuer":…,"resource":…}}` says what tokens are verified
//! against, with `leeway`, `now` and `scope` if wanted; `{"set":…,"jwks":…}` names a key set;
//! `{"id":…,"set":…,"token":…}`, or `token_hex` for bytes that are no text, is answered. The key
//! sets count as fetched from the issuer: what must not be published is not used.

use alloc::{borrow::ToOwned as _, format, string::String, vec::Vec};

use crate::{
    Reason, UnixSeconds,
    guard::{Engine, Outcome, Policy, decide_token_offline},
    jose::json::{self, Number, Object, Value},
    mcp::hex_pair,
    sorted::SortedMap,
};

/// Where key sets seem to come from; [RFC 2606 §2](https://www.rfc-editor.org/rfc/rfc2606#section-2)
/// keeps the name free.
const KEYS: &str = "https://keys.invalid/";

/// Stands for the host that tokens were sent to: there is but one resource.
const HOST: &str = "localhost";

/// The lines that were read so far, as far as they matter.
#[derive(Debug, Default)]
pub struct Corpus {
    config: Option<Config>,
    sets: SortedMap<String, KeySet>,
}

/// What a line brings about.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It was a configuration or a key set.
    Noted,
    /// It was one that cannot be used, for this reason; tokens that need it will be refused.
    Unusable(String),
    /// It was to be answered, thus.
    Verdict(Verdict),
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The line's `id`; null if it had none.
    pub id: Value,
    /// Why the token was refused: the code of a [`Reason`], or `line_malformed`, `config_invalid`
    /// (no or no valid configuration), `key_set_unknown`. `None`: it was accepted.
    pub reason: Option<&'static str>,
}

impl Verdict {
    /// The line to print, without its end. `microseconds`: how long it took.
    #[must_use]
    pub fn to_line(&self, microseconds: u64) -> String {
        let (whole, thousandths) = (microseconds / 1000, microseconds % 1000);
        let result = if self.reason.is_none() { "accept" } else { "reject" };
        let reason = self.reason.map_or(Value::Null, Value::from);
        let id = &self.id;
        format!(
            r#"{{"id":{id},"result":"{result}","reason":{reason},"ms":{whole}.{thousandths:03}}}"#
        )
    }
}

#[derive(Debug)]
struct Config {
    /// None if the document would be no valid one.
    policy: Option<Policy>,
    now: Option<UnixSeconds>,
}

/// A key set, and the engine that read it last.
#[derive(Debug)]
struct KeySet {
    document: Vec<u8>,
    engine: Option<(Engine, UnixSeconds)>,
}

/// Why a line is answered without looking at its token.
type Refusal = &'static str;

const LINE_MALFORMED: Refusal = "line_malformed";
const CONFIG_INVALID: Refusal = "config_invalid";
const KEY_SET_UNKNOWN: Refusal = "key_set_unknown";

impl Corpus {
    /// Reads a line, without its end. `clock` is the time where neither the line nor the
    /// configuration says one.
    pub fn line(&mut self, line: &[u8], clock: UnixSeconds) -> Reply {
        let Ok(Value::Object(members)) = json::parse(line) else {
            return refused(id_of_malformed(line), LINE_MALFORMED);
        };
        if let Some(config) = members.get("config") {
            return self.configure(config);
        }
        match (members.get("set"), members.get("jwks")) {
            (Some(Value::String(name)), Some(jwks)) => {
                let document = format!("{jwks}").into_bytes();
                self.sets.insert(name.clone(), KeySet { document, engine: None });
                Reply::Noted
            }
            (_, Some(_)) => Reply::Unusable("a key set needs a name: \"set\"".to_owned()),
            (_, None) => {
                let id = members.get("id").cloned().unwrap_or(Value::Null);
                let reason = self.verify(&members, clock).unwrap_or_else(Some);
                Reply::Verdict(Verdict { id, reason })
            }
        }
    }

    fn configure(&mut self, config: &Value) -> Reply {
        self.sets.values_mut().for_each(|set| set.engine = None);
        self.config = Some(Config { policy: None, now: None });
        let read = policy_of(config).and_then(|policy| Ok((policy, time(config.as_object())?)));
        match read {
            Ok((policy, now)) => {
                self.config = Some(Config { policy: Some(policy), now });
                Reply::Noted
            }
            Err(mistake) => Reply::Unusable(mistake),
        }
    }

    /// `Ok`: what the engine says, `Err`: why it was not asked.
    fn verify(
        &mut self,
        members: &Object,
        clock: UnixSeconds,
    ) -> Result<Option<&'static str>, Refusal> {
        let token = token_of(members).ok_or(LINE_MALFORMED)?;
        let own_time = time(Some(members)).map_err(|_| LINE_MALFORMED)?;
        let config = self.config.as_ref().ok_or(CONFIG_INVALID)?;
        let policy = config.policy.as_ref().ok_or(CONFIG_INVALID)?;
        let now = own_time.or(config.now).unwrap_or(clock);
        let name = members.get("set").and_then(Value::as_str).ok_or(KEY_SET_UNKNOWN)?;
        let set = self.sets.get_mut(name).ok_or(KEY_SET_UNKNOWN)?;
        // What an engine learned is of no use at an earlier time.
        let kept = set.engine.take().filter(|(_, read_at)| *read_at <= now);
        let mut engine = match kept {
            Some((engine, _)) => engine,
            None => Engine::new(policy.clone()),
        };
        let reason = decide(&mut engine, &token, &set.document, now);
        set.engine = Some((engine, now));
        Ok(reason.map(Reason::code))
    }
}

fn decide(engine: &mut Engine, token: &[u8], jwks: &[u8], now: UnixSeconds) -> Option<Reason> {
    let outcome = decide_token_offline(engine, (HOST, "/"), token, now, |engine, fetch| {
        let answer = (fetch.url == KEYS).then_some((200, jwks));
        // A set that cannot be used is one that is out of reach.
        let _ = engine.fetched(fetch.id, answer, now);
        answer.is_some()
    });
    match outcome {
        Outcome::Forward(forward) => forward.decision.reason,
        Outcome::Respond(response) => {
            // Every answer to this request is a refusal; nothing is accepted by default.
            Some(response.decision.reason.unwrap_or(Reason::TokenMissing))
        }
    }
}

/// The policy that says what a configuration says.
fn policy_of(config: &Value) -> Result<Policy, String> {
    let members = config.as_object().ok_or("config: expected an object")?;
    let member = |name: &str| members.get(name).cloned().unwrap_or(Value::Null);
    let scope = match member("scope") {
        Value::Null => Vec::new(),
        Value::String(scope) => scope.split(' ').map(Value::from).collect(),
        _ => return Err("config.scope: expected a string".to_owned()),
    };
    let leeway = members.get("leeway").cloned().unwrap_or_else(|| Value::from(30));
    let (issuer, resource) = (member("issuer"), member("resource"));
    let scope = Value::Array(scope);
    let policy = format!(
        r#"{{"issuers":[{{"issuer":{issuer},"jwks_uri":"{KEYS}"}}],
            "resources":[{{"resource":{resource},"hosts":["{HOST}"],"path":"/",
                "scopes":{{"baseline":{scope}}},"forward":{{"headers":{{}}}}}}],
            "leeway":{leeway},"limits":{{"cached_tokens":0}}}}"#
    );
    Policy::parse(policy.as_bytes()).map_err(|error| {
        let path = error
            .path
            .replace("$.issuers[0]", "config")
            .replace("$.resources[0].scopes.baseline", "config.scope")
            .replace("$.resources[0]", "config")
            .replace('$', "config");
        format!("{path}: {}", error.message)
    })
}

fn time(members: Option<&Object>) -> Result<Option<UnixSeconds>, String> {
    match members.and_then(|members| members.get("now")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(Number::Unsigned(now))) => Ok(Some(*now)),
        Some(_) => Err("now: expected whole seconds since 1970".to_owned()),
    }
}

fn token_of(members: &Object) -> Option<Vec<u8>> {
    match (members.get("token"), members.get("token_hex")) {
        (Some(Value::String(token)), None) => Some(token.as_bytes().to_vec()),
        (None, Some(Value::String(digits))) => from_hex(digits),
        _ => None,
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| hex_pair(*high, *low));
    rest.is_empty().then(|| bytes.collect())?
}

fn refused(id: Value, reason: Refusal) -> Reply {
    Reply::Verdict(Verdict { id, reason: Some(reason) })
}

/// The `id` that a line begins with which is not strict JSON as a whole, so that whoever sent it finds
/// the answer; else null.
fn id_of_malformed(line: &[u8]) -> Value {
    let id = || {
        let rest = line.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"id\"")?.trim_ascii_start().strip_prefix(b":")?;
        let ends = rest.iter().enumerate().filter(|(_, byte)| matches!(byte, b',' | b'}'));
        // A text may have commas in it; but an id of many is none that is worth the search.
        ends.take(8).find_map(|(end, _)| json::parse(rest.get(..end)?).ok())
    };
    id().unwrap_or(Value::Null)
}
