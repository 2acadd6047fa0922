//! Tokens that are taken back (RFC 7009), and where everybody can see it
//! (draft-ietf-oauth-status-list-21).

use std::{collections::BTreeSet, thread::sleep, time::Duration};

use countersign_core::{
    jose::json::{self, Value as Json},
    oauth::status_list::{StatusList, StatusReference},
};
use serde_json::Value;

use crate::{
    browser::text,
    http::{Answer, get, send},
    issuer::{ACCOUNT, CALLBACK, Client, FILES, Issuer, PASSWORD, now},
    tokens::verified,
};

/// Where an access token stands.
fn place(issuer: &Issuer, token: &str) -> StatusReference {
    let (_, claims) = verified(issuer, token);
    let Ok(Json::Object(claims)) = json::parse(claims.to_string().as_bytes()) else {
        panic!("{claims}");
    };
    StatusReference::of(&claims).unwrap().expect("a status")
}

/// Its status, as a guard reads it from the list.
fn status(issuer: &Issuer, token: &str) -> u8 {
    let place = place(issuer, token);
    let answer = get(&place.uri);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (header, claims) = verified(issuer, &answer.body);
    assert_eq!(header["typ"], "statuslist+jwt");
    let list = StatusList::parse(claims.to_string().as_bytes(), &place.uri).unwrap();
    list.get(place.index).expect("a place in the list")
}

/// Waits until the token is revoked at its list: five seconds, by the issue.
#[track_caller]
fn assert_revoked(issuer: &Issuer, token: &str) {
    for _ in 0..50 {
        if status(issuer, token) == 1 {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("not revoked after five seconds");
}

fn access(tokens: &Value) -> &str {
    text(tokens, "access_token")
}

fn revoke(issuer: &Issuer, client: &Client, token: &str) -> Answer {
    issuer.post("/revoke", client, &[("token", token)])
}

/// Draft §5.1, §6.2, §8.1, §9.3: claims, media type, caching, and where all lists are named.
#[test]
fn status_list_draft_21() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let place = place(&issuer, access(&tokens));
    assert!(place.uri.starts_with(&issuer.at("/status-lists/")), "{}", place.uri);

    let answer = get(&place.uri);
    assert_eq!(answer.header("content-type"), "application/statuslist+jwt");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let (_, claims) = verified(&issuer, &answer.body);
    assert_eq!(claims["sub"], place.uri);
    assert_eq!(claims["ttl"], 5);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert!(claims["iat"].as_u64().unwrap() <= now());
    assert_eq!(claims["status_list"]["bits"], 1);

    let etag = answer.header("etag").to_owned();
    let again = send("GET", &place.uri, &[("if-none-match", &etag)], None);
    assert_eq!((again.status, again.body.as_str()), (304, ""));

    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    let all = get(text(&metadata, "status_list_aggregation_endpoint"));
    assert_eq!(all.header("content-type"), "application/json");
    assert_eq!(all.json()["status_lists"], serde_json::json!([place.uri]));
    for path in ["/status-lists/unknown", "/status-lists/%2e%2e", "/status-lists/"] {
        assert_eq!(get(&issuer.at(path)).status, 404, "{path}");
    }
    assert_eq!(send("POST", &place.uri, &[], Some("")).status, 405);
}

/// For bad days a list may be used for longer; on good days it is asked for as often as ever.
#[test]
fn a_list_lives_as_long_as_configured() {
    let issuer = Issuer::start_with(|config| config.status_list_lifetime = 600);
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let answer = get(&place(&issuer, access(&tokens)).uri);
    let (_, claims) = verified(&issuer, &answer.body);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
    assert_eq!(claims["ttl"], 5);
    assert_eq!(answer.header("cache-control"), "public, max-age=3");
}

/// Issuer spec §9: no place is given twice, also not by a server that was started again, and places
/// tell nothing of the order.
#[test]
fn every_token_has_a_place_of_its_own() {
    let mut issuer = Issuer::start();
    let client = issuer.client();
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let mut places = BTreeSet::new();
    let mut order = Vec::new();
    let mut count = 0;
    for _ in 0..2 {
        let mut token = issuer.tokens(&client, &[]);
        for _ in 0..40 {
            let place = place(&issuer, access(&token));
            order.push(place.index);
            places.insert((place.uri, place.index));
            token = issuer.refresh(&client, text(&token, "refresh_token"), &[]).json();
            let own = issuer.token(&service, &[("grant_type", "client_credentials")]).json();
            let place = self::place(&issuer, access(&own));
            places.insert((place.uri, place.index));
            count += 2;
        }
        issuer = issuer.restart();
    }
    assert_eq!(places.len(), count);
    let in_order = order.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((20..60).contains(&in_order), "{in_order} of 79");
}

/// Attack 18, RFC 7009 §2.1: a refresh token takes its grant along, an access token goes alone.
#[test]
fn attack_18_revocation_by_the_client() {
    let issuer = Issuer::start();
    for method in ["none", "client_secret_basic", "private_key_jwt"] {
        let client = issuer.add_client(method, &[CALLBACK]);
        let other = issuer.tokens(&client, &[]);
        let first = issuer.tokens(&client, &[]);
        let second = issuer.refresh(&client, text(&first, "refresh_token"), &[]).json();
        assert_eq!(status(&issuer, access(&first)), 0);

        let answer = revoke(&issuer, &client, access(&first));
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
        assert_revoked(&issuer, access(&first));
        assert_eq!(status(&issuer, access(&second)), 0);
        let third = issuer.refresh(&client, text(&second, "refresh_token"), &[]).json();

        assert_eq!(revoke(&issuer, &client, text(&third, "refresh_token")).status, 200);
        for tokens in [&first, &second, &third] {
            assert_revoked(&issuer, access(tokens));
        }
        let late = issuer.refresh(&client, text(&third, "refresh_token"), &[]);
        late.assert_error(400, "invalid_grant");
        assert_eq!(status(&issuer, access(&other)), 0, "another grant of the same client");
    }
}

/// Attack 18, RFC 7009 §2.2: the hint does not matter, and what is unknown is no error.
#[test]
fn attack_18_hints_and_unknown_tokens() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let tokens = issuer.tokens(&client, &[]);
        let parameters = [("token", text(&tokens, "refresh_token")), ("token_type_hint", hint)];
        assert_eq!(issuer.post("/revoke", &client, &parameters).status, 200);
        let late = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
        late.assert_error(400, "invalid_grant");
        let tokens = issuer.tokens(&client, &[]);
        let parameters = [("token", access(&tokens)), ("token_type_hint", hint)];
        assert_eq!(issuer.post("/revoke", &client, &parameters).status, 200);
        assert_revoked(&issuer, access(&tokens));
    }
    for token in ["x", "rt_x", "a.b.c", "ac_AAAA", &"x".repeat(10_000)] {
        assert_eq!(revoke(&issuer, &client, token).status, 200, "{token}");
    }
    issuer.post("/revoke", &client, &[]).assert_error(400, "invalid_request");
    let unknown = Client { id: "c_unknown".to_owned(), ..client };
    revoke(&issuer, &unknown, "x").assert_error(401, "invalid_client");
    assert_eq!(get(&issuer.at("/revoke")).status, 405);
}

