//! Metadata documents (RFC 9728, RFC 8414): what is written is read again as the same; documents of
//! others, malformed and endless ones are refused.

use countersign_core::{
    jose::alg::Algorithm,
    oauth::{
        metadata::{
            AuthorizationServerMetadata, MAX_BYTES, MetadataError, ProtectedResource,
            ProtectedResourceMetadata, authorization_server_urls, protected_resource_url,
        },
        resource::ResourceId,
        scope::{Scope, ScopeSet},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::resource::{parts, spelling};

const RESOURCE: &str = "https://h.example/mcp";
const ISSUER: &str = "https://auth.example/t";

fn resource(members: Value) -> Result<ProtectedResourceMetadata, MetadataError> {
    ProtectedResourceMetadata::parse(with("resource", RESOURCE, members).as_bytes(), RESOURCE)
}

fn server(members: Value) -> AuthorizationServerMetadata {
    let document = with("issuer", ISSUER, members);
    AuthorizationServerMetadata::parse(document.as_bytes(), ISSUER).unwrap()
}

fn with(name: &str, value: &str, members: Value) -> String {
    let mut document = json!({ name: value });
    for (name, value) in members.as_object().expect("an object") {
        document[name] = value.clone();
    }
    document.to_string()
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("\\PC{0,8}", 0..3)
}

proptest! {
    /// What the guard publishes is what a client reads, whatever the names and URLs are.
    #[test]
    fn written_and_read_again(
        parts in parts(), spelling in spelling(), scopes in prop::collection::vec("[!#-\\[\\]-~]{1,6}", 0..4),
        issuers in prop::collection::vec("[a-z]{1,5}(:[1-9])?(/[a-z%]{0,3})?", 0..3),
        name in prop::option::of(any::<String>()), page in prop::option::of("https://[a-z]{1,5}(/[a-z?=%-]{0,6})?"),
        algorithms in prop::sample::subsequence(Algorithm::ALL.to_vec(), 0..4), required: bool,
    ) {
        let resource = ResourceId::parse(&parts.written(spelling)).unwrap();
        let issuers: Vec<String> = issuers.iter().map(|rest| format!("https://{rest}")).collect();
        let borrowed: Vec<&str> = issuers.iter().map(String::as_str).collect();
        let scopes: ScopeSet = scopes.iter().map(|text| Scope::parse(text).unwrap()).collect();
        let document = ProtectedResource {
            resource: &resource,
            authorization_servers: &borrowed,
            scopes_supported: &scopes,
            name: name.as_deref(),
            documentation: page.as_deref(),
            dpop_algorithms: &algorithms,
            dpop_required: required,
        }
        .document();
        let read = ProtectedResourceMetadata::parse(document.as_bytes(), resource.as_str());
        prop_assert_eq!(read, Ok(ProtectedResourceMetadata {
            resource: resource.as_str().to_owned(),
            authorization_servers: issuers,
            scopes_supported: scopes,
            bearer_methods: vec!["header".to_owned()],
            name,
            documentation: page,
            dpop_algorithms: algorithms.iter().map(|one| one.name().to_owned()).collect(),
            dpop_required: required,
        }));
    }

    /// RFC 9728 §3.1: of the URL, taking the well-known path out gives the identifier again.
    #[test]
    fn the_well_known_path_is_only_inserted(parts in parts(), spelling in spelling()) {
        let text = parts.written(spelling);
        let url = protected_resource_url(&ResourceId::parse(&text).unwrap());
        let without = url.replacen("/.well-known/oauth-protected-resource", "", 1);
        prop_assert!(without == text || format!("{without}/") == text, "{text} {url}");
        prop_assert!(ResourceId::parse(&text).unwrap().matches(&without));
    }

    /// RFC 8414 §3.3, RFC 9728 §3.3: no other spelling of the identifier will do.
    #[test]
    fn identifiers_are_compared_byte_for_byte(
        parts in parts(), a in spelling(), b in spelling(),
    ) {
        let (a, b) = (parts.written(a), parts.written(b));
        let found = ProtectedResourceMetadata::parse(json!({ "resource": a }).to_string().as_bytes(), &b);
        prop_assert_eq!(found.is_ok(), a == b);
        let found = AuthorizationServerMetadata::parse(json!({ "issuer": a }).to_string().as_bytes(), &b);
        prop_assert_eq!(found.is_ok(), a == b);
    }

    /// No bytes make them panic; nothing that is not the resource's own is read.
    #[test]
    fn anything(document in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        "[\\[\\]{}\",:a0 ]{0,40}".prop_map(String::into_bytes),
        texts().prop_map(|texts| json!({ "resource": texts }).to_string().into_bytes()),
    ]) {
        prop_assert!(ProtectedResourceMetadata::parse(&document, RESOURCE).is_err());
        prop_assert!(AuthorizationServerMetadata::parse(&document, ISSUER).is_err());
    }
}

/// RFC 9728 §3.2, the example.
#[test]
fn the_example_of_rfc_9728() {
    let document = br#"{
        "resource": "https://resource.example.com",
        "authorization_servers": ["https://as1.example.com", "https://as2.example.net"],
        "bearer_methods_supported": ["header", "body"],
        "scopes_supported": ["profile", "email", "phone"],
        "resource_documentation": "https://resource.example.com/resource_documentation.html"
    }"#;
    let read = ProtectedResourceMetadata::parse(document, "https://resource.example.com").unwrap();
    let servers = ["https://as1.example.com", "https://as2.example.net"];
    assert_eq!(read.authorization_servers, servers);
    assert_eq!(read.bearer_methods, ["header", "body"]);
    assert_eq!(read.scopes_supported.to_string(), "profile email phone");
    let page = "https://resource.example.com/resource_documentation.html";
    assert_eq!(read.documentation.as_deref(), Some(page));
    assert_eq!((read.name, read.dpop_required), (None, false));
}

