//! Authorization requests that the client signed (RFC 9101), by the browser and pushed. Names in brackets
//! are those of the FAPI 2.0 conformance tests.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign_testkit::{
    keys::{TestKey, hs256},
    token::Token,
};
use serde_json::{Value, json};

use crate::{
    browser::{Browser, text},
    dpop::proof_by,
    http::{Answer, encode, get},
    issuer::{
        CALLBACK, CHALLENGE, Client, FILES, Issuer, MAIL, asserting, assertion, new_client, now,
        replaced,
    },
    site::{Page, Site},
    tokens::verified,
};

const KEY: TestKey = TestKey::Es256(1);

/// A client with the usual key, which authenticates by nothing.
fn client(issuer: &Issuer) -> Client {
    registered(issuer, json!({}))
}

fn metadata(more: &Value) -> Value {
    let mut metadata = json!({
        "client_name": "Signer",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "jwks": { "keys": [KEY.jwk("es1")] },
    });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    metadata
}

fn registered(issuer: &Issuer, more: Value) -> Client {
    let answer = issuer.register(&metadata(&more));
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = text(&answer.json(), "client_id").to_owned();
    Client { id, secret: None, method: "none".to_owned() }
}

/// A good request object, each with another `jti`.
fn object(issuer: &Issuer, client: &Client) -> Token {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = now();
    let jti = format!("request-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut token = Token::new(&client.id, &issuer.url)
        .header("typ", "oauth-authz-req+jwt")
        .claim("sub", Value::Null)
        .claim("jti", jti)
        .claim("iat", now)
        .claim("nbf", now)
        .claim("exp", now + 60);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", client.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "signed"),
        ("scope", "files:read"),
        ("resource", FILES),
    ] {
        token = token.claim(name, value);
    }
    token
}

fn url(issuer: &Issuer, client: &Client, object: &str, more: &[(&str, &str)]) -> String {
    let usual = [("client_id", client.id.as_str()), ("request", object)];
    issuer.at(&format!("/authorize?{}", encode(&replaced(&usual, more))))
}

fn push(issuer: &Issuer, client: &Client, object: &str, more: &[(&str, &str)]) -> Answer {
    issuer.post("/par", client, &replaced(&[("request", object)], more))
}

/// The URL for what was pushed.
fn pushed(issuer: &Issuer, client: &Client, answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    let uri = text(&answer.json(), "request_uri").to_owned();
    let query = encode(&[("client_id", &client.id), ("request_uri", &uri)]);
    issuer.at(&format!("/authorize?{query}"))
}

/// What the client is told: a stranger's user has to click for that.
fn error(answer: &Answer) -> String {
    let link = answer.body.split("error=").nth(1);
    let link = link.unwrap_or_else(|| panic!("no error in {answer:?}"));
    link.split(['&', '"']).next().unwrap().to_owned()
}

/// §4, §5, §6.3: the whole way, with everything beside the object ignored, whatever it says.
#[test]
fn rfc_9101_whole_flow() {
    let issuer = Issuer::start();
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["request_parameter_supported"], true);
    assert_eq!(metadata["request_uri_parameter_supported"], false);
    assert_eq!(metadata["require_signed_request_object"], false);
    let attack = [
        ("scope", "files:write"),
        ("state", "other"),
        ("resource", MAIL),
        ("redirect_uri", "https://evil.example/cb"),
        ("code_challenge", "x"),
        ("code_challenge_method", "plain"),
        ("response_type", "token"),
        ("prompt", "none"),
    ];
    let signing = issuer.add_client("private_key_jwt", &[CALLBACK]);
    for client in [client(&issuer), signing] {
        let good = || object(&issuer, &client).sign();
        for url in [
            url(&issuer, &client, &good(), &[]),
            url(&issuer, &client, &good(), &attack),
            pushed(&issuer, &client, &push(&issuer, &client, &good(), &[])),
            pushed(&issuer, &client, &push(&issuer, &client, &good(), &attack)),
        ] {
            let answer = Browser::new().authorize(&issuer, &url);
            assert_eq!(answer.redirect().0, CALLBACK);
            assert_eq!(answer.parameter("state"), "signed");
            let answer = issuer.redeem(&client, &answer.parameter("code"), &[]);
            assert_eq!(answer.status, 200, "{answer:?}");
            let (_, claims) = verified(&issuer, text(&answer.json(), "access_token"));
            assert_eq!((&claims["scope"], &claims["aud"]), (&"files:read".into(), &FILES.into()));
        }
    }
}

