//! Tokens that are bound to a key of the client (DPoP, RFC 9449), and attack 62. Names in brackets are
//! those of the FAPI 2.0 conformance tests.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use countersign_core::{
    guard::{Engine, Policy, RequestHead, decide_offline},
    jose::{base64url, json, thumbprint},
};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

use crate::{
    browser::{Browser, text},
    http::{Answer, FORM, encode, get, send},
    issuer::{CALLBACK, CHALLENGE, Client, FILES, Issuer, VERIFIER, now, replaced},
    tokens::verified,
};

const KEY: TestKey = TestKey::Ed25519(9);
const OTHER: TestKey = TestKey::Es256(7);

/// A good proof for a request by POST, each with another `jti`.
pub(crate) fn proof_by(key: TestKey, url: &str) -> Token {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let jti = format!("proof-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Token::proof(key, "POST", url, "", now()).claim("ath", Value::Null).claim("jti", jti)
}

fn proof(issuer: &Issuer) -> Token {
    proof_by(KEY, &issuer.at("/token"))
}

fn jkt(key: TestKey) -> String {
    let jwk = json::parse(key.jwk("").to_string().as_bytes()).unwrap();
    base64url::encode(thumbprint::sha256(jwk.as_object().unwrap()).unwrap())
}

/// A token request with a proof.
fn ask(issuer: &Issuer, client: &Client, proof: &Token, form: &[(&str, &str)]) -> Answer {
    issuer.post_with("/token", client, &[("dpop", &proof.sign())], form)
}

fn redeem(issuer: &Issuer, client: &Client, code: &str, proof: &Token) -> Answer {
    let form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
    ask(issuer, client, proof, &form)
}

fn refresh(issuer: &Issuer, client: &Client, token: &str, proof: &Token) -> Answer {
    ask(issuer, client, proof, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

#[track_caller]
fn tokens(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Tokens of a fresh grant, bound to the key.
fn bound(issuer: &Issuer, client: &Client, scope: &str) -> Value {
    let code = issuer.code(client, &[("scope", scope)]);
    tokens(&redeem(issuer, client, &code, &proof(issuer)))
}

/// The key that an access token says it is bound to; the type must say the same.
#[track_caller]
fn bound_to(issuer: &Issuer, tokens: &Value) -> Value {
    let (_, claims) = verified(issuer, text(tokens, "access_token"));
    let cnf = claims["cnf"].clone();
    assert_eq!(tokens["token_type"], if cnf.is_null() { "Bearer" } else { "DPoP" });
    cnf
}

const SERVICE: [(&str, &str); 1] = [("grant_type", "client_credentials")];

fn service(issuer: &Issuer) -> Client {
    issuer.add_service("client_secret_basic", &[(FILES, "files:read")])
}

/// RFC 9449 §5, §6: whoever sends a proof gets a bound token, by every grant; nobody else does.
#[test]
fn rfc_9449_bound_tokens_by_every_grant() {
    let issuer = Issuer::start();
    let server = issuer.add_resource_server(FILES);
    let expected = json!({ "jkt": jkt(KEY) });
    for method in ["none", "client_secret_basic", "private_key_jwt"] {
        let client = issuer.add_client(method, &[CALLBACK]);
        let first = bound(&issuer, &client, "openid files:read");
        assert_eq!(bound_to(&issuer, &first), expected);
        assert!(first["id_token"].is_string());
        let second = refresh(&issuer, &client, text(&first, "refresh_token"), &proof(&issuer));
        assert_eq!(bound_to(&issuer, &tokens(&second)), expected, "{method}");
        let plain = issuer.tokens(&client, &[]);
        assert_eq!(bound_to(&issuer, &plain), Value::Null);

        // RFC 9449 §6.2: the server of the resource learns it too.
        let token = text(&first, "access_token");
        let answer = issuer.post("/introspect", &server, &[("token", token)]).json();
        assert_eq!((&answer["token_type"], &answer["cnf"]), (&json!("DPoP"), &expected));
        let plain = text(&plain, "access_token");
        let answer = issuer.post("/introspect", &server, &[("token", plain)]).json();
        assert_eq!((&answer["token_type"], &answer["cnf"]), (&json!("Bearer"), &Value::Null));
    }
    let service = service(&issuer);
    let own = tokens(&ask(&issuer, &service, &proof(&issuer), &SERVICE));
    assert_eq!(bound_to(&issuer, &own), expected);
    assert_eq!(bound_to(&issuer, &tokens(&issuer.token(&service, &SERVICE))), Value::Null);
}

/// RFC 9449 §4.3, attack 62, [dpop-negative-tests]: each differs from a good proof in one respect.
#[test]
fn attack_62_proofs_at_the_token_endpoint() {
    let issuer = Issuer::start();
    let service = service(&issuer);
    let good = || proof(&issuer);
    let (url, now) = (issuer.at("/token"), now());
    for fine in [
        good().header("typ", "application/dpop+JWT"),
        good().claim("htu", format!("{url}?x=1#y")),
        good().claim("ath", "of no token: none is presented"),
        good().claim("nonce", "none was asked for"),
        good().claim("x", 1).header("kid", "x"),
        // [dpop iat ±10 s]
        good().claim("iat", now + 10),
        good().claim("iat", now - 10),
    ] {
        tokens(&ask(&issuer, &service, &fine, &SERVICE));
    }
    let private = {
        let mut jwk = KEY.jwk("x");
        jwk["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        jwk
    };
    let oct = json!({ "kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" });
    for bad in [
        good().header("typ", Value::Null),
        good().header("typ", "JWT"),
        good().header("typ", "at+jwt"),
        good().header("typ", "client-authentication+jwt"),
        good().header("alg", "none"),
        good().header("alg", "ES256"),
        good().header("alg", "HS256").header("jwk", oct),
        good().header("jwk", Value::Null),
        good().header("jwk", private),
        // Signed by another key than the one in it.
        good().header("jwk", TestKey::Ed25519(8).jwk("x")),
        good().header("crit", json!(["x"])),
        good().claim("jti", Value::Null),
        good().claim("jti", ""),
        good().claim("jti", "x".repeat(257)),
        good().claim("htm", Value::Null),
        good().claim("htm", "GET"),
        good().claim("htm", "post"),
        good().claim("htu", Value::Null),
        good().claim("htu", issuer.at("/par")),
        good().claim("htu", issuer.url.clone()),
        good().claim("htu", format!("{url}/")),
        good().claim("htu", url.replace("http:", "https:")),
        good().claim("htu", "https://other.example/token"),
        good().claim("iat", Value::Null),
        good().claim("iat", now + 600),
        good().claim("iat", now - 600),
        // Attack 34: a date of another type is no date.
        good().claim("iat", now.to_string()),
        good().claim("nonce", 1),
        good().edit_payload("\"htm\"", "\"htm\":\"GET\",\"htm\""),
    ] {
        let answer = ask(&issuer, &service, &bad, &SERVICE);
        answer.assert_error(400, "invalid_dpop_proof");
    }
    let (text, other) = (good().sign(), good().sign());
    let (signed, _) = text.rsplit_once('.').unwrap();
    let lists = format!("{text}, {other}");
    for headers in [
        &[("dpop", "")][..],
        &[("dpop", "x")],
        &[("dpop", signed)],
        // §4.3 step 1: one.
        &[("dpop", &*lists)],
        &[("dpop", &*text), ("dpop", &*other)],
    ] {
        let answer = issuer.post_with("/token", &service, headers, &SERVICE);
        answer.assert_error(400, "invalid_dpop_proof");
    }
    // A bad client is a bad client, whatever it proves.
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..service };
    ask(&issuer, &wrong, &good(), &SERVICE).assert_error(401, "invalid_client");
}

/// RFC 9449 §11.1: a proof is good once, on all nodes, also after a restart, and for twenty who come at
/// once.
#[test]
fn attack_62_replayed_proofs() {
    let issuer = Issuer::start();
    let service = service(&issuer);
    let proof = proof(&issuer);
    let start = Barrier::new(20);
    let good = thread::scope(|scope| {
        let send = || {
            start.wait();
            let answer = ask(&issuer, &service, &proof, &SERVICE);
            if answer.status != 200 {
                answer.assert_error(400, "invalid_dpop_proof");
            }
            usize::from(answer.status == 200)
        };
        let all: Vec<_> = (0..20).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
    });
    assert_eq!(good, 1);
    let issuer = issuer.restart();
    ask(&issuer, &service, &proof, &SERVICE).assert_error(400, "invalid_dpop_proof");
    // Another signature, or another time, on the same name is the same proof.
    let again = proof.claim("iat", now() - 1);
    ask(&issuer, &service, &again, &SERVICE).assert_error(400, "invalid_dpop_proof");
    // The name is the key's own: nobody else's proof is used up by it.
    let namesake =
        proof_by(OTHER, &issuer.at("/token")).claim("jti", again.claims()["jti"].clone());
    tokens(&ask(&issuer, &service, &namesake, &SERVICE));
}

/// What is refused for another reason leaves nothing behind: strangers store no proofs.
#[test]
fn refused_requests_store_no_proof() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let proof = proof(&issuer);
    redeem(&issuer, &client, "ac_x", &proof).assert_error(400, "invalid_grant");
    refresh(&issuer, &client, "rt_x", &proof).assert_error(400, "invalid_grant");
    assert_eq!(issuer.number("SELECT COUNT(*) FROM jti_seen"), 0);
    let code = issuer.code(&client, &[]);
    tokens(&redeem(&issuer, &client, &code, &proof));
    assert_eq!(issuer.number("SELECT COUNT(*) FROM jti_seen"), 1);
}

/// RFC 9449 §5, attack 62: a public client's refresh tokens are worth nothing without the key, whoever
/// has them; and who lacks it uses nothing up, and ends nothing.
#[test]
fn attack_62_other_key_on_refresh() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&bound(&issuer, &client, "files:read"), "refresh_token").to_owned();
    let other = || proof_by(OTHER, &issuer.at("/token"));
    let refused = |token: &str| {
        refresh(&issuer, &client, token, &other()).assert_error(400, "invalid_dpop_proof");
        issuer.refresh(&client, token, &[]).assert_error(400, "invalid_dpop_proof");
    };
    refused(&first);
    let second = tokens(&refresh(&issuer, &client, &first, &proof(&issuer)));
    assert_eq!(bound_to(&issuer, &second), json!({ "jkt": jkt(KEY) }));
    let second = text(&second, "refresh_token").to_owned();
    // The retry of who lost the answer, but of nobody else.
    refused(&first);
    let again = tokens(&refresh(&issuer, &client, &first, &proof(&issuer)));
    assert_eq!(text(&again, "refresh_token"), second);
    refused(&second);
    tokens(&refresh(&issuer, &client, &second, &proof(&issuer)));

    // A client that authenticates is bound by that (§5); its access tokens may have any key.
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let first = bound(&issuer, &client, "files:read");
    let second = tokens(&refresh(&issuer, &client, text(&first, "refresh_token"), &other()));
    assert_eq!(bound_to(&issuer, &second), json!({ "jkt": jkt(OTHER) }));
    let third = issuer.refresh(&client, text(&second, "refresh_token"), &[]);
    assert_eq!(bound_to(&issuer, &tokens(&third)), Value::Null);
}

/// RFC 9449 §5: a refresh token that is issued to a public client with a proof is bound to its key, also
/// when the grant began without one.
#[test]
fn a_grant_is_bound_when_a_key_is_shown() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let second = tokens(&refresh(&issuer, &client, &first, &proof(&issuer)));
    let second = text(&second, "refresh_token");
    for token in [&first, second] {
        issuer.refresh(&client, token, &[]).assert_error(400, "invalid_dpop_proof");
    }
    tokens(&refresh(&issuer, &client, second, &proof(&issuer)));
}

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
    assert_eq!(refused.header("access-control-expose-headers").contains("DPoP-Nonce"), true);
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

/// RFC 9449 §5.1: every algorithm that the metadata names, and no other.
#[test]
fn rfc_9449_algorithms_are_as_the_metadata_says() {
    let issuer = Issuer::start();
    let service = service(&issuer);
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    let named: Vec<&str> = metadata["dpop_signing_alg_values_supported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    for key in TestKey::ALL {
        let answer = ask(&issuer, &service, &proof_by(key, &issuer.at("/token")), &SERVICE);
        match named.contains(&key.alg()) {
            true => assert_eq!(bound_to(&issuer, &tokens(&answer)), json!({ "jkt": jkt(key) })),
            false => answer.assert_error(400, "invalid_dpop_proof"),
        }
    }
    assert_eq!(named.len(), TestKey::ALL.len() - 1, "all but HS256: {named:?}");
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
