//! Client authentication (OAuth 2.1 §2.4): exactly as it is registered.

use crate::{
    browser::text,
    http::{Answer, FORM, encode, send},
    issuer::{CALLBACK, Client, Issuer, VERIFIER},
};

fn request(issuer: &Issuer, headers: &[(&str, &str)], parameters: &[(&str, &str)]) -> Answer {
    let usual =
        [("grant_type", "authorization_code"), ("code", "ac_unknown"), ("code_verifier", VERIFIER)];
    let body = encode(&[&usual[..], parameters].concat());
    send("POST", &issuer.at("/token"), &[&[FORM], headers].concat(), Some(&body))
}

/// Complaint 7, MCP AS pain 6: 401 makes clients register again.
#[test]
fn complaint_7_unknown_client_is_401() {
    let issuer = Issuer::start();
    request(&issuer, &[], &[("client_id", "c_unknown")]).assert_error(401, "invalid_client");
    request(&issuer, &[], &[]).assert_error(401, "invalid_client");
    let unknown = Client {
        id: "c_unknown".to_owned(),
        secret: Some("x".to_owned()),
        method: "client_secret_basic".to_owned(),
    };
    let answer = request(&issuer, &[("authorization", &unknown.basic())], &[]);
    answer.assert_error(401, "invalid_client");
    assert!(answer.header("www-authenticate").starts_with("Basic "));
}

/// Attack 24, as far as there are methods: another method than the registered one is refused, even
/// with the right secret.
#[test]
fn attack_24_methods_are_not_interchangeable() {
    let issuer = Issuer::start();
    let none = issuer.client();
    let basic = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let post = issuer.add_client("client_secret_post", &[CALLBACK]);
    for client in [&none, &basic, &post] {
        for method in ["none", "client_secret_basic", "client_secret_post"] {
            let secret = client.secret.clone().or_else(|| Some("cs_x".to_owned()));
            let presented = Client { method: method.to_owned(), secret, ..client.clone() };
            let answer = issuer.redeem(&presented, "ac_unknown", &[]);
            if client.method == method {
                answer.assert_error(400, "invalid_grant");
            } else {
                answer.assert_error(401, "invalid_client");
            }
        }
        let wrong = Client { secret: Some("cs_wrong".to_owned()), ..client.clone() };
        if client.secret.is_some() {
            issuer.redeem(&wrong, "ac_unknown", &[]).assert_error(401, "invalid_client");
        }
    }
}

/// OAuth 2.1 §2.4: one way at a time, one client at a time.
#[test]
fn two_ways_at_once() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let basic = client.basic();
    let header = [("authorization", &*basic)];
    let secret = client.secret.as_deref().unwrap();
    let both = [("client_id", &*client.id), ("client_secret", secret)];
    request(&issuer, &header, &both).assert_error(400, "invalid_request");
    let same = [("client_id", &*client.id)];
    request(&issuer, &header, &same).assert_error(400, "invalid_grant");
    let other = issuer.client();
    request(&issuer, &header, &[("client_id", &other.id)]).assert_error(401, "invalid_client");
}

/// Attack 27: malformed Basic is 401 with a challenge, never our fault.
#[test]
fn attack_27_malformed_basic() {
    let issuer = Issuer::start();
    let encoded = |text: &str| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("Basic {}", STANDARD.encode(text))
    };
    for value in [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic %%%".to_owned(),
        "Basic YQ".to_owned(),
        "Bearer abc".to_owned(),
        encoded("no colon"),
        encoded("%zz:%zz"),
        encoded(":"),
        encoded("a:b&c=d"),
        encoded("\u{0}:\u{0}"),
        "Basic //79OmZv".to_owned(),
    ] {
        let answer = request(&issuer, &[("authorization", &value)], &[]);
        answer.assert_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic "), "{value}");
    }
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let lower = client.basic().replace("Basic", "bAsIc");
    request(&issuer, &[("authorization", &lower)], &[]).assert_error(400, "invalid_grant");
}

/// RFC 6749 §5.2, RFC 7591 §2: a client gets the grants that it registered for.
#[test]
fn grant_types_that_are_not_registered() {
    let issuer = Issuer::start();
    let answer = issuer.register(&serde_json::json!({ "redirect_uris": [CALLBACK] }));
    let client = Client {
        id: text(&answer.json(), "client_id").to_owned(),
        secret: None,
        method: "none".to_owned(),
    };
    let tokens = issuer.tokens(&client, &[]);
    assert!(tokens["refresh_token"].is_null(), "it did not register for one");
    issuer.refresh(&client, "rt_x", &[]).assert_error(400, "unauthorized_client");
    let credentials = [("grant_type", "client_credentials")];
    issuer.token(&client, &credentials).assert_error(400, "unauthorized_client");
    for grant in ["password", "implicit", "urn:x"] {
        let answer = issuer.token(&client, &[("grant_type", grant)]);
        answer.assert_error(400, "unsupported_grant_type");
    }
    issuer.token(&client, &[]).assert_error(400, "invalid_request");
}
