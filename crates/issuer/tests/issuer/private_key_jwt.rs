//! Clients that sign what they are (RFC 7523, draft-ietf-oauth-rfc7523bis-11).

use countersign_testkit::{
    keys::{TestKey, hs256},
    token::Token,
};
use serde_json::{Value, json};

use crate::{
    http::{Answer, FORM, encode, send},
    issuer::{CALLBACK, Client, FILES, Issuer, VERIFIER, asserting, assertion, new_client, now},
};

/// A request with this assertion, for a code that there is not: 400 says that the client is known.
fn send_assertion(issuer: &Issuer, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let usual =
        [("grant_type", "authorization_code"), ("code", "ac_x"), ("code_verifier", VERIFIER)];
    let body = encode(&[&usual[..], &asserting(assertion), more].concat());
    send("POST", &issuer.at("/token"), &[FORM], Some(&body))
}

fn client(issuer: &Issuer) -> Client {
    issuer.add_client("private_key_jwt", &[CALLBACK])
}

/// The whole flow, with and without `client_id` beside the assertion, and typed in all ways.
#[test]
fn rfc_7523_client_authentication() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let tokens = issuer.tokens(&client, &[]);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(issuer.refresh(&client, refresh, &[]).status, 200);

    let good = || assertion(&issuer.url, &client.id);
    let id = [("client_id", client.id.as_str())];
    send_assertion(&issuer, &good().sign(), &id).assert_error(400, "invalid_grant");
    for typ in [json!("JWT"), json!("application/client-authentication+jwt"), Value::Null] {
        let answer = send_assertion(&issuer, &good().header("typ", typ).sign(), &[]);
        answer.assert_error(400, "invalid_grant");
    }
    // Neither is required by RFC 7523, and no reason to refuse.
    let bare = good().claim("iat", Value::Null);
    let answer = send_assertion(&issuer, &bare.sign(), &[]);
    match issuer.folder().has_redis() {
        // A Redis that has just started cannot say of it that it was not used before.
        true => answer.assert_error(503, "temporarily_unavailable"),
        false => answer.assert_error(400, "invalid_grant"),
    }
}

/// Attack 25 (rfc7523bis §3), FAPI client-assertion tests: for this issuer alone, as one string.
#[test]
fn attack_25_assertions_for_others() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let token_endpoint = issuer.at("/token");
    for aud in [
        json!(token_endpoint),
        json!(format!("{}/", issuer.url)),
        json!([issuer.url]),
        json!([issuer.url, token_endpoint]),
        json!(["https://other.example", issuer.url]),
        json!("https://other.example"),
        json!(""),
        json!([]),
        Value::Null,
    ] {
        let text = assertion(&issuer.url, &client.id).claim("aud", aud.clone()).sign();
        let answer = send_assertion(&issuer, &text, &[]);
        assert_eq!(answer.status, 401, "{aud}");
        answer.assert_error(401, "invalid_client");
    }
}

/// Attack 26: once, in its time, by the right key and an asymmetric algorithm.
#[test]
fn attack_26_replay_times_and_algorithms() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let good = || assertion(&issuer.url, &client.id);
    let once = good().sign();
    send_assertion(&issuer, &once, &[]).assert_error(400, "invalid_grant");
    send_assertion(&issuer, &once, &[]).assert_error(401, "invalid_client");
    // Another signature on the same identifier is the same assertion.
    let twin = good().claim("jti", "twin");
    send_assertion(&issuer, &twin.sign(), &[]).assert_error(400, "invalid_grant");
    let again = twin.claim("exp", now() + 61);
    send_assertion(&issuer, &again.sign(), &[]).assert_error(401, "invalid_client");

    let now = now();
    let cases: Vec<(Token, u16)> = vec![
        // FAPI: clocks differ a little.
        (good().claim("nbf", now + 8), 400),
        (good().claim("iat", now + 8), 400),
        (good().claim("exp", now - 8).claim("iat", now - 60), 400),
        (good().claim("nbf", now + 60), 401),
        (good().claim("iat", now + 60), 401),
        (good().claim("exp", now - 300), 401),
        (good().claim("exp", now + 3600), 401),
        (good().claim("exp", Value::Null), 401),
        // Attack 34: a date of another type is no missing date.
        (good().claim("exp", (now + 60).to_string()), 401),
        (good().claim("exp", json!([now + 60])), 401),
        (good().claim("nbf", "0"), 401),
        (good().claim("jti", Value::Null), 401),
        (good().claim("jti", ""), 401),
        (good().claim("jti", "x".repeat(257)), 401),
        (good().claim("jti", 7), 401),
        (good().claim("iss", "c_other"), 401),
        (good().claim("iss", Value::Null), 401),
        (good().claim("sub", Value::Null), 401),
        (good().claim("sub", "c_other"), 401),
        (good().header("typ", "at+jwt"), 401),
        (good().header("typ", "dpop+jwt"), 401),
        (good().header("typ", "oauth-id-jag+jwt"), 401),
        (good().header("alg", "none"), 401),
        (good().header("alg", "ES384"), 401),
        // Attack 32.
        (good().header("crit", json!(["exp"])), 401),
        (good().key(TestKey::Es256(2), "es1"), 401),
        (good().header("kid", "other"), 401),
        (good().edit_payload("\"iss\"", "\"iss\":\"x\",\"iss\""), 401),
    ];
    for (token, status) in cases {
        let answer = send_assertion(&issuer, &token.sign(), &[]);
        assert_eq!(answer.status, status, "{token:?}: {}", answer.body);
    }
    let text = good().sign();
    let (input, _) = text.rsplit_once('.').unwrap();
    for broken in [format!("{input}."), input.to_owned(), text.replace('.', ""), "x".to_owned()] {
        send_assertion(&issuer, &broken, &[]).assert_error(401, "invalid_client");
    }
}

