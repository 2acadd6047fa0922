//! Dynamic client registration (RFC 7591).

use serde_json::{Value, json};

use crate::{
    browser::text,
    http::{get, send},
    issuer::{CALLBACK, Client, Issuer},
};

/// RFC 7591 §3.2.1.
#[test]
fn rfc_7591_response() {
    let issuer = Issuer::start();
    let answer = issuer.register(&json!({ "redirect_uris": [CALLBACK], "client_name": "A" }));
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let document = answer.json();
    assert!(document["client_id_issued_at"].is_u64());
    assert_eq!(document["redirect_uris"], json!([CALLBACK]));
    assert_eq!(document["grant_types"], json!(["authorization_code"]));
    assert_eq!(document["response_types"], json!(["code"]));
    assert_eq!(document["token_endpoint_auth_method"], "none");
    assert_eq!(document["client_name"], "A");
    assert!(document["client_secret"].is_null());
}

#[test]
fn confidential_clients_get_a_secret() {
    let issuer = Issuer::start();
    for method in ["client_secret_basic", "client_secret_post"] {
        let answer = issuer.register(&json!({
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": method,
        }));
        let document = answer.json();
        assert_eq!(document["client_secret_expires_at"], 0);
        let client = Client {
            id: text(&document, "client_id").to_owned(),
            secret: Some(text(&document, "client_secret").to_owned()),
            method: method.to_owned(),
        };
        assert!(issuer.tokens(&client, &[])["refresh_token"].is_string());
    }
}

