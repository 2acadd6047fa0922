//! Passwords: argon2id, never more at once than the cores can bear.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::Error;

/// Each hash takes 19 MiB and tens of milliseconds: a flood of logins waits here.
static SLOTS: Semaphore = Semaphore::const_new(4);

/// What an unknown user's password is compared with, so that it takes as long.
/// A password for it is not known to anybody, nor would it be let in.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcnNpZ24tbm9ib2R5\
                      $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Shortest password, in characters (NIST SP 800-63B §5.1.1.2 asks for at least 8).
pub(crate) const MIN_LENGTH: usize = 8;

/// Longest password, in bytes.
pub(crate) const MAX_LENGTH: usize = 1024;

pub(crate) async fn hash(password: &str) -> Result<String, Error> {
    let password = password.to_owned();
    blocking(move || hash_now(&password)).await?
}

/// Whether the password fits. Costs the same when there is no user.
pub(crate) async fn verify(password: &str, stored: Option<&str>) -> Result<bool, Error> {
    let (password, stored) = (password.to_owned(), stored.map(str::to_owned));
    blocking(move || {
        let known = stored.is_some();
        let fits = PasswordHash::new(stored.as_deref().unwrap_or(NOBODY)).is_ok_and(|hash| {
            Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
        });
        known && fits
    })
    .await
}

/// Argon2id with 19 MiB, two passes, one lane: the crate's default and OWASP's recommendation.
fn hash_now(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| Error::Crypto("the password could not be hashed"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let slot = SLOTS.acquire().await.map_err(|_| Error::Crypto("the server is stopping"))?;
    // Who asked may hang up, and the work goes on nevertheless: it keeps the slot until it is done.
    let work = move || {
        let _slot = slot;
        work()
    };
    spawn_blocking(work).await.map_err(|_| Error::Crypto("hashing a password failed"))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use super::*;

    /// Attack 55: who is not there is compared with a hash of the same cost.
    #[test]
    fn attack_55_nobody_costs_what_somebody_costs() {
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(NOBODY), cost(&hash_now("password").unwrap()));
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[tokio::test]
    async fn verifies() {
        let hash = hash("correct horse").await.unwrap();
        assert!(verify("correct horse", Some(&hash)).await.unwrap());
        assert!(!verify("correct horsf", Some(&hash)).await.unwrap());
        assert!(!verify("correct horse", None).await.unwrap());
    }

    /// A flood of logins whose senders hang up would otherwise hash in all threads at once.
    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_slot() {
        let began = Arc::new(AtomicUsize::new(0));
        let (asked, ends): (Vec<_>, Vec<_>) = (0..4)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                let began = began.clone();
                let work = move || {
                    began.fetch_add(1, Ordering::Relaxed);
                    ended.recv().is_err()
                };
                (tokio::spawn(blocking(work)), end)
            })
            .unzip();
        while began.load(Ordering::Relaxed) < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for task in asked {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!(SLOTS.available_permits(), 0);
        drop(ends);
        drop(SLOTS.acquire().await.unwrap());
    }
}
