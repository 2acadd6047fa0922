//! The whole way, as an MCP client goes it.

use serde_json::json;

use crate::{
    browser::{Browser, text},
    http::get,
    issuer::{FILES, Issuer},
    tokens::verified,
};

/// MCP authorization 2026-07-28: discovery, registration, code with PKCE, token, refresh, step-up.
#[test]
fn mcp_authorization_from_discovery_to_step_up() {
    let issuer = Issuer::start();
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["issuer"], issuer.url);
    assert_eq!(text(&metadata, "registration_endpoint"), issuer.at("/register"));

    let registered = issuer.register(&json!({
        "client_name": "An MCP client",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }));
    assert_eq!(registered.status, 201);
    let client = crate::issuer::Client {
        id: text(&registered.json(), "client_id").to_owned(),
        secret: None,
        method: "none".to_owned(),
    };

    let mut browser = Browser::new();
    let callback = "http://127.0.0.1:50123/callback";
    let url = issuer.authorize_url(&client, &[("redirect_uri", callback)]);
    let login = browser.visit(&issuer, &url);
    login.assert_page(200);
    assert!(login.body.contains("An MCP client"));
    let consent = browser.log_in(&issuer, &login);
    consent.assert_page(200);
    for expected in ["An MCP client", "127.0.0.1:50123", "Read your files", "files:read", ">ada<"] {
        assert!(consent.body.contains(expected), "{expected} in {}", consent.body);
    }
    assert!(consent.body.contains("not verified"));
    let answer = browser.press(&issuer, &consent, "allow", &[]);
    let (target, parameters) = answer.redirect();
    assert_eq!(target, callback);
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    assert_eq!(answer.parameter("state"), "a state/with ünusual&chars");
    assert_eq!(answer.parameter("iss"), issuer.url);

    let code = answer.parameter("code");
    let resource = [("redirect_uri", callback), ("resource", FILES)];
    let tokens = issuer.redeem(&client, &code, &resource);
    assert_eq!(tokens.status, 200);
    assert_eq!(tokens.header("cache-control"), "no-store");
    assert_eq!(tokens.header("content-type"), "application/json");
    let tokens = tokens.json();

    let refreshed =
        issuer.refresh(&client, text(&tokens, "refresh_token"), &[("resource", FILES)]).json();
    assert_eq!(refreshed["expires_in"], 900);
    assert_ne!(refreshed["refresh_token"], tokens["refresh_token"]);
    assert_eq!(refreshed["scope"], "files:read");

    // Step-up: the same person, logged in, is asked about the new scope.
    let more = [("redirect_uri", callback), ("scope", "files:read files:write")];
    let consent = browser.visit(&issuer, &issuer.authorize_url(&client, &more));
    consent.assert_page(200);
    assert!(consent.body.contains("Change your files"));
    let code = browser.press(&issuer, &consent, "allow", &[]).parameter("code");
    let tokens = issuer.redeem(&client, &code, &[]).json();
    let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
    assert_eq!(claims["scope"], "files:read files:write");
}

/// Confidential clients, in both ways that they may authenticate.
#[test]
fn rfc_6749_confidential_clients() {
    let issuer = Issuer::start();
    for method in ["client_secret_basic", "client_secret_post"] {
        let client = issuer.add_client(method, &[crate::issuer::CALLBACK]);
        let tokens = issuer.tokens(&client, &[]);
        let refreshed = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
        assert_eq!(refreshed.status, 200, "{method}");
    }
}

/// RFC 8414 §3.1: an issuer with a path is whole under that path.
#[test]
fn issuer_with_a_path() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let issuer = Issuer::empty(|config| {
        config.listen = address;
        config.issuer = Some(format!("http://{address}/tenant/1"));
    });
    issuer.add_user(crate::issuer::ACCOUNT, crate::issuer::PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read", "")], false);
    let client = issuer.registered(crate::issuer::CALLBACK);
    let code = issuer.code(&client, &[]);
    let tokens = issuer.redeem(&client, &code, &[]).json();
    let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
    assert_eq!(claims["iss"], format!("http://{address}/tenant/1"));
}