/// Attack 17: what belongs to another client stays as it is, and nobody learns that it exists.
#[test]
fn attack_17_other_clients_tokens() {
    let issuer = Issuer::start();
    let (owner, other) = (issuer.client(), issuer.client());
    let tokens = issuer.tokens(&owner, &[]);
    for token in [access(&tokens), text(&tokens, "refresh_token")] {
        let answer = revoke(&issuer, &other, token);
        let unknown = revoke(&issuer, &other, "unknown");
        assert_eq!((answer.status, &answer.body), (200, &unknown.body));
    }
    assert_eq!(issuer.refresh(&owner, text(&tokens, "refresh_token"), &[]).status, 200);
    sleep(Duration::from_millis(1200));
    assert_eq!(status(&issuer, access(&tokens)), 0);
}

/// Attacks 7 and 14: a replay ends the access tokens too.
#[test]
fn attack_7_and_14_replays_revoke_access_tokens() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let tokens = issuer.redeem(&client, &code, &[]).json();
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
    assert_revoked(&issuer, access(&tokens));

    let first = issuer.tokens(&client, &[]);
    let second = issuer.refresh(&client, text(&first, "refresh_token"), &[]).json();
    // A retry within the grace is the same family, and gets an access token of its own.
    let retry = issuer.refresh(&client, text(&first, "refresh_token"), &[]).json();
    assert_eq!(retry["refresh_token"], second["refresh_token"]);
    let third = issuer.refresh(&client, text(&second, "refresh_token"), &[]).json();
    issuer.refresh(&client, text(&first, "refresh_token"), &[]).assert_error(400, "invalid_grant");
    for tokens in [&first, &second, &retry, &third] {
        assert_revoked(&issuer, access(tokens));
    }
}

