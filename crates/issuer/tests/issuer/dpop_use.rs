//! Codes that are bound to a key before they are redeemed, nonces, and bound tokens where they are used:
//! at our `/userinfo` and at our guard (DPoP, RFC 9449 §7 to §10, attack 62).

use std::sync::atomic::{AtomicU32, Ordering};

use countersign_core::guard::{Engine, Policy, RequestHead, decide_offline};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

use crate::{
    browser::{Browser, text},
    dpop::{KEY, OTHER, SERVICE, ask, bound, jkt, proof, proof_by, redeem, service, tokens},
    http::{Answer, FORM, encode, get, send},
    issuer::{CALLBACK, CHALLENGE, Client, FILES, Issuer, now, replaced},
};

/// RFC 9449 §10, [mismatched-dpop-jkt]: a code that was asked for by a key is redeemed by that key.
#[test]
fn rfc_9449_codes_are_bound_by_dpop_jkt() {
    let issuer = Issuer::start();
    for method in ["none", "client_secret_post"] {
        let client = issuer.add_client(method, &[CALLBACK]);
        let code = issuer.code(&client, &[("dpop_jkt", &jkt(KEY))]);
        issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_dpop_proof");
        let other = proof_by(OTHER, &issuer.at("/token"));
        redeem(&issuer, &client, &code, &other).assert_error(400, "invalid_dpop_proof");
        // Attack 10: it is still good for the right one.
        tokens(&redeem(&issuer, &client, &code, &proof(&issuer)));
    }
    let client = issuer.client();
    for bad in ["x", &jkt(KEY)[1..], &format!("{}=", jkt(KEY)), &format!("{}AA", jkt(KEY))] {
        let url = issuer.authorize_url(&client, &[("dpop_jkt", bad)]);
        assert_eq!(get(&url).parameter("error"), "invalid_request", "{bad}");
    }
    let twice = format!("{}&dpop_jkt=a&dpop_jkt=b", issuer.authorize_url(&client, &[]));
    assert_eq!(get(&twice).parameter("error"), "invalid_request");
}

/// A pushed request with a proof for this URL.
fn push(issuer: &Issuer, client: &Client, proof: Option<&Token>, more: &[(&str, &str)]) -> Answer {
    let usual = [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let proof = proof.map(Token::sign);
    let headers: Vec<_> = proof.iter().map(|proof| ("dpop", proof.as_str())).collect();
    issuer.post_with("/par", client, &headers, &replaced(&usual, more))
}

/// The code that somebody grants for a pushed request.
fn pushed_code(issuer: &Issuer, client: &Client, pushed: &Answer) -> String {
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let uri = text(&pushed.json(), "request_uri").to_owned();
    let query = encode(&[("client_id", &client.id), ("request_uri", &uri)]);
    Browser::new().authorize(issuer, &issuer.at(&format!("/authorize?{query}"))).parameter("code")
}

/// RFC 9449 §10.1: a proof at PAR says the same as `dpop_jkt`, which says the same there as at
/// `/authorize`.
#[test]
fn rfc_9449_codes_are_bound_by_pushed_requests() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let par = issuer.at("/par");
    let good = || proof_by(KEY, &par);
    let thumbprint = jkt(KEY);
    let named = [("dpop_jkt", thumbprint.as_str())];
    for pushed in [
        push(&issuer, &client, Some(&good()), &[]),
        push(&issuer, &client, Some(&good()), &named),
        push(&issuer, &client, None, &named),
    ] {
        let code = pushed_code(&issuer, &client, &pushed);
        issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_dpop_proof");
        tokens(&redeem(&issuer, &client, &code, &proof(&issuer)));
    }
    let other = jkt(OTHER);
    let mismatch = push(&issuer, &client, Some(&good()), &[("dpop_jkt", &other)]);
    mismatch.assert_error(400, "invalid_dpop_proof");
    let elsewhere = push(&issuer, &client, Some(&proof(&issuer)), &[]);
    elsewhere.assert_error(400, "invalid_dpop_proof");
    let once = good();
    assert_eq!(push(&issuer, &client, Some(&once), &[]).status, 201);
    push(&issuer, &client, Some(&once), &[]).assert_error(400, "invalid_dpop_proof");
    push(&issuer, &client, None, &[("dpop_jkt", "x")]).assert_error(400, "invalid_request");
}

