//! Answers that JavaScript was given before, and has still: told again by a number instead of a text.
//!
//! The engine decides each request anew: times, revocation, keys, scopes. Only when it has decided, and what
//! it says is the very same as what it said before, is JavaScript told to take what it made of that. So
//! nothing here can let a token live longer than the engine does, whatever JavaScript keeps.

use std::sync::Arc;

use countersign_core::guard::{Forward, Identity};

/// Most answers that are remembered, whatever the engine remembers; JavaScript keeps as many.
const MOST: usize = 512;

/// What was told, by place.
#[derive(Debug)]
pub(crate) struct Told {
    places: Vec<Option<Box<Answer>>>,
    /// How many there are to be: none, or a power of two.
    count: usize,
}

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
    /// For an engine that remembers so many tokens: no more than those come again with the same identity.
    pub(crate) const fn new(cached_tokens: usize) -> Self {
        let least = if cached_tokens < MOST { cached_tokens } else { MOST };
        let count = if least == 0 { 0 } else { least.next_power_of_two() };
        Self { places: Vec::new(), count }
    }

    /// Finds the place of an answer; nothing where none is remembered. `forward` has no identity of its own.
    pub(crate) fn place(
        &mut self,
        identity: &Arc<Identity>,
        forward: Option<&Forward>,
    ) -> Option<Place> {
        if self.places.is_empty() {
            self.places.resize_with(self.count, || None);
        }
        let place = self.slot(Arc::as_ptr(identity) as usize)?;
        let known = self.places.get(place).and_then(Option::as_ref).is_some_and(|answer| {
            Arc::ptr_eq(&answer.identity, identity) && answer.forward.as_ref() == forward
        });
        Some(if known { Place::Known(place) } else { Place::New(place) })
    }

    /// From now on this is what was told for a place.
    pub(crate) fn tell(&mut self, place: usize, identity: Arc<Identity>, forward: Option<Forward>) {
        if let Some(answer) = self.places.get_mut(place) {
            *answer = Some(Box::new(Answer { identity, forward }));
        }
    }

    /// Spreads addresses, which are multiples of some power of two, over the places.
    fn slot(&self, address: usize) -> Option<usize> {
        let spread = (address as u32).wrapping_mul(0x9e37_79b1);
        let bits = self.count.checked_ilog2()?;
        // Of the highest bits, which depend on all of the address.
        Some(spread.checked_shr(u32::BITS - bits).unwrap_or(0) as usize)
    }
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
        let mut told = Told::new(4096);
        let (one, same) = (identity(), identity());
        let answer = forward("/mcp/a");
        let Some(Place::New(place)) = told.place(&one, Some(&answer)) else { panic!() };
        told.tell(place, Arc::clone(&one), Some(answer.clone()));
        assert_eq!(told.place(&one, Some(&answer)), Some(Place::Known(place)));
        // Equal claims of another token, another answer about the same one, claims alone.
        assert!(matches!(told.place(&same, Some(&answer)), Some(Place::New(_))));
        let mut other = answer.clone();
        other.decision.rule = Some("tools.x".into());
        assert_eq!(told.place(&one, Some(&other)), Some(Place::New(place)));
        assert_eq!(told.place(&one, None), Some(Place::New(place)));
        told.tell(place, Arc::clone(&one), None);
        assert_eq!(told.place(&one, None), Some(Place::Known(place)));
        assert_eq!(told.place(&one, Some(&answer)), Some(Place::New(place)));
    }

    #[test]
    fn addresses_are_spread_over_as_many_places_as_there_are_to_be() {
        for (tokens, count) in [(4096, 512), (512, 512), (500, 512), (16, 16), (2, 2), (1, 1)] {
            let told = Told::new(tokens);
            let all = (0..count * 4).filter_map(|number| told.slot(0x10_0000 + number * 256));
            let mut seen: Vec<usize> = all.collect();
            assert_eq!(seen.len(), count * 4);
            assert!(seen.iter().all(|place| *place < count));
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() > count / 2, "{tokens}: {}", seen.len());
        }
        assert_eq!(Told::new(0).place(&identity(), None), None);
    }
}
