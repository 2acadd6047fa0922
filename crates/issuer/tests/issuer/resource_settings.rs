//! What a resource says of its tokens and tools, and what its guard is told.

use std::collections::BTreeSet;

use countersign_core::{
    guard::{Engine, Policy},
    jose::{
        alg::Algorithm,
        jwks::{JwkSet, Selection},
        jws::CompactJws,
    },
};
use countersign_issuer::{NewResource, NewScope, ToolRule};
use countersign_testkit::drive::{self, Fetches, Outcome, Request};
use serde_json::{Value, json};

use crate::{
    browser::text,
    http::get,
    issuer::{ACCOUNT, CALLBACK, FILES, Issuer, MAIL, PASSWORD, new_client, now},
};

const OTHER: &str = "https://other.example.com/mcp";

fn new_resource() -> NewResource {
    let scope = |name: &str, implies: &[&str]| NewScope {
        name: name.to_owned(),
        description: format!("Do {name}"),
        implies: implies.iter().map(|name| (*name).to_owned()).collect(),
    };
    let tool =
        |tool: &str, scopes: &str| ToolRule { tool: tool.to_owned(), scopes: scopes.to_owned() };
    NewResource {
        uri: OTHER.to_owned(),
        name: "Other".to_owned(),
        scopes: vec![scope("read", &[]), scope("write", &["read"])],
        tools: vec![tool("show", "read"), tool("write_*", "write"), tool("both", "read write")],
        ..NewResource::default()
    }
}

/// Header and claims of a token, verified with the published keys whatever its algorithm is.
fn checked(issuer: &Issuer, token: &str) -> (Algorithm, Value) {
    let keys = JwkSet::parse(get(&issuer.at("/jwks")).body.as_bytes(), 64).unwrap();
    let jws = CompactJws::parse(token).unwrap();
    let algorithm = jws.header().algorithm.unwrap();
    let Selection::Found(key) = keys.select(jws.header().kid.as_deref(), algorithm) else {
        panic!("no key for {token}");
    };
    let key = key.verifier(algorithm).unwrap();
    assert!(key.verify(jws.signing_input().as_bytes(), jws.signature()));
    (algorithm, serde_json::from_slice(jws.payload()).unwrap())
}