/// RFC 9449 §8, §9: where nonces are on, each proof carries one; they need no memory, and are the same
/// on every node that has the sealing key.
#[test]
fn rfc_9449_nonces() {
    let issuer = Issuer::start_with(|config| config.dpop_nonces = true);
    let service = service(&issuer);
    let refused = ask(&issuer, &service, &proof(&issuer), &SERVICE);
    refused.assert_error(400, "use_dpop_nonce");
    assert!(refused.header("access-control-expose-headers").contains("DPoP-Nonce"));
    let nonce = refused.header("dpop-nonce").to_owned();
    assert!(nonce.len() >= 22, "128 bits: {nonce}");
    for wrong in ["x", &nonce[1..]] {
        let proof = proof(&issuer).claim("nonce", wrong);
        let refused = ask(&issuer, &service, &proof, &SERVICE);
        refused.assert_error(400, "use_dpop_nonce");
        assert!(!refused.header("dpop-nonce").is_empty());
    }
    let with_nonce = |url: &str| proof_by(KEY, url).claim("nonce", nonce.as_str());
    let answer = ask(&issuer, &service, &with_nonce(&issuer.at("/token")), &SERVICE);
    tokens(&answer);
    // A bad proof is not asked for a nonce, which would not help it.
    let bad = with_nonce(&issuer.at("/token")).claim("htm", "GET");
    ask(&issuer, &service, &bad, &SERVICE).assert_error(400, "invalid_dpop_proof");
    // The client without proofs goes on as before.
    tokens(&issuer.token(&service, &SERVICE));

    let client = issuer.client();
    let refused = push(&issuer, &client, Some(&proof_by(KEY, &issuer.at("/par"))), &[]);
    refused.assert_error(400, "use_dpop_nonce");
    let pushed =
        push(&issuer, &client, Some(&with_nonce(&issuer.at("/par"))), &[("scope", "openid")]);
    let code = pushed_code(&issuer, &client, &pushed);
    let granted = tokens(&redeem(&issuer, &client, &code, &with_nonce(&issuer.at("/token"))));
    let token = text(&granted, "access_token");
    let at = issuer.at("/userinfo");
    let proof = Token::proof(KEY, "GET", &at, token, now());
    let refused = userinfo(&issuer, "DPoP", token, Some(&proof));
    refused.assert_error(401, "use_dpop_nonce");
    assert!(!refused.header("dpop-nonce").is_empty());
    assert!(refused.header("www-authenticate").starts_with("DPoP error=\"use_dpop_nonce\""));
    let proof = proof.claim("nonce", nonce.as_str());
    assert_eq!(userinfo(&issuer, "DPoP", token, Some(&proof)).status, 200);
}

fn userinfo(issuer: &Issuer, scheme: &str, token: &str, proof: Option<&Token>) -> Answer {
    let credentials = format!("{scheme} {token}");
    let proof = proof.map(Token::sign);
    let mut headers = vec![("authorization", credentials.as_str())];
    headers.extend(proof.iter().map(|proof| ("dpop", proof.as_str())));
    send("GET", &issuer.at("/userinfo"), &headers, None)
}

