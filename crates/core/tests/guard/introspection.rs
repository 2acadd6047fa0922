//! Opaque tokens over several requests (RFC 7662): when the issuer is asked, and how seldom. What one
//! request can show stands in `tests/vectors/guard.json`.

use std::net::IpAddr;

use countersign_core::guard::{Answer, Engine, Fetch, RequestHead, Step};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

use super::support::{ISSUER, RESOURCE, ask, code, engine, inline};

const ENDPOINT: &str = "https://auth.example.com/introspect";

fn policy() -> Value {
    let mut policy = inline();
    policy["issuers"][0]["introspection"] = json!({
        "endpoint": ENDPOINT, "client_id": "app:1", "client_secret": "ä", "cache": 20,
    });
    policy["issuers"][0]["cluster"] = "auth".into();
    policy
}

fn active() -> Value {
    json!({
        "active": true, "aud": RESOURCE, "sub": "ada", "client_id": "app", "scope": "mcp:use",
    })
}

/// Asks, and answers what the issuer is asked; how it comes out, and the questions.
fn ask_with(engine: &mut Engine, token: &str, answer: &Value, now: u64) -> (String, Vec<Fetch>) {
    let step = super::support::begin(engine, "/mcp", token, now);
    let Step::NeedIntrospection(pending) = step else {
        return (code(&step).to_owned(), Vec::new());
    };
    let due = engine.due(now);
    for fetch in &due {
        let body = answer.to_string();
        let answer = (!answer.is_null()).then_some((200, body.as_bytes()));
        let _ = engine.fetched(fetch.id, answer, now);
    }
    (code(&engine.resume(pending, Answer::Fetched, now)).to_owned(), due)
}

#[test]
fn the_question() {
    let mut engine = engine(&policy());
    let (outcome, due) = ask_with(&mut engine, "a+b/c", &active(), 100);
    assert_eq!(outcome, "allow");
    let [fetch] = &due[..] else { panic!("one question: {due:?}") };
    assert_eq!((fetch.url.as_str(), fetch.cluster.as_deref()), (ENDPOINT, Some("auth")));
    let form = fetch.form.as_ref().expect("a form");
    assert_eq!(form.body, "token=a%2Bb%2Fc&token_type_hint=access_token");
    // RFC 6749 §2.3.1: form-encoded, then base64 of "app%3A1:%C3%A4".
    assert_eq!(form.authorization, "Basic YXBwJTNBMTolQzMlQTQ=");
    let shown = format!("{due:?}");
    assert!(!shown.contains("a%2Bb") && !shown.contains("Basic"), "{shown}");
    let step = super::support::begin(&mut engine, "/mcp", "other-token", 100);
    assert!(!format!("{step:?}").contains("other-token"), "{step:?}");
}

/// RFC 7662 §4: an answer is used for a while, and no longer than it says.
#[test]
fn an_answer_is_remembered_for_its_time() {
    let mut engine = engine(&policy());
    assert_eq!(ask_with(&mut engine, "good", &active(), 100).1.len(), 1);
    for now in [100, 101, 119] {
        assert_eq!(ask(&mut engine, "good", now), "allow", "{now}");
    }
    let inactive = json!({ "active": false });
    let (outcome, due) = ask_with(&mut engine, "good", &inactive, 120);
    assert_eq!((outcome.as_str(), due.len()), ("token_inactive", 1), "revoked meanwhile");
    for now in [120, 139] {
        assert_eq!(ask(&mut engine, "good", now), "token_inactive", "{now}");
    }
    assert_eq!(ask(&mut engine, "good", 140), "(introspection)");

    let mut short = active();
    short["exp"] = 205.into();
    assert_eq!(ask_with(&mut engine, "short", &short, 200).0, "allow");
    assert_eq!(ask(&mut engine, "short", 204), "allow");
    let (outcome, due) = ask_with(&mut engine, "short", &short, 205);
    assert_eq!((outcome.as_str(), due.len()), ("token_expired", 1));
}

#[test]
fn requests_with_one_token_share_a_question() {
    let mut engine = engine(&policy());
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let step = super::support::begin(&mut engine, "/mcp", "good", 100);
        let Step::NeedIntrospection(pending) = step else { panic!("{}", code(&step)) };
        waiting.push(pending);
    }
    let due = engine.due(100);
    assert_eq!(due.len(), 1);
    let body = active().to_string();
    assert_eq!(engine.fetched(due[0].id, Some((200, body.as_bytes())), 101), None);
    for pending in waiting {
        assert_eq!(code(&engine.resume(pending, Answer::Fetched, 101)), "allow");
    }
    assert_eq!(engine.due(101), []);
}

