//! Tests of what goes together on PostgreSQL: everybody has an answer of their own, whatever comes of the
//! others.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::super::{
    IssuedToken, NewCode, NewGrant, NewRefreshToken, Redemption, Store,
    test_stores::{self, Opened},
};
use crate::Error;

const EXPIRES_AT: i64 = 9_000_000_000;

/// Long for what waits for nobody, and less than the time that a lock is waited for.
pub(super) const SOON: Duration = Duration::from_secs(3);

/// A store with so many grants, `g0` and so on, each with a code `c0` and a refresh token `t0`.
pub(super) async fn with(count: i64) -> Opened {
    let [_, store] = test_stores::each().await;
    store.fill().await;
    for insert in [
        "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at) SELECT \
         'g' || i, 'u', 'c', 'https://r', 'scope' || i, 0, 0 FROM generate_series(0, $1 - 1) AS i",
        "INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, challenge, expires_at) \
         SELECT convert_to('c' || i, 'UTF8'), 'g' || i, 'c', '', '', 9000000000 FROM \
         generate_series(0, $1 - 1) AS i",
        "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) SELECT convert_to('t' || \
         i, 'UTF8'), 'g' || i, 0, 9000000000 FROM generate_series(0, $1 - 1) AS i",
    ] {
        store.sql(insert).bind(count).execute().await.unwrap();
    }
    store
}

fn access_token(place: u32, general_scopes: &str) -> IssuedToken<'_> {
    IssuedToken { status_list: "l", status_index: place, general_scopes, expires_at: EXPIRES_AT }
}

fn successor(hash: &[u8]) -> NewRefreshToken<'_> {
    NewRefreshToken { hash, expires_at: EXPIRES_AT, cnf: None }
}

/// Rotates the token of a grant; `place` is another one for each call.
pub(super) async fn rotate(store: &Store, grant: u32, place: u32) -> Result<bool, Error> {
    let (hash, id) = (format!("t{grant}"), format!("g{grant}"));
    let next = format!("n{place}");
    let access = access_token(place, "");
    store.rotate(hash.as_bytes(), &id, successor(next.as_bytes()), b"sealed", &access).await
}

async fn redeem(store: &Store, grant: u32, place: u32) -> Result<Redemption, Error> {
    let (hash, id) = (format!("c{grant}"), format!("g{grant}"));
    let next = format!("n{place}");
    let (first, access) = (successor(next.as_bytes()), access_token(place, ""));
    store.redeem_code(hash.as_bytes(), &id, Some(first), &access).await
}

/// Begins all of them before a flight does: on a runtime of one thread these tasks come first.
pub(super) async fn at_once<T: Send + 'static, F>(works: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let works: Vec<JoinHandle<T>> = works.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for work in works {
        done.push(work.await.unwrap());
    }
    done
}

/// Transactions that added access tokens.
async fn transactions(store: &Opened) -> i64 {
    store.number("SELECT COUNT(DISTINCT xmin::text) FROM issued_tokens").await
}

#[tokio::test]
async fn a_token_that_is_there_twice_is_rotated_once() {
    let store = with(3).await;
    let works = [0, 1, 0, 2, 0].into_iter().zip(0..);
    let works = works.map(|(grant, place)| {
        let store = Store::clone(&store);
        async move { (grant, rotate(&store, grant, place).await.unwrap()) }
    });
    let done = at_once(works).await;
    for grant in 0..3 {
        assert_eq!(done.iter().filter(|one| **one == (grant, true)).count(), 1, "{done:?}");
    }
    assert_eq!(transactions(&store).await, 1);
    assert_eq!(store.number("SELECT COUNT(*) FROM issued_tokens").await, 3);
    assert_eq!(store.number("SELECT COUNT(*) FROM refresh_tokens").await, 6);
    // Each with its own successor, and that with its own access token.
    let fit = "SELECT COUNT(*) FROM refresh_tokens AS token JOIN refresh_tokens AS next ON next.hash = \
               token.successor_hash AND next.grant_id = token.grant_id JOIN issued_tokens ON \
               convert_to('n' || status_index, 'UTF8') = next.hash AND issued_tokens.grant_id = \
               next.grant_id";
    assert_eq!(store.number(fit).await, 3);
}