/// §4, §6.2, §10.8, RFC 8725 §3.11, [request-object-with-…]: each differs from a good one in one respect.
/// Attacks 24 to 26 and 31 to 34 for this kind of JWT.
#[test]
fn rfc_9101_bad_objects() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let good = || object(&issuer, &client);
    let now = now();
    let null = Value::Null;
    for fine in [
        good().header("typ", "application/oauth-authz-req+JWT"),
        good().claim("nbf", null.clone()).claim("iat", null.clone()),
        good().claim("nbf", now + 8),
        good().claim("sub", "somebody"),
        good().claim("max_age", 3600),
        good().claim("unknown", json!({ "x": [null] })),
        good().claim("resource", json!([FILES])),
    ] {
        let answer = push(&issuer, &client, &fine.sign(), &[]);
        assert_eq!(answer.status, 201, "{fine:?}: {answer:?}");
    }
    let mut bad: Vec<String> = [
        good().header("typ", null.clone()),
        good().header("typ", "JWT"),
        good().header("typ", "client-authentication+jwt"),
        good().header("typ", "dpop+jwt"),
        good().header("alg", "none"),
        good().header("alg", "ES384"),
        good().header("crit", json!(["exp"])),
        good().header("kid", "other"),
        good().key(TestKey::Es256(2), "es1"),
        good().header("jwk", TestKey::Es256(2).jwk("es1")).key(TestKey::Es256(2), "es1"),
        good().claim("iss", null.clone()),
        good().claim("iss", "c_other"),
        good().claim("client_id", null.clone()),
        good().claim("client_id", "c_other"),
        good().claim("aud", null.clone()),
        good().claim("aud", "https://other.example"),
        good().claim("aud", issuer.at("/authorize")),
        good().claim("aud", json!([issuer.url, "https://other.example"])),
        good().claim("exp", null.clone()),
        good().claim("exp", now - 300),
        good().claim("exp", now + 3700),
        good().claim("exp", (now + 60).to_string()),
        good().claim("nbf", now + 60),
        good().claim("jti", null),
        good().claim("jti", ""),
        // It could be an assertion (§10.8).
        good().claim("sub", client.id.as_str()),
        good().claim("request", "x"),
        good().claim("request_uri", "https://app.example.com/request"),
        good().claim("scope", json!(["files:read"])),
        good().claim("state", 1.5),
        good().claim("resource", json!([1])),
        good().edit_payload("\"scope\"", "\"scope\":\"x\",\"scope\""),
    ]
    .iter()
    .map(Token::sign)
    .collect();
    let (input, _) = bad[0].rsplit_once('.').unwrap();
    bad.extend([format!("{input}."), input.to_owned(), "x".to_owned(), "a.b.c.d.e".to_owned()]);
    let forged = good().header("alg", "HS256");
    let secret = KEY.jwk("es1").to_string();
    bad.push(forged.with_signature(&hs256(secret.as_bytes(), forged.signing_input().as_bytes())));
    for text in &bad {
        push(&issuer, &client, text, &[]).assert_error(400, "invalid_request_object");
    }
    // The browser's way: told to the client, at its own address.
    for text in &bad[..4] {
        let page = Browser::new().visit(&issuer, &url(&issuer, &client, text, &[]));
        assert_eq!(error(&page), "invalid_request_object", "{page:?}");
        let elsewhere = [("redirect_uri", "https://evil.example/cb")];
        get(&url(&issuer, &client, text, &elsewhere)).assert_page(400);
    }
    // Nothing of them was used up.
    assert_eq!(push(&issuer, &client, &good().sign(), &[]).status, 201);
}

