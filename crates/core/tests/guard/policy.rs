//! Mistakes in policy documents, each with the place at which it stands.

use countersign_core::{guard::Policy, jose::alg::Algorithm};
use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

/// A document with every member that can be carried out.
fn document() -> Value {
    json!({
        "issuers": [{
            "issuer": "https://auth.example.com",
            "jwks_uri": "https://auth.example.com/jwks",
            "cluster": "auth",
            "algorithms": ["ES256", "RS256", "EdDSA"],
            "token_types": ["at+jwt"],
            "required_claims": ["sub", "client_id", "jti"],
            "max_lifetime": 86400,
            "jwks_cache": { "fresh": 300, "stale": 86400, "cooldown": 30, "max_keys": 64 },
        }],
        "resources": [{
            "resource": "https://mcp.example.com/files/mcp",
            "hosts": ["mcp.example.com"], "path": "/files/mcp",
            "accept_audiences": ["mcp://files"],
            "exclusive_audience": true,
            "name": "Example files", "documentation": "http://docs.example.com/mcp#scopes",
            "issuers": ["https://auth.example.com"],
            "scopes": {
                "baseline": ["mcp:use"],
                "implies": { "files:write": ["files:read"] },
                "tools": { "read_file": ["files:read"], "write_*": ["files:write"] },
                "prompts": {}, "resources": { "file:///public/*": [] }, "methods": { "tools/list": [] },
                "unlisted": "deny",
                "filter_lists": false,
            },
            "forward": {
                "token": "strip",
                "headers": { "x-mcp-subject": "sub", "x-mcp-client": "client_id", "x-mcp-scope": "scope" },
                "claims": null,
            },
            "dpop": "off",
            "origins": ["https://app.example.com"],
            "public_paths": ["/healthz"],
            "mode": "enforce",
        }],
        "limits": { "token_bytes": 8192, "body_bytes": 1_048_576, "cached_tokens": 4096 },
        "leeway": 30,
        "hold_headers": true,
    })
}

fn parse(document: &Value) -> Result<Policy, countersign_core::guard::PolicyError> {
    Policy::parse(document.to_string().as_bytes())
}

/// Sets the member or element at a JSON pointer; `None` removes it.
fn set(document: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let last = last.replace("~1", "/");
    match (document.pointer_mut(parent).expect("the parent is there"), value) {
        (Value::Object(members), Some(value)) => {
            members.insert(last, value);
        }
        (Value::Object(members), None) => {
            members.remove(&last);
        }
        (Value::Array(elements), Some(value)) if last == "-" => elements.push(value),
        (parent, _) => panic!("{pointer} in {parent}"),
    }
}

fn check(table: Vec<(&str, Value, &str)>) {
    for (pointer, value, path) in table {
        let mut document = document();
        set(&mut document, pointer, Some(value.clone()));
        match parse(&document) {
            Ok(_) => panic!("{pointer} = {value} is accepted"),
            Err(error) => assert_eq!(error.path, path, "{pointer} = {value}: {error}"),
        }
    }
}

/// The example of DESIGN.md, without the members that this version cannot carry out.
#[test]
fn the_example_is_accepted() {
    let policy = parse(&document()).expect("it is in order");
    assert_eq!(policy.issuers.len(), 1);
    assert_eq!(policy.resources[0].path, "/files/mcp");
    assert_eq!(policy.leeway, 30);
}

