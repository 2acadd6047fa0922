//! Tokens bound to a key of the client (DPoP, RFC 9449) before a real Envoy, with real proofs by the machine's
//! clock: accepted, required, with nonces; replayed, borrowed, for another URL or another time.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Front, HOST, ISSUER, Setup, comes, good_keys, policy};
use countersign_e2e::Stub;
use countersign_e2e::http::{Message, Request};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

const KEY: TestKey = TestKey::Ed25519(9);
/// 32 bytes.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn url(path: &str) -> String {
    format!("https://{HOST}{path}")
}

/// A resource for each way to be asked.
fn document(hold: bool) -> Value {
    let mut policy = policy(hold);
    let resource = |path: &str, dpop: &str| json!({ "resource": url(path), "dpop": dpop, "scopes": { "baseline": ["mcp:use"], "tools": { "read_file": ["files:read"] } } });
    policy["resources"] = json!([
        resource("/off", "off"),
        resource("/accept", "accept"),
        resource("/require", "require"),
        resource("/nonce", "require"),
    ]);
    policy["resources"][3]["dpop_nonce"] = SECRET.into();
    policy["limits"] = json!({ "failures_per_minute": 0 });
    policy
}

fn start(hold: bool, workers: u16) -> Front {
    let setup = Setup::with(Stub::upstream().unwrap(), document(hold), hold, |_| good_keys());
    let front = setup.config(|config| config.with_workers(workers)).start();
    assert!(front.until(200, &bearer("/off", &Token::new(ISSUER, &url("/off")).sign())));
    front.upstream.take();
    front
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token for this resource that is bound to the client's key.
fn bound(path: &str) -> String {
    Token::new(ISSUER, &url(path)).bound_to(KEY).sign()
}

/// A good proof for a call of this resource.
fn proof(path: &str, token: &str, name: &str) -> Token {
    Token::proof(KEY, "POST", &url(path), token, now()).claim("jti", name)
}

fn request(path: &str, scheme: &str, token: &str) -> Request {
    Request::new("POST", path, HOST)
        .header("authorization", format!("{scheme} {token}"))
        .header("content-type", "application/json")
}

fn with_body(request: Request) -> Request {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "read_file" } });
    request.body(call.to_string())
}

fn bearer(path: &str, token: &str) -> Request {
    with_body(request(path, "Bearer", token))
}

fn proven(path: &str, token: &str, proof: &str) -> Request {
    with_body(request(path, "DPoP", token).header("dpop", proof))
}

fn last_reason(front: &Front) -> String {
    front.envoy.reasons().pop().unwrap_or_default()
}

/// Refused as it must be: 401, both schemes in the challenge, this reason, and nobody saw it.
fn refused(front: &Front, what: &str, request: &Request, reason: &str) -> Message {
    let before = front.envoy.reasons().len();
    let answer = front.send(request);
    assert_eq!(answer.status(), 401, "{what}");
    // Envoy writes its log a little later.
    assert!(comes(|| front.envoy.reasons().len() > before), "{what}: no reason in the log");
    assert_eq!(last_reason(front), reason, "{what}");
    let challenges: Vec<String> = answer.headers.all("www-authenticate").collect();
    assert!(challenges.join(", ").contains("resource_metadata="), "{what}: {challenges:?}");
    assert_eq!(front.upstream.take().len(), 0, "{what}");
    answer
}

