//! Every edge of a token's time, second by second (RFC 7519 §4.1.4 to §4.1.6, RFC 9068 §4).

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::support::{ask, engine, inline, token};

const LEEWAYS: [u64; 2] = [0, 30];

fn policy(leeway: u64) -> Value {
    let mut policy = inline();
    policy["leeway"] = leeway.into();
    policy
}

fn around(second: u64) -> RangeInclusive<u64> {
    second - 3..=second + 3
}

/// Asks a new engine at each second, and one that may remember: also when time goes back.
fn check(
    leeway: u64,
    token: &str,
    seconds: RangeInclusive<u64>,
    expected: impl Fn(u64) -> &'static str,
) {
    let mut remembering = engine(&policy(leeway));
    for now in seconds.clone() {
        assert_eq!(ask(&mut engine(&policy(leeway)), token, now), expected(now), "at {now}");
        assert_eq!(ask(&mut remembering, token, now), expected(now), "again, at {now}");
    }
    for now in seconds.rev() {
        assert_eq!(ask(&mut remembering, token, now), expected(now), "back, at {now}");
    }
}

#[test]
fn expiry() {
    // 1999.5 is over at the same whole second as 2000.
    for exp in [json!(2000), json!(2000.0), json!(1999.5)] {
        let token = token().claim("iat", 1000).claim("exp", exp).sign();
        for leeway in LEEWAYS {
            let end = 2000 + leeway;
            check(
                leeway,
                &token,
                around(end),
                |now| {
                    if now < end { "allow" } else { "token_expired" }
                },
            );
        }
    }
}

#[test]
fn not_before() {
    for (nbf, start) in [(json!(1500), 1500), (json!(1500.5), 1501)] {
        let token = token().claim("iat", 1000).claim("nbf", nbf).sign();
        for leeway in LEEWAYS {
            let start = start - leeway;
            check(leeway, &token, around(start), |now| {
                if now >= start { "allow" } else { "token_not_yet_valid" }
            });
        }
    }
}

#[test]
fn issued_at() {
    let token = token().claim("iat", 1000).sign();
    for leeway in LEEWAYS {
        let start = 1000 - leeway;
        check(leeway, &token, around(start), |now| {
            if now >= start { "allow" } else { "token_not_yet_valid" }
        });
    }
}

/// Leeway is for clocks; it makes no lifetime longer.
#[test]
fn longest_lifetime() {
    for leeway in LEEWAYS {
        let mut policy = policy(leeway);
        policy["issuers"][0]["max_lifetime"] = json!(3600);
        for (exp, expected) in [
            (4599, "allow"),
            (4600, "allow"),
            (4601, "token_lifetime_excessive"),
            (99_999, "token_lifetime_excessive"),
        ] {
            let token = token().claim("iat", 1000).claim("exp", exp).sign();
            assert_eq!(ask(&mut engine(&policy), &token, 1500), expected, "exp {exp}");
        }
    }
}

#[test]
fn the_ends_of_time() {
    for leeway in LEEWAYS {
        let mut engine = engine(&policy(leeway));
        let token = token().claim("iat", 1000).sign();
        assert_eq!(ask(&mut engine, &token, 0), "token_not_yet_valid");
        assert_eq!(ask(&mut engine, &token, u64::MAX), "token_expired");
        // The year 9999 is the last one.
        let last = super::support::token()
            .claim("iat", 253_402_300_000_u64)
            .claim("exp", 253_402_300_799_u64);
        assert_eq!(ask(&mut engine, &last.sign(), 253_402_300_798), "allow");
        assert_eq!(
            ask(&mut engine, &last.claim("exp", 253_402_300_800_u64).sign(), 1),
            "claim_malformed"
        );
    }
}