/// What is signed has to be good as well.
#[test]
fn a_signature_makes_no_request_good() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let good = || object(&issuer, &client);
    for (object, error) in [
        (good().claim("code_challenge", Value::Null), "invalid_request"),
        (good().claim("code_challenge_method", "plain"), "invalid_request"),
        (good().claim("response_type", "token"), "unsupported_response_type"),
        (good().claim("scope", "files:admin"), "invalid_scope"),
        (good().claim("resource", json!([FILES, MAIL])), "invalid_target"),
        (good().claim("redirect_uri", "https://evil.example/cb"), "invalid_request"),
    ] {
        push(&issuer, &client, &object.sign(), &[]).assert_error(400, error);
    }
    let elsewhere = good().claim("redirect_uri", "https://evil.example/cb").sign();
    get(&url(&issuer, &client, &elsewhere, &[])).assert_page(400);
    // Another client's object, also with that client's own name beside it.
    let other = self::client(&issuer);
    let foreign = object(&issuer, &other).sign();
    push(&issuer, &client, &foreign, &[]).assert_error(400, "invalid_request_object");
    let page = get(&url(&issuer, &client, &foreign, &[]));
    assert_eq!(error(&page), "invalid_request_object");
    // A client without keys has nothing to sign with.
    let keyless = issuer.client();
    let object = object(&issuer, &keyless).sign();
    push(&issuer, &keyless, &object, &[]).assert_error(400, "invalid_request_object");
    assert_eq!(
        get(&url(&issuer, &keyless, &object, &[])).parameter("error"),
        "invalid_request_object"
    );
}

/// `jti`: once, whichever way it comes; and what was refused may come again.
#[test]
fn request_objects_are_used_once() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    for first_pushed in [true, false] {
        let object = object(&issuer, &client);
        let text = object.sign();
        let refused = object.clone().claim("scope", "files:admin").sign();
        push(&issuer, &client, &refused, &[]).assert_error(400, "invalid_scope");
        if first_pushed {
            assert_eq!(push(&issuer, &client, &text, &[]).status, 201);
        } else {
            assert_eq!(get(&url(&issuer, &client, &text, &[])).status, 303);
        }
        push(&issuer, &client, &text, &[]).assert_error(400, "invalid_request_object");
        let page = get(&url(&issuer, &client, &text, &[]));
        assert_eq!(error(&page), "invalid_request_object");
    }
}

/// §10.5: who asks to be held to signed requests is; however it came to be known.
#[test]
fn rfc_9101_require_signed_request_object() {
    let issuer = Issuer::start();
    let must = json!({ "require_signed_request_object": true });
    let one = registered(&issuer, must.clone());
    let described = "https://app.example.com/client.json";
    let mut document = metadata(&must);
    document["client_id"] = json!(described);
    issuer.pin(described, &document.to_string()).unwrap();
    let two = Client { id: described.to_owned(), ..one.clone() };
    let mut new = new_client("private_key_jwt");
    new.redirect_uris = vec![CALLBACK.to_owned()];
    new.grant_types = vec!["authorization_code".to_owned()];
    new.signed_requests = true;
    let three = issuer.try_add(new).unwrap();
    for client in [one, two, three] {
        let unsigned = issuer.authorize_url(&client, &[]);
        let answer = get(&unsigned);
        let told = if answer.status == 303 { answer.parameter("error") } else { error(&answer) };
        assert_eq!(told, "invalid_request");
        let (_, query) = unsigned.split_once('?').unwrap();
        let form: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .filter(|(name, _)| name != "client_id")
            .collect();
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        issuer.post("/par", &client, &form).assert_error(400, "invalid_request");
        // An empty object is none (RFC 6749 §3.1).
        issuer
            .post("/par", &client, &[&form[..], &[("request", "")]].concat())
            .assert_error(400, "invalid_request");
        let signed = || object(&issuer, &client).sign();
        assert_eq!(get(&url(&issuer, &client, &signed(), &[])).status, 303);
        let pushed = pushed(&issuer, &client, &push(&issuer, &client, &signed(), &[]));
        assert_eq!(get(&pushed).status, 303, "what was pushed was signed");
    }
    let keyless = json!({ "redirect_uris": [CALLBACK], "require_signed_request_object": true });
    issuer.register(&keyless).assert_error(400, "invalid_client_metadata");
    let mut keyless = new_client("none");
    keyless.redirect_uris = vec![CALLBACK.to_owned()];
    keyless.grant_types = vec!["authorization_code".to_owned()];
    keyless.signed_requests = true;
    assert_eq!(issuer.try_add(keyless).unwrap_err().reason(), "value_invalid");
}

