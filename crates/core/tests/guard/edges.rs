//! What single odd requests show, and what hosts and operators read beside decisions.

use countersign_core::{
    guard::{Answer, CheckOutcome, Engine, Fetch, FetchError, FetchId, Policy, RequestHead, Step},
    jose::{
        base64url::InvalidBase64,
        json,
        jwk::JwkError,
        jwks::{JwkSet, JwksError, Selection},
    },
    oauth::{
        metadata::MetadataError,
        pkce::{CodeVerifier, PkceError},
        status_list::StatusListError,
    },
};
use countersign_testkit::token::Token;
use serde_json::{Value, json};

use super::support::{
    KEY_1, RESOURCE, code, engine, fetched, header, inline, key_set, response, token, verify,
    with_rules,
};

type Headers<'a> = &'a [(&'a [u8], &'a [u8])];

/// A good token, these headers, and a call of `ping` as body.
fn ask_with(policy: &Value, extra: Headers<'_>, authority: &str) -> (Engine, Step) {
    ask(engine(policy), extra, authority)
}

fn ask(mut engine: Engine, extra: Headers<'_>, authority: &str) -> (Engine, Step) {
    let credentials = format!("Bearer {}", token().sign());
    let mut headers: Vec<(&[u8], &[u8])> = vec![(b"authorization", credentials.as_bytes())];
    headers.extend_from_slice(extra);
    let head = RequestHead {
        method: b"POST",
        authority: authority.as_bytes(),
        path: b"/mcp",
        headers: &headers,
        has_body: true,
        client: None,
        certificate: None,
    };
    let step = engine.begin(head, 10);
    let mut step = verify(&mut engine, step, 10);
    if let Step::NeedBody(pending) = step {
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        step = engine.resume(pending, Answer::Body(body), 10);
    }
    (engine, step)
}

