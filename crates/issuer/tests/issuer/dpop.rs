//! Tokens that are bound to a key of the client (DPoP, RFC 9449), and attack 62. Names in brackets are
//! those of the FAPI 2.0 conformance tests.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use countersign_core::jose::{base64url, json, thumbprint};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

use crate::{
    browser::text,
    http::{Answer, get},
    issuer::{CALLBACK, Client, FILES, Issuer, VERIFIER, now},
    tokens::verified,
};

pub(crate) const KEY: TestKey = TestKey::Ed25519(9);
pub(crate) const OTHER: TestKey = TestKey::Es256(7);

/// A good proof for a request by POST, each with another `jti`.
pub(crate) fn proof_by(key: TestKey, url: &str) -> Token {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let jti = format!("proof-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Token::proof(key, "POST", url, "", now()).claim("ath", Value::Null).claim("jti", jti)
}

pub(crate) fn proof(issuer: &Issuer) -> Token {
    proof_by(KEY, &issuer.at("/token"))
}

pub(crate) fn jkt(key: TestKey) -> String {
    let jwk = json::parse(key.jwk("").to_string().as_bytes()).unwrap();
    base64url::encode(thumbprint::sha256(jwk.as_object().unwrap()).unwrap())
}

/// A token request with a proof.
pub(crate) fn ask(
    issuer: &Issuer,
    client: &Client,
    proof: &Token,
    form: &[(&str, &str)],
) -> Answer {
    issuer.post_with("/token", client, &[("dpop", &proof.sign())], form)
}

pub(crate) fn redeem(issuer: &Issuer, client: &Client, code: &str, proof: &Token) -> Answer {
    let form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
    ask(issuer, client, proof, &form)
}

fn refresh(issuer: &Issuer, client: &Client, token: &str, proof: &Token) -> Answer {
    ask(issuer, client, proof, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

#[track_caller]
pub(crate) fn tokens(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Tokens of a fresh grant, bound to the key.
pub(crate) fn bound(issuer: &Issuer, client: &Client, scope: &str) -> Value {
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

pub(crate) const SERVICE: [(&str, &str); 1] = [("grant_type", "client_credentials")];

pub(crate) fn service(issuer: &Issuer) -> Client {
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
/// when the grant began without one; and so is what a retry gets.
#[test]
fn a_refresh_token_is_bound_when_a_key_is_shown() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let second = tokens(&refresh(&issuer, &client, &first, &proof(&issuer)));
    let second = text(&second, "refresh_token");
    let again = tokens(&refresh(&issuer, &client, &first, &proof(&issuer)));
    assert_eq!(text(&again, "refresh_token"), second);
    issuer.refresh(&client, second, &[]).assert_error(400, "invalid_dpop_proof");
    tokens(&refresh(&issuer, &client, second, &proof(&issuer)));
}

/// Attack 14: a proof does not hide that two use a token. A retry shows what was shown first; anybody
/// else ends the family, whichever of the two that is.
#[test]
fn attack_14_a_proof_does_not_hide_reuse() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let by = |token: &str, shown: Option<TestKey>| match shown {
        Some(key) => refresh(&issuer, &client, token, &proof_by(key, &issuer.at("/token"))),
        None => issuer.refresh(&client, token, &[]),
    };
    for (thief, victim) in
        [(Some(OTHER), None), (None, Some(KEY)), (Some(OTHER), Some(KEY)), (None, None)]
    {
        let stolen = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
        let taken = text(&tokens(&by(&stolen, thief)), "refresh_token").to_owned();
        if thief == victim {
            issuer.sql("UPDATE refresh_tokens SET rotated_at = rotated_at - 60");
        }
        by(&stolen, victim).assert_error(400, "invalid_grant");
        by(&taken, thief).assert_error(400, "invalid_grant");
    }
}

/// The same at once: whoever comes second gets nothing, binds nothing to a key, and ends the family.
#[test]
fn attack_14_two_keys_at_once() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for _ in 0..5 {
        let stolen = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
        let start = Barrier::new(2);
        let by = |key| {
            let shown = proof_by(key, &issuer.at("/token"));
            start.wait();
            (key, refresh(&issuer, &client, &stolen, &shown))
        };
        let answers = thread::scope(|scope| {
            let both = [KEY, OTHER].map(|key| scope.spawn(move || by(key)));
            both.map(|one| one.join().unwrap())
        });
        let (good, bad): (Vec<_>, Vec<_>) =
            answers.iter().partition(|(_, answer)| answer.status == 200);
        let ([(key, good)], [(_, bad)]) = (&good[..], &bad[..]) else { panic!("{answers:?}") };
        bad.assert_error(400, "invalid_grant");
        assert_eq!(bound_to(&issuer, &good.json()), json!({ "jkt": jkt(*key) }));
        let successor = good.json();
        let successor = text(&successor, "refresh_token");
        let shown = proof_by(*key, &issuer.at("/token"));
        refresh(&issuer, &client, successor, &shown).assert_error(400, "invalid_grant");
    }
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
