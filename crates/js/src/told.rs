//! Answers that JavaScript was given before, and has still: told again by a number instead of a text.
//!
//! The engine decides each request anew: times, revocation, keys, scopes. Only when it has decided, and what
//! it says is the very same as what it said before, is JavaScript told to take what it made of that. So
//! nothing here can let a token live longer than the engine does, whatever JavaScript keeps.

use std::sync::Arc;

use countersign_core::guard::{Forward, Identity};

/// Most answers that are remembered; JavaScript keeps as many.
const PLACES: usize = 512;

/// What was told, by place.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<Option<Box<Answer>>>);

/// As long as this is here, no other identity can come to stand at the same address.
#[derive(Debug)]
struct Answer {
    identity: Arc<Identity>,
    /// All the rest; nothing where only claims were told.
    forward: Option<Forward>,
}

/// Whether an answer is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is what was told last for this place.
    Known(usize),
    /// It has to be told, for this place.
    New(usize),
}

impl Told {
    /// Finds the place of an answer. `forward` has no identity of its own.
    pub(crate) fn place(&mut self, identity: &Arc<Identity>, forward: Option<&Forward>) -> Place {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        let place = slot(Arc::as_ptr(identity) as usize);
        let known = self.0.get(place).and_then(Option::as_ref).is_some_and(|answer| {
            Arc::ptr_eq(&answer.identity, identity) && answer.forward.as_ref() == forward
        });
        if known { Place::Known(place) } else { Place::New(place) }
    }

    /// From now on this is what was told for a place.
    pub(crate) fn tell(&mut self, place: usize, identity: Arc<Identity>, forward: Option<Forward>) {
        if let Some(answer) = self.0.get_mut(place) {
            *answer = Some(Box::new(Answer { identity, forward }));
        }
    }
}

/// Spreads addresses, which are multiples of some power of two, over the places.
const fn slot(address: usize) -> usize {
    let spread = (address as u32).wrapping_mul(0x9e37_79b1);
    (spread >> (u32::BITS - PLACES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use countersign_core::guard::{Engine, Outcome, Policy, RequestHead, decide_offline};

    use super::*;

    /// A public path: only to have a `Forward`.
    fn forward(path: &str) -> Forward {
        let policy = br#"{ "issuers": [{ "issuer": "https://a.example" }],
            "resources": [{ "resource": "https://b.example/mcp", "public_paths": ["/mcp/a", "/mcp/b"] }] }"#;
        let mut engine = Engine::new(Policy::parse(policy).unwrap());
        let head = RequestHead {
            method: b"GET",
            authority: b"b.example",
            path: path.as_bytes(),
            headers: &[],
            has_body: false,
            client: None,
            certificate: None,
        };
        match decide_offline(&mut engine, head, [], 0, |_, _| false) {
            Outcome::Forward(forward) => forward,
            Outcome::Respond(response) => panic!("{response:?}"),
        }
    }

    fn identity() -> Arc<Identity> {
        let claims = countersign_core::jwt::claims::Claims::parse(b"{}").unwrap();
        Arc::new(Identity {
            issuer: String::new(),
            subject: None,
            client_id: None,
            scope: claims.scope,
            token_id: None,
            expires_at: 0,
            confirmation: claims.confirmation,
            subject_digest: String::new(),
            introspected: false,
            claims: claims.all,
        })
    }

    #[test]
    fn only_the_same_answer_is_known() {
        let mut told = Told::default();
        let (one, same) = (identity(), identity());
        let answer = forward("/mcp/a");
        let Place::New(place) = told.place(&one, Some(&answer)) else { panic!() };
        told.tell(place, Arc::clone(&one), Some(answer.clone()));
        assert_eq!(told.place(&one, Some(&answer)), Place::Known(place));
        // Equal claims of another token, another answer about the same one, claims alone.
        assert!(matches!(told.place(&same, Some(&answer)), Place::New(_)));
        let mut other = answer.clone();
        other.decision.rule = Some("tools.x".into());
        assert_eq!(told.place(&one, Some(&other)), Place::New(place));
        assert_eq!(told.place(&one, None), Place::New(place));
        told.tell(place, Arc::clone(&one), None);
        assert_eq!(told.place(&one, None), Place::Known(place));
        assert_eq!(told.place(&one, Some(&answer)), Place::New(place));
    }

    #[test]
    fn addresses_are_spread() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..PLACES {
            let place = slot(0x10_0000 + number * 256);
            assert!(place < PLACES);
            seen.insert(place);
        }
        assert!(seen.len() > PLACES / 2, "{}", seen.len());
    }
}
