//! The corpus of attacks: `tests/vectors/attacks.jsonl`. Each differs from a token that is accepted in
//! one respect; `countersign verify --jsonl` and the npm package must refuse it for the same reason.
//!
//! Tokens are made for one second, [`NOW`], which the corpus itself says.

mod claims;
mod forms;
mod keys;
mod signatures;

use serde_json::{Value, json};

use crate::{keys::TestKey, token::Token};

/// The second at which the tokens are good: 2026-02-01.
pub const NOW: u64 = 1_769_904_000;

const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/files/mcp";

/// The algorithms that a published key may be for.
const ASYMMETRIC: [TestKey; 9] = [
    TestKey::Es256(1),
    TestKey::Es384(1),
    TestKey::Ed25519(1),
    TestKey::Ps256,
    TestKey::Ps384,
    TestKey::Ps512,
    TestKey::Rs256,
    TestKey::Rs384,
    TestKey::Rs512,
];

/// A token, and what must become of it.
#[derive(Clone, Debug)]
struct Case {
    id: String,
    clause: &'static str,
    set: String,
    token: Vec<u8>,
    /// The time, where it is not [`NOW`].
    now: Option<u64>,
    /// The accepted one that it differs from, and the reason why it is refused.
    attack: Option<(String, &'static str)>,
}

impl Case {
    fn new(id: impl Into<String>, clause: &'static str, token: impl Into<Vec<u8>>) -> Self {
        Self {
            id: id.into(),
            clause,
            set: "main".to_owned(),
            token: token.into(),
            now: None,
            attack: None,
        }
    }

    fn set(mut self, set: &str) -> Self {
        set.clone_into(&mut self.set);
        self
    }

    const fn at(mut self, now: u64) -> Self {
        self.now = Some(now);
        self
    }

    /// It differs from the control of that name, and must be refused for this reason.
    fn refused(mut self, control: impl Into<String>, reason: &'static str) -> Self {
        self.attack = Some((control.into(), reason));
        self
    }

    /// It is refused for another reason than those like it.
    fn because(self, reason: &'static str) -> Self {
        let control = self.attack.as_ref().map(|(control, _)| control.clone());
        self.refused(control.unwrap_or_default(), reason)
    }

    fn line(&self) -> Value {
        let mut line = json!({ "id": self.id, "clause": self.clause, "set": self.set });
        match std::str::from_utf8(&self.token) {
            Ok(text) => line["token"] = json!(text),
            Err(_) => {
                let hex: Vec<String> =
                    self.token.iter().map(|byte| format!("{byte:02x}")).collect();
                line["token_hex"] = json!(hex.concat());
            }
        }
        if let Some(now) = self.now {
            line["now"] = json!(now);
        }
        match &self.attack {
            None => line["expect"] = json!({ "result": "accept", "reason": null }),
            Some((control, reason)) => {
                line["differs_from"] = json!(control);
                line["expect"] = json!({ "result": "reject", "reason": reason });
            }
        }
        line
    }
}

/// A good token by this key, which the set "main" has under the name of its algorithm.
fn by(key: TestKey) -> Token {
    Token::new(ISSUER, RESOURCE).claim("iat", NOW - 60).claim("exp", NOW + 3600).key(key, key.alg())
}

/// The usual good token; its control is "es256".
fn good() -> Token {
    by(TestKey::Es256(1))
}

/// The name of the control for a key's algorithm.
fn control(key: TestKey) -> String {
    key.alg().to_lowercase()
}

fn cases() -> Vec<Case> {
    let clause = "RFC 9068 §4";
    let controls = ASYMMETRIC.map(|key| Case::new(control(key), clause, by(key).sign()));
    let mut cases = controls.to_vec();
    cases.extend(signatures::cases());
    cases.extend(forms::cases());
    cases.extend(claims::cases());
    cases.extend(keys::cases());
    cases
}

/// The lines of the file.
#[must_use]
pub fn lines() -> Vec<Value> {
    let config = json!({ "config": {
        "issuer": ISSUER, "resource": RESOURCE, "leeway": 60, "now": NOW, "scope": "mcp:use",
    } });
    let set = |(name, jwks): (String, Value)| json!({ "set": name, "jwks": jwks });
    let cases = cases();
    std::iter::once(config)
        .chain(keys::sets().into_iter().map(set))
        .chain(cases.iter().map(Case::line))
        .collect()
}

/// The file as text.
#[must_use]
pub fn text() -> String {
    lines().iter().map(|line| format!("{line}\n")).collect()
}