/// RFC 8414 §3.2, the example, in part.
#[test]
fn the_example_of_rfc_8414() {
    let document = br#"{
        "issuer": "https://server.example.com",
        "authorization_endpoint": "https://server.example.com/authorize",
        "token_endpoint": "https://server.example.com/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "jwks_uri": "https://server.example.com/jwks.json",
        "scopes_supported": ["openid", "profile", "email"],
        "response_types_supported": ["code", "code token"]
    }"#;
    let read = AuthorizationServerMetadata::parse(document, "https://server.example.com").unwrap();
    assert_eq!(read.required_url("jwks_uri"), Ok("https://server.example.com/jwks.json"));
    assert_eq!(read.url("token_endpoint"), Ok(Some("https://server.example.com/token")));
    assert_eq!(read.url("registration_endpoint"), Ok(None));
    let missing = Err(MetadataError::Missing("registration_endpoint"));
    assert_eq!(read.required_url("registration_endpoint"), missing);
    assert_eq!(read.texts("response_types_supported").unwrap(), ["code", "code token"]);
    assert_eq!(read.texts("code_challenge_methods_supported").unwrap(), [""; 0]);
    assert_eq!(read.flag("client_id_metadata_document_supported"), Ok(false));
}

/// RFC 9728 §2: a page for people. What is none must not become a link, nor the document be lost for it.
#[test]
fn links_to_pages_that_are_none_are_left_out() {
    let read = |page: &str| resource(json!({ "resource_documentation": page })).unwrap();
    for page in ["https://h.example/docs#scopes", "http://h.example/docs", "https://h.example/#"] {
        assert_eq!(read(page).documentation.as_deref(), Some(page));
    }
    for bad in ["javascript:alert(1)", "https://u@h.example/#a", "data:text/html,x", "docs", ""] {
        assert_eq!(read(bad).documentation, None, "{bad}");
    }
}