/// Nobody's answer is taken for another's.
#[test]
fn answers_belong_to_their_token_and_resource() {
    let mut engine = engine(&policy());
    let begin = super::support::begin;
    let one = begin(&mut engine, "/mcp", "one", 100);
    let two = begin(&mut engine, "/mcp", "two", 100);
    let due = engine.due(100);
    assert_eq!(due.len(), 2);
    let is_one = |fetch: &&Fetch| fetch.form.as_ref().is_some_and(|f| f.body.contains("one"));
    let first = due.iter().find(is_one).expect("the first question");
    let body = active().to_string();
    assert_eq!(engine.fetched(first.id, Some((200, body.as_bytes())), 100), None);
    let (Step::NeedIntrospection(one), Step::NeedIntrospection(two)) = (one, two) else { panic!() };
    assert_eq!(code(&engine.resume(two, Answer::Fetched, 100)), "(introspection)");
    assert_eq!(code(&engine.resume(one, Answer::Fetched, 100)), "allow");
    // The same token at another resource is asked about again: who it is for is to be checked there.
    assert_eq!(code(&begin(&mut engine, "/other", "one", 100)), "(introspection)");
}

/// RFC 7662 is a call for each token that anybody makes up: there are never more than so many.
#[test]
fn a_flood_is_bounded() {
    let mut engine = engine(&policy());
    let waits = |engine: &mut Engine, number: u32, now| {
        let step = super::support::begin(engine, "/mcp", &format!("made-up-{number}"), now);
        matches!(step, Step::NeedIntrospection(_))
    };
    assert_eq!((0..1000).filter(|number| waits(&mut engine, *number, 100)).count(), 256);
    assert_eq!(engine.due(100).len(), 256);
    assert_eq!(engine.due(100).len(), 0);
    // Nobody answers: after a while there is room again.
    assert!(!waits(&mut engine, 2000, 109));
    assert!(waits(&mut engine, 2001, 110));
}