/// RFC 7591 §2, complaint 11: what is not known is ignored, or every new member breaks clients.
#[test]
fn complaint_11_unknown_metadata_is_ignored() {
    let issuer = Issuer::start();
    let answer = issuer.register(&json!({
        "redirect_uris": [CALLBACK],
        "resource": "https://mcp.example.com/files",
        "application_type": "web",
        "scope": "files:read",
        "contacts": ["a@example.com"],
        "software_id": 7,
        "x": { "y": [null] },
        "client_uri": "https://app.example.com",
        "logo_uri": null,
    }));
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// RFC 7591 §3.2.2: nobody's word for a client is trusted, and none is silently left out.
#[test]
fn rfc_7591_software_statements_are_not_approved() {
    let issuer = Issuer::start();
    for statement in [json!("eyJhbGciOiJub25lIn0.e30."), json!(""), Value::Null] {
        let metadata = json!({ "redirect_uris": [CALLBACK], "software_statement": statement });
        issuer.register(&metadata).assert_error(400, "unapproved_software_statement");
    }
    assert_eq!(issuer.number("SELECT COUNT(*) FROM clients"), 0);
    let document = issuer.register(&json!({ "redirect_uris": [CALLBACK] })).json();
    let changed = json!({
        "client_id": document["client_id"],
        "redirect_uris": [CALLBACK],
        "software_statement": "eyJhbGciOiJub25lIn0.e30.",
    });
    let bearer = format!("Bearer {}", text(&document, "registration_access_token"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let uri = text(&document, "registration_client_uri");
    let answer = send("PUT", uri, &headers, Some(&changed.to_string()));
    answer.assert_error(400, "unapproved_software_statement");
}

/// Complaint 18: subsets and supersets of the usual grants.
#[test]
fn complaint_18_grant_types() {
    let issuer = Issuer::start();
    for (asked, got) in [
        (json!(["authorization_code"]), json!(["authorization_code"])),
        (
            json!(["authorization_code", "refresh_token"]),
            json!(["authorization_code", "refresh_token"]),
        ),
        (json!(["authorization_code", "implicit"]), json!(["authorization_code"])),
    ] {
        let answer = issuer.register(&json!({ "redirect_uris": [CALLBACK], "grant_types": asked }));
        assert_eq!(answer.json()["grant_types"], got);
    }
    for bad in [json!(["client_credentials"]), json!([]), json!("authorization_code"), json!([1])] {
        let answer = issuer.register(&json!({ "redirect_uris": [CALLBACK], "grant_types": bad }));
        answer.assert_error(400, "invalid_client_metadata");
    }
}

/// Attack 35, through the endpoint.
#[test]
fn attack_35_dangerous_redirect_uris() {
    let issuer = Issuer::start();
    for uri in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "urn:ietf:wg:oauth:2.0:oob",
        "http://example.com/cb",
        "http://localhost.evil.example/cb",
        "https://app.example.com/cb#fragment",
        "https://user:pass@app.example.com/cb",
        "https://app.example.com/c\u{0}b",
        "https://app.example.com/c b",
        "https://app.example.com/\r\nx",
        "https://",
        "https:///cb",
        "//app.example.com/cb",
        "app:/cb",
        "",
    ] {
        for uris in [json!([uri]), json!([CALLBACK, uri])] {
            let answer = issuer.register(&json!({ "redirect_uris": uris }));
            answer.assert_error(400, "invalid_redirect_uri");
        }
    }
    for uris in [json!([]), Value::Null, json!(vec![CALLBACK; 21])] {
        let answer = issuer.register(&json!({ "redirect_uris": uris }));
        answer.assert_error(400, "invalid_redirect_uri");
    }
    for uri in
        ["com.example.app:/cb", "http://localhost/cb", "http://127.0.0.1:3/", "http://[::1]/"]
    {
        let answer = issuer.register(&json!({ "redirect_uris": [uri] }));
        assert_eq!(answer.status, 201, "{uri}");
    }
}

/// AS-11, OpenID Connect Registration §2: who says that it is a web application is held to it.
#[test]
fn as_11_application_type() {
    let issuer = Issuer::start();
    let register = |kind: &str, uri: &str| {
        issuer.register(&json!({ "redirect_uris": [uri], "application_type": kind }))
    };
    for uri in ["http://localhost/cb", "http://127.0.0.1:1/cb", "com.example.app:/cb"] {
        register("web", uri).assert_error(400, "invalid_redirect_uri");
        assert_eq!(register("native", uri).status, 201, "{uri}");
    }
    let answer = register("web", CALLBACK);
    assert_eq!((answer.status, &answer.json()["application_type"]), (201, &json!("web")));
    assert_eq!(register("native", CALLBACK).status, 201, "claimed https (RFC 8252 §7.2)");
}

/// Attack 36: links that could be shown or fetched one day.
#[test]
fn attack_36_dangerous_links() {
    let issuer = Issuer::start();
    for name in ["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"] {
        for uri in [
            "javascript:alert(1)",
            "data:x",
            "http://169.254.169.254/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://localhost/",
            "https://a.localhost./",
            "https://intranet/",
            "https://metadata.google.internal/",
            "https://user@app.example.com/",
        ] {
            let answer = issuer.register(&json!({ "redirect_uris": [CALLBACK], name: uri }));
            answer.assert_error(400, "invalid_client_metadata");
        }
    }
}

/// Attack 43: no `client_id` is a URL; attack 39: nobody picks their own, nor a secret.
#[test]
fn attack_43_client_ids_are_ours() {
    let issuer = Issuer::start();
    let answer = issuer.register(&json!({
        "redirect_uris": [CALLBACK],
        "client_id": "https://evil.example",
        "client_secret": "chosen",
        "kind": "static",
    }));
    let id = text(&answer.json(), "client_id").to_owned();
    assert!(id.starts_with("c_") && id.len() == 45, "{id}");
    assert!(answer.json()["client_secret"].is_null());
}

/// RFC 7591 §3.2.2, RFC 8725 §3: strict JSON, bounded, by POST.
#[test]
fn bodies_that_are_refused() {
    let issuer = Issuer::start();
    let url = issuer.at("/register");
    let post = |body: &str| send("POST", &url, &[("content-type", "application/json")], Some(body));
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"redirect_uris\":[\"https://a.example\"]} x",
        "{\"redirect_uris\":[\"https://a.example\"],\"redirect_uris\":[\"https://b.example\"]}",
        "{\"redirect_uris\":[\"https://a.example\"],\"token_endpoint_auth_method\":\"private_key_jwt\"}",
        "{\"redirect_uris\":[\"https://a.example\"],\"token_endpoint_auth_method\":7}",
        "{\"redirect_uris\":[\"https://a.example\"],\"response_types\":[\"token\"]}",
        "{\"redirect_uris\":[\"https://a.example\"],\"client_name\":{}}",
        "{\"redirect_uris\":[\"https://a.example\"],\"client_name\":\"\\u0000\"}",
        "{\"redirect_uris\":[\"https://a.example\"],\"application_type\":\"other\"}",
    ] {
        post(body).assert_error(400, "invalid_client_metadata");
    }
    let large = json!({ "redirect_uris": [CALLBACK], "x": "x".repeat(100_000) }).to_string();
    post(&large).assert_error(413, "invalid_client_metadata");
    assert_eq!(get(&url).status, 405);
}