/// As little as possible: the defaults are those of DESIGN.md.
#[test]
fn the_smallest_is_accepted() {
    let policy = parse(&json!({
        "issuers": [{ "issuer": "https://auth.example.com" }],
        "resources": [{ "resource": "https://mcp.example.com/files/mcp" }],
    }))
    .expect("one issuer and one resource are enough");
    let (issuer, resource) = (&policy.issuers[0], &policy.resources[0]);
    assert_eq!(issuer.profile.token_types, ["at+jwt"]);
    assert_eq!(issuer.profile.required_claims, ["sub", "client_id", "jti"]);
    assert_eq!(issuer.profile.max_lifetime, 86_400);
    assert_eq!(issuer.profile.algorithms, Algorithm::ASYMMETRIC);
    assert_eq!((issuer.jwks_cache.fresh, issuer.jwks_cache.stale), (300, 86_400));
    assert_eq!((issuer.jwks_cache.cooldown, issuer.jwks_cache.max_keys), (30, 64));
    assert_eq!((&*resource.path, resource.issuers.as_slice()), ("/files/mcp", &[0][..]));
    assert!(resource.audience.exclusive && resource.forward.strip_token);
    let owned: Vec<_> = resource.forward.owned().map(ToString::to_string).collect();
    assert_eq!(owned, ["x-mcp-subject", "x-mcp-client", "x-mcp-scope"]);
    assert_eq!((policy.limits.token_bytes, policy.limits.body_bytes), (8192, 1_048_576));
    assert_eq!(policy.limits.failures_per_minute, 60);
    assert_eq!((policy.limits.cached_tokens, policy.leeway, policy.hold_headers), (4096, 30, true));
}

#[test]
fn not_strict_json() {
    for text in [
        "",
        "{",
        "{\"issuers\":[],}",
        "{} // comment",
        "\u{feff}{}",
        "{\"issuers\":[],\"issuers\":[]}",
        "{\"leeway\":030}",
    ] {
        assert_eq!(Policy::parse(text.as_bytes()).expect_err(text).path, "$", "{text}");
    }
    assert_eq!(Policy::parse(b"{\"a\":\"\xff\"}").expect_err("no UTF-8").path, "$");
    assert_eq!(Policy::parse(b"[]").expect_err("no object").path, "$");
}

#[test]
fn members_that_must_be_there() {
    for (pointer, path) in [
        ("/issuers", "$"),
        ("/resources", "$"),
        ("/issuers/0/issuer", "$.issuers[0]"),
        ("/resources/0/resource", "$.resources[0]"),
    ] {
        let mut document = document();
        set(&mut document, pointer, None);
        assert_eq!(parse(&document).expect_err(pointer).path, path);
    }
}

/// Everywhere: a misspelt rule must not be a rule that is not there.
#[test]
fn unknown_members() {
    check(vec![
        ("/x", json!(1), "$.x"),
        ("/issuers/0/x", json!(1), "$.issuers[0].x"),
        ("/issuers/0/jwks_cache/x", json!(1), "$.issuers[0].jwks_cache.x"),
        ("/resources/0/x", json!(1), "$.resources[0].x"),
        ("/resources/0/scopes/tool", json!({}), "$.resources[0].scopes.tool"),
        ("/resources/0/forward/x", json!(1), "$.resources[0].forward.x"),
        ("/limits/x", json!(1), "$.limits.x"),
        ("/Leeway", json!(1), "$.Leeway"),
    ]);
}

/// An opaque token does not say whose it is: there can be one to ask.
#[test]
fn one_issuer_is_asked_about_opaque_tokens() {
    let mut document = document();
    let introspection = json!({
        "endpoint": "https://auth.example.com/introspect", "client_id": "c", "client_secret": "s",
    });
    document["issuers"][0]["introspection"] = introspection.clone();
    set(&mut document, "/resources/0/issuers", None);
    parse(&document).expect("one is in order");
    let second = json!({ "issuer": "https://second.example", "introspection": introspection });
    document["issuers"].as_array_mut().expect("issuers").push(second);
    let error = parse(&document).expect_err("whom to ask?");
    assert_eq!(error.path, "$.resources[0]");
    let first = document["issuers"][0]["issuer"].clone();
    document["resources"][0]["issuers"] = json!([first]);
    parse(&document).expect("the resource says whom");
}

