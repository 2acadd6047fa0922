//! What a token is worth (RFC 7662, RFC 9701), and whose it is (OpenID Connect Core §5.3).

use countersign_core::oauth::introspection::Introspection;
use serde_json::{Value, json};

use crate::{
    browser::text,
    http::{Answer, FORM, encode, get, send},
    issuer::{ACCOUNT, CALLBACK, Client, FILES, Issuer, MAIL},
    tokens::verified,
};

fn introspect(issuer: &Issuer, client: &Client, token: &str) -> Value {
    let answer = issuer.post("/introspect", client, &[("token", token)]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

fn inactive() -> Value {
    json!({ "active": false })
}

/// RFC 7662 §2.2: for the server of the resource, as its guard reads it.
#[test]
fn rfc_7662_active_access_token() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let server = issuer.add_resource_server(FILES);
    let tokens = issuer.tokens(&client, &[("scope", "openid files:read")]);
    let token = text(&tokens, "access_token");
    let answer = introspect(&issuer, &server, token);
    let (_, claims) = verified(&issuer, token);
    assert_eq!(answer["active"], true);
    assert_eq!(answer["token_type"], "Bearer");
    for name in ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "auth_time"] {
        assert_eq!(answer[name], claims[name], "{name}");
    }
    let read = Introspection::parse(answer.to_string().as_bytes()).unwrap();
    assert!(matches!(read, Introspection::Active(claims) if claims.audience == [FILES]));

    assert_eq!(issuer.post("/revoke", &client, &[("token", token)]).status, 200);
    assert_eq!(introspect(&issuer, &server, token), inactive(), "at once");
}

/// Attack 19: nobody without credentials, and nobody whom the token does not concern.
#[test]
fn attack_19_whom_it_does_not_concern() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let confidential = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let (files, mail) = (issuer.add_resource_server(FILES), issuer.add_resource_server(MAIL));
    let tokens = issuer.tokens(&client, &[]);
    let token = text(&tokens, "access_token");
    for other in [&mail, &confidential] {
        assert_eq!(introspect(&issuer, other, token), inactive());
    }
    let form = [("token", token)];
    issuer.post("/introspect", &client, &form).assert_error(401, "invalid_client");
    let anonymous = send("POST", &issuer.at("/introspect"), &[FORM], Some(&encode(&form)));
    anonymous.assert_error(401, "invalid_client");
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..files.clone() };
    issuer.post("/introspect", &wrong, &form).assert_error(401, "invalid_client");
    issuer.post("/introspect", &files, &[]).assert_error(400, "invalid_request");
    // A client may ask about what it has itself, refresh tokens too. To others they are nothing.
    let tokens = issuer.tokens(&confidential, &[]);
    assert_eq!(introspect(&issuer, &confidential, text(&tokens, "access_token"))["active"], true);
    let refresh = text(&tokens, "refresh_token");
    let answer = introspect(&issuer, &confidential, refresh);
    assert_eq!(answer["active"], true);
    let read = Introspection::parse(answer.to_string().as_bytes()).unwrap();
    assert!(matches!(read, Introspection::Inactive), "no guard takes it for an access token");
    for other in [&files, &mail] {
        assert_eq!(introspect(&issuer, other, refresh), inactive());
    }
    issuer.refresh(&confidential, refresh, &[]);
    assert_eq!(introspect(&issuer, &confidential, refresh), inactive(), "rotated");
}

/// Attack 20: what is not exactly a token of ours, now, is inactive.
#[test]
fn attack_20_almost_tokens() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let confidential = issuer.add_client("client_secret_post", &[CALLBACK]);
    let server = issuer.add_resource_server(FILES);
    let tokens = issuer.tokens(&client, &[("scope", "openid files:read")]);
    let token = text(&tokens, "access_token");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for almost in [
        &token[..token.len() - 1],
        &format!("{token}A"),
        &format!("{token} "),
        &format!("{token}."),
        &format!("{signed}."),
        signed,
        signature,
        text(&tokens, "id_token"),
        text(&tokens, "refresh_token"),
        "x",
    ] {
        assert_eq!(introspect(&issuer, &server, almost), inactive(), "{almost}");
    }
    let tokens = issuer.tokens(&confidential, &[]);
    let refresh = text(&tokens, "refresh_token");
    for almost in [&refresh[..refresh.len() - 1], &format!("{refresh}A"), &format!(" {refresh}")] {
        assert_eq!(introspect(&issuer, &confidential, almost), inactive(), "{almost}");
    }
}