#[test]
fn each_way_to_ask() {
    for hold in [true, false] {
        let front = start(hold, 1);
        let plain = |path: &str| Token::new(ISSUER, &url(path)).sign();
        let mut count = 0;
        let mut name = || {
            count += 1;
            format!("way-{count}")
        };
        // Bearer tokens: fine unless a proof is required.
        assert_eq!(front.send(&bearer("/off", &plain("/off"))).status(), 200);
        assert_eq!(front.send(&bearer("/accept", &plain("/accept"))).status(), 200);
        assert_eq!(front.upstream.take().len(), 2);
        let answer = refused(
            &front,
            "required",
            &bearer("/require", &plain("/require")),
            "scheme_unsupported",
        );
        let challenge = answer.headers.get("www-authenticate").unwrap();
        assert!(challenge.contains("DPoP ") && challenge.contains("algs="), "{challenge}");
        // Bound tokens without their proof: never.
        for path in ["/off", "/accept"] {
            refused(&front, path, &bearer(path, &bound(path)), "token_bound");
        }
        refused(&front, "bound", &bearer("/require", &bound("/require")), "scheme_unsupported");
        // With it: unless tokens are not bound here at all.
        for path in ["/accept", "/require"] {
            let token = bound(path);
            let request = proven(path, &token, &proof(path, &token, &name()).sign());
            assert_eq!(front.send(&request).status(), 200, "{path} {}", last_reason(&front));
            let seen = front.upstream.take();
            assert_eq!(seen.len(), 1);
            for header in ["authorization", "dpop"] {
                assert_eq!(seen[0].headers.get(header), None, "{header} reaches the server");
            }
            assert_eq!(seen[0].headers.get("x-mcp-subject").as_deref(), Some("user-1"));
        }
        let token = bound("/off");
        let request = proven("/off", &token, &proof("/off", &token, &name()).sign());
        refused(&front, "off", &request, "scheme_unsupported");
        // A proof for a token that nobody bound says nothing.
        let token = plain("/require");
        let request = proven("/require", &token, &proof("/require", &token, &name()).sign());
        refused(&front, "a token that is not bound", &request, "token_unbound");
    }
}

#[test]
fn proofs_that_are_not_for_this_request() {
    let front = start(true, 1);
    let token = bound("/require");
    let good = |name: &str| proof("/require", &token, name);
    let other = Token::new(ISSUER, &url("/require")).bound_to(KEY).claim("jti", "other").sign();
    let port = front.envoy.port();
    let at = |htu: &str| good(&format!("at {htu}")).claim("htu", htu).sign();
    for (what, proof, reason) in [
        ("another path", at(&url("/accept")), "proof_mismatch"),
        ("the host alone", at(&format!("https://{HOST}/")), "proof_mismatch"),
        ("another scheme", at(&format!("http://{HOST}/require")), "proof_mismatch"),
        ("another host", at("https://evil.example/require"), "proof_mismatch"),
        ("a longer path", at(&url("/require/x")), "proof_mismatch"),
        (
            "a host that begins alike",
            at("https://mcp.example.com.evil.example/require"),
            "proof_mismatch",
        ),
        ("where Envoy listens", at(&format!("http://127.0.0.1:{port}/require")), "proof_mismatch"),
        (
            "where the server listens",
            at(&format!("http://127.0.0.1:{}/require", front.upstream.port())),
            "proof_mismatch",
        ),
        ("no URL", at("require"), "proof_mismatch"),
        ("another method", good("htm").claim("htm", "GET").sign(), "proof_mismatch"),
        (
            "another token",
            good("ath").claim("ath", proof("/require", &other, "x").claims()["ath"].clone()).sign(),
            "proof_mismatch",
        ),
        ("no token", good("no ath").claim("ath", Value::Null).sign(), "proof_mismatch"),
        ("old", good("old").claim("iat", now() - 120).sign(), "proof_not_fresh"),
        ("of tomorrow", good("new").claim("iat", now() + 120).sign(), "proof_not_fresh"),
        ("without a name", good("").claim("jti", Value::Null).sign(), "proof_malformed"),
        ("another type", good("typ").header("typ", "jwt").sign(), "proof_malformed"),
        (
            "another key",
            Token::proof(TestKey::Ed25519(8), "POST", &url("/require"), &token, now()).sign(),
            "token_bound",
        ),
        (
            "a signature of another key",
            {
                let other =
                    Token::proof(TestKey::Ed25519(8), "POST", &url("/require"), &token, now());
                good("forged").with_signature(&other.signature())
            },
            "proof_signature_invalid",
        ),
        ("no signature", format!("{}.", good("none").signing_input()), "proof_malformed"),
        ("no proof", "x".to_owned(), "proof_malformed"),
    ] {
        let answer = refused(&front, what, &proven("/require", &token, &proof), reason);
        let challenge = answer.headers.all("www-authenticate").collect::<Vec<_>>().join(", ");
        assert!(challenge.contains("DPoP "), "{what}: {challenge}");
    }
    let without = with_body(request("/require", "DPoP", &token));
    refused(&front, "without one", &without, "proof_missing");
    let twice = request("/require", "DPoP", &token).header("dpop", good("one").sign());
    let twice = with_body(twice.header("dpop", good("two").sign()));
    refused(&front, "two of them", &twice, "proof_malformed");
    // What is the same URL by RFC 9449 §4.3 passes: without query, case of the host, the default port.
    for (number, htu) in [
        url("/require"),
        format!("https://{}/require", HOST.to_uppercase()),
        format!("HTTPS://{HOST}:443/require"),
    ]
    .into_iter()
    .enumerate()
    {
        let proof = good(&format!("same-{number}")).claim("htu", htu.as_str()).sign();
        let sent = front.send(&proven("/require?x=1", &token, &proof));
        assert_eq!(sent.status(), 200, "{htu}: {}", last_reason(&front));
    }
}

