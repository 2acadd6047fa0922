//! Failed logins, counted per account and address, in bounded memory; by all nodes together in Redis,
//! where it is configured and answers.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use countersign_core::jose::base64url;

use super::limit::network;
use crate::{redis::Redis, secret};

/// Failures within a window after which an account rests for that address.
const MAX_FAILURES: u32 = 5;

/// Length of the window, in seconds.
const WINDOW: i64 = 60;

/// Counts by account and address. The address is part of it, so that nobody can lock out somebody who comes
/// from elsewhere. That needs addresses: behind a proxy that was not declared everybody comes from the
/// proxy's, and then anybody can lock an account for everybody.
///
/// Here there is one of 65 536 places for each pair, which nobody else can tell. So a flood of names takes
/// no memory and frees nobody, and whoever floods would have to fill most of the places to meet others.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    redis: Option<Redis>,
    places: RandomState,
    counts: Mutex<HashMap<u16, (i64, u32)>>,
}

impl Throttle {
    pub(super) fn new(redis: Option<Redis>) -> Self {
        Self { redis, ..Self::default() }
    }

    /// Counts a try as a failure until it turns out otherwise, so that many at once do not get past.
    ///
    /// # Errors
    /// The seconds to wait before the next try.
    pub(super) async fn begin(&self, account: &str, address: IpAddr, now: i64) -> Result<(), i64> {
        let key = key(account, address);
        if let Some(redis) = &self.redis
            && let Ok(wait) =
                redis.begin_try(&base64url::encode(key), i64::from(MAX_FAILURES), WINDOW).await
        {
            return if wait == 0 { Ok(()) } else { Err((wait + 999) / 1000) };
        }
        self.begin_here(key, now)
    }

    /// By what this node has seen itself.
    fn begin_here(&self, key: [u8; 32], now: i64) -> Result<(), i64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, failures) = counts.entry(self.place(key)).or_insert((now, 0));
        if !is_within(*start, now) {
            (*start, *failures) = (now, 0);
        }
        if *failures >= MAX_FAILURES {
            return Err(*start + WINDOW - now);
        }
        *failures += 1;
        Ok(())
    }

    pub(super) async fn succeeded(&self, account: &str, address: IpAddr) {
        let key = key(account, address);
        if let Some(redis) = &self.redis {
            // Where it does not answer, the count ends with its minute.
            let _ = redis.forget_tries(&base64url::encode(key)).await;
        }
        self.succeeded_here(key);
    }

    fn succeeded_here(&self, key: [u8; 32]) {
        let place = self.place(key);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
    }

    fn place(&self, key: [u8; 32]) -> u16 {
        let [first, second, ..] = self.places.hash_one(key).to_ne_bytes();
        u16::from_ne_bytes([first, second])
    }
}

/// Whether a window is still open. One that begins in the future is none: the clock was put back.
fn is_within(start: i64, now: i64) -> bool {
    (start..start + WINDOW).contains(&now)
}

fn key(account: &str, address: IpAddr) -> [u8; 32] {
    let address = network(address).to_string();
    secret::sha256(&[account.to_lowercase().as_bytes(), &[0], address.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(throttle: &Throttle, account: &str, address: IpAddr, now: i64) -> Result<(), i64> {
        throttle.begin_here(key(account, address), now)
    }

    #[test]
    fn five_failures_rest_a_minute_for_that_address_only() {
        let throttle = Throttle::default();
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        for _ in 0..5 {
            assert_eq!(begin(&throttle, "ada", here, 100), Ok(()));
        }
        assert_eq!(begin(&throttle, "ADA", here, 100), Err(60));
        assert_eq!(begin(&throttle, "ada", there, 100), Ok(()));
        assert_eq!(begin(&throttle, "ada", here, 160), Ok(()), "a new window");
    }

    #[test]
    fn a_clock_that_is_put_back_locks_nobody_out() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..5 {
            begin(&throttle, "ada", here, 1_000_000).unwrap();
        }
        assert_eq!(begin(&throttle, "ada", here, 1_000_000), Err(60));
        assert_eq!(begin(&throttle, "ada", here, 100), Ok(()));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..20 {
            assert_eq!(begin(&throttle, "ada", here, 100), Ok(()));
            throttle.succeeded_here(key("ada", here));
        }
    }

    #[test]
    fn a_flood_of_names_frees_nobody() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..5 {
            begin(&throttle, "ada", here, 100).unwrap();
        }
        for _ in 0..4 {
            begin(&throttle, "bob", here, 100).unwrap();
        }
        let tries = (0..20_000).map(|index| begin(&throttle, &index.to_string(), here, 100));
        // As if they shared a place now and then.
        assert!(tries.filter(Result::is_ok).count() > 19_000);
        assert_eq!(begin(&throttle, "ada", here, 100), Err(60));
        let bob = (0..2).map(|_| begin(&throttle, "bob", here, 100));
        assert!(bob.filter(Result::is_err).count() >= 1, "what was counted stays");
        let strangers = (0..100).map(|index| begin(&throttle, &format!("late {index}"), here, 100));
        assert!(strangers.filter(Result::is_ok).count() > 90, "others still log in");
    }
}