#[test]
fn issuers() {
    let issuer = document()["issuers"][0].clone();
    let key = TestKey::Es256(1).jwk("es1");
    let private = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] });
    check(vec![
        ("/issuers", json!({}), "$.issuers"),
        ("/issuers", json!([]), "$.issuers"),
        ("/issuers", json!(["https://auth.example.com"]), "$.issuers[0]"),
        ("/issuers/-", issuer, "$.issuers[1]"),
        ("/issuers/0/preset", json!("google"), "$.issuers[0].preset"),
        ("/issuers/0/preset", json!("okta"), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!(1), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!("auth.example.com"), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!("http://auth.example.com"), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!("http://127.0.0.1.evil.example:x"), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!("https://auth.example.com?a=b"), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!("https://auth.example.com#a"), "$.issuers[0].issuer"),
        ("/issuers/0/issuer", json!("https://a@auth.example.com"), "$.issuers[0].issuer"),
        ("/issuers/0/jwks_uri", json!("/jwks"), "$.issuers[0].jwks_uri"),
        ("/issuers/0/jwks_uri", json!("file:///jwks"), "$.issuers[0].jwks_uri"),
        ("/issuers/0/jwks_uri", json!(null), "$.issuers[0].jwks_uri"),
        ("/issuers/0/jwks", json!({ "keys": [key] }), "$.issuers[0]"),
        ("/issuers/0/jwks", json!([]), "$.issuers[0].jwks"),
        ("/issuers/0/jwks", json!({ "keys": [] }), "$.issuers[0].jwks"),
        ("/issuers/0/jwks", private, "$.issuers[0].jwks"),
        ("/issuers/0/cluster", json!(1), "$.issuers[0].cluster"),
        ("/issuers/0/algorithms", json!("ES256"), "$.issuers[0].algorithms"),
        ("/issuers/0/algorithms", json!([]), "$.issuers[0].algorithms"),
        ("/issuers/0/algorithms", json!(["ES256", "none"]), "$.issuers[0].algorithms[1]"),
        ("/issuers/0/algorithms", json!(["HS256"]), "$.issuers[0].algorithms[0]"),
        ("/issuers/0/algorithms", json!(["ES256", 1]), "$.issuers[0].algorithms[1]"),
        ("/issuers/0/token_types", json!("JWT"), "$.issuers[0].token_types"),
        ("/issuers/0/token_types", json!(["JWT", null]), "$.issuers[0].token_types[1]"),
        ("/issuers/0/required_claims", json!("sub"), "$.issuers[0].required_claims"),
        ("/issuers/0/max_lifetime", json!(0), "$.issuers[0].max_lifetime"),
        ("/issuers/0/max_lifetime", json!(-1), "$.issuers[0].max_lifetime"),
        ("/issuers/0/max_lifetime", json!(1.5), "$.issuers[0].max_lifetime"),
        ("/issuers/0/max_lifetime", json!("86400"), "$.issuers[0].max_lifetime"),
        ("/issuers/0/jwks_cache", json!([]), "$.issuers[0].jwks_cache"),
        ("/issuers/0/jwks_cache", json!({ "fresh": 60, "stale": 59 }), "$.issuers[0].jwks_cache"),
        ("/issuers/0/jwks_cache/fresh", json!(0), "$.issuers[0].jwks_cache.fresh"),
        ("/issuers/0/jwks_cache/stale", json!(99_999_999), "$.issuers[0].jwks_cache.stale"),
        ("/issuers/0/jwks_cache/cooldown", json!(0), "$.issuers[0].jwks_cache.cooldown"),
        ("/issuers/0/jwks_cache/max_keys", json!(0), "$.issuers[0].jwks_cache.max_keys"),
    ]);
}