/// RFC 9701 §5: signed, for who asked, and of a type of its own.
#[test]
fn rfc_9701_signed_answers() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let server = issuer.add_resource_server(FILES);
    let token = issuer.tokens(&client, &[])["access_token"].as_str().unwrap().to_owned();
    let ask = |token: &str| {
        let accept = [("accept", "application/token-introspection+jwt")];
        let answer = issuer.post_with("/introspect", &server, &accept, &[("token", token)]);
        assert_eq!(answer.header("content-type"), "application/token-introspection+jwt");
        assert_eq!(answer.header("cache-control"), "no-store");
        verified(&issuer, &answer.body)
    };
    let (header, claims) = ask(&token);
    assert_eq!(header["typ"], "token-introspection+jwt");
    assert_eq!(claims["iss"], issuer.url);
    assert_eq!(claims["aud"], server.id);
    assert_eq!(claims["token_introspection"]["active"], true);
    assert_eq!(claims["token_introspection"]["aud"], FILES);
    assert!(claims["exp"].is_null() && claims["sub"].is_null(), "never to be taken for a token");
    assert_eq!(ask("x").1["token_introspection"], inactive());
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["introspection_signing_alg_values_supported"], json!(["ES256"]));
}

fn userinfo(issuer: &Issuer, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    send("GET", &issuer.at("/userinfo"), &[("authorization", &bearer)], None)
}

/// OpenID Connect Core §5.3, oidcc userinfo-get and userinfo-post: who asked for it learns it.
#[test]
fn userinfo_says_what_was_consented_to() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let token =
        |scope: &str| text(&issuer.tokens(&client, &[("scope", scope)]), "access_token").to_owned();
    let plain = token("openid files:read");
    let (_, claims) = verified(&issuer, &plain);
    assert_eq!(userinfo(&issuer, &plain).json(), json!({ "sub": claims["sub"] }));
    let whole = token("openid profile email files:read");
    let answer = userinfo(&issuer, &whole).json();
    assert_eq!(answer, json!({ "sub": claims["sub"], "preferred_username": ACCOUNT }));

    let bearer = format!("Bearer {whole}");
    let posted = send("POST", &issuer.at("/userinfo"), &[("authorization", &bearer)], Some(""));
    assert_eq!(posted.json(), answer);
    let form = encode(&[("access_token", &whole)]);
    let posted = send("POST", &issuer.at("/userinfo"), &[FORM], Some(&form));
    assert_eq!(posted.json(), answer);
}

/// RFC 6749 §6: what a refresh gives up is given up here too, and what it keeps is kept.
#[test]
fn userinfo_goes_by_the_token() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = issuer.tokens(&client, &[("scope", "openid profile files:read offline_access")]);
    assert!(userinfo(&issuer, text(&first, "access_token")).body.contains(ACCOUNT));
    let refresh = |tokens: &Value, scope: &str| {
        issuer.refresh(&client, text(tokens, "refresh_token"), &[("scope", scope)]).json()
    };
    let less = refresh(&first, "openid files:read");
    assert!(!userinfo(&issuer, text(&less, "access_token")).body.contains(ACCOUNT));
    let none = refresh(&less, "files:read");
    let refused = userinfo(&issuer, text(&none, "access_token"));
    refused.assert_error(403, "insufficient_scope");
    let whole = refresh(&none, "openid profile files:read");
    assert!(userinfo(&issuer, text(&whole, "access_token")).body.contains(ACCOUNT));
}

/// RFC 6750 §3: everybody else gets a challenge.
#[test]
fn userinfo_refuses() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let refused = userinfo(&issuer, text(&tokens, "access_token"));
    refused.assert_error(403, "insufficient_scope");
    assert!(refused.header("www-authenticate").contains("scope=\"openid\""));
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let own = issuer.token(&service, &[("grant_type", "client_credentials")]).json();
    userinfo(&issuer, text(&own, "access_token")).assert_error(403, "insufficient_scope");

    let tokens = issuer.tokens(&client, &[("scope", "openid files:read")]);
    let token = text(&tokens, "access_token");
    for wrong in ["x", text(&tokens, "id_token"), text(&tokens, "refresh_token"), &token[1..]] {
        let refused = userinfo(&issuer, wrong);
        refused.assert_error(401, "invalid_token");
        assert!(refused.header("www-authenticate").contains("invalid_token"));
    }
    let none = get(&issuer.at("/userinfo"));
    assert_eq!(none.status, 401);
    assert!(none.header("www-authenticate").starts_with("Bearer, DPoP "), "both ways are told");
    let in_url = get(&issuer.at(&format!("/userinfo?access_token={token}")));
    assert_eq!(in_url.status, 401, "no tokens in URLs (RFC 9700 §4.3.2)");
    assert_eq!(userinfo(&issuer, token).status, 200);
    assert_eq!(issuer.post("/revoke", &client, &[("token", token)]).status, 200);
    userinfo(&issuer, token).assert_error(401, "invalid_token");
}
