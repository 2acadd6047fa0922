//! A clock that jumps. While it is wrong, nobody can tell a good token from an old one, and nothing more is
//! let in than the times in tokens allow. When it is right again everything goes on: keys, lists and answers
//! that were fetched in a time that has not come yet are fetched again, and pauses do not last until then.

use countersign_core::guard::{Answer, Engine, Step};
use countersign_testkit::{
    keys::TestKey,
    status::{TestList, reference},
    token::Token,
};
use serde_json::{Value, json};

use super::support::{
    ISSUER, KEY_1, KEY_2, RESOURCE, ask, begin, code, due, engine, fetched, inline, key_set, load,
    token, verify,
};

/// A right time, and a wrong one, a lifetime ahead.
const NOW: u64 = 50_000;
const AHEAD: u64 = 3_000_000_000;
/// After all of them.
const LATE: u64 = 3_100_000_000;

/// Fetches what is due, at this second, and answers it with this key set.
fn answer_all(engine: &mut Engine, keys: &[u8], now: u64) -> usize {
    let due = engine.due(now);
    for fetch in &due {
        let _ = engine.fetched(fetch.id, Some((200, keys)), now);
    }
    due.len()
}

#[test]
fn keys_of_the_future_are_fetched_again() {
    let mut engine = engine(&fetched());
    load(&mut engine, &[(KEY_1, "es1")], AHEAD);
    assert_eq!(ask(&mut engine, &token().sign(), AHEAD), "token_expired");
    // The clock is right again, and the issuer has another key since long.
    let new = token().key(KEY_2, "es2").sign();
    let keys = key_set(&[(KEY_2, "es2")]);
    assert_eq!(answer_all(&mut engine, &keys, NOW), 1, "at once");
    assert_eq!(ask(&mut engine, &new, NOW), "allow");
    let old = token().claim("jti", "other").sign();
    assert_eq!(ask(&mut engine, &old, NOW), "key_unknown", "no key for ever");
    assert_eq!(engine.health(NOW).issuers[0].age, Some(0));
    for now in NOW..NOW + 100 {
        assert_eq!(answer_all(&mut engine, &keys, now), 0, "and fresh from then on");
    }
}

/// An issuer that is down just then: its keys go on, not longer than others that became old.
#[test]
fn keys_of_the_future_do_not_outlive_their_ceiling() {
    let mut engine = engine(&fetched());
    load(&mut engine, &[(KEY_1, "es1")], AHEAD);
    let mut usable = 0;
    for now in NOW..NOW + 2000 {
        for fetch in engine.due(now) {
            let _ = engine.fetched(fetch.id, None, now);
        }
        usable += u64::from(engine.health(now).issuers[0].usable);
    }
    assert_eq!(usable, 900, "stale less fresh");
}

#[test]
fn pauses_do_not_last_until_then() {
    let mut engine = engine(&fetched());
    for now in AHEAD..AHEAD + 60 {
        for fetch in engine.due(now) {
            let _ = engine.fetched(fetch.id, None, now);
        }
    }
    let good = token().sign();
    let mut waited = 0;
    while ask(&mut engine, &good, NOW + waited) != "allow" {
        answer_all(&mut engine, &key_set(&[(KEY_1, "es1")]), NOW + waited);
        waited += 1;
        assert!(waited <= 32, "still waiting");
    }
}

/// A host that lost an answer while the clock was wrong.
#[test]
fn a_lost_answer_of_the_future_is_given_up() {
    let mut engine = engine(&fetched());
    let _lost = due(&mut engine, AHEAD);
    let given_up = (NOW..NOW + 30).find(|now| !engine.due(*now).is_empty());
    assert!(given_up.is_some_and(|now| now <= NOW + 11), "{given_up:?}");
}

/// Each turn of the clock costs one fetch, however many requests there are.
#[test]
fn a_clock_that_flaps_is_no_flood() {
    let mut engine = engine(&fetched());
    let keys = key_set(&[(KEY_1, "es1")]);
    let mut fetches = 0;
    for round in 0..100_u64 {
        let now = if round % 2 == 0 { NOW + round } else { NOW + round - 40_000 };
        for number in 0..20 {
            let unknown = token().key(KEY_2, &format!("unknown-{number}")).sign();
            let _ = begin(&mut engine, "/mcp", &unknown, now);
            fetches += answer_all(&mut engine, &keys, now);
        }
    }
    assert!((2..=200).contains(&fetches), "{fetches} for a hundred turns and 2000 requests");
}

