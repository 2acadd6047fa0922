//! Identity assertions (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant-03; MCP AS-25,
//! enterprise-managed authorization).

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use countersign_issuer::{ClientResource, IdentityProvider, NewClient};
use countersign_testkit::{
    keys::{TestKey, hs256},
    token::Token,
};
use serde_json::{Value, json};

use crate::{
    browser::text,
    dpop,
    http::{Answer, get},
    issuer::{ACCOUNT, CALLBACK, Client, FILES, Folder, Issuer, MAIL, PASSWORD, new_client, now},
    site::{Page, Site},
    tokens::verified,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const IDP: &str = "https://acme.idp.example";
const SUBJECT: &str = "U019488227";

/// An issuer that trusts a provider, which knows its user.
fn start() -> (Issuer, Client) {
    let issuer = Issuer::start();
    issuer.trust(&provider(IDP)).unwrap();
    issuer.link(ACCOUNT, IDP, SUBJECT);
    let client = add(&issuer, "client_secret_basic");
    (issuer, client)
}

fn provider(issuer: &str) -> IdentityProvider {
    let keys = json!({ "keys": [TestKey::Es256(3).jwk("idp")] });
    IdentityProvider { issuer: issuer.to_owned(), jwks: Some(keys.to_string()), jwks_uri: None }
}

fn add(issuer: &Issuer, method: &str) -> Client {
    let grant_types = vec![GRANT.to_owned()];
    issuer.try_add(NewClient { grant_types, ..new_client(method) }).unwrap()
}

/// A good assertion (draft, "ID-JAG Claims"), each with another `jti`.
fn assertion(issuer: &Issuer, client: &Client) -> Token {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = now();
    Token::new(IDP, &issuer.url)
        .key(TestKey::Es256(3), "idp")
        .header("typ", "oauth-id-jag+jwt")
        .claim("sub", SUBJECT)
        .claim("client_id", client.id.as_str())
        .claim("resource", FILES)
        .claim("scope", "files:read")
        .claim("jti", format!("jag-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
        .claim("iat", now)
        .claim("exp", now + 300)
}

fn present(issuer: &Issuer, client: &Client, assertion: &Token, more: &[(&str, &str)]) -> Answer {
    let signed = assertion.sign();
    let usual = [("grant_type", GRANT), ("assertion", signed.as_str())];
    issuer.token(client, &[&usual[..], more].concat())
}

fn claims(issuer: &Issuer, answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    verified(issuer, text(&answer.json(), "access_token")).1
}

/// AS-25: the provider speaks for the user, and the client has a token for the resource.
#[test]
fn as_25_enterprise_managed_authorization() {
    let (issuer, client) = start();
    let good = || assertion(&issuer, &client);
    let answer = present(&issuer, &client, &good().claim("auth_time", now() - 60), &[]);
    let token = claims(&issuer, &answer);
    let response = answer.json();
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&response["scope"], &response["resource"]), (&"files:read".into(), &FILES.into()));
    assert_eq!(response["token_type"], "Bearer");
    assert!(
        response["refresh_token"].is_null(),
        "the provider is asked again (draft, Refresh Token)"
    );
    assert!(text(&token, "sub").starts_with("u_"), "our user, not the provider's");
    assert_eq!((&token["aud"], &token["client_id"]), (&FILES.into(), &client.id.clone().into()));
    assert!(token["auth_time"].as_u64().unwrap() <= now() - 60);
    let token = claims(&issuer, &present(&issuer, &client, &good(), &[]));
    assert!(token["auth_time"].is_null(), "the provider did not say");

    // Claims of the draft that may be there, and a list of one audience and resource.
    let more = good()
        .claim("aud", json!([issuer.url]))
        .claim("resource", json!([FILES]))
        .claim("email", "ada@acme.example")
        .claim("amr", json!(["mfa"]))
        .claim("aud_sub", "ada");
    assert_eq!(present(&issuer, &client, &more, &[]).status, 200);
    let other = add(&issuer, "private_key_jwt");
    assert_eq!(present(&issuer, &other, &assertion(&issuer, &other), &[]).status, 200);
    // Grants as any others: seen, and taken back.
    let grants = issuer.grants();
    assert_eq!(grants.len(), 4);
    let mine: Vec<_> = grants.iter().filter(|grant| grant.client_id == client.id).collect();
    assert_eq!(mine[0].user.as_deref(), Some(ACCOUNT));
    for grant in mine {
        assert!(issuer.revoke_grant(&grant.id));
    }
    let token = response["access_token"].as_str().unwrap();
    let introspected = issuer.post("/introspect", &client, &[("token", token)]);
    assert_eq!(introspected.json(), json!({ "active": false }));
}

/// draft, "Resource Authorization Server Metadata": said when somebody is trusted, and never who.
#[test]
fn metadata_says_so_when_somebody_is_trusted() {
    let issuer = Issuer::start();
    let read = || get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    let has_grant = |document: &Value| {
        document["grant_types_supported"].as_array().unwrap().contains(&GRANT.into())
    };
    let before = read();
    assert!(before["authorization_grant_profiles_supported"].is_null() && !has_grant(&before));
    issuer.trust(&provider(IDP)).unwrap();
    let after = read();
    let profiles = json!(["urn:ietf:params:oauth:grant-profile:id-jag"]);
    assert_eq!(after["authorization_grant_profiles_supported"], profiles);
    assert!(has_grant(&after) && !after.to_string().contains(IDP));
}

/// Attack 29, RFC 7521 §5.2, RFC 7523 §3: whatever is wrong, nothing is written.
#[test]
fn attack_29_assertions_that_are_refused() {
    let (issuer, client) = start();
    let other = add(&issuer, "client_secret_post");
    let good = || assertion(&issuer, &client);
    let now = now();
    let cases: Vec<(&str, Token)> = vec![
        ("audiences", good().claim("aud", json!([issuer.url, "https://b.example"]))),
        ("no audience", good().claim("aud", json!([]))),
        ("token endpoint", good().claim("aud", issuer.at("/token"))),
        ("slash", good().claim("aud", format!("{}/", issuer.url))),
        ("nested", good().claim("aud", json!([[issuer.url]]))),
        ("no aud", good().claim("aud", Value::Null)),
        ("typ", good().header("typ", "JWT")),
        ("client's typ", good().header("typ", "client-authentication+jwt")),
        ("access token", good().header("typ", "at+jwt")),
        ("no typ", good().header("typ", Value::Null)),
        ("untrusted", good().claim("iss", "https://evil.example")),
        ("issuer's spelling", good().claim("iss", format!("{IDP}/"))),
        ("ourselves", good().claim("iss", issuer.url.as_str())),
        ("no iss", good().claim("iss", Value::Null)),
        ("another client", good().claim("client_id", other.id.as_str())),
        ("no client", good().claim("client_id", Value::Null)),
        ("unknown sub", good().claim("sub", "U0")),
        ("no sub", good().claim("sub", Value::Null)),
        ("our own sub", good().claim("sub", ACCOUNT)),
        ("no resource", good().claim("resource", Value::Null)),
        ("no jti", good().claim("jti", Value::Null)),
        ("empty jti", good().claim("jti", "")),
        ("no exp", good().claim("exp", Value::Null)),
        ("over", good().claim("exp", now - 60).claim("iat", now - 120)),
        ("far ahead", good().claim("exp", now + 7200)),
        ("no iat", good().claim("iat", Value::Null)),
        ("from the future", good().claim("iat", now + 120)),
        ("not yet", good().claim("nbf", now + 120)),
        // Attack 34.
        ("exp as text", good().claim("exp", (now + 300).to_string())),
        ("iat as list", good().claim("iat", json!([now]))),
        // Attack 28 (CF #273): what would have to be heeded.
        ("cnf", good().claim("cnf", json!({ "jkt": "x" }))),
        ("authorization_details", good().claim("authorization_details", json!([]))),
        ("act", good().claim("act", json!({ "sub": "x" }))),
        ("tenant", good().claim("tenant", "t")),
        ("aud_tenant", good().claim("aud_tenant", "t")),
        // Attacks 31, 32, 33, and keys of others.
        ("another key", good().key(TestKey::Es256(2), "idp")),
        ("another kid", good().header("kid", "other")),
        ("jwk", good().key(TestKey::Es256(2), "x").header("jwk", TestKey::Es256(2).jwk("x"))),
        ("crit", good().header("crit", json!(["exp"]))),
        ("none", good().header("alg", "none")),
        ("twice", good().edit_payload("\"iss\"", "\"iss\":\"x\",\"iss\"")),
    ];
    for (what, token) in &cases {
        let answer = present(&issuer, &client, token, &[]);
        assert_eq!(answer.status, 400, "{what}: {}", answer.body);
        answer.assert_error(400, "invalid_grant");
    }
    let input = good().header("alg", "HS256");
    let public = TestKey::Es256(3).jwk("idp").to_string();
    let forged = input.with_signature(&hs256(public.as_bytes(), input.signing_input().as_bytes()));
    for text in [forged.as_str(), "x", "a.b.c"] {
        let answer = issuer.token(&client, &[("grant_type", GRANT), ("assertion", text)]);
        answer.assert_error(400, "invalid_grant");
    }
    issuer.token(&client, &[("grant_type", GRANT)]).assert_error(400, "invalid_request");
    assert_eq!(issuer.number("SELECT COUNT(*) FROM grants"), 0);
    assert_eq!(issuer.number("SELECT COUNT(*) FROM jti_seen"), 0);
    // Not even if somebody wrote it down: what this server says of a user is no grant for more.
    let keys = json!({ "keys": [TestKey::Es256(3).jwk("idp")] });
    let url = &issuer.url;
    issuer.sql_text(&format!(
        "INSERT INTO identity_providers (issuer, jwks, created_at) VALUES ('{url}', '{keys}', 0)"
    ));
    issuer.link(ACCOUNT, url, SUBJECT);
    let own = good().claim("iss", url.as_str());
    present(&issuer, &client, &own, &[]).assert_error(400, "invalid_grant");
    // Once, and no other one of the same name.
    let once = good();
    assert_eq!(present(&issuer, &client, &once, &[]).status, 200);
    present(&issuer, &client, &once, &[]).assert_error(400, "invalid_grant");
    let again = once.claim("exp", now + 301);
    present(&issuer, &client, &again, &[]).assert_error(400, "invalid_grant");
    assert_eq!(issuer.number("SELECT COUNT(*) FROM grants"), 1);
}

/// RFC 8707, and the draft's processing rules for `resource` and `scope`: what the provider names, or
/// less; a refusal uses nothing up.
#[test]
fn resources_and_scopes_are_those_of_the_provider() {
    let (issuer, client) = start();
    let good = || assertion(&issuer, &client);
    let ask = |token: &Token, more: &[(&str, &str)]| present(&issuer, &client, token, more);
    let two = good().claim("resource", json!([FILES, MAIL])).claim("scope", "files:read mail:send");
    ask(&two, &[]).assert_error(400, "invalid_target");
    ask(&two, &[("resource", "https://x.example")]).assert_error(400, "invalid_target");
    let mail = claims(&issuer, &ask(&two, &[("resource", MAIL)]));
    assert_eq!((&mail["aud"], &mail["scope"]), (&MAIL.into(), &"mail:send".into()));
    ask(&good(), &[("resource", MAIL)]).assert_error(400, "invalid_target");
    let unknown = good().claim("resource", "https://x.example");
    ask(&unknown, &[]).assert_error(400, "invalid_target");

    let wide = good().claim("scope", "files:write mail:send openid offline_access");
    for scope in ["mail:send", "openid", "files:write mail:send", "\""] {
        ask(&wide, &[("scope", scope)]).assert_error(400, "invalid_scope");
    }
    let read = claims(&issuer, &ask(&wide, &[("scope", "files:read")]));
    assert_eq!(read["scope"], "files:read", "which files:write implies");
    let all = ask(&good().claim("scope", "files:write openid offline_access mail:send"), &[]);
    assert_eq!(claims(&issuer, &all)["scope"], "files:write");
    assert!(all.json()["id_token"].is_null() && all.json()["refresh_token"].is_null());
    for scope in ["mail:send", ""] {
        ask(&good().claim("scope", scope), &[]).assert_error(400, "invalid_scope");
    }
    // A provider that says nothing about scopes gives the least.
    let least = good().claim("scope", Value::Null);
    ask(&least, &[("scope", "files:write")]).assert_error(400, "invalid_scope");
    assert_eq!(claims(&issuer, &ask(&least, &[]))["scope"], "files:read");
}

/// Attacks 28 and 39: only clients that the administrator gave it, and that prove who they are.
#[test]
fn attack_28_clients_that_may_not() {
    let (issuer, client) = start();
    let registered = issuer.register(&json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", GRANT],
        "token_endpoint_auth_method": "client_secret_post",
    }));
    let registered = registered.json();
    assert_eq!(registered["grant_types"], json!(["authorization_code"]));
    let stranger = Client {
        id: text(&registered, "client_id").to_owned(),
        secret: Some(text(&registered, "client_secret").to_owned()),
        method: "client_secret_post".to_owned(),
    };
    for other in [
        stranger,
        issuer.client(),
        issuer.add_service("client_secret_basic", &[(FILES, "files:read")]),
    ] {
        let answer = present(&issuer, &other, &assertion(&issuer, &other), &[]);
        answer.assert_error(400, "unauthorized_client");
    }
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..client.clone() };
    let answer = present(&issuer, &wrong, &assertion(&issuer, &client), &[]);
    answer.assert_error(401, "invalid_client");
    let mut new = new_client("none");
    new.grant_types = vec![GRANT.to_owned()];
    assert_eq!(issuer.try_add(new).unwrap_err().reason(), "value_invalid");
    let mut new = new_client("client_secret_basic");
    new.grant_types = vec![GRANT.to_owned(), "refresh_token".to_owned()];
    new.resources = vec![ClientResource::default()];
    assert_eq!(issuer.try_add(new).unwrap_err().reason(), "value_invalid");
}

