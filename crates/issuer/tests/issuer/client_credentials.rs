//! Clients that act for themselves (OAuth 2.1 §4.2).

use serde_json::Value;

use crate::{
    browser::text,
    http::get,
    issuer::{CALLBACK, Client, FILES, Issuer, MAIL, new_client},
    tokens::verified,
};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn claims(issuer: &Issuer, client: &Client, more: &[(&str, &str)]) -> Value {
    let answer = issuer.token(client, &[&[GRANT], more].concat());
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.json()["refresh_token"].is_null(), "RFC 6749 §4.4.3");
    assert!(answer.json()["id_token"].is_null());
    verified(issuer, text(&answer.json(), "access_token")).1
}

/// RFC 9068 §2.2: `sub` is the client; nobody logged in.
#[test]
fn tokens_for_the_client_itself() {
    let issuer = Issuer::start();
    for method in ["client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let service = issuer.add_service(method, &[(FILES, "files:read files:write")]);
        let claims = claims(&issuer, &service, &[("resource", FILES)]);
        assert_eq!(claims["sub"], service.id);
        assert_eq!(claims["client_id"], service.id);
        assert_eq!(claims["aud"], FILES);
        assert_eq!(claims["scope"], "files:read files:write");
        assert!(claims["auth_time"].is_null());
    }
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&"client_credentials".into()));
}

/// What the administrator gave is the most that there is.
#[test]
fn scopes_and_resources_are_those_that_were_given() {
    let issuer = Issuer::start();
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read files:write")]);
    // It has one resource, so that one is meant, whatever the server's default is.
    let one = issuer.add_service("client_secret_basic", &[(MAIL, "mail:send")]);
    assert_eq!(claims(&issuer, &one, &[])["aud"], MAIL);
    assert_eq!(claims(&issuer, &service, &[("scope", "files:write")])["scope"], "files:write");
    let ask =
        |client: &Client, more: &[(&str, &str)]| issuer.token(client, &[&[GRANT], more].concat());
    for scope in
        ["mail:send", "files:read mail:send", "openid", "offline_access", "files:admin", "\""]
    {
        ask(&service, &[("scope", scope)]).assert_error(400, "invalid_scope");
    }
    for resource in [MAIL, "https://unknown.example", "not a url"] {
        ask(&service, &[("resource", resource)]).assert_error(400, "invalid_target");
    }
    // files:write implies files:read, and less may be asked for.
    let writer = issuer.add_service("client_secret_basic", &[(FILES, "files:write")]);
    assert_eq!(claims(&issuer, &writer, &[("scope", "files:read")])["scope"], "files:read");
    let reader = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    ask(&reader, &[("scope", "files:write")]).assert_error(400, "invalid_scope");
    ask(&service, &[("resource", FILES), ("resource", MAIL)]).assert_error(400, "invalid_target");
    let both =
        issuer.add_service("client_secret_basic", &[(FILES, "files:read"), (MAIL, "mail:send")]);
    assert_eq!(claims(&issuer, &both, &[("resource", MAIL)])["scope"], "mail:send");
    assert_eq!(claims(&issuer, &both, &[])["aud"], FILES, "the server's default");
}

/// OAuth 2.1 §4.2, attacks 39 and 24: only who has the grant and credentials of its own.
#[test]
fn attack_39_nobody_registers_a_service() {
    let issuer = Issuer::start();
    for method in ["none", "client_secret_basic"] {
        let client = issuer.add_client(method, &[CALLBACK]);
        issuer.token(&client, &[GRANT]).assert_error(400, "unauthorized_client");
    }
    let answer = issuer.register(&serde_json::json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "client_credentials"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "files:read files:write",
    }));
    assert_eq!(answer.json()["grant_types"], serde_json::json!(["authorization_code"]));
    let client = Client {
        id: text(&answer.json(), "client_id").to_owned(),
        secret: Some(text(&answer.json(), "client_secret").to_owned()),
        method: "client_secret_post".to_owned(),
    };
    issuer.token(&client, &[GRANT]).assert_error(400, "unauthorized_client");
    let service = issuer.add_service("client_secret_post", &[(FILES, "files:read")]);
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..service };
    issuer.token(&wrong, &[GRANT]).assert_error(401, "invalid_client");
}

/// Mistakes of the administrator are told at once.
#[test]
fn services_are_checked_when_they_are_added() {
    let issuer = Issuer::start();
    let service = |method: &str, resource: &str, scopes: &str| {
        let mut new = new_client(method);
        new.grant_types = vec!["client_credentials".to_owned()];
        new.resources = vec![countersign_issuer::ClientResource {
            resource: resource.to_owned(),
            scopes: scopes.to_owned(),
            ..countersign_issuer::ClientResource::default()
        }];
        issuer.try_add(new).map(|_| ()).map_err(|error| error.reason())
    };
    assert_eq!(service("client_secret_basic", FILES, "files:read"), Ok(()));
    let invalid = Err("value_invalid");
    assert_eq!(service("none", FILES, "files:read"), invalid, "no credentials");
    assert_eq!(service("client_secret_basic", "https://other.example", "files:read"), invalid);
    assert_eq!(service("client_secret_basic", FILES, "mail:send"), invalid);
    assert_eq!(service("client_secret_basic", FILES, ""), invalid, "nothing");
    assert_eq!(service("client_secret_jwt", FILES, "files:read"), invalid);
}