#[test]
fn jumps_of_every_size_end_with_good_tokens_let_in() {
    for size in [1, 2, 29, 31, 99, 101, 999, 1001, 3600, 40_000, 86_400, AHEAD] {
        for first in [NOW.saturating_add(size), NOW.saturating_sub(size).max(1)] {
            let mut engine = engine(&fetched());
            let keys = key_set(&[(KEY_1, "es1")]);
            for now in [NOW, NOW + 1, first, first + 1, NOW + 2] {
                let forged =
                    token().key(TestKey::Es256(9), "es1").claim("jti", now.to_string()).sign();
                assert_ne!(ask(&mut engine, &forged, now), "allow", "{size} at {now}");
                answer_all(&mut engine, &keys, now);
            }
            let good = token().claim("jti", "new").sign();
            let after = (NOW + 3..NOW + 40).find(|now| {
                answer_all(&mut engine, &keys, *now);
                ask(&mut engine, &good, *now) == "allow"
            });
            assert_eq!(after, Some(NOW + 3), "after a jump of {size} to {first}");
        }
    }
}

const LIST: &str = "https://auth.example.com/status/1";

/// Answers the fetch of the list.
fn serve(engine: &mut Engine, list: &TestList, now: u64) -> usize {
    let due = engine.due(now);
    for fetch in &due {
        let _ = engine.fetched(fetch.id, Some((200, list.clone().sign().as_bytes())), now);
    }
    due.len()
}

/// Also one that says nothing of its end.
#[test]
fn a_status_list_of_the_future_is_fetched_again() {
    for ends in [json!(null), json!(LATE)] {
        let list = |revoked: &[usize]| {
            TestList::new(LIST, revoked).claim("iat", 1).claim("exp", ends.clone()).claim("ttl", 60)
        };
        let mut policy = inline();
        policy["issuers"][0]["max_lifetime"] = 3_155_760_000_u64.into();
        let mut engine = engine(&policy);
        let token = token().claim("exp", LATE).claim("status", reference(LIST, 5)).sign();
        assert_eq!(ask(&mut engine, &token, AHEAD), "(status)");
        serve(&mut engine, &list(&[]), AHEAD);
        assert_eq!(ask(&mut engine, &token, AHEAD), "allow");
        // Back, and revoked.
        let now = NOW;
        assert_eq!(serve(&mut engine, &list(&[5]), now), 1, "at once: {ends}");
        assert_eq!(ask(&mut engine, &token, now), "token_revoked");
        assert_eq!(serve(&mut engine, &list(&[5]), now + 59), 0);
        assert_eq!(serve(&mut engine, &list(&[5]), now + 60), 1);
    }
}

/// Where lists are out of reach while the clock is wrong, and the issuer's own list of them.
#[test]
fn failures_to_fetch_lists_do_not_last_until_then() {
    let mut policy = inline();
    policy["issuers"][0]["cluster"] = "auth".into();
    policy["issuers"][0]["max_lifetime"] = 3_155_760_000_u64.into();
    policy["issuers"][0]["status_aggregation"] = "https://auth.example.com/lists".into();
    let mut engine = engine(&policy);
    let token = token().claim("exp", LATE).claim("status", reference(LIST, 5)).sign();
    for now in AHEAD..AHEAD + 60 {
        let _ = ask(&mut engine, &token, now);
        for fetch in engine.due(now) {
            let _ = engine.fetched(fetch.id, None, now);
        }
    }
    let mut asked = 0;
    let allowed = (NOW..NOW + 40).find(|now| {
        for fetch in engine.due(*now) {
            asked += usize::from(fetch.url.ends_with("/lists"));
            let body = match fetch.url.as_str() {
                LIST => TestList::new(LIST, &[]).sign(),
                _ => json!({ "status_lists": [LIST] }).to_string(),
            };
            let _ = engine.fetched(fetch.id, Some((200, body.as_bytes())), *now);
        }
        ask(&mut engine, &token, *now) == "allow"
    });
    assert!(allowed.is_some(), "still not");
    assert!(asked >= 1, "the issuer's list of lists is asked for again");
}

fn with_introspection() -> Value {
    let mut policy = inline();
    policy["issuers"][0]["introspection"] = json!({
        "endpoint": "https://auth.example.com/introspect",
        "client_id": "app", "client_secret": "s", "cache": 20,
    });
    policy["issuers"][0]["cluster"] = "auth".into();
    policy
}