/// §5: one request at a time, and none from elsewhere.
#[test]
fn rfc_9101_by_value_only() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let good = || object(&issuer, &client).sign();
    let reference = push(&issuer, &client, &good(), &[]).json();
    let reference = text(&reference, "request_uri");
    let object = good();
    get(&url(&issuer, &client, &object, &[("request_uri", reference)])).assert_page(400);
    // §5: nor beside one that is somewhere else.
    let elsewhere = [("request_uri", "https://app.example.com/request")];
    let answer = get(&url(&issuer, &client, &object, &elsewhere));
    assert_eq!(error(&answer), "invalid_request", "{answer:?}");
    let both = [("request_uri", "https://app.example.com/request")];
    push(&issuer, &client, &object, &both).assert_error(400, "invalid_request");
    // Neither was used up.
    let query = encode(&[("client_id", &client.id), ("request_uri", reference)]);
    assert_eq!(get(&issuer.at(&format!("/authorize?{query}"))).status, 303);
    assert_eq!(push(&issuer, &client, &object, &[]).status, 201);
    let twice = format!("{}&request={}", url(&issuer, &client, &good(), &[]), good());
    assert_ne!(get(&twice).status, 303);
}

/// What is good once is not used up by a proof that is not.
#[test]
fn a_used_proof_uses_no_request_object_up() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let object = object(&issuer, &client).sign();
    let proof = || proof_by(KEY, &issuer.at("/par")).sign();
    let push = |proof: &str, object: &str| {
        issuer.post_with("/par", &client, &[("dpop", proof)], &[("request", object)])
    };
    let used = proof();
    let first = self::object(&issuer, &client).sign();
    assert_eq!(push(&used, &first).status, 201);
    push(&used, &object).assert_error(400, "invalid_dpop_proof");
    assert_eq!(push(&proof(), &object).status, 201);
    push(&proof(), &object).assert_error(400, "invalid_request_object");
}

/// §10.8: neither is ever taken for the other.
#[test]
fn rfc_9101_no_object_is_an_assertion() {
    let issuer = Issuer::start();
    let client = issuer.add_client("private_key_jwt", &[CALLBACK]);
    let anonymous = Client { method: "assertion".to_owned(), ..client.clone() };
    let object = object(&issuer, &client).sign();
    let form = [("grant_type", "refresh_token"), ("refresh_token", "rt_x")];
    let answer = issuer.post("/token", &anonymous, &[&form[..], &asserting(&object)].concat());
    answer.assert_error(401, "invalid_client");
    let assertion = assertion(&issuer.url, &client.id).claim("client_id", client.id.as_str());
    push(&issuer, &client, &assertion.sign(), &[]).assert_error(400, "invalid_request_object");
}

/// RFC 9449 §10: `dpop_jkt` is a parameter as any other, and a proof beside the object must fit it.
#[test]
fn rfc_9449_dpop_jkt_is_signed_too() {
    let issuer = Issuer::start();
    let client = client(&issuer);
    let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let object = object(&issuer, &client).claim("dpop_jkt", jkt);
    let answer = Browser::new().authorize(&issuer, &url(&issuer, &client, &object.sign(), &[]));
    let code = answer.parameter("code");
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_dpop_proof");
    let proof = proof_by(TestKey::Ed25519(9), &issuer.at("/par")).sign();
    let again = object.claim("jti", "again").sign();
    let answer = issuer.post_with("/par", &client, &[("dpop", &proof)], &[("request", &again)]);
    answer.assert_error(400, "invalid_dpop_proof");
}

/// Keys that are published elsewhere are fetched; while they cannot be had, it is nobody's fault.
#[test]
fn keys_of_a_site() {
    let site = Site::start();
    let folder = crate::issuer::Folder::new();
    let mut config = folder.config();
    site.allow(&mut config, folder.path());
    let issuer = Issuer::run(folder, config).unwrap();
    issuer.add_resource(FILES, &[("files:read", "Read your files", "")], true);
    let client = client(&issuer);
    // The certificate is for localhost, which no client may name; the database may.
    issuer.sql_text(&format!("UPDATE clients SET jwks = NULL, jwks_uri = '{}/jwks'", site.url));
    let object = object(&issuer, &client).sign();
    site.serve(Page::status(503));
    get(&url(&issuer, &client, &object, &[])).assert_page(503);
    push(&issuer, &client, &object, &[]).assert_error(503, "temporarily_unavailable");
    let keys = json!({ "keys": [KEY.jwk("es1")] });
    site.serve(Page::json(keys.to_string()).header("content-type", "application/jwk-set+json"));
    assert_eq!(get(&url(&issuer, &client, &object, &[])).status, 303);
}
