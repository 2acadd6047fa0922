//! What the server says about itself.

use std::collections::BTreeSet;

use countersign_issuer::Registration;

use crate::{
    http::{get, send},
    issuer::Issuer,
};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// RFC 8414 §2, RFC 9207 §3, RFC 9728 §4, MCP AS-03, AS-13: what is said is so, and nothing else.
#[test]
fn rfc_8414_metadata_is_honest() {
    let issuer = Issuer::start();
    let answer = get(&issuer.at(OAUTH));
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    let members: BTreeSet<&str> =
        document.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "authorization_endpoint",
        "authorization_response_iss_parameter_supported",
        "claims_supported",
        "client_id_metadata_document_supported",
        "code_challenge_methods_supported",
        "device_authorization_endpoint",
        "dpop_signing_alg_values_supported",
        "grant_types_supported",
        "id_token_signing_alg_values_supported",
        "introspection_endpoint",
        "introspection_endpoint_auth_methods_supported",
        "introspection_endpoint_auth_signing_alg_values_supported",
        "introspection_signing_alg_values_supported",
        "issuer",
        "jwks_uri",
        "protected_resources",
        "pushed_authorization_request_endpoint",
        "registration_endpoint",
        "request_object_signing_alg_values_supported",
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "require_signed_request_object",
        "response_modes_supported",
        "response_types_supported",
        "revocation_endpoint",
        "revocation_endpoint_auth_methods_supported",
        "revocation_endpoint_auth_signing_alg_values_supported",
        "scopes_supported",
        "status_list_aggregation_endpoint",
        "subject_types_supported",
        "token_endpoint",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
        "userinfo_endpoint",
    ];
    assert_eq!(members, BTreeSet::from(expected));
    assert_eq!(document["issuer"], issuer.url);
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(document["response_types_supported"], serde_json::json!(["code"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(
        document["scopes_supported"],
        serde_json::json!([
            "openid",
            "profile",
            "email",
            "offline_access",
            "files:read",
            "files:write",
            "mail:send"
        ])
    );
    let methods = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    assert_eq!(document["token_endpoint_auth_methods_supported"], serde_json::json!(methods));
    // RFC 8414 §2, attack 26: nothing that who verifies could sign too.
    let algorithms = &document["token_endpoint_auth_signing_alg_values_supported"];
    assert!(
        algorithms
            .as_array()
            .unwrap()
            .iter()
            .all(|name| { !name.as_str().unwrap().starts_with("HS") && name != "none" })
    );
    assert_eq!(&document["dpop_signing_alg_values_supported"], algorithms);
    assert_eq!(&document["request_object_signing_alg_values_supported"], algorithms);
    for endpoint in [
        "authorization_endpoint",
        "token_endpoint",
        "device_authorization_endpoint",
        "jwks_uri",
        "pushed_authorization_request_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "userinfo_endpoint",
        "registration_endpoint",
        "status_list_aggregation_endpoint",
    ] {
        let url = document[endpoint].as_str().unwrap();
        assert_ne!(get(url).status, 404, "{url}");
    }
}

/// Complaint 16, MCP AS-04: every place where clients look has the same bytes.
#[test]
fn all_forms_of_the_metadata_url() {
    let issuer = Issuer::start();
    let expected = get(&issuer.at(OAUTH)).body;
    for url in [OPENID.to_owned(), format!("{OAUTH}/"), format!("{OPENID}/")] {
        assert_eq!(get(&issuer.at(&url)).body, expected, "{url}");
    }

    let issuer =
        Issuer::empty(|config| config.issuer = Some("https://auth.example.com/t/1".to_owned()));
    let expected = get(&issuer.at(&format!("{OAUTH}/t/1")));
    assert_eq!(expected.status, 200);
    assert_eq!(expected.json()["issuer"], "https://auth.example.com/t/1");
    assert_eq!(expected.json()["token_endpoint"], "https://auth.example.com/t/1/token");
    for url in [
        format!("{OPENID}/t/1"),
        format!("{OPENID}/t/1/"),
        format!("{OAUTH}/t/1/"),
        format!("/t/1{OPENID}"),
        format!("/t/1{OAUTH}"),
    ] {
        assert_eq!(get(&issuer.at(&url)).body, expected.body, "{url}");
    }
    // Another issuer's place: JSON, so that nobody takes a page for metadata.
    for url in [OAUTH.to_owned(), OPENID.to_owned(), format!("{OAUTH}/t/2")] {
        let answer = get(&issuer.at(&url));
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"));
    }
    assert_eq!(get(&issuer.at("/t/1/jwks")).status, 200);
    assert_eq!(get(&issuer.at("/jwks")).status, 404);
}

/// RFC 7591 §3: no endpoint is named that would refuse.
#[test]
fn registration_is_named_only_when_it_is_open() {
    let issuer = Issuer::empty(|config| config.registration = Registration::Off);
    assert!(get(&issuer.at(OAUTH)).json()["registration_endpoint"].is_null());
    let metadata = serde_json::json!({ "redirect_uris": ["https://app.example.com/cb"] });
    issuer.register(&metadata).assert_error(403, "access_denied");
}

/// Complaint 17: browser clients, with the header that MCP adds.
#[test]
fn cors() {
    let issuer = Issuer::start();
    for path in [
        OAUTH,
        OPENID,
        "/jwks",
        "/token",
        "/register",
        "/par",
        "/revoke",
        "/introspect",
        "/userinfo",
        "/status-lists",
        "/status-lists/unknown",
    ] {
        let headers = [
            ("origin", "https://inspector.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "mcp-protocol-version"),
        ];
        let answer = send("OPTIONS", &issuer.at(path), &headers, None);
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let allowed = answer.header("access-control-allow-headers");
        assert!(allowed.contains("MCP-Protocol-Version"), "{path}");
        assert!(allowed.contains("Authorization") && allowed.contains("DPoP"), "{path}");
        let answer = get(&issuer.at(path));
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
    }
    let answer = get(&issuer.at("/authorize"));
    assert_eq!(answer.header("access-control-allow-origin"), "", "pages are not for scripts");
}

/// RFC 9111: the key set may be kept for a while, and asked for again cheaply.
#[test]
fn key_set_caching() {
    let issuer = Issuer::start();
    let answer = get(&issuer.at("/jwks"));
    assert!(answer.header("cache-control").contains("max-age=300"));
    let etag = answer.header("etag").to_owned();
    let again = send("GET", &issuer.at("/jwks"), &[("if-none-match", &etag)], None);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), etag);
    let other = send("GET", &issuer.at("/jwks"), &[("if-none-match", "\"other\"")], None);
    assert_eq!(other.status, 200);
    assert_eq!(send("POST", &issuer.at("/jwks"), &[], Some("")).status, 405);
}

/// Attack 50: what a request calls this server is no matter.
#[test]
fn attack_50_spoofed_host_changes_nothing() {
    let issuer = Issuer::start();
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example"),
    ];
    let answer = send("GET", &issuer.at(OAUTH), &headers, None);
    assert_eq!(answer.body, get(&issuer.at(OAUTH)).body);
    let client = issuer.client();
    let answer = send("GET", &issuer.authorize_url(&client, &[]), &headers, None);
    assert!(answer.header("location").starts_with(&issuer.at("/authorize?interaction=")));
}

#[test]
fn health() {
    let issuer = Issuer::start();
    assert_eq!(get(&issuer.at("/healthz")).status, 200);
    assert_eq!(get(&issuer.at("/readyz")).status, 200);
    get(&issuer.at("/nothing")).assert_page(404);
    get(&issuer.at("/")).assert_page(200);
}