#[tokio::test]
async fn a_code_that_is_there_twice_is_redeemed_once() {
    let store = with(2).await;
    let works = [0, 0, 1].into_iter().zip(0..);
    let works = works.map(|(grant, place)| {
        let store = Store::clone(&store);
        async move { redeem(&store, grant, place).await.unwrap() }
    });
    let done = at_once(works).await;
    let first: BTreeSet<String> = done[..2].iter().map(|one| format!("{one:?}")).collect();
    assert_eq!(first, BTreeSet::from(["Done".to_owned(), "TooLate".to_owned()]));
    assert_eq!(done[2], Redemption::Done);
    assert_eq!(transactions(&store).await, 1);
    assert_eq!(store.number("SELECT COUNT(*) FROM refresh_tokens").await, 4);
}

#[tokio::test]
async fn whoever_holds_a_grant_holds_up_nobody_else() {
    let store = with(4).await;
    let mut holding = store.begin().await.unwrap();
    holding.sql("UPDATE grants SET reason = '' WHERE id = 'g1'").execute().await.unwrap();
    let works = |grants: [u32; 2], first: u32| {
        let store = Store::clone(&store);
        let works = grants.into_iter().zip(first..).map(move |(grant, place)| {
            let store = store.clone();
            async move {
                let began = Instant::now();
                (rotate(&store, grant, place).await.unwrap(), began.elapsed())
            }
        });
        tokio::spawn(at_once(works))
    };
    let slow = works([1, 1], 0);
    for (done, took) in works([0, 2], 10).await.unwrap() {
        assert!(done && took < SOON, "{took:?}");
    }
    // Those who come later too.
    assert!(rotate(&store, 3, 20).await.unwrap());
    assert!(!slow.is_finished());
    holding.commit().await.unwrap();
    let done = slow.await.unwrap();
    assert_eq!(done.iter().filter(|(done, _)| *done).count(), 1, "{done:?}");
}

/// Who is revoked meanwhile is not served, and one who was revoked before is told so among others.
#[tokio::test]
async fn grants_that_are_over_have_nothing() {
    let store = with(4).await;
    store.run("UPDATE grants SET revoked_at = 5 WHERE id = 'g1'").await;
    let mut ending = store.begin().await.unwrap();
    ending.sql("UPDATE grants SET revoked_at = 5 WHERE id = 'g2'").execute().await.unwrap();
    let node = Store::clone(&store);
    let works = (0..4).map(move |grant| {
        let store = node.clone();
        async move {
            let redeemed = redeem(&store, grant, grant).await.unwrap();
            (redeemed, rotate(&store, grant, 10 + grant).await.unwrap())
        }
    });
    let works = tokio::spawn(at_once(works));
    sleep(Duration::from_millis(200)).await;
    ending.commit().await.unwrap();
    let (open, over) = ((Redemption::Done, true), (Redemption::Ended, false));
    assert_eq!(works.await.unwrap(), [open, over, over, open]);
    assert_eq!(store.number("SELECT COUNT(*) FROM issued_tokens").await, 4);
}