#[test]
fn resources() {
    let resource = document()["resources"][0].clone();
    let mut overlapping = resource.clone();
    overlapping["resource"] = json!("https://mcp.example.com/another");
    check(vec![
        ("/resources", json!({}), "$.resources"),
        ("/resources", json!([]), "$.resources"),
        ("/resources", json!([1]), "$.resources[0]"),
        ("/resources/-", resource, "$.resources[1]"),
        ("/resources/-", overlapping, "$.resources[1]"),
        ("/resources", json!([{ "resource": "mcp://files" }]), "$.resources[0].resource"),
        ("/resources/0/resource", json!("mcp.example.com"), "$.resources[0].resource"),
        ("/resources/0/resource", json!("https://mcp.example.com/#x"), "$.resources[0].resource"),
        ("/resources/0/resource", json!("https://mcp.example.com/ä"), "$.resources[0].resource"),
        ("/resources/0/resource", json!(["https://h"]), "$.resources[0].resource"),
        ("/resources/0/hosts", json!("mcp.example.com"), "$.resources[0].hosts"),
        ("/resources/0/hosts", json!([]), "$.resources[0].hosts"),
        ("/resources/0/hosts", json!(["a", "https://b"]), "$.resources[0].hosts[1]"),
        ("/resources/0/hosts", json!(["*.example.com"]), "$.resources[0].hosts[0]"),
        ("/resources/0/hosts", json!([""]), "$.resources[0].hosts[0]"),
        ("/resources/0/path", json!("files"), "$.resources[0].path"),
        ("/resources/0/path", json!("/a/../b"), "$.resources[0].path"),
        ("/resources/0/path", json!("/a?b"), "$.resources[0].path"),
        ("/resources/0/path", json!("/a//b"), "$.resources[0].path"),
        ("/resources/0/accept_audiences", json!("x"), "$.resources[0].accept_audiences"),
        ("/resources/0/accept_audiences", json!([1]), "$.resources[0].accept_audiences[0]"),
        ("/resources/0/exclusive_audience", json!("no"), "$.resources[0].exclusive_audience"),
        ("/resources/0/name", json!(1), "$.resources[0].name"),
        ("/resources/0/documentation", json!(null), "$.resources[0].documentation"),
        ("/resources/0/issuers", json!([]), "$.resources[0].issuers"),
        ("/resources/0/issuers", json!(["https://auth.example.com/"]), "$.resources[0].issuers[0]"),
        ("/resources/0/origins", json!(["https://a.example/"]), "$.resources[0].origins[0]"),
        ("/resources/0/origins", json!(["a.example"]), "$.resources[0].origins[0]"),
        ("/resources/0/origins", json!(["null"]), "$.resources[0].origins[0]"),
        ("/resources/0/public_paths", json!(["healthz"]), "$.resources[0].public_paths[0]"),
        ("/resources/0/public_paths", json!(["/a", "/b%2fc"]), "$.resources[0].public_paths[1]"),
        ("/resources/0/dpop", json!(true), "$.resources[0].dpop"),
        ("/resources/0/dpop", json!("on"), "$.resources[0].dpop"),
        ("/resources/0/dpop_nonce", json!("c2hvcnQ"), "$.resources[0].dpop_nonce"),
        ("/resources/0/dpop_nonce", json!("A".repeat(43)), "$.resources[0]"),
        ("/resources/0/mode", json!("off"), "$.resources[0].mode"),
        ("/resources/0/mode", json!(null), "$.resources[0].mode"),
    ]);
}

