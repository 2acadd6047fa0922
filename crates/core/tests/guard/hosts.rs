//! Hosts that park requests, give up, or answer what was not asked.

use countersign_core::guard::{Answer, Engine, Pending, Step};
use serde_json::json;

use super::support::{
    KEY_1, ask, begin, code, engine, fetched, header, inline, load, response, token, verify,
    with_rules,
};

const CALL: &[u8] =
    br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"}}"#;
const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn pending(step: Step) -> Pending {
    match step {
        Step::NeedBody(pending)
        | Step::NeedIntrospection(pending)
        | Step::NeedKeys(pending)
        | Step::NeedSignature(pending)
        | Step::NeedStatus(pending) => pending,
        Step::Forward(_) | Step::Respond(_) => {
            panic!("expected to be asked, found {}", code(&step))
        }
    }
}

fn at_keys() -> (Engine, Pending) {
    let mut engine = engine(&fetched());
    let pending = pending(begin(&mut engine, "/mcp", &token().sign(), 10));
    (engine, pending)
}

fn at_signature() -> (Engine, Pending) {
    let mut engine = engine(&inline());
    let pending = pending(begin(&mut engine, "/mcp", &token().sign(), 10));
    (engine, pending)
}

fn at_body() -> (Engine, Pending) {
    let mut engine = engine(&with_rules(inline()));
    let step = begin(&mut engine, "/mcp", &token().sign(), 10);
    let pending = pending(verify(&mut engine, step, 10));
    (engine, pending)
}

/// Other requests come and go, and the key set with them, while one waits.
#[test]
fn a_parked_request_goes_on_where_it_stopped() {
    let mut engine = engine(&with_rules(fetched()));
    let good = token().sign();
    let forged = token().with_signature(&[1; 64]);
    let first = pending(begin(&mut engine, "/mcp", &good, 10));
    let second = pending(begin(&mut engine, "/mcp", &forged, 10));
    load(&mut engine, &[(KEY_1, "es1")], 11);
    let second = engine.resume(second, Answer::Fetched, 11);
    let third = begin(&mut engine, "/mcp", &good, 11);
    assert_eq!(code(&verify(&mut engine, second, 11)), "signature_invalid");
    let first = engine.resume(first, Answer::Fetched, 12);
    let first = pending(verify(&mut engine, first, 12));
    let third = pending(verify(&mut engine, third, 12));
    assert_eq!(code(&engine.resume(third, Answer::Body(LIST), 13)), "allow");
    assert_eq!(code(&engine.resume(first, Answer::Body(CALL), 13)), "allow");
}

/// It is the time of the decision that counts, not the time of arrival.
#[test]
fn a_token_can_expire_while_its_request_waits() {
    let mut engine = engine(&fetched());
    let token = token().claim("exp", 20).sign();
    let waiting = pending(begin(&mut engine, "/mcp", &token, 19));
    load(&mut engine, &[(KEY_1, "es1")], 20);
    let step = engine.resume(waiting, Answer::Fetched, 20);
    assert_eq!(code(&verify(&mut engine, step, 20)), "token_expired");
}

#[test]
fn a_body_over_the_limit_is_413() {
    let (mut engine, pending) = at_body();
    let response = response(engine.resume(pending, Answer::BodyTooLarge, 10));
    assert_eq!((response.status, response.decision.code()), (413, "body_too_large"));
    assert_eq!(header(&response, "www-authenticate"), None);
    // A host that counts wrongly is not believed.
    let mut policy = with_rules(inline());
    policy["limits"] = json!({ "body_bytes": 1024 });
    for (length, expected) in [(1024, "allow"), (1025, "body_too_large")] {
        let mut engine = super::support::engine(&policy);
        let step = begin(&mut engine, "/mcp", &token().sign(), 10);
        let pending = self::pending(verify(&mut engine, step, 10));
        let mut body = LIST.to_vec();
        body.resize(length, b' ');
        assert_eq!(code(&engine.resume(pending, Answer::Body(&body), 10)), expected, "{length}");
    }
}