/// Attack 33: the public key is no secret.
#[test]
fn attack_33_hs256_under_the_public_key() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let token = assertion(&issuer.url, &client.id).header("alg", "HS256");
    let jwk = TestKey::Es256(1).jwk("es1").to_string();
    let forged = token.with_signature(&hs256(jwk.as_bytes(), token.signing_input().as_bytes()));
    send_assertion(&issuer, &forged, &[]).assert_error(401, "invalid_client");
}

/// Attack 31: a key that comes with what it signed is nobody's.
#[test]
fn attack_31_injected_keys() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let jwk = TestKey::Es256(2).jwk("es1");
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5c", json!(["AAAA"])),
        ("x5u", json!("https://evil.example/x5u")),
    ] {
        let forged =
            assertion(&issuer.url, &client.id).header(name, value).key(TestKey::Es256(2), "es1");
        send_assertion(&issuer, &forged.sign(), &[]).assert_error(401, "invalid_client");
    }
}

/// Attack 24, 26: neither a secret, nor nothing, nor another client's key.
#[test]
fn attack_24_only_by_assertion() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let code =
        [("code", "ac_x"), ("code_verifier", VERIFIER), ("grant_type", "authorization_code")];
    for method in ["none", "client_secret_basic", "client_secret_post"] {
        let presented =
            Client { method: method.to_owned(), secret: Some("cs_x".into()), ..client.clone() };
        issuer.token(&presented, &code).assert_error(401, "invalid_client");
    }
    let keys = json!({ "keys": [TestKey::Es256(2).jwk("other")] });
    let mut new = new_client("private_key_jwt");
    new.jwks = Some(keys.to_string());
    let other = issuer.try_add(new).unwrap();
    let foreign = assertion(&issuer.url, &client.id).key(TestKey::Es256(2), "other");
    send_assertion(&issuer, &foreign.sign(), &[]).assert_error(401, "invalid_client");
    let own = assertion(&issuer.url, &other.id).key(TestKey::Es256(2), "other");
    let id = [("client_id", client.id.as_str())];
    send_assertion(&issuer, &own.sign(), &id).assert_error(401, "invalid_client");
    // A client with a secret cannot sign, and says so twice.
    let basic = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let signed = assertion(&issuer.url, &basic.id).sign();
    send_assertion(&issuer, &signed, &[]).assert_error(401, "invalid_client");
    let twice = [("client_secret", "cs_x")];
    send_assertion(&issuer, &signed, &twice).assert_error(400, "invalid_request");
    for kind in ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"] {
        let signed = assertion(&issuer.url, &client.id).sign();
        let form = [("client_assertion", signed.as_str()), ("client_assertion_type", kind)];
        let body = encode(&[&code[..], &form].concat());
        let answer = send("POST", &issuer.at("/token"), &[FORM], Some(&body));
        answer.assert_error(401, "invalid_client");
    }
}

/// RFC 7591 §2: a client may register its keys, and then signs with them.
#[test]
fn rfc_7591_registered_keys() {
    let issuer = Issuer::start();
    let metadata = |more: Value| {
        let mut metadata = json!({
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "private_key_jwt",
        });
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        metadata
    };
    let keys = |key: Value| json!({ "jwks": { "keys": [key] } });
    let answer = issuer.register(&metadata(keys(TestKey::Ed25519(3).jwk("ed"))));
    assert_eq!(answer.status, 201, "{}", answer.body);
    let document = answer.json();
    assert_eq!(document["token_endpoint_auth_method"], "private_key_jwt");
    assert!(document["client_secret"].is_null());
    assert_eq!(document["jwks"]["keys"][0]["kid"], "ed");
    let id = document["client_id"].as_str().unwrap();
    let signed = assertion(&issuer.url, id).key(TestKey::Ed25519(3), "ed");
    send_assertion(&issuer, &signed.sign(), &[]).assert_error(400, "invalid_grant");
    for bad in [
        json!({}),
        json!({ "jwks": { "keys": [] } }),
        json!({ "jwks": {} }),
        json!({ "jwks": "x" }),
        keys(TestKey::Hs256.jwk("secret")),
        keys(json!({ "kty": "EC" })),
    ] {
        let answer = issuer.register(&metadata(bad));
        answer.assert_error(400, "invalid_client_metadata");
    }
}

/// `FILES` is all that a service may use; the method is the MCP extension's (AS-24).
#[test]
fn as_24_client_credentials_by_assertion() {
    let issuer = Issuer::start();
    let service = issuer.add_service("private_key_jwt", &[(FILES, "files:read")]);
    let parameters = [("grant_type", "client_credentials"), ("resource", FILES)];
    let answer = issuer.token(&service, &parameters);
    assert_eq!(answer.status, 200, "{}", answer.body);
}
