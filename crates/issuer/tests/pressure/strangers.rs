//! What clients that registered themselves, and pages of other sites, can and cannot do.

use crate::{
    browser::Browser,
    http::{get, send},
    issuer::Issuer,
};

const LANDING: &str = "https://evil.example/landing?a=1";

/// RFC 9700 §4.11.2, RFC 9207 §2: the link on the page is the whole answer, for who wants to go on.
#[test]
fn a_refusal_is_a_link_with_state_and_iss() {
    let issuer = Issuer::start();
    let client = issuer.registered(LANDING);
    for changed in [
        ("scope", "nonsense"),
        ("resource", "https://other.example"),
        ("response_type", "token"),
        ("code_challenge", ""),
        ("prompt", "none"),
    ] {
        let changed = [changed, ("redirect_uri", LANDING)];
        let answer = get(&issuer.authorize_url(&client, &changed));
        answer.assert_page(400);
        let (_, link) = answer.body.split_once("href=\"").unwrap();
        let link = link.split('"').next().unwrap();
        let link = link.replace("&amp;", "&").replace("&#x2f;", "/");
        let (target, query) = link.split_once("?a=1&").unwrap();
        assert_eq!(target, "https://evil.example/landing");
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let value = |name: &str| {
            let found = parameters.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert!(!value("error").is_empty(), "{link}");
        assert_eq!(value("state"), "a state/with ünusual&chars");
        assert_eq!(value("iss"), issuer.url);
        assert!(!answer.body.contains("http-equiv") && !answer.body.contains("<script"));
    }
}

/// RFC 8252 §7.1, §7.3: a program on the person's own machine is told.
#[test]
fn native_applications_are_told() {
    let issuer = Issuer::start();
    for (registered, presented) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:7/cb"),
        ("com.example.app:/cb", "com.example.app:/cb"),
    ] {
        let client = issuer.registered(registered);
        let changed = [("redirect_uri", presented), ("scope", "nonsense")];
        let answer = get(&issuer.authorize_url(&client, &changed));
        assert_eq!(answer.redirect().0, presented);
        assert_eq!(answer.parameter("error"), "invalid_scope");
        assert_eq!(answer.parameter("iss"), issuer.url);
        let url = issuer.authorize_url(&client, &[("redirect_uri", presented)]);
        let answer = Browser::new().authorize(&issuer, &url);
        assert!(answer.parameter("code").starts_with("ac_"));
    }
}

/// Complaint 17: a client in a browser tries several places for metadata, and must be able to read
/// that one is empty.
#[test]
fn complaint_17_missing_metadata_is_readable_from_other_origins() {
    let issuer = Issuer::start();
    for path in [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
    ] {
        let answer = get(&issuer.at(path));
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"));
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let headers = [
            ("origin", "https://inspector.example"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "mcp-protocol-version"),
        ];
        let answer = send("OPTIONS", &issuer.at(path), &headers, None);
        assert_eq!(answer.status, 204, "{path}");
        assert!(answer.header("access-control-allow-headers").contains("MCP-Protocol-Version"));
    }
    let answer = send("OPTIONS", &issuer.at("/nothing"), &[], None);
    assert_eq!(answer.header("access-control-allow-origin"), "", "pages are not for scripts");
}

/// Attack 48: the login page shows again what was typed, as text.
#[test]
fn attack_48_typed_names_are_escaped() {
    let issuer = Issuer::start();
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[]));
    let name = "\"'><script>alert(1)</script>\u{0}\r\n{{ csrf }}";
    let fields = [("username", name), ("password", "wrong password")];
    for status in [403, 403, 403, 403, 403, 429] {
        let answer = browser.press(&issuer, &page, "login", &fields);
        answer.assert_page(status);
        for dangerous in ["<script", "'>", "\"'"] {
            assert!(!form(&answer.body).contains(dangerous), "{dangerous} in {}", answer.body);
        }
        assert!(answer.body.contains("&lt;script&gt;"));
    }
}

/// What a page says, without its style.
fn form(body: &str) -> &str {
    body.split_once("<main>").unwrap().1
}