/// Each resource has its own lifetime and algorithm; ID tokens keep the one that clients are told.
#[test]
fn lifetime_and_algorithm() {
    for (name, algorithm) in
        [("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa), ("RS256", Algorithm::Rs256)]
    {
        let issuer = Issuer::start();
        let new = NewResource {
            token_lifetime: Some(120),
            token_alg: Some(name.to_owned()),
            ..new_resource()
        };
        issuer.create_resource(new).unwrap();
        let client = issuer.client();
        let scope = [("resource", OTHER), ("scope", "openid read")];
        let first = issuer.tokens(&client, &scope);
        let second = issuer.refresh(&client, text(&first, "refresh_token"), &[]).json();
        for tokens in [&first, &second] {
            assert_eq!(tokens["expires_in"], 120);
            let (found, claims) = checked(&issuer, text(tokens, "access_token"));
            assert_eq!(found, algorithm);
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
        }
        assert_eq!(checked(&issuer, text(&first, "id_token")).0, Algorithm::Es256);
        // What comes back to us is read as well as by others.
        let server = issuer.add_resource_server(OTHER);
        let token = [("token", text(&second, "access_token"))];
        assert_eq!(issuer.post("/introspect", &server, &token).json()["active"], true, "{name}");
        let files = issuer.tokens(&client, &[]);
        assert_eq!(files["expires_in"], 900);
        assert_eq!(checked(&issuer, text(&files, "access_token")).0, Algorithm::Es256);
    }
}

/// RFC 9068 §2.2.3: roles and the like, those that are configured, for the user whom they are about.
#[test]
fn rfc_9068_configured_claims() {
    let issuer = Issuer::empty(|config| {
        config.token_claims = ["roles", "tenant"].map(str::to_owned).to_vec();
    });
    issuer.add_user(ACCOUNT, PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read", "")], true);
    let client = issuer.client();
    let claims = |tokens: &Value| checked(&issuer, text(tokens, "access_token")).1;
    let first = issuer.tokens(&client, &[]);
    assert!(claims(&first)["roles"].is_null());
    let own = json!({ "roles": ["admin", "écrivain"], "tenant": { "id": 7 }, "secret": "x" });
    issuer.set_user_claims(ACCOUNT, &own.to_string()).unwrap();
    let second = issuer.refresh(&client, text(&first, "refresh_token"), &[]).json();
    assert_eq!(claims(&second)["roles"], own["roles"]);
    assert_eq!(claims(&second)["tenant"], own["tenant"]);
    assert!(claims(&second)["secret"].is_null(), "not configured");
    // A client that acts for itself has none of them.
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let own = issuer.token(&service, &[("grant_type", "client_credentials")]).json();
    assert!(claims(&own)["roles"].is_null());
    for bad in [
        "",
        "[]",
        r#"{"sub":"other"}"#,
        r#"{"scope":"admin"}"#,
        r#"{"status":{}}"#,
        r#"{"roles":1,"roles":2}"#,
        r#"{"a b":1}"#,
        &json!({ "roles": "x".repeat(5000) }).to_string(),
    ] {
        let refused = issuer.set_user_claims(ACCOUNT, bad).unwrap_err();
        assert_eq!(refused.reason(), "value_invalid", "{bad}");
    }
    assert!(issuer.set_user_claims("bob", "{}").is_err());
}

/// RFC 8707 §2, complaint 9: a client that names no resource has its own default.
#[test]
fn complaint_9_default_resource_of_a_client() {
    let issuer = Issuer::start();
    let mut new = new_client("none");
    new.redirect_uris = vec![CALLBACK.to_owned()];
    new.grant_types = vec!["authorization_code".to_owned()];
    new.default_resource = Some(MAIL.to_owned());
    let client = issuer.try_add(new.clone()).unwrap();
    let unnamed = [("resource", ""), ("scope", "mail:send")];
    let (_, claims) = checked(&issuer, text(&issuer.tokens(&client, &unnamed), "access_token"));
    assert_eq!(claims["aud"], MAIL);
    let named = issuer.tokens(&client, &[("resource", FILES)]);
    assert_eq!(checked(&issuer, text(&named, "access_token")).1["aud"], FILES);
    new.default_resource = Some("https://unknown.example".to_owned());
    assert_eq!(issuer.try_add(new).unwrap_err().reason(), "value_invalid");
}

/// What is exported is what a guard takes, and says the same as the resource.
#[test]
fn exported_policy() {
    let issuer = Issuer::start();
    issuer.create_resource(new_resource()).unwrap();
    let resource = issuer.resource(OTHER);
    let policy = resource.policy(&issuer.url, Some("auth"), false).unwrap();
    assert_eq!(
        policy,
        json!({
            "issuers": [{
                "issuer": issuer.url,
                "algorithms": ["ES256"],
                "status": "required",
                "cluster": "auth",
            }],
            "resources": [{
                "resource": OTHER,
                "dpop": "accept",
                "name": "Other",
                "scopes": {
                    "baseline": ["read"],
                    "implies": { "write": ["read"] },
                    "tools": { "show": ["read"], "write_*": ["write"], "both": ["read", "write"] },
                },
            }],
        })
    );
    let strict = resource.policy(&issuer.url, None, true).unwrap();
    assert_eq!(strict["resources"][0]["scopes"]["unlisted"], "deny");
    let methods = strict["resources"][0]["scopes"]["methods"].as_object().unwrap();
    assert!(methods.contains_key("tools/list"));
    for document in [policy, strict] {
        let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(policy.resources[0].audience.resource.as_str(), OTHER);
    }
    assert!(resource.policy("not an issuer", None, false).is_err());
}

/// A guard with the exported policy takes the resource's tokens: they are signed with the resource's
/// algorithm, and the status lists with another one.
#[test]
fn exported_policy_of_every_algorithm() {
    for alg in ["ES256", "EdDSA", "RS256"] {
        let issuer = Issuer::start();
        issuer
            .create_resource(NewResource { token_alg: Some(alg.to_owned()), ..new_resource() })
            .unwrap();
        let client = issuer.client();
        let tokens = issuer.tokens(&client, &[("resource", OTHER), ("scope", "read")]);
        let token = text(&tokens, "access_token");
        let (_, claims) = checked(&issuer, token);
        let policy = issuer.resource(OTHER).policy(&issuer.url, Some("auth"), false).unwrap();
        let mut engine = Engine::new(Policy::parse(policy.to_string().as_bytes()).unwrap());
        let list = text(&claims["status"]["status_list"], "uri").to_owned();
        let known = [
            issuer.at("/.well-known/oauth-authorization-server"),
            issuer.at("/jwks"),
            issuer.at("/status-lists"),
            list,
        ];
        let fetches: Fetches =
            known.map(|url| (url.clone(), (200, get(&url).body.into_bytes()))).into();
        let request = Request {
            method: "GET".to_owned(),
            authority: "other.example.com".to_owned(),
            path: "/mcp".to_owned(),
            headers: vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())],
            ..Request::default()
        };
        let outcome = drive::run(&mut engine, &request, &fetches, now());
        assert_eq!(outcome.decision().reason, None, "{alg}");
        assert!(matches!(outcome, Outcome::Forward(_)), "{alg}");
    }
}

/// Mistakes are told when the resource is added, not when a guard starts.
#[test]
fn what_a_resource_cannot_say() {
    let issuer = Issuer::empty(|_| ());
    issuer.add_user(ACCOUNT, PASSWORD);
    let tool =
        |tool: &str, scopes: &str| ToolRule { tool: tool.to_owned(), scopes: scopes.to_owned() };
    let mut seen = BTreeSet::new();
    for (what, new) in [
        ("unknown scope", NewResource { tools: vec![tool("x", "admin")], ..new_resource() }),
        ("two stars", NewResource { tools: vec![tool("a*b*", "read")], ..new_resource() }),
        ("algorithm", NewResource { token_alg: Some("HS256".into()), ..new_resource() }),
        ("none", NewResource { token_alg: Some("none".into()), ..new_resource() }),
        ("too short", NewResource { token_lifetime: Some(9), ..new_resource() }),
        ("too long", NewResource { token_lifetime: Some(86_401), ..new_resource() }),
    ] {
        let error = issuer.create_resource(new).unwrap_err();
        assert_eq!(error.reason(), "value_invalid", "{what}");
        assert!(seen.insert(error.to_string()) || what == "too long", "{what}: {error}");
    }
    let twice =
        NewResource { tools: vec![tool("x", "read"), tool("x", "write")], ..new_resource() };
    assert_eq!(issuer.create_resource(twice).unwrap_err().reason(), "already_exists");
    issuer.create_resource(new_resource()).unwrap();
}