/// Who is answered takes no room any longer, whether anybody came for the answer or not.
#[test]
fn answered_questions_take_no_room() {
    let mut engine = engine(&policy());
    for number in 0..1000 {
        let step = super::support::begin(&mut engine, "/mcp", &format!("made-up-{number}"), 100);
        assert_eq!(code(&step), "(introspection)", "{number}");
        for fetch in engine.due(100) {
            let _ = engine.fetched(fetch.id, Some((200, br#"{"active":false}"#)), 100);
        }
    }
}

/// What is wrong with an active token is remembered as its goodness would be.
#[test]
fn tokens_for_others_are_not_asked_about_again() {
    let mut engine = engine(&policy());
    let mut other = active();
    other["aud"] = "https://other.example".into();
    assert_eq!(ask_with(&mut engine, "other", &other, 100).0, "audience_mismatch");
    assert_eq!(ask(&mut engine, "other", 119), "audience_mismatch");
    assert_eq!(ask(&mut engine, "other", 120), "(introspection)");
    other["aud"] = RESOURCE.into();
    other["nbf"] = 130.into();
    assert_eq!(ask_with(&mut engine, "early", &other, 121).0, "token_not_yet_valid");
    assert_eq!(ask_with(&mut engine, "early", &other, 130).0, "allow", "its time has come");
}

/// What five made-up tokens from one address come to where three failures a minute are allowed.
fn made_up_tokens(stays_for_the_answer: bool) -> Vec<&'static str> {
    let mut policy = policy();
    policy["limits"] = json!({ "failures_per_minute": 3 });
    let mut engine = engine(&policy);
    let ask = |number| {
        let credentials = format!("Bearer made-up-{number}");
        let head = RequestHead {
            method: b"GET",
            authority: b"mcp.example.com",
            path: b"/mcp",
            headers: &[(b"authorization", credentials.as_bytes())],
            has_body: false,
            client: "192.0.2.66".parse::<IpAddr>().ok(),
            certificate: None,
        };
        let step = engine.begin(head, 100);
        for fetch in engine.due(100) {
            let _ = engine.fetched(fetch.id, Some((200, br#"{"active":false}"#)), 100);
        }
        match step {
            Step::NeedIntrospection(pending) if stays_for_the_answer => {
                code(&engine.resume(pending, Answer::Fetched, 100))
            }
            step => code(&step),
        }
    };
    (0..5).map(ask).collect()
}

/// Tokens that turn out to be made up count as failures of whoever sent them.
#[test]
fn made_up_tokens_are_charged() {
    let outcomes = made_up_tokens(true);
    assert_eq!(outcomes[..3], ["token_inactive"; 3]);
    assert_eq!(outcomes[3..], ["failures_excessive"; 2]);
}

/// Whoever does not stay for the answer is charged all the same.
#[test]
fn leaving_early_costs_as_much() {
    let outcomes = made_up_tokens(false);
    assert_eq!(outcomes[..3], ["(introspection)"; 3]);
    assert_eq!(outcomes[3..], ["failures_excessive"; 2]);
}

/// Our faults are never 401, and an issuer that is silent is left alone for a moment.
#[test]
fn an_issuer_that_is_down() {
    let mut engine = engine(&policy());
    let (outcome, due) = ask_with(&mut engine, "good", &Value::Null, 100);
    assert_eq!((outcome.as_str(), due.len()), ("introspection_unavailable", 1));
    assert_eq!(ask(&mut engine, "another", 100), "introspection_unavailable", "not asked");
    assert_eq!(engine.due(100), []);
    assert_eq!(ask_with(&mut engine, "another", &active(), 101).0, "allow");
    assert_eq!(ask_with(&mut engine, "good", &active(), 102).0, "allow", "it is back");
    // An answer that is no answer is the matter of this token alone.
    assert_eq!(ask_with(&mut engine, "bad", &json!([]), 103).0, "introspection_unavailable");
    assert_eq!(ask_with(&mut engine, "third", &active(), 103).0, "allow");
    // A host that gives up, and one that never answers.
    let step = super::support::begin(&mut engine, "/mcp", "fourth", 110);
    let Step::NeedIntrospection(pending) = step else { panic!() };
    let step = engine.resume(pending, Answer::GiveUp, 120);
    assert_eq!(code(&step), "introspection_unavailable");
    let step = super::support::begin(&mut engine, "/mcp", "fifth", 130);
    let Step::NeedIntrospection(pending) = step else { panic!() };
    assert_eq!(engine.due(130).len(), 2, "the fourth was never asked about");
    let step = engine.resume(pending, Answer::Fetched, 141);
    assert_eq!(code(&step), "introspection_unavailable");
}

/// An answer that comes when nobody waits any longer is not used later.
#[test]
fn a_late_answer_is_not_kept() {
    let mut engine = engine(&policy());
    let step = super::support::begin(&mut engine, "/mcp", "good", 100);
    assert_eq!(code(&step), "(introspection)");
    let due = engine.due(100);
    let body = active().to_string();
    assert_eq!(engine.fetched(due[0].id, Some((200, body.as_bytes())), 101), None);
    assert_eq!(ask(&mut engine, "good", 103), "(introspection)");
}

#[test]
fn without_memory_each_request_asks() {
    let mut policy = policy();
    policy["limits"] = json!({ "cached_tokens": 0 });
    let mut engine = engine(&policy);
    for now in [100, 100, 101] {
        let (outcome, due) = ask_with(&mut engine, "good", &active(), now);
        assert_eq!((outcome.as_str(), due.len()), ("allow", 1));
    }
}

/// The issuer has just said that the token is good: there is no status list to look at as well.
#[test]
fn status_lists_are_for_signed_tokens() {
    let mut policy = policy();
    policy["issuers"][0]["status"] = "required".into();
    let mut engine = engine(&policy);
    assert_eq!(ask_with(&mut engine, "good", &active(), 100).0, "allow");
}

/// RFC 9449 §6.2: a bound opaque token needs its proof, with each request.
#[test]
fn bound_tokens() {
    const KEY: TestKey = TestKey::Ed25519(9);
    let mut policy = policy();
    policy["resources"][0]["dpop"] = "accept".into();
    let mut engine = engine(&policy);
    let mut bound = active();
    bound["cnf"] = Token::new(ISSUER, RESOURCE).bound_to(KEY).claims()["cnf"].clone();
    bound["token_type"] = "DPoP".into();
    assert_eq!(ask_with(&mut engine, "bound", &bound, 100).0, "token_bound");
    for (key, jti, expected) in
        [(KEY, "1", "allow"), (KEY, "2", "allow"), (TestKey::Ed25519(8), "3", "token_bound")]
    {
        let proof = Token::proof(key, "GET", RESOURCE, "bound", 100).claim("jti", jti).sign();
        let head = RequestHead {
            method: b"GET",
            authority: b"mcp.example.com",
            path: b"/mcp",
            headers: &[(b"authorization", b"DPoP bound"), (b"dpop", proof.as_bytes())],
            has_body: false,
            client: None,
            certificate: None,
        };
        let mut step = engine.begin(head, 100);
        while let Step::NeedSignature(pending) = step {
            let verified = engine.verify(&pending);
            step = engine.resume(pending, Answer::Signature(verified), 100);
        }
        assert_eq!(code(&step), expected);
    }
}