#[tokio::test]
async fn what_cannot_be_stored_harms_nobody_else() {
    let store = with(5).await;
    let works = (0..5).map(|grant| {
        let store = Store::clone(&store);
        async move {
            // PostgreSQL has no text with a NUL, and no second token of this hash.
            let scopes = if grant == 1 { "\0" } else { "" };
            let next = if grant == 3 { "t0".to_owned() } else { format!("n{grant}") };
            let (hash, id) = (format!("t{grant}"), format!("g{grant}"));
            let (next, access) = (successor(next.as_bytes()), access_token(grant, scopes));
            store.rotate(hash.as_bytes(), &id, next, b"sealed", &access).await.ok()
        }
    });
    let expected = [Some(true), None, Some(true), None, Some(true)];
    assert_eq!(at_once(works).await, expected);
    assert_eq!(store.number("SELECT COUNT(*) FROM issued_tokens").await, 3);
    // There is nothing to be found under such a name, and others find theirs.
    let names = ["a", "\0", "b"].map(|name| {
        let store = Store::clone(&store);
        async move { store.consented("u", "c", "https://r", name).await.unwrap() }
    });
    assert_eq!(at_once(names).await, [None, None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_their_own_answer() {
    const COUNT: u32 = 200;
    let store = with(COUNT.into()).await;
    let mut work = JoinSet::new();
    for index in 0..COUNT {
        let store = Store::clone(&store);
        work.spawn(async move {
            let (code, token) = (format!("c{index}"), format!("t{index}"));
            let (id, scopes) = (format!("g{index}"), format!("scope{index}"));
            for round in 1..4 {
                let row = store.code(code.as_bytes()).await.unwrap().unwrap();
                assert_eq!((&row.grant_id, &row.scopes), (&id, &scopes));
                let row = store.refresh_token(token.as_bytes()).await.unwrap().unwrap();
                assert_eq!((&row.grant_id, &row.scopes), (&id, &scopes));
                let none = format!("x{index}");
                assert!(store.refresh_token(none.as_bytes()).await.unwrap().is_none());
                assert_eq!(
                    redeem(&store, index, index).await.ok(),
                    match round {
                        1 => Some(Redemption::Done),
                        _ => Some(Redemption::TooLate),
                    }
                );
                // Every other one is used at the same time by somebody else too.
                let done = rotate(&store, index / 2, round * 1000 + index).await.unwrap();
                assert!(round == 1 || !done);
            }
        });
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.number("SELECT COUNT(*) FROM issued_tokens").await, i64::from(COUNT * 3 / 2));
    let wrong = "SELECT COUNT(*) FROM refresh_tokens AS token LEFT JOIN refresh_tokens AS next ON \
                 next.hash = token.successor_hash WHERE token.rotated_at IS NOT NULL AND \
                 (next.grant_id IS NULL OR next.grant_id <> token.grant_id)";
    assert_eq!(store.number(wrong).await, 0);
}

/// Two nodes, many grants each, in different orders, and somebody who ends users.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_do_not_stop_each_other() {
    const COUNT: u32 = 100;
    let store = with(COUNT.into()).await;
    let other = store.another().await;
    let mut work = JoinSet::new();
    for index in 0..2 * COUNT {
        let (store, grant) = match index % 2 {
            0 => (Store::clone(&store), index / 2),
            _ => (other.clone(), COUNT - 1 - index / 2),
        };
        work.spawn(async move { rotate(&store, grant, index).await.unwrap() });
    }
    let rotated = work.join_all().await.into_iter().filter(|done| *done).count();
    assert_eq!(rotated, COUNT as usize);
    let waited = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(store.number(waited).await, 0);
    other.close().await;
}

#[tokio::test]
async fn grants_are_made_together() {
    let store = with(0).await;
    store
        .run(
            "INSERT INTO users (id, name, name_key, password_hash, created_at, disabled_at) VALUES \
             ('over', 'o', 'o', '', 0, 5), ('slow', 's', 's', '', 0, NULL)",
        )
        .await;
    let mut holding = store.begin().await.unwrap();
    holding.sql("UPDATE users SET disabled_at = 5 WHERE id = 'slow'").execute().await.unwrap();
    let add = |(index, user): (usize, &'static str)| {
        let store = Store::clone(&store);
        async move {
            let (id, hash) = (format!("g{index}"), format!("c{index}"));
            let grant = NewGrant {
                id: &id,
                user_id: user,
                client_id: "c",
                resource: "https://r",
                scopes: user,
                nonce: None,
                auth_time: 0,
            };
            let code = NewCode {
                hash: hash.as_bytes(),
                redirect_uri: "",
                challenge: &id,
                dpop_jkt: None,
                lifetime: 60,
            };
            match store.add_grant(&grant, &code).await {
                Ok(()) => true,
                Err(Error::Ended) => false,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let slow = tokio::spawn(add((0, "slow")));
    let users = ["u", "over", "u", "u"];
    let began = Instant::now();
    let done = at_once(users.into_iter().enumerate().map(|(index, user)| add((index + 1, user))));
    assert_eq!(done.await, [true, false, true, true]);
    assert!(began.elapsed() < SOON);
    assert!(!slow.is_finished());
    holding.commit().await.unwrap();
    assert!(!slow.await.unwrap(), "the user was shut out meanwhile");
    let made = "SELECT COUNT(*) FROM grants JOIN auth_codes ON grant_id = id AND challenge = id AND hash \
                = convert_to(replace(id, 'g', 'c'), 'UTF8') AND user_id = 'u'";
    assert_eq!(store.number(made).await, 3);
    assert_eq!(store.number("SELECT COUNT(*) FROM grants").await, 3);
}