#[test]
fn resources_of_wrong_types_are_refused() {
    for (name, bad) in [
        ("authorization_servers", json!("https://a.example")),
        ("authorization_servers", json!([1])),
        ("authorization_servers", json!(["http://a.example"])),
        ("authorization_servers", json!(["a.example"])),
        ("authorization_servers", json!(["https://a.example", "javascript:alert(1)"])),
        ("scopes_supported", json!(["a b"])),
        ("scopes_supported", json!("a")),
        ("bearer_methods_supported", json!([null])),
        ("resource_name", json!(1)),
        ("resource_documentation", json!(["https://h"])),
        ("dpop_signing_alg_values_supported", json!("ES256")),
        ("dpop_bound_access_tokens_required", json!("true")),
    ] {
        let found = resource(json!({ name: bad })).unwrap_err();
        assert_eq!(found, MetadataError::Malformed(name), "{name}: {bad}");
    }
    assert!(resource(json!({ "unknown": [1], "authorization_servers": [] })).is_ok());
    assert_eq!(resource(json!({ "resource": 1 })), Err(MetadataError::Malformed("resource")));
    let without = ProtectedResourceMetadata::parse(b"{}", RESOURCE);
    assert_eq!(without, Err(MetadataError::Missing("resource")));
}

#[test]
fn members_of_servers_are_checked_when_they_are_asked_for() {
    let read = server(json!({
        "jwks_uri": "https://keys.example/",
        "token_endpoint": "http://auth.example/token",
        "authorization_endpoint": "javascript:alert(1)",
        "registration_endpoint": 1,
        "scopes_supported": "a",
        "client_id_metadata_document_supported": 1,
    }));
    assert_eq!(read.url("jwks_uri"), Ok(Some("https://keys.example/")));
    for name in ["token_endpoint", "authorization_endpoint", "registration_endpoint"] {
        assert_eq!(read.url(name), Err(MetadataError::Malformed(name)), "{name}");
        assert_eq!(read.required_url(name), Err(MetadataError::Malformed(name)), "{name}");
    }
    let list = "scopes_supported";
    assert_eq!(read.texts(list), Err(MetadataError::Malformed(list)));
    let flag = "client_id_metadata_document_supported";
    assert_eq!(read.flag(flag), Err(MetadataError::Malformed(flag)));
    assert_eq!(server(json!({ flag: true })).flag(flag), Ok(true));
}

/// In development the issuer is `http` on a loopback address; then its endpoints may be too.
#[test]
fn endpoints_are_as_secure_as_the_issuer() {
    let document = br#"{"issuer":"http://127.0.0.1:8090","jwks_uri":"http://127.0.0.1:8090/jwks",
        "token_endpoint":"https://h/token","authorization_endpoint":"file:///etc/passwd"}"#;
    let read = AuthorizationServerMetadata::parse(document, "http://127.0.0.1:8090").unwrap();
    assert!(read.url("jwks_uri").is_ok() && read.url("token_endpoint").is_ok());
    assert!(read.url("authorization_endpoint").is_err());
}

#[test]
fn what_is_no_document() {
    let read = |document: &[u8]| AuthorizationServerMetadata::parse(document, ISSUER);
    for bad in ["", "<html>", "{", r#"{"issuer":"x","issuer":"x"}"#, "{} {}"] {
        assert!(matches!(read(bad.as_bytes()), Err(MetadataError::Json(_))), "{bad}");
    }
    for bad in ["[]", "null", "\"https://auth.example/t\""] {
        assert_eq!(read(bad.as_bytes()), Err(MetadataError::Malformed("document")), "{bad}");
    }
    assert_eq!(read(b"{}"), Err(MetadataError::Missing("issuer")));
    assert_eq!(read(br#"{"issuer":1}"#), Err(MetadataError::Malformed("issuer")));
    let long = |bytes: usize| {
        let start = format!(r#"{{"issuer":"{ISSUER}"}}"#);
        format!("{start}{}", " ".repeat(bytes - start.len()))
    };
    assert!(read(long(MAX_BYTES).as_bytes()).is_ok());
    assert_eq!(read(long(MAX_BYTES + 1).as_bytes()), Err(MetadataError::TooLong));
}

/// A slash at the end of an issuer is part of it, and of no URL (RFC 8414 §3.1).
#[test]
fn issuers_that_end_in_a_slash() {
    let root = authorization_server_urls("https://h.example/");
    assert_eq!(root, authorization_server_urls("https://h.example"));
    let path = authorization_server_urls("https://h.example/t/");
    assert_eq!(path, authorization_server_urls("https://h.example/t"));
    assert!(authorization_server_urls("h.example").is_empty());
}