/// Attack 22: a user who is locked out is out everywhere, with what was begun before too.
#[test]
fn attack_22_disabled_users() {
    let issuer = Issuer::start();
    let client = issuer.client();
    issuer.add_user("bob", PASSWORD);
    let tokens = issuer.tokens(&client, &[]);
    let code = issuer.code(&client, &[]);
    let mut browser = crate::browser::Browser::new();
    let url = issuer.authorize_url(&client, &[("prompt", "consent")]);
    let login = browser.visit(&issuer, &url);
    let consent = browser.log_in(&issuer, &login);

    issuer.disable_user(ACCOUNT);
    assert_revoked(&issuer, access(&tokens));
    issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).assert_error(400, "invalid_grant");
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
    // The session is gone: the page for consent leads to the login, which says no more than ever.
    let page = browser.press(&issuer, &consent, "allow", &[]);
    assert!(page.header("location").is_empty(), "{page:?}");
    let mut browser = crate::browser::Browser::new();
    let login = browser.visit(&issuer, &url);
    let refused = browser.log_in(&issuer, &login);
    refused.assert_page(403);
    assert!(refused.body.contains("The name or the password is wrong."));

    issuer.enable_user(ACCOUNT);
    assert_eq!(status(&issuer, access(&tokens)), 1, "what was revoked stays so");
    assert_eq!(status(&issuer, access(&issuer.tokens(&client, &[]))), 0);
}

/// Attack 23: a client that is shut out, with its users' grants and the tokens of its own.
#[test]
fn attack_23_disabled_clients() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let credentials = [("grant_type", "client_credentials")];
    let tokens = issuer.tokens(&client, &[]);
    let code = issuer.code(&client, &[]);
    let own: Vec<Value> = (0..40).map(|_| issuer.token(&service, &credentials).json()).collect();
    let bystander = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let others = issuer.token(&bystander, &credentials).json();

    issuer.disable_client(&client);
    issuer.disable_client(&service);
    assert_revoked(&issuer, access(&tokens));
    for tokens in &own {
        assert_revoked(&issuer, access(tokens));
    }
    assert_eq!(status(&issuer, access(&others)), 0);
    issuer.redeem(&client, &code, &[]).assert_error(401, "invalid_client");
    issuer
        .refresh(&client, text(&tokens, "refresh_token"), &[])
        .assert_error(401, "invalid_client");
    issuer.token(&service, &credentials).assert_error(401, "invalid_client");
    get(&issuer.authorize_url(&client, &[])).assert_page(400);

    for client in [&client, &service] {
        issuer.enable_client(client);
    }
    issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).assert_error(400, "invalid_grant");
    let again = issuer.token(&service, &credentials).json();
    assert_eq!(status(&issuer, access(&again)), 0, "a new token is not born revoked");
    assert_eq!(status(&issuer, access(&own[0])), 1);

    issuer.delete_client(&service);
    assert_revoked(&issuer, access(&again));
    issuer.token(&service, &credentials).assert_error(401, "invalid_client");
}

/// One grant of several, by the administrator.
#[test]
fn grants_are_listed_and_revoked_one_by_one() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let (first, second) = (issuer.tokens(&client, &[]), issuer.tokens(&client, &[]));
    let grants = issuer.grants();
    assert_eq!(grants.len(), 2);
    assert!(grants.iter().all(|grant| grant.user.as_deref() == Some(ACCOUNT)));
    assert!(grants.iter().all(|grant| grant.resource == FILES && grant.last_used_at.is_some()));
    for grant in &grants {
        assert!(issuer.revoke_grant(&grant.id));
        assert!(!issuer.revoke_grant(&grant.id), "once");
    }
    assert!(issuer.grants().is_empty());
    for tokens in [&first, &second] {
        assert_revoked(&issuer, access(tokens));
    }
}

/// Attack 21: a database that does not answer is no list without revocations.
#[test]
fn attack_21_no_list_without_the_database() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let place = place(&issuer, access(&tokens));
    issuer.sql("ALTER TABLE status_lists RENAME TO gone");
    sleep(Duration::from_millis(1200));
    assert_eq!(get(&place.uri).status, 503);
    assert_eq!(get(&issuer.at("/status-lists")).status, 503);
}

/// A list ends with the last of its tokens.
#[test]
fn lists_that_are_over_are_gone() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let place = place(&issuer, access(&tokens));
    assert_eq!(get(&place.uri).status, 200);
    issuer.sql("UPDATE status_lists SET drop_at = 1");
    sleep(Duration::from_millis(1200));
    assert_eq!(get(&place.uri).status, 404);
    assert_eq!(get(&issuer.at("/status-lists")).json()["status_lists"], serde_json::json!([]));
}

/// A restore takes all lists away. Whatever a running server has in hand, soon it gives out places in
/// lists that are there.
#[test]
fn places_after_a_restore() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let mut tokens = issuer.tokens(&client, &[]);
    let own = || issuer.token(&service, &[("grant_type", "client_credentials")]).json();
    let first = [place(&issuer, access(&tokens)), place(&issuer, access(&own()))];
    issuer.after_restore();
    sleep(Duration::from_millis(1200));
    assert!(first.iter().all(|place| get(&place.uri).status == 404));
    for _ in 0..300 {
        tokens = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).json();
        let places = [place(&issuer, access(&tokens)), place(&issuer, access(&own()))];
        if places.iter().all(|place| get(&place.uri).status == 200) {
            assert_eq!(status(&issuer, access(&tokens)), 0);
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("tokens that no guard takes, for half a minute");
}
