//! Who may register (RFC 7591 §3), and what a client does with its registration later (RFC 7592).

use countersign_issuer::Registration;
use serde_json::{Value, json};

use crate::{
    browser::text,
    http::{Answer, get, send},
    issuer::{CALLBACK, Client, Folder, Issuer},
};

fn request(method: &str, url: &str, token: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let headers = if token.is_empty() { &headers[1..] } else { &headers[..] };
    send(method, url, headers, body.map(Value::to_string).as_deref())
}

fn metadata() -> Value {
    json!({
        "client_name": "A",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

/// A client that registered itself: its registration, where to manage it, and with what.
fn registered(issuer: &Issuer) -> (Value, String, String) {
    let answer = issuer.register(&metadata());
    assert_eq!(answer.status, 201, "{}", answer.body);
    let document = answer.json();
    let url = text(&document, "registration_client_uri").to_owned();
    let token = text(&document, "registration_access_token").to_owned();
    assert_eq!(url, issuer.at(&format!("/register/{}", text(&document, "client_id"))));
    assert!(token.starts_with("ra_"));
    (document, url, token)
}

fn client(document: &Value) -> Client {
    let method = text(document, "token_endpoint_auth_method").to_owned();
    let secret = document["client_secret"].as_str().map(str::to_owned);
    Client { id: text(document, "client_id").to_owned(), secret, method }
}

#[track_caller]
fn assert_no_token(answer: &Answer) {
    answer.assert_error(401, "invalid_token");
    assert!(answer.header("www-authenticate").starts_with("Bearer "));
}

/// RFC 7591 §3: with a token from the administrator, as often as it says.
#[test]
fn rfc_7591_initial_access_tokens() {
    let folder = Folder::new();
    let mut config = folder.config();
    config.registration = Registration::Token;
    let issuer = Issuer::run(folder, config).unwrap();
    let metadata = metadata();
    let url = issuer.at("/register");
    let named = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(named["registration_endpoint"], url);

    let token = issuer.initial_token("ci", 2, 60);
    assert_no_token(&request("POST", &url, "", Some(&metadata)));
    for wrong in ["x", "ia_x", &format!("{token}x"), &token[..45]] {
        assert_no_token(&request("POST", &url, wrong, Some(&metadata)));
    }
    // What is refused for another reason uses nothing up.
    for _ in 0..3 {
        let bad = json!({ "redirect_uris": ["javascript:alert(1)"] });
        request("POST", &url, &token, Some(&bad)).assert_error(400, "invalid_redirect_uri");
    }
    // Attack 39: the token gives no other rights.
    let greedy = json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "client_credentials"],
        "kind": "static",
        "client_id": "mine",
    });
    let answer = request("POST", &url, &token, Some(&greedy));
    assert_eq!(answer.json()["grant_types"], json!(["authorization_code"]));
    assert_ne!(answer.json()["client_id"], "mine");
    assert_eq!(request("POST", &url, &token, Some(&metadata)).status, 201);
    assert_no_token(&request("POST", &url, &token, Some(&metadata)));

    let late = issuer.initial_token("late", 1, 60);
    issuer.sql("UPDATE initial_access_tokens SET expires_at = expires_at - 60");
    assert_no_token(&request("POST", &url, &late, Some(&metadata)));
    // It is nothing anywhere else, and nothing else is one (attack 6).
    let other = issuer.initial_token("other", 1, 60);
    let registered = request("POST", &url, &other, Some(&metadata)).json();
    let management = text(&registered, "registration_client_uri");
    assert_no_token(&request("GET", management, &other, None));
    let registration = text(&registered, "registration_access_token");
    assert_no_token(&request("POST", &url, registration, Some(&metadata)));
}

/// OAuch MultiFast…: many at once with the last use of a token.
#[test]
fn one_use_is_one_client() {
    let folder = Folder::new();
    let mut config = folder.config();
    config.registration = Registration::Token;
    let issuer = Issuer::run(folder, config).unwrap();
    let token = issuer.initial_token("once", 1, 60);
    let url = issuer.at("/register");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = || request("POST", &url, &token, Some(&metadata())).status;
        let all: Vec<_> = (0..12).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 401)));
}

/// RFC 7592 §2.1, §3.
#[test]
fn rfc_7592_read() {
    let issuer = Issuer::start();
    let (document, url, token) = registered(&issuer);
    let answer = request("GET", &url, &token, None);
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(
        answer.json(),
        document,
        "the same token still, for a public client the same document"
    );
    let preflight = send("OPTIONS", &url, &[("origin", "https://x.example")], None);
    assert!(preflight.header("access-control-allow-methods").contains("DELETE"));
    assert_eq!(request("POST", &url, &token, Some(&metadata())).status, 405);
}