/// Asks about an opaque token; how it comes out, and whether the issuer was asked.
fn inquire(engine: &mut Engine, answer: Option<&Value>, now: u64) -> (&'static str, bool) {
    match begin(engine, "/mcp", "opaque", now) {
        Step::NeedIntrospection(pending) => {
            let body = answer.map(ToString::to_string);
            for fetch in engine.due(now) {
                let answer = body.as_ref().map(|body| (200, body.as_bytes()));
                let _ = engine.fetched(fetch.id, answer, now);
            }
            let step = engine.resume(pending, Answer::Fetched, now);
            (code(&verify(engine, step, now)), true)
        }
        step => (code(&step), false),
    }
}

#[test]
fn answers_about_opaque_tokens_do_not_last_until_then() {
    let active = json!({
        "active": true, "aud": RESOURCE, "iss": ISSUER, "sub": "ada", "client_id": "app", "scope": "mcp:use",
    });
    let expiring = json!({
        "active": true, "aud": RESOURCE, "sub": "ada", "client_id": "app", "scope": "mcp:use", "exp": 90_000,
    });
    let inactive = json!({ "active": false });
    let mut engine = engine(&with_introspection());
    assert_eq!(inquire(&mut engine, Some(&active), AHEAD), ("allow", true));
    assert_eq!(inquire(&mut engine, Some(&inactive), NOW), ("token_inactive", true));
    // What was found to be over.
    let mut engine = super::support::engine(&with_introspection());
    assert_eq!(inquire(&mut engine, Some(&expiring), AHEAD), ("token_expired", true));
    assert_eq!(inquire(&mut engine, Some(&expiring), NOW), ("allow", true));
    // And where nobody answered.
    let mut engine = super::support::engine(&with_introspection());
    assert_eq!(inquire(&mut engine, None, AHEAD), ("introspection_unavailable", true));
    let allowed = (NOW..NOW + 5).find(|now| inquire(&mut engine, Some(&active), *now).0 == "allow");
    assert!(allowed.is_some(), "still not");
    // A question whose answer was lost.
    let mut engine = super::support::engine(&with_introspection());
    let _ = begin(&mut engine, "/mcp", "opaque", AHEAD);
    assert_eq!(engine.due(AHEAD).len(), 1);
    let allowed =
        (NOW..NOW + 15).find(|now| inquire(&mut engine, Some(&active), *now).0 == "allow");
    assert!(allowed.is_some(), "still not");
}

/// The times in tokens are what they are: nothing is let in that its issuer did not allow at that second.
#[test]
fn a_wrong_clock_lets_nothing_more_in() {
    let mut engine = engine(&inline());
    let token = Token::new(ISSUER, RESOURCE).claim("iat", 1000).claim("exp", 2000);
    let of = |jti: u64| token.clone().claim("jti", jti.to_string()).sign();
    assert_eq!(ask(&mut engine, &of(1), 1500), "allow");
    for (jti, now, expected) in [
        (1, 999, "token_not_yet_valid"),
        (2, 999, "token_not_yet_valid"),
        (1, 1000, "allow"),
        (1, 2000, "token_expired"),
        (2, 2000, "token_expired"),
        (3, 1999, "allow"),
    ] {
        assert_eq!(ask(&mut engine, &of(jti), now), expected, "{jti} at {now}");
    }
}

/// Whatever was found out about a token while the clock was wrong: when it is right, the token is worth what it
/// would be worth to an engine that never saw it.
#[test]
fn a_wrong_clock_leaves_nothing_behind() {
    let of = |iat: u64, exp: u64| Token::new(ISSUER, RESOURCE).claim("iat", iat).claim("exp", exp);
    let tokens = [
        of(1000, 2000),
        of(1000, 2000).claim("nbf", 1500),
        of(1500, 2000).claim("nbf", 1000),
        // Never good, and why depends on the time.
        of(1000, 2000).claim("nbf", 2500),
        of(1000, 2_000_000),
        of(1000, 2000).claim("client_id", Value::Null),
        of(1000, 2000).claim("aud", "https://elsewhere.example.com"),
    ];
    let times = [999, 1000, 1499, 1500, 1999, 2000, 2500];
    let mut forgetful = inline();
    forgetful["limits"] = json!({ "cached_tokens": 0 });
    let (mut fresh, mut remembering) = (engine(&forgetful), engine(&inline()));
    for token in tokens {
        for first in times {
            for second in times {
                let token = token.clone().claim("jti", format!("{first} {second}")).sign();
                for now in [first, second, first] {
                    let expected = ask(&mut fresh, &token, now);
                    let found = ask(&mut remembering, &token, now);
                    assert_eq!(found, expected, "first at {first}, then at {second}: at {now}");
                }
            }
        }
    }
}
