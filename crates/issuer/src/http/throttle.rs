//! Failed logins, counted per account and address, in bounded memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::secret;

/// Failures within a window after which an account rests for that address.
const MAX_FAILURES: u32 = 5;

/// Length of the window, in seconds.
const WINDOW: i64 = 60;

/// Most pairs that are remembered.
const CAPACITY: usize = 10_000;

/// Counts by digest of account and address. The address is part of it, so that nobody can lock out
/// somebody who comes from elsewhere. That needs addresses: behind a proxy that was not declared
/// everybody comes from the proxy's, and then anybody can lock an account for everybody.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<[u8; 32], (i64, u32)>>);

impl Throttle {
    /// Counts a try as a failure until it turns out otherwise, so that many at once do not get past.
    ///
    /// # Errors
    /// The seconds to wait before the next try.
    pub(super) fn begin(&self, account: &str, address: IpAddr, now: i64) -> Result<(), i64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= CAPACITY {
            // Those who have to wait stay; a flood of names must not set anybody free.
            counts.retain(|_, (start, tries)| is_within(*start, now) && *tries >= MAX_FAILURES);
            if counts.len() >= CAPACITY {
                counts.clear();
            }
        }
        let (start, failures) = counts.entry(key(account, address)).or_insert((now, 0));
        if !is_within(*start, now) {
            (*start, *failures) = (now, 0);
        }
        if *failures >= MAX_FAILURES {
            return Err(*start + WINDOW - now);
        }
        *failures += 1;
        Ok(())
    }

    pub(super) fn succeeded(&self, account: &str, address: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(&key(account, address));
    }
}

/// Whether a window is still open. One that begins in the future is none: the clock was put back.
fn is_within(start: i64, now: i64) -> bool {
    (start..start + WINDOW).contains(&now)
}

fn key(account: &str, address: IpAddr) -> [u8; 32] {
    let address = address.to_string();
    secret::sha256(&[account.to_lowercase().as_bytes(), &[0], address.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_rest_a_minute_for_that_address_only() {
        let throttle = Throttle::default();
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        for _ in 0..5 {
            assert_eq!(throttle.begin("ada", here, 100), Ok(()));
        }
        assert_eq!(throttle.begin("ADA", here, 100), Err(60));
        assert_eq!(throttle.begin("ada", there, 100), Ok(()));
        assert_eq!(throttle.begin("ada", here, 160), Ok(()), "a new window");
    }

    #[test]
    fn a_clock_that_is_put_back_locks_nobody_out() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..5 {
            throttle.begin("ada", here, 1_000_000).unwrap();
        }
        assert_eq!(throttle.begin("ada", here, 1_000_000), Err(60));
        assert_eq!(throttle.begin("ada", here, 100), Ok(()));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..20 {
            assert_eq!(throttle.begin("ada", here, 100), Ok(()));
            throttle.succeeded("ada", here);
        }
    }

    #[test]
    fn a_flood_of_names_frees_nobody() {
        let throttle = Throttle::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..5 {
            throttle.begin("ada", here, 100).unwrap();
        }
        for index in 0..2 * CAPACITY {
            throttle.begin(&index.to_string(), here, 100).unwrap();
        }
        assert_eq!(throttle.begin("ada", here, 100), Err(60));
        assert!(throttle.0.lock().unwrap().len() <= CAPACITY);
    }
}