fn ends(policy: &Value, extra: Headers<'_>) -> &'static str {
    code(&ask_with(policy, extra, "mcp.example.com").1)
}

const JSON: (&[u8], &[u8]) = (b"content-type", b"application/json");

#[test]
fn the_self_test_passes_and_changes_no_verdict() {
    let mut engine = engine(&inline());
    assert!(engine.self_test());
    let (mut engine, step) = ask(engine, &[JSON], "mcp.example.com");
    assert_eq!(code(&step), "allow");
    assert!(engine.self_test(), "it can be asked again");
}

/// What does not say one origin is not the origin of a page that may call.
#[test]
fn an_origin_is_one_and_is_text() {
    let own = b"https://mcp.example.com";
    assert_eq!(ends(&inline(), &[JSON, (b"origin", own)]), "allow");
    assert_eq!(ends(&inline(), &[JSON, (b"origin", own), (b"origin", own)]), "origin_forbidden");
    assert_eq!(ends(&inline(), &[JSON, (b"origin", b"https://\xff")]), "origin_forbidden");
}

/// A page must be able to read the nonce that its next proof needs.
#[test]
fn a_page_may_read_the_nonce() {
    let mut policy = inline();
    policy["resources"][0]["dpop"] = json!("require");
    policy["resources"][0]["dpop_nonce"] = json!("Zm9yIHRoaXMgdGVzdCBhbmQgZm9yIG5vdGhpbmcgZWxzZQ");
    let origin: (&[u8], &[u8]) = (b"origin", b"https://mcp.example.com");
    let (_, step) = ask_with(&policy, &[JSON, origin], "mcp.example.com");
    let refused = response(step);
    let exposed = header(&refused, "access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("DPoP-Nonce"), "{exposed}");
}

/// Headers that mirror a message and cannot be read agree with none, in whatever revision.
#[test]
fn unreadable_mirrors_agree_with_nothing() {
    let policy = with_rules(inline());
    assert_eq!(ends(&policy, &[JSON]), "allow");
    for name in [&b"mcp-method"[..], b"mcp-name"] {
        assert_eq!(ends(&policy, &[JSON, (name, b"\xff")]), "header_mismatch");
        assert_eq!(ends(&policy, &[JSON, (name, b"ping"), (name, b"ping")]), "header_mismatch");
    }
}

/// RFC 9110 §8.3.1: parameters that do not change the characters do not matter.
#[test]
fn parameters_of_the_media_type() {
    let policy = with_rules(inline());
    let with = |value: &'static [u8]| ends(&policy, &[(b"content-type", value)]);
    assert_eq!(with(b"application/json; profile=x; charset=\"UTF-8\""), "allow");
    assert_eq!(with(b"application/json; profile=x; charset=utf-16"), "content_type_unsupported");
}

#[test]
fn a_port_that_the_policy_names_is_the_port() {
    let mut policy = inline();
    policy["resources"][0]["hosts"] = json!(["mcp.example.com:8443"]);
    let at = |authority| code(&ask_with(&policy, &[JSON], authority).1);
    assert_eq!(at("mcp.example.com:8443"), "allow");
    assert_eq!(at("mcp.example.com:8444"), "resource_unknown");
    assert_eq!(at("mcp.example.com"), "resource_unknown");
}

/// A name that no header may have cannot be one that the server takes for ours.
#[test]
fn a_name_that_is_no_name_is_no_lookalike() {
    let (_, step) = ask_with(&inline(), &[JSON, (b"x_mcp subject", b"eve")], "mcp.example.com");
    let Step::Forward(forward) = step else { panic!("{}", code(&step)) };
    assert!(forward.remove.iter().all(|name| !name.as_str().contains(' ')));
    assert!(forward.remove.iter().any(|name| name.as_str() == "x-mcp-subject"));
}

/// A claim that is null is not there: no header is set for it, and it is not one that is required.
#[test]
fn a_null_claim_is_absent() {
    let decide = |token: Token| {
        let mut policy = inline();
        policy["issuers"][0]["required_claims"] = json!(["sub", "roles"]);
        policy["resources"][0]["forward"] = json!({ "headers": { "x-tenant": "tenant" } });
        let mut engine = engine(&policy);
        let step = super::support::begin(&mut engine, "/mcp", &token.sign(), 10);
        verify(&mut engine, step, 10)
    };
    let raw = |claims: &str| {
        let claims = claims.replace('\'', "\"");
        let rest = r#""iss":"https://auth.example.com","aud":"https://mcp.example.com/mcp","iat":1,"exp":1000,"sub":"a","scope":"mcp:use""#;
        token().raw_payload(format!("{{{claims},{rest}}}"))
    };
    match decide(raw("'tenant':null,'roles':['a']")) {
        Step::Forward(forward) => assert!(forward.set.is_empty()),
        other => panic!("{}", code(&other)),
    }
    match decide(raw("'tenant':7,'roles':{}")) {
        Step::Forward(forward) => assert_eq!(forward.set[0].value(), "7"),
        other => panic!("{}", code(&other)),
    }
    for absent in ["'roles':null", "'roles':[]", "'roles':''", "'x':1"] {
        assert_eq!(code(&decide(raw(absent))), "claim_missing", "{absent}");
    }
}

/// The same key listed twice is no contradiction; two keys under one name are.
#[test]
fn one_key_listed_twice_is_found() {
    let twice = key_set(&[(KEY_1, "a"), (KEY_1, "a"), (KEY_1, "a")]);
    let set = JwkSet::parse(&twice, 8).expect("a key set");
    let algorithm = countersign_core::jose::alg::Algorithm::Es256;
    assert!(matches!(set.select(Some("a"), algorithm), Selection::Found(_)));
    assert!(matches!(set.select(None, algorithm), Selection::Found(_)));
}

#[test]
fn what_a_host_fetches() {
    let mut engine = engine(&fetched());
    assert_eq!(engine.policy().resources[0].audience.resource.as_str(), RESOURCE);
    let fetch = engine.due(10).remove(0);
    assert_eq!(fetch.parts(), ("https", "auth.example.com", "/jwks"));
    let bare = Fetch { url: "http://auth.example.com:8090".to_owned(), ..fetch.clone() };
    assert_eq!(bare.parts(), ("http", "auth.example.com:8090", "/"));
    assert_eq!(FetchId::from_u64(fetch.id.as_u64()), fetch.id);
    let too_long = vec![b' '; Fetch::MAX_BYTES + 1];
    let error = engine.fetched(fetch.id, Some((200, &too_long)), 10);
    assert_eq!(error, Some(FetchError::TooLong));
}

/// Every error says something of its own to an operator, in one line without quoting what came in.
#[test]
fn errors_in_words() {
    let strict = |text: &str| JwksError::Json(json::parse(text.as_bytes()).expect_err("no JSON"));
    let policy = Policy::parse(b"{}").expect_err("no policy");
    let texts = [
        FetchError::KeySet(strict("{")).to_string(),
        FetchError::KeySet(JwksError::NoKeys).to_string(),
        FetchError::KeySet(JwksError::NoUsableKey).to_string(),
        FetchError::KeySet(JwksError::TooManyKeys).to_string(),
        FetchError::Metadata(MetadataError::TooLong).to_string(),
        FetchError::NoAnswer.to_string(),
        FetchError::Status(404).to_string(),
        FetchError::StatusList(StatusListError::Claims).to_string(),
        FetchError::StatusList(StatusListError::Compression).to_string(),
        FetchError::StatusList(StatusListError::Key).to_string(),
        FetchError::StatusList(StatusListError::Memory).to_string(),
        FetchError::StatusList(StatusListError::Old).to_string(),
        FetchError::StatusList(StatusListError::Signature).to_string(),
        FetchError::StatusList(StatusListError::Subject).to_string(),
        FetchError::TooLong.to_string(),
        InvalidBase64.to_string(),
        JwkError::Private.to_string(),
        JwkError::UnsupportedKind.to_string(),
        JwkError::InvalidMember("x").to_string(),
        PkceError::InvalidChallenge.to_string(),
        PkceError::InvalidVerifier.to_string(),
        policy.to_string(),
    ];
    for (index, text) in texts.iter().enumerate() {
        assert!(text.len() > 5 && !text.contains('\n'), "{text}");
        assert!(!texts[..index].contains(text), "{text}");
    }
    assert!(policy.to_string().starts_with("$: "), "{policy}");
    let outcomes = [CheckOutcome::Failed, CheckOutcome::Noted, CheckOutcome::Passed];
    assert_eq!(outcomes.map(CheckOutcome::code), ["failed", "noted", "passed"]);
}

/// RFC 7636 §7.1: whoever has the verifier can redeem the code.
#[test]
fn a_code_verifier_is_not_printed() {
    let verifier = CodeVerifier::from_random(&[7; 32]);
    let again = CodeVerifier::parse(verifier.as_str()).expect("a verifier");
    assert_eq!(again.challenge(), verifier.challenge());
    assert!(!format!("{verifier:?}").contains(verifier.as_str()));
}

/// A server that reads bodies whatever the method would read what nobody decided on.
#[test]
fn only_messages_that_are_read_have_a_body() {
    let token = token().sign();
    let credentials = format!("Bearer {token}");
    let ask = |policy: &Value, method: &[u8], has_body: bool, more: &[(&str, &str)]| {
        let mut headers: Vec<(&[u8], &[u8])> = vec![(b"authorization", credentials.as_bytes())];
        headers.extend(more.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let head = RequestHead {
            method,
            authority: b"mcp.example.com",
            path: b"/mcp",
            headers: &headers,
            has_body,
            client: None,
            certificate: None,
        };
        let mut engine = engine(policy);
        let step = engine.begin(head, 10);
        code(&verify(&mut engine, step, 10))
    };
    let rules = with_rules(inline());
    let length = ("content-length", "20");
    let chunked = ("transfer-encoding", "chunked");
    let h2c = ("Upgrade", "h2c");
    for method in [&b"GET"[..], b"HEAD", b"DELETE"] {
        assert_eq!(ask(&rules, method, false, &[]), "allow");
        assert_eq!(ask(&rules, method, true, &[length]), "message_malformed");
        assert_eq!(ask(&rules, method, true, &[chunked]), "message_malformed");
        for announced in [length, chunked] {
            let found = ask(&rules, method, true, &[h2c, announced]);
            assert_eq!(found, "message_malformed", "a server that stays with HTTP reads it");
        }
        // Where no rule depends on what is asked for, bodies are nobody's business.
        assert_eq!(ask(&inline(), method, true, &[length]), "allow");
    }
    assert_eq!(ask(&rules, b"GET", true, &[]), "message_malformed");
    // Frameworks on top of Node make a stream of every DELETE, also of one that ends a session.
    assert_eq!(ask(&rules, b"DELETE", true, &[]), "allow");
    assert_eq!(ask(&rules, b"DELETE", true, &[("Content-Length", "0")]), "allow");
}

/// RFC 9110 §7.8: behind an upgrade no rule sees what is asked for. Only h2c may be asked for, since some
/// clients always do; it does not reach the server.
#[test]
fn no_other_protocol_where_rules_depend_on_operations() {
    let ask = |policy: &Value, method: &[u8], upgrades: &[&str]| {
        let credentials = format!("Bearer {}", token().sign());
        let mut headers: Vec<(&[u8], &[u8])> =
            vec![(b"authorization", credentials.as_bytes()), JSON];
        headers.extend(upgrades.iter().map(|value| (&b"Upgrade"[..], value.as_bytes())));
        let head = RequestHead {
            method,
            authority: b"mcp.example.com",
            path: b"/mcp",
            headers: &headers,
            has_body: method == b"POST",
            client: None,
            certificate: None,
        };
        let mut engine = engine(policy);
        let step = engine.begin(head, 10);
        match verify(&mut engine, step, 10) {
            Step::NeedBody(pending) => {
                let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
                engine.resume(pending, Answer::Body(body), 10)
            }
            step => step,
        }
    };
    let rules = with_rules(inline());
    let removes = |step: &Step| match step {
        Step::Forward(forward) => forward.remove.iter().any(|name| name.as_str() == "upgrade"),
        other => panic!("not let through: {other:?}"),
    };
    for method in [&b"GET"[..], b"HEAD", b"DELETE", b"POST"] {
        for other in [&["websocket"][..], &["WebSocket, h2c"], &["h2c", "websocket"], &[""]] {
            assert_eq!(code(&ask(&rules, method, other)), "operation_denied", "{other:?}");
            assert!(!removes(&ask(&inline(), method, other)), "{other:?}");
        }
        assert!(removes(&ask(&rules, method, &["h2c"])));
        assert!(removes(&ask(&rules, method, &["H2C ,h2c"])));
        assert!(!removes(&ask(&rules, method, &[])));
        assert!(!removes(&ask(&inline(), method, &["h2c"])));
    }
}
