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

/// Counts by digest of account and address. The address is part of it, so that nobody can lock
/// somebody else out.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<[u8; 32], (i64, u32)>>);

impl Throttle {
    /// Seconds to wait before the next try, if any.
    pub(super) fn wait(&self, account: &str, address: IpAddr, now: i64) -> Option<i64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, failures) = counts.get(&key(account, address))?;
        let end = start + WINDOW;
        (*failures >= MAX_FAILURES && now < end).then_some(end - now)
    }

    pub(super) fn failed(&self, account: &str, address: IpAddr, now: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= CAPACITY {
            counts.retain(|_, (start, _)| now < *start + WINDOW);
            if counts.len() >= CAPACITY {
                counts.clear();
            }
        }
        let (start, failures) = counts.entry(key(account, address)).or_insert((now, 0));
        if now >= *start + WINDOW {
            (*start, *failures) = (now, 0);
        }
        *failures += 1;
    }
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
            assert_eq!(throttle.wait("Ada", here, 100), None);
            throttle.failed("ada", here, 100);
        }
        assert_eq!(throttle.wait("ADA", here, 100), Some(60));
        assert_eq!(throttle.wait("ada", there, 100), None);
        assert_eq!(throttle.wait("ada", here, 160), None);
        throttle.failed("ada", here, 160);
        assert_eq!(throttle.wait("ada", here, 160), None, "a new window");
    }
}
