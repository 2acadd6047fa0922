//! Failed attempts are counted per client address; good clients are not locked out with bad ones.

use std::net::IpAddr;

use countersign_core::guard::{Answer, Engine, RequestHead, Step};
use countersign_testkit::token::Token;
use serde_json::json;

use super::support::{KEY_2, code, engine, fetched, header, inline, load, response, token, verify};

const ATTACKER: &str = "192.0.2.1";

fn begin_from(engine: &mut Engine, client: Option<&str>, credentials: &str, now: u64) -> Step {
    let headers: [(&[u8], &[u8]); 2] =
        [(b"content-type", b"application/json"), (b"authorization", credentials.as_bytes())];
    let head = RequestHead {
        method: b"POST",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &headers,
        has_body: true,
        client: client.map(|client| client.parse::<IpAddr>().expect("an address")),
        certificate: None,
    };
    engine.begin(head, now)
}

fn ask_from(engine: &mut Engine, client: Option<&str>, token: &str, now: u64) -> &'static str {
    let step = begin_from(engine, client, &format!("Bearer {token}"), now);
    code(&verify(engine, step, now))
}

/// A token with a good form and a bad signature.
fn forged(number: u64) -> String {
    token().claim("jti", number.to_string()).with_signature(&[1; 64])
}

/// Ten failures a minute.
fn limited() -> Engine {
    let mut policy = inline();
    policy["limits"] = json!({ "failures_per_minute": 10 });
    engine(&policy)
}

#[test]
fn a_flood_buys_no_signature_checks() {
    let mut engine = limited();
    let good = token().sign();
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &good, 100), "allow");
    let mut checks = 0;
    for number in 0..1000 {
        let step =
            begin_from(&mut engine, Some(ATTACKER), &format!("Bearer {}", forged(number)), 100);
        checks += u32::from(code(&step) == "(signature)");
        let answer = response(verify(&mut engine, step, 100));
        assert!(matches!(answer.status, 401 | 429), "{}", answer.status);
    }
    assert_eq!(checks, 10);
    // Known tokens pass from the same address, new ones from any other.
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &good, 100), "allow");
    let new = token().claim("jti", "new").sign();
    assert_eq!(ask_from(&mut engine, Some("192.0.2.2"), &new, 100), "allow");
    // The flood is over: one attempt costs six seconds, and is good.
    let newer = token().claim("jti", "newer").sign();
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &newer, 100), "failures_excessive");
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &newer, 106), "allow");
}

/// RFC 6585 §4, RFC 9110 §10.2.3. No challenge: a client would answer it with a login.
#[test]
fn the_answer_says_when_to_come_back() {
    let mut engine = limited();
    for number in 0..10 {
        assert_eq!(
            ask_from(&mut engine, Some(ATTACKER), &forged(number), 100),
            "signature_invalid"
        );
    }
    let step = begin_from(&mut engine, Some(ATTACKER), &format!("Bearer {}", forged(10)), 102);
    let answer = response(step);
    assert_eq!(answer.status, 429);
    assert_eq!(header(&answer, "retry-after"), Some("4"));
    assert_eq!(header(&answer, "www-authenticate"), None);
}

#[test]
fn what_counts_and_what_does_not() {
    let at = |token: Token| token.sign();
    for (name, bad, counts) in [
        ("malformed", "abc".to_owned(), true),
        ("too large", "a".repeat(9000), true),
        ("signature", forged(1), true),
        ("key", token().key(KEY_2, "unknown").sign(), true),
        ("issuer", at(token().claim("iss", "https://evil.example")), true),
        ("audience", at(token().claim("aud", "https://other.example/")), true),
        ("type", at(token().header("typ", "JWT")), true),
        ("expired", at(token().claim("exp", 50)), false),
        ("scope", at(token().claim("scope", "other")), false),
        ("no token", String::new(), false),
    ] {
        let mut engine = limited();
        for _ in 0..20 {
            ask_from(&mut engine, Some(ATTACKER), &bad, 100);
        }
        let new = token().claim("jti", "new").sign();
        let expected = if counts { "failures_excessive" } else { "allow" };
        assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 100), expected, "{name}");
    }
}

