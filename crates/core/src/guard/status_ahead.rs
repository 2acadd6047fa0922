//! Status lists fetched ahead of need: which there are, an issuer says at its aggregation endpoint
//! (Token Status List §9).

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use super::fetch::{Fetch, FetchError, FetchId};
use crate::{
    UnixSeconds,
    jose::json::{self, Value},
    sorted::SortedMap,
};

/// Between two looks at which lists there are, in seconds.
const PERIOD: u64 = 60;

/// Longest pause after failures, in seconds.
const MAX_PAUSE: u64 = 32;

/// The aggregation endpoints, by the issuer's position in the policy.
#[derive(Debug, Default)]
pub(super) struct Aggregations(SortedMap<usize, Aggregation>);

#[derive(Debug, Default)]
struct Aggregation {
    flight: Option<(FetchId, UnixSeconds)>,
    /// When it is to be asked again.
    next: UnixSeconds,
    failures: u32,
}

impl Aggregations {
    /// Whether an issuer's endpoint is to be asked now, by a fetch of this name.
    pub(super) fn is_due(
        &mut self,
        issuer: usize,
        now: UnixSeconds,
        next_id: impl FnOnce() -> FetchId,
    ) -> Option<FetchId> {
        self.0.update(issuer, |aggregation| {
            aggregation.settle(now);
            if aggregation.flight.is_some() || now < aggregation.next {
                return None;
            }
            let id = next_id();
            aggregation.flight = Some((id, now));
            Some(id)
        })
    }

    /// Takes the answer to a fetch, if it was one of these: the issuer, and the lists that it names.
    pub(super) fn fetched(
        &mut self,
        id: FetchId,
        answer: Result<&[u8], FetchError>,
        now: UnixSeconds,
    ) -> Option<(usize, Result<Vec<String>, FetchError>)> {
        let asked =
            |aggregation: &Aggregation| aggregation.flight.is_some_and(|(flight, _)| flight == id);
        let (issuer, aggregation) = self.0.iter_mut().find(|(_, found)| asked(found))?;
        let lists = answer.and_then(|body| read(body).ok_or(FetchError::Aggregation));
        aggregation.end(lists.is_ok(), now);
        Some((*issuer, lists))
    }
}

impl Aggregation {
    fn end(&mut self, succeeded: bool, now: UnixSeconds) {
        self.flight = None;
        self.failures = if succeeded { 0 } else { self.failures.saturating_add(1) };
        let pause = match self.failures {
            0 => PERIOD,
            failures => (1 << (failures - 1).min(5)).min(MAX_PAUSE),
        };
        self.next = now.saturating_add(pause);
    }

    /// A moment too far ahead is one of a clock that was set back. And a host that lost an answer must not
    /// stop us for ever.
    fn settle(&mut self, now: UnixSeconds) {
        if self.next > now.saturating_add(PERIOD) {
            self.next = now;
        }
        self.flight = self.flight.map(|(id, start)| (id, start.min(now)));
        if self.flight.is_some_and(|(_, start)| now >= start.saturating_add(2 * Fetch::TIMEOUT)) {
            self.end(false, now);
        }
    }
}

/// §9.3: the URIs of the lists.
fn read(body: &[u8]) -> Option<Vec<String>> {
    let document = json::parse(body).ok()?;
    let lists = document.as_object()?.get("status_lists").and_then(Value::as_array)?;
    lists.iter().map(|uri| uri.as_str().map(|uri| uri.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_is() {
        let lists = read(br#"{"status_lists":["https://h/1","https://h/2"],"x":1}"#).unwrap();
        assert_eq!(lists, ["https://h/1", "https://h/2"]);
        assert_eq!(read(br#"{"status_lists":[]}"#).unwrap().len(), 0);
        for wrong in ["", "[]", "{}", r#"{"status_lists":"x"}"#, r#"{"status_lists":[1]}"#] {
            assert!(read(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