/// Attacks 22 and 23, and a trust that ended.
#[test]
fn attack_22_users_and_providers_that_are_gone() {
    let (issuer, client) = start();
    let ask = || present(&issuer, &client, &assertion(&issuer, &client), &[]);
    let token = ask().json();
    let token = text(&token, "access_token");
    issuer.disable_user(ACCOUNT);
    ask().assert_error(400, "invalid_grant");
    let introspected = issuer.post("/introspect", &client, &[("token", token)]);
    assert_eq!(introspected.json(), json!({ "active": false }));
    issuer.enable_user(ACCOUNT);
    assert_eq!(ask().status, 200);
    issuer.disable_client(&client);
    ask().assert_error(401, "invalid_client");
    issuer.enable_client(&client);
    issuer.unlink(IDP, SUBJECT);
    ask().assert_error(400, "invalid_grant");
    issuer.link(ACCOUNT, IDP, SUBJECT);
    assert_eq!(ask().status, 200);
    issuer.distrust(IDP);
    ask().assert_error(400, "invalid_grant");
    // Trusted again, it is not known whom it means.
    issuer.trust(&provider(IDP)).unwrap();
    ask().assert_error(400, "invalid_grant");
}

/// Attack 22: while assertions come, the user is shut out; no grant slips through in between.
#[test]
fn attack_22_shut_out_in_the_middle() {
    let (issuer, client) = start();
    let begun = AtomicU32::new(0);
    let got: Vec<String> = thread::scope(|scope| {
        let present = || {
            let mut got = Vec::new();
            loop {
                let answer = present(&issuer, &client, &assertion(&issuer, &client), &[]);
                if answer.status != 200 {
                    return got;
                }
                got.push(text(&answer.json(), "access_token").to_owned());
                begun.fetch_add(1, Ordering::Relaxed);
            }
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(present)).collect();
        while begun.load(Ordering::Relaxed) < 8 && all.iter().any(|one| !one.is_finished()) {
            thread::yield_now();
        }
        issuer.disable_user(ACCOUNT);
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(got.len() >= 8, "{}", got.len());
    assert_eq!(issuer.grants().len(), 0);
    for token in &got {
        let introspected = issuer.post("/introspect", &client, &[("token", token)]);
        assert_eq!(introspected.json(), json!({ "active": false }));
    }
}

/// Keys that are published: fetched once, by the guarded fetcher; gone for a moment, nobody is told to
/// forget anything.
#[test]
fn published_keys_are_fetched() {
    let site = Site::start();
    let folder = Folder::new();
    let mut config = folder.config();
    site.allow(&mut config, folder.path());
    let issuer = Issuer::run(folder, config).unwrap();
    issuer.add_user(ACCOUNT, PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read your files", "")], true);
    let trust = |path: &str| {
        let jwks_uri = Some(format!("{}{path}", site.url));
        issuer.trust(&IdentityProvider { issuer: IDP.to_owned(), jwks: None, jwks_uri }).unwrap();
        issuer.link(ACCOUNT, IDP, SUBJECT);
    };
    trust("/gone");
    let client = add(&issuer, "client_secret_basic");
    let ask = || present(&issuer, &client, &assertion(&issuer, &client), &[]);
    site.serve(Page::status(500));
    let down = ask();
    down.assert_error(503, "temporarily_unavailable");
    assert_eq!(down.header("retry-after"), "30");
    site.serve(Page::status(404));
    ask().assert_error(400, "invalid_grant");
    issuer.distrust(IDP);
    trust("/keys");
    site.take();
    site.serve(Page::json(json!({ "keys": [TestKey::Es256(3).jwk("idp")] }).to_string()));
    assert_eq!(ask().status, 200);
    assert_eq!(ask().status, 200);
    assert_eq!(site.take().len(), 1);
    // An unknown key may be a new one: it is looked for, and is not there.
    let unknown = assertion(&issuer, &client).header("kid", "next");
    present(&issuer, &client, &unknown, &[]).assert_error(400, "invalid_grant");
    // Attack 37: the addresses that others may not lead to.
    let inner = Issuer::start();
    let uri = Some("https://127.0.0.1:1/keys".to_owned());
    inner.trust(&IdentityProvider { issuer: IDP.to_owned(), jwks: None, jwks_uri: uri }).unwrap();
    inner.link(ACCOUNT, IDP, SUBJECT);
    let client = add(&inner, "client_secret_basic");
    let answer = present(&inner, &client, &assertion(&inner, &client), &[]);
    answer.assert_error(400, "invalid_grant");
}

/// Mistakes of the administrator are told at once.
#[test]
fn providers_are_checked_when_they_are_added() {
    let issuer = Issuer::start();
    let secret = json!({ "keys": [TestKey::Hs256.jwk("secret")] }).to_string();
    let uri = Some("https://acme.idp.example/keys".to_owned());
    for bad in [
        IdentityProvider { issuer: "acme.idp.example".to_owned(), ..provider(IDP) },
        IdentityProvider { issuer: "http://acme.idp.example".to_owned(), ..provider(IDP) },
        IdentityProvider { issuer: format!("{IDP}#x"), ..provider(IDP) },
        IdentityProvider { jwks: None, ..provider(IDP) },
        IdentityProvider { jwks_uri: uri.clone(), ..provider(IDP) },
        IdentityProvider { jwks: Some(secret), ..provider(IDP) },
        IdentityProvider { jwks: Some("{}".to_owned()), ..provider(IDP) },
    ] {
        assert_eq!(issuer.trust(&bad).unwrap_err().reason(), "value_invalid", "{bad:?}");
    }
    issuer.trust(&IdentityProvider { jwks: None, jwks_uri: uri, ..provider(IDP) }).unwrap();
    assert_eq!(issuer.trust(&provider(IDP)).unwrap_err().reason(), "already_exists");
}

/// RFC 9449 §5: as by any other grant.
#[test]
fn rfc_9449_bound_tokens_by_assertion() {
    let (issuer, client) = start();
    let signed = assertion(&issuer, &client).sign();
    let proof = dpop::proof(&issuer).sign();
    let form = [("grant_type", GRANT), ("assertion", signed.as_str())];
    let answer = issuer.post_with("/token", &client, &[("dpop", &proof)], &form);
    assert_eq!(claims(&issuer, &answer)["cnf"]["jkt"], dpop::jkt(dpop::KEY));
    assert_eq!(answer.json()["token_type"], "DPoP");

    // What is good once is not used up by a proof that is not.
    let signed = assertion(&issuer, &client).sign();
    let form = [("grant_type", GRANT), ("assertion", signed.as_str())];
    let again = issuer.post_with("/token", &client, &[("dpop", &proof)], &form);
    again.assert_error(400, "invalid_dpop_proof");
    let proof = dpop::proof(&issuer).sign();
    let answer = issuer.post_with("/token", &client, &[("dpop", &proof)], &form);
    assert_eq!(answer.status, 200, "{answer:?}");
}