/// A client that goes on with a token whose time is over costs one check, not one each time.
#[test]
fn an_expired_token_is_verified_once() {
    let mut engine = limited();
    let expired = token().claim("exp", 50).sign();
    assert_eq!(ask_from(&mut engine, None, &expired, 100), "token_expired");
    for now in [100, 101] {
        let step = begin_from(&mut engine, None, &format!("Bearer {expired}"), now);
        assert_eq!(code(&step), "token_expired");
    }
    // The clock was ahead: the token was never checked to the end, so it is now.
    assert_eq!(ask_from(&mut engine, None, &expired, 10), "allow");
    let step = begin_from(&mut engine, None, &format!("Bearer {expired}"), 10);
    assert_eq!(code(&step), "allow", "from the cache");
    // One that was good, and has become old.
    let good = token().claim("exp", 200).sign();
    assert_eq!(ask_from(&mut engine, None, &good, 100), "allow");
    let step = begin_from(&mut engine, None, &format!("Bearer {good}"), 200);
    assert_eq!(code(&step), "token_expired");
}

#[test]
fn no_address_or_no_limit_counts_nothing() {
    let mut unlimited = inline();
    unlimited["limits"] = json!({ "failures_per_minute": 0 });
    for (mut engine, client) in [(limited(), None), (engine(&unlimited), Some(ATTACKER))] {
        for number in 0..100 {
            assert_eq!(ask_from(&mut engine, client, &forged(number), 100), "signature_invalid");
        }
    }
}

/// Our own faults are nobody's failures.
#[test]
fn keys_out_of_reach_are_not_charged() {
    let mut policy = fetched();
    policy["limits"] = json!({ "failures_per_minute": 10 });
    let mut engine = engine(&policy);
    for number in 0..50 {
        let jti = format!("t{number}");
        let step = begin_from(
            &mut engine,
            Some(ATTACKER),
            &format!("Bearer {}", token().claim("jti", jti).sign()),
            10,
        );
        let Step::NeedKeys(pending) = step else { panic!("{}", code(&step)) };
        assert_eq!(code(&engine.resume(pending, Answer::GiveUp, 10)), "keys_unavailable");
    }
    load(&mut engine, &[(super::support::KEY_1, "es1")], 10);
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &token().sign(), 10), "allow");
}

/// What came before the first failure was known: it is counted, and bounded.
#[test]
fn a_flood_that_comes_all_at_once() {
    let mut policy = fetched();
    policy["limits"] = json!({ "failures_per_minute": 60 });
    policy["issuers"][0]["introspection"] = json!({
        "endpoint": "https://auth.example.com/introspect", "client_id": "g", "client_secret": "s",
    });
    // Opaque tokens, of which each is asked about.
    let mut engine = engine(&policy);
    load(&mut engine, &[(super::support::KEY_1, "es1")], 100);
    let flood = |engine: &mut Engine| -> Vec<Step> {
        let one = |n| begin_from(engine, Some(ATTACKER), &format!("Bearer made-up-{n}"), 100);
        (0..605).map(one).collect()
    };
    let steps = flood(&mut engine);
    let questions = engine.due(100);
    assert_eq!(questions.len(), 128);
    for question in questions {
        let _ = engine.fetched(question.id, Some((200, br#"{"active":false}"#)), 100);
    }
    let answered = steps.into_iter().map(|step| match step {
        Step::NeedIntrospection(pending) => engine.resume(pending, Answer::Fetched, 100),
        step => step,
    });
    let statuses: Vec<u16> = answered.map(|step| response(step).status).collect();
    assert!(statuses[..128].iter().all(|status| *status == 401));
    assert!(statuses[128..].iter().all(|status| *status == 429));
    assert!(flood(&mut engine).into_iter().all(|step| response(step).status == 429));
    let new = token().claim("jti", "new").sign();
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 100), "failures_excessive");
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 101), "allow");
}

/// Requests that wait for keys cost nothing yet, so good ones may come in any number; when the keys are
/// there, bad ones buy no more signature checks than if they came then.
#[test]
fn a_flood_that_waited_for_keys() {
    for good in [true, false] {
        let mut policy = fetched();
        policy["limits"] = json!({ "failures_per_minute": 10 });
        let mut engine = engine(&policy);
        let mut checks = 0;
        let parked: Vec<Step> = (0..300)
            .map(|number| {
                let jti = number.to_string();
                let text = if good { token().claim("jti", jti).sign() } else { forged(number) };
                begin_from(&mut engine, Some(ATTACKER), &format!("Bearer {text}"), 100)
            })
            .collect();
        load(&mut engine, &[(super::support::KEY_1, "es1")], 100);
        for step in parked {
            let Step::NeedKeys(pending) = step else { panic!("{}", code(&step)) };
            let step = engine.resume(pending, Answer::Fetched, 100);
            checks += u32::from(code(&step) == "(signature)");
            let outcome = code(&verify(&mut engine, step, 100));
            assert_eq!(outcome == "allow", good, "{outcome}");
        }
        assert_eq!(checks, if good { 300 } else { 10 });
    }
}
