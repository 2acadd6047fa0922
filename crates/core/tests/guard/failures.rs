//! Failed attempts are counted per client address; good clients are not locked out with bad ones.

use std::{net::IpAddr, ops::Range};

use countersign_core::guard::{Answer, Engine, Pending, RequestHead, Step};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::json;

use super::support::{
    KEY_1, KEY_2, code, engine, fetched, header, inline, load, response, token, verify,
};

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
    load(&mut engine, &[(KEY_1, "es1")], 10);
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &token().sign(), 10), "allow");
}

/// Keys that have to be fetched, and opaque tokens, of which each is asked about.
fn with_introspection(failures_per_minute: u64) -> Engine {
    let mut policy = fetched();
    policy["limits"] = json!({ "failures_per_minute": failures_per_minute });
    policy["issuers"][0]["introspection"] = json!({
        "endpoint": "https://auth.example.com/introspect", "client_id": "g", "client_secret": "s",
        "cache": 20,
    });
    let mut engine = engine(&policy);
    load(&mut engine, &[(KEY_1, "es1")], 100);
    engine
}

fn made_up(engine: &mut Engine, numbers: Range<u32>, now: u64) -> Vec<Step> {
    let one = |n| begin_from(engine, Some(ATTACKER), &format!("Bearer made-up-{n}"), now);
    numbers.map(one).collect()
}

/// Answers all questions alike, and resumes those who waited; how they come out.
fn answer(engine: &mut Engine, steps: Vec<Step>, answer: &str, now: u64) -> Vec<&'static str> {
    let questions = engine.due(now).into_iter().filter(|fetch| fetch.form.is_some());
    for question in questions {
        let _ = engine.fetched(question.id, Some((200, answer.as_bytes())), now);
    }
    let answered = steps.into_iter().map(|step| match step {
        Step::NeedIntrospection(pending) => engine.resume(pending, Answer::Fetched, now),
        step => step,
    });
    answered.map(|step| code(&step)).collect()
}

const INACTIVE: &str = r#"{"active":false}"#;

const ACTIVE: &str = r#"{"active":true,"aud":"https://mcp.example.com/mcp","sub":"ada","client_id":"app","scope":"mcp:use"}"#;

/// What came before the first failure was known: it is counted, and bounded.
#[test]
fn a_flood_that_comes_all_at_once() {
    for (limit, most) in [(60, 128), (200, 200)] {
        let mut engine = with_introspection(limit);
        let steps = made_up(&mut engine, 0..605, 100);
        let outcomes = answer(&mut engine, steps, INACTIVE, 100);
        assert!(outcomes[..most].iter().all(|outcome| *outcome == "token_inactive"));
        assert!(outcomes[most..].iter().all(|outcome| *outcome == "failures_excessive"));
        let again = made_up(&mut engine, 0..605, 100);
        assert!(again.into_iter().all(|step| response(step).status == 429));
        let new = token().claim("jti", "new").sign();
        assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 100), "failures_excessive");
        assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 101), "allow");
    }
}

/// A host may end a request without a word, and keep what it had of it: on Workers it does. No question
/// counts for longer than an answer may take.
#[test]
fn requests_that_are_never_resumed_lock_nobody_out() {
    let mut engine = with_introspection(60);
    let kept = made_up(&mut engine, 0..128, 100);
    assert!(kept.iter().all(|step| code(step) == "(introspection)"));
    assert_eq!(engine.due(100).len(), 128, "never answered");
    let excessive = made_up(&mut engine, 200..201, 100);
    assert_eq!(code(&excessive[0]), "failures_excessive");
    // From elsewhere, and signed ones from here, they come through.
    let other = begin_from(&mut engine, Some("192.0.2.2"), "Bearer other", 100);
    assert_eq!(code(&other), "(introspection)");
    assert_eq!(ask_from(&mut engine, Some(ATTACKER), &token().sign(), 100), "allow");
    let steps = made_up(&mut engine, 200..201, 120);
    assert_eq!(answer(&mut engine, steps, ACTIVE, 120), ["allow"]);
    drop(kept);
}

/// One question is one attempt, however many requests wait for its answer.
#[test]
fn a_crowd_with_one_opaque_token() {
    let mut engine = with_introspection(60);
    for now in [100, 120] {
        let steps: Vec<Step> = (0..200).flat_map(|_| made_up(&mut engine, 0..1, now)).collect();
        let questions = engine.due(now);
        let asked: Vec<_> = questions.iter().filter(|question| question.form.is_some()).collect();
        assert_eq!(asked.len(), 1);
        let _ = engine.fetched(asked[0].id, Some((200, ACTIVE.as_bytes())), now);
        assert_eq!(answer(&mut engine, steps, ACTIVE, now), ["allow"; 200]);
    }
}

/// 300 requests that wait for keys, and are resumed when these are there.
fn resumed_crowd(good: bool) -> (Engine, Vec<Pending>) {
    const KEY: TestKey = TestKey::Rs256;
    let mut policy = fetched();
    policy["limits"] = json!({ "failures_per_minute": 10 });
    let mut engine = engine(&policy);
    let parked: Vec<Step> = (0..300)
        .map(|number| {
            let text = token().key(KEY, "rs").claim("jti", number.to_string());
            let text = if good { text.sign() } else { text.with_signature(&[1; 256]) };
            begin_from(&mut engine, Some(ATTACKER), &format!("Bearer {text}"), 100)
        })
        .collect();
    load(&mut engine, &[(KEY, "rs")], 100);
    let parked = parked.into_iter().map(|step| match step {
        Step::NeedKeys(pending) => pending,
        step => panic!("{}", code(&step)),
    });
    (engine, parked.collect())
}

/// A host that verifies in its own time (WebCrypto) resumes all before it knows of one how it ends. Nobody's
/// good token is refused for that, and of bad ones a minute is charged.
#[test]
fn a_crowd_that_waited_for_keys_and_is_verified_later() {
    for good in [true, false] {
        let (mut engine, parked) = resumed_crowd(good);
        let mut resume = |pending| engine.resume(pending, Answer::Fetched, 100);
        let verifying: Vec<Step> = parked.into_iter().map(&mut resume).collect();
        let expected = if good { "allow" } else { "signature_invalid" };
        for step in verifying {
            assert_eq!(code(&step), "(signature)");
            assert_eq!(code(&verify(&mut engine, step, 100)), expected);
        }
        let new = token().key(TestKey::Rs256, "rs").sign();
        let expected = if good { "allow" } else { "failures_excessive" };
        assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 100), expected);
        assert_eq!(ask_from(&mut engine, Some(ATTACKER), &new, 106), "allow");
    }
}

/// Where each is verified before the next is resumed, bad ones that waited for keys buy no more signature
/// checks than if they came then.
#[test]
fn a_flood_that_waited_for_keys() {
    for good in [true, false] {
        let (mut engine, parked) = resumed_crowd(good);
        let mut checks = 0;
        for pending in parked {
            let step = engine.resume(pending, Answer::Fetched, 100);
            checks += u32::from(code(&step) == "(signature)");
            let outcome = code(&verify(&mut engine, step, 100));
            assert_eq!(outcome == "allow", good, "{outcome}");
        }
        assert_eq!(checks, if good { 300 } else { 10 });
    }
}
