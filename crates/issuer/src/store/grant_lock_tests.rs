//! Tests of what takes a grant: each engine has statements of its own, and both come to the same.

use crate::{
    clock,
    store::{
        IssuedToken, NewRefreshToken, Redemption,
        test_stores::{self, Opened},
    },
};

const EXPIRES_AT: i64 = 9_000_000_000;

/// When something happened that happened while the test ran.
const NOW: i64 = -1;

const CODE: &[u8] = b"code";
const TOKEN: &[u8] = b"token";
const SUCCESSOR: &[u8] = b"successor";

/// What was done before, and what comes of it then.
const CASES: [(&str, Outcome); 9] = [
    ("UPDATE users SET name = 'Ada'", Outcome::Done),
    // Of others.
    ("UPDATE clients SET disabled_at = 5 WHERE id = 's'", Outcome::Done),
    ("UPDATE auth_codes SET consumed_at = 5", Outcome::TooLate),
    ("UPDATE auth_codes SET expires_at = 5", Outcome::TooLate),
    ("UPDATE refresh_tokens SET rotated_at = 5", Outcome::TooLate),
    ("UPDATE refresh_tokens SET expires_at = 5", Outcome::TooLate),
    ("UPDATE grants SET revoked_at = 5", Outcome::Ended),
    ("UPDATE users SET disabled_at = 5", Outcome::Ended),
    ("UPDATE clients SET disabled_at = 5 WHERE id = 'c'", Outcome::Ended),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    TooLate,
    Ended,
}

type RefreshToken =
    (Vec<u8>, String, i64, i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Option<String>);

/// All that is stored about grants.
type Tables = (
    Vec<(String, Option<i64>, Option<i64>)>,
    Vec<(Vec<u8>, String, i64, Option<i64>)>,
    Vec<RefreshToken>,
    Vec<(String, i64, Option<String>, i64, String)>,
);

/// Three grants: with a code, with a refresh token, and without either.
async fn begin(store: &Opened) {
    for table in [
        "DELETE FROM issued_tokens",
        "DELETE FROM users",
        "DELETE FROM clients",
        "DELETE FROM resources",
    ] {
        store.run(table).await;
    }
    store.fill().await;
    store
        .run(
            "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at) \
             VALUES ('g1', 'u', 'c', 'https://r', '', 0, 0), ('g2', 'u', 'c', 'https://r', '', 0, 0), \
             ('g3', 'u', 'c', 'https://r', '', 0, 0)",
        )
        .await;
    let code = "INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, challenge, \
                expires_at) VALUES ($1, 'g1', 'c', '', '', $2)";
    store.sql(code).bind(CODE).bind(EXPIRES_AT).execute().await.unwrap();
    let token = "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES ($1, 'g2', \
                 0, $2)";
    store.sql(token).bind(TOKEN).bind(EXPIRES_AT).execute().await.unwrap();
}

/// What came of a redemption, of a rotation, and of one more access token.
async fn take_each(store: &Opened) -> (Redemption, bool, bool) {
    let access_token = |status_index| IssuedToken {
        status_list: "l",
        status_index,
        general_scopes: "openid",
        expires_at: EXPIRES_AT,
    };
    let refresh_token = |hash, cnf| NewRefreshToken { hash, expires_at: EXPIRES_AT, cnf };
    let first = Some(refresh_token(b"first", Some("{}")));
    let redeemed = store.redeem_code(CODE, "g1", first, &access_token(1)).await.unwrap();
    let next = refresh_token(SUCCESSOR, None);
    let rotated = store.rotate(TOKEN, "g2", next, b"sealed", &access_token(2)).await.unwrap();
    let added = store.add_issued_token("g3", &access_token(3)).await.unwrap();
    (redeemed, rotated, added)
}

async fn tables(store: &Opened, began: i64) -> Tables {
    let at = |time: &mut Option<i64>| {
        // Not the times that were given, which are in the year 2255.
        *time = time.map(|at| if (began..EXPIRES_AT).contains(&at) { NOW } else { at });
    };
    let mut grants: Vec<(String, Option<i64>, Option<i64>)> =
        store.test_rows("SELECT id, last_used_at, revoked_at FROM grants ORDER BY id").await;
    grants.iter_mut().for_each(|row| at(&mut row.1));
    let mut codes: Vec<(Vec<u8>, String, i64, Option<i64>)> = store
        .test_rows("SELECT hash, grant_id, expires_at, consumed_at FROM auth_codes ORDER BY hash")
        .await;
    codes.iter_mut().for_each(|row| at(&mut row.3));
    let mut tokens: Vec<RefreshToken> = store
        .test_rows(
            "SELECT hash, grant_id, issued_at, expires_at, rotated_at, successor_hash, \
             successor_sealed, cnf FROM refresh_tokens ORDER BY hash",
        )
        .await;
    for row in &mut tokens {
        at(&mut row.4);
        if row.2 >= began {
            row.2 = NOW;
        }
    }
    let issued = store
        .test_rows(
            "SELECT status_list, status_index, grant_id, expires_at, general_scopes FROM \
             issued_tokens ORDER BY status_index",
        )
        .await;
    (grants, codes, tokens, issued)
}

#[tokio::test]
async fn both_engines_come_to_the_same() {
    let stores = test_stores::each().await;
    for (before, outcome) in CASES {
        let mut found = Vec::new();
        for store in &stores {
            begin(store).await;
            store.run(before).await;
            let began = clock::now();
            let was = tables(store, began).await;
            let came = take_each(store).await;
            let mut is = tables(store, began).await;
            if outcome == Outcome::TooLate {
                // PostgreSQL has taken the grant, by the same statement that came too late.
                is.0.iter_mut().for_each(|grant| grant.1 = None);
            }
            found.push((came, was, is));
        }
        let [ours, theirs] = &found[..] else { unreachable!() };
        assert_eq!(ours, theirs, "{before}");
        let (came, was, is) = ours;
        let is_code = before.contains("auth_codes");
        let expected = match outcome {
            Outcome::Done => (Redemption::Done, true, true),
            Outcome::Ended => (Redemption::Ended, false, false),
            Outcome::TooLate if is_code => (Redemption::TooLate, true, true),
            Outcome::TooLate => (Redemption::Done, false, true),
        };
        assert_eq!(*came, expected, "{before}");
        let issued: Vec<i64> = is.3.iter().map(|row| row.1).collect();
        match outcome {
            Outcome::Done => {
                assert_eq!(issued, [1, 2, 3]);
                assert_eq!(is.1[0].3, Some(NOW), "consumed");
                assert_eq!(is.2.len(), 3);
                assert!(is.2.iter().any(|row| row.0 == SUCCESSOR && row.2 == NOW));
            }
            Outcome::Ended => assert_eq!(is, was, "{before}"),
            Outcome::TooLate if is_code => {
                assert_eq!(issued, [2, 3]);
                assert_eq!(is.1, was.1);
                assert_eq!(is.2.len(), 2, "the successor alone");
            }
            Outcome::TooLate => {
                assert_eq!(issued, [1, 3]);
                assert_eq!(is.2.iter().find(|row| row.0 == TOKEN), was.2.first());
                assert_eq!(is.2.len(), 2, "that of the code alone");
            }
        }
    }
}