/// RFC 7592 §2.2: everything is replaced; what is left out is gone.
#[test]
fn rfc_7592_update() {
    let issuer = Issuer::start();
    let (document, url, token) = registered(&issuer);
    let id = text(&document, "client_id");
    let new = json!({
        "client_id": id,
        "client_name": "B",
        "redirect_uris": ["https://app.example.com/new"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "tos_uri": "https://app.example.com/tos",
    });
    let answer = request("PUT", &url, &token, Some(&new));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let changed = answer.json();
    for name in ["client_id", "client_name", "redirect_uris", "grant_types", "tos_uri"] {
        assert_eq!(changed[name], new[name], "{name}");
    }
    assert_eq!(changed["client_id_issued_at"], document["client_id_issued_at"]);
    let secret = text(&changed, "client_secret").to_owned();
    // Attack 40: the token changes with it.
    let second = text(&changed, "registration_access_token").to_owned();
    assert_ne!(second, token);
    assert_no_token(&request("PUT", &url, &token, Some(&new)));
    assert_no_token(&request("GET", &url, &token, None));
    // What it was before counts no longer.
    get(&issuer.authorize_url(&client(&document), &[])).assert_page(400);
    issuer.redeem(&client(&document), "ac_x", &[]).assert_error(401, "invalid_client");
    issuer.redeem(&client(&changed), "ac_x", &[]).assert_error(400, "invalid_grant");

    // The secret stays as long as one is needed, and can be said again.
    let mut again = new.clone();
    again["client_secret"] = json!(secret);
    let kept = request("PUT", &url, &second, Some(&again)).json();
    assert!(kept["client_secret"].is_null() && kept["registration_access_token"].is_string());
    issuer.redeem(&client(&changed), "ac_x", &[]).assert_error(400, "invalid_grant");
    let third = text(&kept, "registration_access_token").to_owned();
    let public = json!({ "client_id": id, "redirect_uris": [CALLBACK] });
    let public = request("PUT", &url, &third, Some(&public)).json();
    assert_eq!(public["token_endpoint_auth_method"], "none");
    assert!(public["client_name"].is_null() && public["tos_uri"].is_null());
    issuer.redeem(&client(&changed), "ac_x", &[]).assert_error(401, "invalid_client");
}

/// RFC 7592 §2.2: what cannot be said, and what is as wrong as at first. Nothing of it changes anything.
#[test]
fn rfc_7592_updates_that_are_refused() {
    let issuer = Issuer::start();
    let (document, url, token) = registered(&issuer);
    let id = text(&document, "client_id");
    let with = |name: &str, value: Value| {
        let mut new = metadata();
        new["client_id"] = json!(id);
        new[name] = value;
        new
    };
    let mut without = metadata();
    without["client_id"] = Value::Null;
    for (new, error) in [
        (without, "invalid_client_metadata"),
        (with("client_id", json!("c_other")), "invalid_client_metadata"),
        (with("client_secret", json!("cs_x")), "invalid_client_metadata"),
        (with("client_secret", Value::Null), "invalid_client_metadata"),
        (with("registration_access_token", json!(token)), "invalid_client_metadata"),
        (with("registration_client_uri", json!(url)), "invalid_client_metadata"),
        (with("client_secret_expires_at", json!(0)), "invalid_client_metadata"),
        (with("client_id_issued_at", json!(0)), "invalid_client_metadata"),
        (with("redirect_uris", json!(["javascript:x"])), "invalid_redirect_uri"),
        (with("grant_types", json!(["client_credentials"])), "invalid_client_metadata"),
    ] {
        request("PUT", &url, &token, Some(&new)).assert_error(400, error);
    }
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer)];
    send("PUT", &url, &headers, Some("{")).assert_error(400, "invalid_client_metadata");
    let large = "x".repeat(100_000);
    send("PUT", &url, &headers, Some(&large)).assert_error(413, "invalid_client_metadata");
    assert_eq!(request("GET", &url, &token, None).json(), document);
}

/// RFC 7592 §2.3: what was granted ends with it.
#[test]
fn rfc_7592_delete() {
    let issuer = Issuer::start();
    let (document, url, token) = registered(&issuer);
    let client = client(&document);
    let tokens = issuer.tokens(&client, &[]);
    let answer = request("DELETE", &url, &token, None);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_no_token(&request("GET", &url, &token, None));
    assert_no_token(&request("DELETE", &url, &token, None));
    let late = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    late.assert_error(401, "invalid_client");
    let server = issuer.add_resource_server(crate::issuer::FILES);
    let token = [("token", text(&tokens, "access_token"))];
    assert_eq!(issuer.post("/introspect", &server, &token).json(), json!({ "active": false }));
}

/// Attack 40: a token is for its own client, and nobody learns which clients there are.
#[test]
fn attack_40_other_clients() {
    let issuer = Issuer::start();
    let (_, first, first_token) = registered(&issuer);
    let (_, second, second_token) = registered(&issuer);
    let pre_registered = issuer.at(&format!("/register/{}", issuer.client().id));
    for (url, token) in [
        (&first, second_token.as_str()),
        (&second, &first_token),
        (&issuer.at("/register/c_unknown"), &first_token),
        (&pre_registered, &first_token),
        (&first, "ra_x"),
        (&first, ""),
    ] {
        for method in ["GET", "DELETE"] {
            assert_no_token(&request(method, url, token, None));
        }
        assert_no_token(&request("PUT", url, token, Some(&metadata())));
    }
    assert_eq!(request("GET", &first, &first_token, None).status, 200);
    assert_eq!(get(&format!("{first}?access_token={first_token}")).status, 401);
}

/// Attack 23: a client that is shut out cannot change itself back in.
#[test]
fn attack_23_disabled_clients_manage_nothing() {
    let issuer = Issuer::start();
    let (document, url, token) = registered(&issuer);
    issuer.disable_client(&client(&document));
    let mut new = metadata();
    new["client_id"] = document["client_id"].clone();
    assert_no_token(&request("GET", &url, &token, None));
    assert_no_token(&request("PUT", &url, &token, Some(&new)));
    assert_no_token(&request("DELETE", &url, &token, None));
}