#[test]
fn scopes() {
    let cycle = json!({ "a": ["b"], "b": ["c"], "c": ["a"] });
    let itself = json!({ "a": ["a"] });
    check(vec![
        ("/resources/0/scopes", json!([]), "$.resources[0].scopes"),
        ("/resources/0/scopes/baseline", json!("mcp:use"), "$.resources[0].scopes.baseline"),
        ("/resources/0/scopes/baseline", json!(["a b"]), "$.resources[0].scopes.baseline[0]"),
        ("/resources/0/scopes/baseline", json!(["a", ""]), "$.resources[0].scopes.baseline[1]"),
        ("/resources/0/scopes/baseline", json!(["a\""]), "$.resources[0].scopes.baseline[0]"),
        ("/resources/0/scopes/implies", cycle, "$.resources[0].scopes.implies"),
        ("/resources/0/scopes/implies", itself, "$.resources[0].scopes.implies"),
        (
            "/resources/0/scopes/implies",
            json!({ "a b": [] }),
            r#"$.resources[0].scopes.implies["a b"]"#,
        ),
        (
            "/resources/0/scopes/implies",
            json!({ "a": "b" }),
            r#"$.resources[0].scopes.implies["a"]"#,
        ),
        ("/resources/0/scopes/tools", json!([]), "$.resources[0].scopes.tools"),
        ("/resources/0/scopes/tools", json!({ "*a": [] }), r#"$.resources[0].scopes.tools["*a"]"#),
        (
            "/resources/0/scopes/tools",
            json!({ "a**": [] }),
            r#"$.resources[0].scopes.tools["a**"]"#,
        ),
        ("/resources/0/scopes/tools", json!({ "": [] }), r#"$.resources[0].scopes.tools[""]"#),
        ("/resources/0/scopes/tools", json!({ "a": "b" }), r#"$.resources[0].scopes.tools["a"]"#),
        (
            "/resources/0/scopes/tools",
            json!({ "a": ["b", "\\"] }),
            r#"$.resources[0].scopes.tools["a"][1]"#,
        ),
        (
            "/resources/0/scopes/prompts",
            json!({ "a\"": [1] }),
            r#"$.resources[0].scopes.prompts["a\""][0]"#,
        ),
        (
            "/resources/0/scopes/resources",
            json!({ "file:///a/../b": [] }),
            r#"$.resources[0].scopes.resources["file:///a/../b"]"#,
        ),
        (
            "/resources/0/scopes/methods",
            json!({ "a": null }),
            r#"$.resources[0].scopes.methods["a"]"#,
        ),
        ("/resources/0/scopes/unlisted", json!("allow"), "$.resources[0].scopes.unlisted"),
        ("/resources/0/scopes/unlisted", json!(true), "$.resources[0].scopes.unlisted"),
    ]);
}

#[test]
fn forwarding() {
    let header = |name: &str| json!({ name: "sub" });
    check(vec![
        ("/resources/0/forward", json!("strip"), "$.resources[0].forward"),
        ("/resources/0/forward/token", json!("pass"), "$.resources[0].forward.token"),
        ("/resources/0/forward/token", json!(true), "$.resources[0].forward.token"),
        ("/resources/0/forward/headers", json!(["x-a"]), "$.resources[0].forward.headers"),
        ("/resources/0/forward/headers", header("a b"), r#"$.resources[0].forward.headers["a b"]"#),
        (
            "/resources/0/forward/headers",
            header(":path"),
            r#"$.resources[0].forward.headers[":path"]"#,
        ),
        (
            "/resources/0/forward/headers",
            header("Host"),
            r#"$.resources[0].forward.headers["Host"]"#,
        ),
        (
            "/resources/0/forward/headers",
            header("Authorization"),
            r#"$.resources[0].forward.headers["Authorization"]"#,
        ),
        (
            "/resources/0/forward/headers",
            json!({ "x-a": 1 }),
            r#"$.resources[0].forward.headers["x-a"]"#,
        ),
        ("/resources/0/forward/claims", json!("mcp-name"), "$.resources[0].forward.claims"),
        ("/resources/0/forward/claims", json!(true), "$.resources[0].forward.claims"),
    ]);
}

#[test]
fn limits() {
    check(vec![
        ("/limits", json!([]), "$.limits"),
        ("/limits/token_bytes", json!(511), "$.limits.token_bytes"),
        ("/limits/token_bytes", json!(16_385), "$.limits.token_bytes"),
        ("/limits/body_bytes", json!(0), "$.limits.body_bytes"),
        ("/limits/body_bytes", json!(1e6), "$.limits.body_bytes"),
        ("/limits/cached_tokens", json!(-1), "$.limits.cached_tokens"),
        ("/limits/cached_tokens", json!(1_000_001), "$.limits.cached_tokens"),
        ("/limits/failures_per_minute", json!(60_001), "$.limits.failures_per_minute"),
        ("/limits/failures_per_minute", json!("60"), "$.limits.failures_per_minute"),
        ("/leeway", json!(301), "$.leeway"),
        ("/leeway", json!("30"), "$.leeway"),
        ("/hold_headers", json!("yes"), "$.hold_headers"),
        ("/hold_headers", json!(null), "$.hold_headers"),
    ]);
}

/// Development: a loopback issuer may speak plain HTTP, a mesh may fetch keys in the clear.
#[test]
fn plain_http_where_it_is_meant() {
    for (pointer, value) in [
        ("/issuers/0/issuer", "http://127.0.0.1:8090"),
        ("/issuers/0/issuer", "http://localhost:8090"),
        ("/issuers/0/issuer", "http://[::1]:8090"),
        ("/issuers/0/jwks_uri", "http://keys.mesh.internal/jwks"),
    ] {
        let mut document = document();
        set(&mut document, "/resources/0/issuers", None);
        set(&mut document, pointer, Some(json!(value)));
        parse(&document).expect(value);
    }
}

/// HS256 must be named and have its secret in the policy itself (RFC 7518 §3.2, RFC 8725 §3.5).
#[test]
fn hs256_needs_an_inline_secret() {
    let with = |algorithms: Value, keys: Value| {
        let mut document = document();
        let issuer = &mut document["issuers"][0];
        issuer.as_object_mut().expect("an object").remove("jwks_uri");
        issuer["algorithms"] = algorithms;
        issuer["jwks"] = json!({ "keys": keys });
        parse(&document)
    };
    let (secret, public) = (TestKey::Hs256.jwk("s"), TestKey::Es256(1).jwk("p"));
    assert!(with(json!(["HS256"]), json!([secret])).is_ok());
    assert!(with(json!(["HS256", "ES256"]), json!([public, secret])).is_ok());
    // Not named: the secret is left out, as a published one would be.
    assert!(with(json!(["ES256"]), json!([public, secret])).is_ok());
    assert_eq!(with(json!(["ES256"]), json!([secret])).unwrap_err().path, "$.issuers[0].jwks");

    let oct = |k: &str| json!({ "kty": "oct", "k": k, "kid": "s" });
    let mut encryption = secret.clone();
    encryption["use"] = json!("enc");
    let mut hs512 = secret.clone();
    hs512["alg"] = json!("HS512");
    for (keys, path, message) in [
        (json!([public]), "$.issuers[0].algorithms[1]", "HS256 needs an \"oct\" key in \"jwks\""),
        (json!([public, oct("c2VjcmV0")]), "$.issuers[0].jwks.keys[1]", "32 random bytes"),
        (
            // a-string-secret-at-least-256-bits-long
            json!([oct("YS1zdHJpbmctc2VjcmV0LWF0LWxlYXN0LTI1Ni1iaXRzLWxvbmc")]),
            "$.issuers[0].jwks.keys[0]",
            "32 random bytes",
        ),
        (json!([oct("not base64url")]), "$.issuers[0].jwks.keys[0]", "member k"),
        (json!([secret, encryption]), "$.issuers[0].jwks.keys[1]", "use or key_ops"),
        (json!([hs512]), "$.issuers[0].jwks.keys[0]", "alg does not go"),
    ] {
        let error = with(json!(["ES256", "HS256"]), keys.clone()).unwrap_err();
        assert_eq!(error.path, path, "{keys}: {error}");
        assert!(error.message.contains(message), "{keys}: {error}");
    }
    check(vec![("/issuers/0/algorithms", json!(["ES256", "HS256"]), "$.issuers[0].algorithms[1]")]);
}