#[test]
fn a_proof_is_good_once() {
    let front = start(true, 1);
    let token = bound("/require");
    let used = proof("/require", &token, "used").sign();
    assert_eq!(front.send(&proven("/require", &token, &used)).status(), 200);
    front.upstream.take();
    for _ in 0..5 {
        refused(&front, "again", &proven("/require", &token, &used), "proof_replayed");
    }
    // Nor with a refreshed token, nor signed anew under its name.
    let again = proof("/require", &token, "used").claim("iat", now() - 1).sign();
    refused(&front, "its name", &proven("/require", &token, &again), "proof_replayed");
    // A refused proof was not used up: the same one may come with a request that is in order.
    let early = proof("/require", &token, "early").sign();
    let wrong = request("/accept", "DPoP", &token).header("dpop", &early);
    assert_eq!(front.send(&with_body(wrong)).status(), 401);
    assert_eq!(front.send(&proven("/require", &token, &early)).status(), 200);
}

/// Each worker remembers for itself, as docs/policy.md says: a proof is good once in each, and no more.
#[test]
fn with_two_workers_a_proof_is_good_at_most_twice() {
    let front = start(true, 2);
    let token = bound("/require");
    let used = proof("/require", &token, "used").sign();
    let statuses: Vec<u16> =
        (0..30).map(|_| front.send(&proven("/require", &token, &used)).status()).collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=2).contains(&passed), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 401)), "{statuses:?}");
    assert_eq!(front.seen(), passed);
}

#[test]
fn nonces_are_given_out_and_asked_for() {
    let front = start(true, 2);
    let token = bound("/nonce");
    let first = proof("/nonce", &token, "first").sign();
    let answer =
        refused(&front, "no nonce", &proven("/nonce", &token, &first), "proof_nonce_required");
    let challenge = answer.headers.all("www-authenticate").collect::<Vec<_>>().join(", ");
    assert!(challenge.contains("use_dpop_nonce"), "{challenge}");
    let nonce = answer.headers.get("dpop-nonce").unwrap();
    // Good in every worker, for each request with a proof of its own.
    for number in 0..8 {
        let proof = proof("/nonce", &token, &format!("n{number}")).claim("nonce", nonce.as_str());
        let sent = front.send(&proven("/nonce", &token, &proof.sign()));
        assert_eq!(sent.status(), 200, "{number}: {}", last_reason(&front));
    }
    assert_eq!(front.upstream.take().len(), 8);
    for (number, wrong) in ["", "x", &nonce[1..], &nonce.to_lowercase()].into_iter().enumerate() {
        let proof = proof("/nonce", &token, &format!("w{number}")).claim("nonce", wrong).sign();
        let answer =
            refused(&front, wrong, &proven("/nonce", &token, &proof), "proof_nonce_required");
        assert_eq!(answer.headers.get("dpop-nonce").as_deref(), Some(&nonce[..]), "{wrong}");
    }
}