/// Each part is answered: read on, or refused at once.
#[test]
fn a_body_in_parts() {
    let part =
        |engine: &mut Engine, reading, part| engine.resume(reading, Answer::BodyPart(part), 10);
    let (mut engine, mut reading) = at_body();
    for byte in CALL.chunks(1) {
        let step = part(&mut engine, reading, byte);
        assert!(matches!(step, Step::NeedBody(_)), "nothing is decided before the end");
        reading = pending(step);
        assert!(reading.early_forward().is_some());
    }
    assert_eq!(code(&engine.resume(reading, Answer::Body(b"\n"), 10)), "allow");

    for (first, expected) in [
        (&b"["[..], "batch_unsupported"),
        (b"\xef\xbb\xbf", "message_malformed"),
        (b"{\"jsonrpc\":\"2.0\",\"Method\"", "message_malformed"),
        (b"{\"jsonrpc\":1", "message_malformed"),
        (b"{}{", "message_malformed"),
        (b"{\"id\":[", "message_malformed"),
    ] {
        let (mut engine, reading) = at_body();
        assert_eq!(code(&part(&mut engine, reading, first)), expected);
    }
}

#[test]
fn a_body_that_ends_too_soon_or_never() {
    let (mut engine, reading) = at_body();
    let step = engine.resume(reading, Answer::BodyPart(&CALL[..20]), 10);
    assert_eq!(code(&engine.resume(pending(step), Answer::Body(b""), 10)), "message_malformed");

    let mut policy = with_rules(inline());
    policy["limits"] = json!({ "body_bytes": 1024 });
    let mut engine = super::support::engine(&policy);
    let step = begin(&mut engine, "/mcp", &token().sign(), 10);
    let mut step = verify(&mut engine, step, 10);
    for read in (100..).step_by(100) {
        step = engine.resume(pending(step), Answer::BodyPart(&[b' '; 100]), 10);
        if read > 1024 {
            break;
        }
        assert_eq!(code(&step), "(body)", "{read}");
    }
    let response = response(step);
    assert_eq!((response.status, response.decision.code()), (413, "body_too_large"));

    // The token's time is over before the body's end.
    let (mut engine, reading) = at_body();
    let step = engine.resume(reading, Answer::BodyPart(&CALL[..20]), 99_999);
    let step = engine.resume(pending(step), Answer::BodyPart(&CALL[20..30]), 100_000);
    assert_eq!(code(&step), "token_expired");
}

#[test]
fn a_body_that_cannot_be_right_is_let_through_in_shadow_mode_at_once() {
    let mut policy = with_rules(inline());
    policy["resources"][0]["mode"] = json!("shadow");
    let mut engine = engine(&policy);
    let step = begin(&mut engine, "/mcp", &token().sign(), 10);
    let step = verify(&mut engine, step, 10);
    let step = engine.resume(pending(step), Answer::BodyPart(b"[1"), 10);
    let Step::Forward(forward) = step else { panic!("{}", code(&step)) };
    assert_eq!(forward.decision.code(), "batch_unsupported");
    assert!(forward.identity.is_none() && forward.set.is_empty());
}

#[test]
fn other_steps_have_no_early_headers() {
    for (_, pending) in [at_keys(), at_signature()] {
        assert!(pending.early_forward().is_none());
    }
    let (_, pending) = at_keys();
    assert!(pending.signature().is_none());
}

/// What must hold of the credentials is checked before anybody is asked for anything.
#[test]
fn nothing_is_asked_for_a_token_that_cannot_be_right() {
    let mut engine = engine(&fetched());
    let many = "x".repeat(9000);
    for (token, expected) in [
        (many, "token_too_large"),
        ("opaque".to_owned(), "token_malformed"),
        (token().header("alg", "none").sign(), "algorithm_unsupported"),
        (token().header("typ", "JWT").sign(), "token_type_unsupported"),
        (token().claim("iss", "https://evil.example").sign(), "issuer_unknown"),
        (token().claim("exp", "never").sign(), "claim_malformed"),
    ] {
        assert_eq!(ask(&mut engine, &token, 10), expected);
    }
}

/// Nobody has to send a body only to learn that the token lacks even the baseline.
#[test]
fn no_body_is_read_for_a_caller_without_the_baseline() {
    let mut engine = engine(&with_rules(inline()));
    assert_eq!(ask(&mut engine, &token().claim("scope", "other").sign(), 10), "scope_insufficient");
}
