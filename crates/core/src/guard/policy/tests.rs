//! Wrong documents: each names the path of its mistake.

use alloc::{format, string::String, string::ToString as _, vec, vec::Vec};

use super::*;
use crate::{Reason, jose::alg::Algorithm, mcp::operation::Operation, oauth::scope::Scope};

const ISSUER: &str = r#"{"issuer":"https://a.example"}"#;
const RESOURCE: &str = r#"{"resource":"https://m.example/mcp"}"#;

fn with(issuer: &str, resource: &str, rest: &str) -> Result<Policy, PolicyError> {
    let document = format!(r#"{{"issuers":[{issuer}],"resources":[{resource}]{rest}}}"#);
    Policy::parse(document.as_bytes())
}

fn issuer(members: &str) -> Result<Policy, PolicyError> {
    with(&format!(r#"{{"issuer":"https://a.example",{members}}}"#), RESOURCE, "")
}

fn resource(members: &str) -> Result<Policy, PolicyError> {
    with(ISSUER, &format!(r#"{{"resource":"https://m.example/mcp",{members}}}"#), "")
}

fn rest(members: &str) -> Result<Policy, PolicyError> {
    with(ISSUER, RESOURCE, &format!(",{members}"))
}

fn scopes(members: &str) -> Result<Policy, PolicyError> {
    resource(&format!(r#""scopes":{{{members}}}"#))
}

#[test]
fn the_least_policy() {
    let policy = with(ISSUER, RESOURCE, "").unwrap();
    assert_eq!(policy.leeway, 30);
    assert!(policy.hold_headers);
    assert_eq!(
        policy.limits,
        Limits {
            token_bytes: 8192,
            body_bytes: 1_048_576,
            cached_tokens: 4096,
            failures_per_minute: 60
        }
    );
    let resource = &policy.resources[0];
    assert!(resource.audience.exclusive);
    assert!(resource.forward.strip_token);
    assert_eq!(resource.mode, Mode::Enforce);
    assert!(!resource.scopes.depend_on_operation());
    assert_eq!(policy.issuers[0].profile.max_lifetime, 86_400);
    assert_eq!(policy.issuers[0].profile.required_claims, ["sub", "client_id", "jti"]);
    assert_eq!(policy.issuers[0].profile.token_types, ["at+jwt"]);
}

fn at(outcome: Result<Policy, PolicyError>, path: &str) {
    let error = outcome.expect_err(path);
    assert_eq!(error.path, path, "{error}");
    assert!(!error.message.is_empty());
}

/// No resource is opened by a public path of another one, in either order; a page for people at the root
/// of a host may be public.
#[test]
fn public_paths_open_no_resource() {
    let open = r#"{"resource":"https://m.example/a","public_paths":["/mcp"]}"#;
    at(with(ISSUER, &format!("{open},{RESOURCE}"), ""), "$.resources[1]");
    at(with(ISSUER, &format!("{RESOURCE},{open}"), ""), "$.resources[1]");
    let elsewhere = r#"{"resource":"https://n.example/a","public_paths":["/mcp"]}"#;
    with(ISSUER, &format!("{elsewhere},{RESOURCE}"), "").unwrap();
    resource(r#""public_paths":["/mcp/health","/"]"#).unwrap();
    with(ISSUER, r#"{"resource":"https://m.example","public_paths":["/"]}"#, "").unwrap();
}

#[test]
fn mistakes_are_named_with_their_path() {
    at(Policy::parse(b""), "$");
    at(Policy::parse(b"[]"), "$");
    at(Policy::parse(b"{}"), "$");
    at(Policy::parse(br#"{"issuers":[],"issuers":[]}"#), "$");
    at(Policy::parse(br#"{"issuers":{},"resources":[]}"#), "$.issuers");
    at(Policy::parse(br#"{"issuers":[],"resources":[]}"#), "$.issuers");
    at(Policy::parse(br#"{"issuers":[{"issuer":"https://a.example"}]}"#), "$");
    at(with(ISSUER, "", ""), "$.resources");
    at(with("{}", RESOURCE, ""), "$.issuers[0]");
    at(with("7", RESOURCE, ""), "$.issuers[0]");
    at(with(r#"{"issuer":7}"#, RESOURCE, ""), "$.issuers[0].issuer");
    at(with(r#"{"issuer":"http://a.example"}"#, RESOURCE, ""), "$.issuers[0].issuer");
    at(with(r#"{"issuer":"https://a.example?x"}"#, RESOURCE, ""), "$.issuers[0].issuer");
    at(with(&format!("{ISSUER},{ISSUER}"), RESOURCE, ""), "$.issuers[1]");
    at(issuer(r#""jwks_uri":"ftp://a.example""#), "$.issuers[0].jwks_uri");
    at(issuer(r#""jwks_uri":"https://a.example/j","jwks":{"keys":[]}"#), "$.issuers[0].jwks");
    at(issuer(r#""jwks":{"keys":[]}"#), "$.issuers[0].jwks");
    at(issuer(r#""algorithms":[]"#), "$.issuers[0].algorithms");
    at(issuer(r#""algorithms":["HS256"]"#), "$.issuers[0].algorithms[0]");
    at(issuer(r#""algorithms":["ES256","none"]"#), "$.issuers[0].algorithms[1]");
    at(issuer(r#""token_types":[]"#), "$.issuers[0].token_types");
    at(issuer(r#""required_claims":[1]"#), "$.issuers[0].required_claims[0]");
    at(issuer(r#""max_lifetime":0"#), "$.issuers[0].max_lifetime");
    at(issuer(r#""max_lifetime":1.5"#), "$.issuers[0].max_lifetime");
    at(issuer(r#""jwks_cache":{"fresh":10,"stale":5}"#), "$.issuers[0].jwks_cache");
    at(issuer(r#""jwks_cache":{"fresh":"10"}"#), "$.issuers[0].jwks_cache.fresh");
    at(issuer(r#""jwks_cache":{"x":1}"#), "$.issuers[0].jwks_cache.x");
    at(issuer(r#""status":"never""#), "$.issuers[0].status");
    at(issuer(r#""preset":"google""#), "$.issuers[0].preset");
    at(issuer(r#""preset":"rfc9068""#), "$.issuers[0].preset");
    at(issuer(r#""preset":"okta""#), "$.issuers[0].issuer");
    at(issuer(r#""preset":"entra""#), "$.issuers[0].issuer");
    at(issuer(r#""Cluster":"a""#), "$.issuers[0].Cluster");
    at(with(ISSUER, r#"{"resource":"m.example"}"#, ""), "$.resources[0].resource");
    at(with(ISSUER, r#"{"resource":"mcp://files"}"#, ""), "$.resources[0].resource");
    at(with(ISSUER, &format!("{RESOURCE},{RESOURCE}"), ""), "$.resources[1]");
    at(
        with(
            ISSUER,
            &format!(r#"{RESOURCE},{{"resource":"https://m.example/x","path":"/mcp"}}"#),
            "",
        ),
        "$.resources[1]",
    );
    at(resource(r#""hosts":[]"#), "$.resources[0].hosts");
    at(resource(r#""hosts":["https://m.example"]"#), "$.resources[0].hosts[0]");
    at(resource(r#""path":"mcp""#), "$.resources[0].path");
    at(resource(r#""path":"/a/../b""#), "$.resources[0].path");
    at(resource(r#""documentation":"javascript:alert(1)""#), "$.resources[0].documentation");
    at(resource(r#""documentation":"https://u@docs.example/#a""#), "$.resources[0].documentation");
    at(resource(r#""issuers":["https://b.example"]"#), "$.resources[0].issuers[0]");
    at(resource(r#""issuers":[]"#), "$.resources[0].issuers");
    at(resource(r#""exclusive_audience":"yes""#), "$.resources[0].exclusive_audience");
    at(resource(r#""origins":["https://x.example/"]"#), "$.resources[0].origins[0]");
    at(resource(r#""public_paths":["healthz"]"#), "$.resources[0].public_paths[0]");
    at(resource(r#""public_paths":["/healthz","/mcp"]"#), "$.resources[0].public_paths[1]");
    at(resource(r#""public_paths":["/mcp/"]"#), "$.resources[0].public_paths[0]");
    at(resource(r#""path":"/x","public_paths":["/x"]"#), "$.resources[0].public_paths[0]");
    at(resource(r#""mode":"off""#), "$.resources[0].mode");
    at(resource(r#""forward":{"token":"pass"}"#), "$.resources[0].forward.token");
    at(
        resource(r#""forward":{"headers":{"a b":"sub"}}"#),
        r#"$.resources[0].forward.headers["a b"]"#,
    );
    at(
        resource(r#""forward":{"headers":{"Authorization":"sub"}}"#),
        r#"$.resources[0].forward.headers["Authorization"]"#,
    );
    at(resource(r#""forward":{"claims":"host"}"#), "$.resources[0].forward.claims");
    at(scopes(r#""baselin":[]"#), "$.resources[0].scopes.baselin");
    at(scopes(r#""baseline":["a b"]"#), "$.resources[0].scopes.baseline[0]");
    at(scopes(r#""implies":{"a":["b"],"b":["a"]}"#), "$.resources[0].scopes.implies");
    at(scopes(r#""tools":{"a*b":[]}"#), r#"$.resources[0].scopes.tools["a*b"]"#);
    at(scopes(r#""tools":{"":[]}"#), r#"$.resources[0].scopes.tools[""]"#);
    at(scopes(r#""tools":{"write_*":"files:write"}"#), r#"$.resources[0].scopes.tools["write_*"]"#);
    at(
        scopes(r#""resources":{"file:///a/../*":[]}"#),
        r#"$.resources[0].scopes.resources["file:///a/../*"]"#,
    );
    // What no URI of a request could be compared with, and what others say in another spelling.
    for pattern in [
        "https://my h/*",
        "https:/h/*",
        "https://u@h/*",
        "https://h:443*",
        "file:a",
        "file:/*",
        "file:///a?",
        "file:///a?*",
        "note:a#b",
        "note:a#*",
    ] {
        let path = format!(r#"$.resources[0].scopes.resources["{pattern}"]"#);
        at(scopes(&format!(r#""resources":{{"{pattern}":[]}}"#)), &path);
    }
    for (one, same) in [
        ("file:///caf%c3%a9", "file:///caf\u{e9}"),
        ("https://h/a*", "https://h:443/a*"),
        ("https://h", "HTTPS://H./"),
        ("note:/a", "note:///a"),
        ("file:///my docs/*", "file:///my%20docs/*"),
    ] {
        let read = scopes(&format!(r#""resources":{{"{one}":[],"{same}":[]}}"#));
        assert!(read.unwrap_err().message.contains("means the same"), "{one} {same}");
    }
    at(scopes(r#""unlisted":"allow""#), "$.resources[0].scopes.unlisted");
    at(rest(r#""leeway":-1"#), "$.leeway");
    at(rest(r#""leeway":3600"#), "$.leeway");
    at(rest(r#""limits":{"token_bytes":1}"#), "$.limits.token_bytes");
    at(rest(r#""hold_headers":1"#), "$.hold_headers");
    at(rest(r#""resource":{}"#), "$.resource");
}

#[test]
fn secrets_are_long() {
    for name in ["dpop_nonce", "session_secret"] {
        for short in ["", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg", "not base64url!"] {
            let members = format!(r#""dpop":"accept","{name}":"{short}""#);
            at(resource(&members), &format!("$.resources[0].{name}"));
        }
        let long = format!(r#""dpop":"accept","{name}":"{}""#, "A".repeat(43));
        let shown = format!("{:?}", resource(&long).expect("32 bytes").resources[0]);
        assert!(!shown.contains("[0, 0"), "no secret is shown: {shown}");
    }
}

/// Without a subject all users of a client would share its sessions.
#[test]
fn sessions_need_subjects() {
    let session =
        format!(r#"{{"resource":"https://m.example","session_secret":"{}"}}"#, "A".repeat(43));
    let issuer = r#"{"issuer":"https://a.example","required_claims":["client_id"]}"#;
    at(with(issuer, &session, ""), "$.resources[0]");
    assert!(with(ISSUER, &session, "").is_ok());
}

#[test]
fn introspection_needs_all_of_it() {
    let introspection = |rest: &str| issuer(&format!(r#""introspection":{{{rest}}}"#));
    let whole = r#""endpoint":"https://a.example/introspect","client_id":"c","client_secret":"s""#;
    let policy = introspection(whole).expect("a valid policy");
    let server = policy.issuers[0].introspection.as_ref().expect("it is there");
    assert_eq!((server.cache, server.endpoint.as_str()), (30, "https://a.example/introspect"));
    assert_eq!(server.profile.required_claims, ["sub", "client_id"]);
    let shown = format!("{:?}", policy.issuers[0]);
    assert!(!shown.contains("Basic"), "no secret is shown: {shown}");
    at(introspection(""), "$.issuers[0].introspection");
    for (from, to, path) in [
        (r#""client_secret":"s""#, r#""cache":1"#, ""),
        (r#":"s""#, r#":"""#, ".client_secret"),
        (r#":"c""#, ":1", ".client_id"),
        ("https://a.example/introspect", "introspect", ".endpoint"),
        (r#""s""#, r#""s","cache":0"#, ".cache"),
        (r#""s""#, r#""s","cache":3601"#, ".cache"),
        (r#""s""#, r#""s","secret":1"#, ".secret"),
    ] {
        let path = format!("$.issuers[0].introspection{path}");
        at(introspection(&whole.replace(from, to)), &path);
    }
}

#[test]
fn hosts_and_paths_come_from_the_identifier() {
    let policy = with(ISSUER, r#"{"resource":"HTTPS://M.Example:8443/a/mcp/"}"#, "").unwrap();
    let resource = &policy.resources[0];
    let hosts: Vec<String> = resource.hosts.iter().map(|host| host.to_string()).collect();
    assert_eq!(hosts, ["m.example:8443"]);
    assert_eq!(resource.path, "/a/mcp");
    assert_eq!(resource.audience.resource.as_str(), "HTTPS://M.Example:8443/a/mcp/");
    let other = r#"{"resource":"mcp://files","hosts":["m.example"],"path":"/files"}"#;
    assert!(with(ISSUER, other, "").is_ok());
}

/// A preset gives defaults; what the policy names itself counts.
#[test]
fn members_override_the_preset() {
    let profile = |members| issuer(members).unwrap().issuers.remove(0).profile;
    let cognito = profile(r#""preset":"cognito""#);
    assert_eq!(cognito.algorithms, [Algorithm::Rs256]);
    assert_eq!(cognito.token_types, [""]);
    assert_eq!(cognito.required_claims, ["sub", "client_id", "jti"]);
    assert_eq!(cognito.max_lifetime, 86_400);
    let own = r#""preset":"cognito","algorithms":["ES256"],"token_types":["at+jwt"],"required_claims":["sub"],"max_lifetime":60"#;
    let own = profile(own);
    assert_eq!(own.preset.name, "cognito");
    assert_eq!(own.algorithms, [Algorithm::Es256]);
    assert_eq!((own.token_types, own.required_claims), (vec!["at+jwt".into()], vec!["sub".into()]));
    assert_eq!(own.max_lifetime, 60);
}

/// Servers that look at the path alone give the same for every query.
#[test]
fn a_query_does_not_evade_an_exact_rule() {
    let members = r#""baseline":["base"],"unlisted":"deny","methods":{"resources/read":["read"]},
        "resources":{"note:a":["one"],"note:a?open=*":[],"note:b":["two"],"note:b*":["three"]}"#;
    let policy = scopes(members).unwrap();
    let rules = &policy.resources[0].scopes;
    let read = |method: &str, uri: &str| {
        rules
            .needed(&Operation::Resource { method: method.into(), uri: uri.into() })
            .map(|found| (found.needed.to_string(), found.rule.unwrap_or_default()))
    };
    for (uri, needed, rule) in [
        ("note:a", "base one", r#"resources["note:a"]"#),
        ("note:a?x", "base read one", r#"resources["note:a"], methods["resources/read"]"#),
        ("note:a?open=x", "base", r#"resources["note:a?open=*"]"#),
        ("note:b?", "base three two", r#"resources["note:b*"], resources["note:b"]"#),
        ("note:b;x", "base three two", r#"resources["note:b*"], resources["note:b"]"#),
    ] {
        let (found, by) = read("resources/read", uri).unwrap();
        let sorted = |scopes: &str| {
            let mut scopes: Vec<String> = scopes.split(' ').map(Into::into).collect();
            scopes.sort();
            scopes
        };
        assert_eq!((sorted(&found), by.as_str()), (sorted(needed), rule), "{uri}");
    }
    // It is another resource too, which no rule names.
    assert_eq!(read("resources/subscribe", "note:a?x"), Err(Reason::OperationDenied));
    let granted = |scopes: &str| scopes.split(' ').map(|one| Scope::parse(one).unwrap()).collect();
    for (scopes, template, shown) in [
        ("base read", "note:a?x={x}", false),
        ("base read one", "note:a?x={x}", true),
        ("base", "note:a?open=x{x}", true),
        ("base three", "note:b?{x}", false),
        ("base two three", "note:b?{x}", true),
    ] {
        assert_eq!(rules.permits_template(&granted(scopes), template), shown, "{template}");
    }
}