/// RFC 9449 §7, attack 62: a bound token is shown with its key, for this request, and is no bearer token.
#[test]
fn rfc_9449_userinfo() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let granted = bound(&issuer, &client, "openid files:read");
    let token = text(&granted, "access_token");
    let url = issuer.at("/userinfo");
    let count = AtomicU32::new(0);
    let good = |key: TestKey| {
        let jti = format!("userinfo-{}", count.fetch_add(1, Ordering::Relaxed));
        Token::proof(key, "GET", &url, token, now()).claim("jti", jti)
    };
    let once = good(KEY);
    let answer = userinfo(&issuer, "DPoP", token, Some(&once));
    assert!(answer.status == 200 && answer.json()["sub"].is_string(), "{answer:?}");
    assert_eq!(userinfo(&issuer, "dpop", token, Some(&good(KEY))).status, 200);
    let plain = issuer.tokens(&client, &[("scope", "openid")]);
    let plain = text(&plain, "access_token");
    let of_plain = Token::proof(KEY, "GET", &url, plain, now());
    for (token, proof, error) in [
        (token, Some(once), "invalid_dpop_proof"),
        (token, None, "invalid_dpop_proof"),
        (token, Some(good(KEY).claim("ath", Value::Null)), "invalid_dpop_proof"),
        (token, Some(good(KEY).claim("ath", "x")), "invalid_dpop_proof"),
        (token, Some(good(KEY).claim("htm", "POST")), "invalid_dpop_proof"),
        (token, Some(good(KEY).claim("htu", issuer.at("/token"))), "invalid_dpop_proof"),
        (token, Some(good(OTHER)), "invalid_token"),
        (plain, Some(of_plain), "invalid_token"),
        ("x", Some(good(KEY)), "invalid_token"),
    ] {
        let answer = userinfo(&issuer, "DPoP", token, proof.as_ref());
        answer.assert_error(401, error);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with(&format!("DPoP error=\"{error}\"")), "{challenge}");
        assert!(challenge.contains("algs=\"ES256 "), "{challenge}");
    }
    // §7.2: as a bearer token it is nothing, with and without a proof, in header and form.
    for proof in [None, Some(good(KEY))] {
        userinfo(&issuer, "Bearer", token, proof.as_ref()).assert_error(401, "invalid_token");
    }
    let form = encode(&[("access_token", token)]);
    send("POST", &url, &[FORM], Some(&form)).assert_error(401, "invalid_token");
    let nothing = get(&url);
    assert!(nothing.header("www-authenticate").starts_with("Bearer, DPoP algs="), "{nothing:?}");
    // Revoked as any other.
    assert_eq!(issuer.post("/revoke", &client, &[("token", token)]).status, 200);
    userinfo(&issuer, "DPoP", token, Some(&good(KEY))).assert_error(401, "invalid_token");
}

/// What the issuer binds, our guard takes with its key, and only so (RFC 9449 §7): by the policy that the
/// issuer exports, with its metadata, its keys and its status lists.
#[test]
fn the_guard_takes_what_the_issuer_bound() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let token = text(&bound(&issuer, &client, "files:read"), "access_token").to_owned();
    let plain = text(&issuer.tokens(&client, &[]), "access_token").to_owned();
    let exported = issuer.resource(FILES).policy(&issuer.url, None, false).unwrap();
    let engine = |dpop: Option<&str>| {
        let mut policy = exported.clone();
        if let Some(dpop) = dpop {
            policy["resources"][0]["dpop"] = json!(dpop);
        }
        Engine::new(Policy::parse(policy.to_string().as_bytes()).unwrap())
    };
    let decide = |engine: &mut Engine, scheme: &str, token: &str, proof: Option<Token>| {
        let credentials = format!("{scheme} {token}");
        let proof = proof.map(|proof| proof.sign());
        let mut headers: Vec<(&[u8], &[u8])> = vec![(b"authorization", credentials.as_bytes())];
        headers.extend(proof.iter().map(|proof| (&b"dpop"[..], proof.as_bytes())));
        let head = RequestHead {
            method: b"GET",
            authority: b"mcp.example.com",
            path: b"/files",
            headers: &headers,
            has_body: false,
            client: None,
            certificate: None,
        };
        let outcome = decide_offline(engine, head, [], now(), |engine, fetch| {
            let answer = get(&fetch.url);
            let _ = engine.fetched(fetch.id, Some((answer.status, answer.body.as_bytes())), now());
            true
        });
        outcome.decision().code().to_owned()
    };
    let shown = |key: TestKey| Some(Token::proof(key, "GET", FILES, &token, now()));
    for mode in [None, Some("require")] {
        let mut engine = engine(mode);
        assert_eq!(decide(&mut engine, "DPoP", &token, shown(KEY)), "allow", "{mode:?}");
        assert_eq!(decide(&mut engine, "DPoP", &token, shown(KEY)), "proof_replayed");
        assert_eq!(decide(&mut engine, "DPoP", &token, shown(OTHER)), "token_bound");
        assert_eq!(decide(&mut engine, "DPoP", &token, None), "proof_missing");
        assert_ne!(decide(&mut engine, "Bearer", &token, None), "allow");
        let bearer = decide(&mut engine, "Bearer", &plain, None);
        assert_eq!(bearer == "allow", mode.is_none(), "{bearer}");
    }
}
