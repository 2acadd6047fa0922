//! Logins against a world of servers that a test turns as it likes.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::{
    registration::GivenClient,
    tests::{
        stub::Page,
        world::{Agreeing, World},
    },
};

fn given(client_secret: Option<&str>) -> Ways {
    let client_secret = client_secret.map(Secret::new);
    let given = GivenClient { client_id: "mine".to_owned(), client_secret, client_key: None };
    Ways { given: Some(given), ..Ways::default() }
}

async fn log_in(world: &World, options: &Options, user: &Agreeing) -> Result<Login, Error> {
    login(&world.http, &world.store, world.url(), options, user).await
}

#[tokio::test]
async fn from_beginning_to_end() {
    let world = World::start(|_| None);
    let user = Agreeing::default();
    let login = log_in(&world, &Options::default(), &user).await.unwrap();
    assert_eq!((login.resource.as_str(), &login.issuer), (world.url(), &world.stub.origin()));
    assert_eq!(world.kept().unwrap(), login);
    let token = &world.stub.to("POST /token")[0];
    assert_eq!(token.field("grant_type"), "authorization_code");
    assert_eq!(token.field("resource"), world.url());
    assert_eq!(token.field("client_id"), login.client.client_id);
    assert_eq!(user.asked("redirect_uri"), [token.field("redirect_uri")]);
    // The next login takes the client that is registered.
    let again = log_in(&world, &Options::default(), &user).await.unwrap();
    assert_eq!(again.client, login.client);
    assert_eq!(world.stub.to("POST /register").len(), 1);
}

/// A server may have pruned the client that registered itself: once, it registers anew.
#[tokio::test]
async fn a_client_that_is_gone_registers_anew_once() {
    let gone = r#"{"error":"invalid_client"}"#;
    let is_stubborn = std::sync::Arc::new(AtomicBool::new(false));
    let stubborn = std::sync::Arc::clone(&is_stubborn);
    let world = World::start(move |seen| {
        let is_gone = seen.field("client_id") == "pruned" || stubborn.load(Ordering::SeqCst);
        (seen.route() == "POST /token" && is_gone).then(|| Page::json(gone).with(401))
    });
    let mut pruned = crate::tests::world::login(world.url(), &world.stub.origin()).client;
    pruned.client_id = "pruned".to_owned();
    let keep = async |client: &Registration| {
        let mut locked = world.store.lock().await.unwrap();
        locked.set_client(&world.stub.origin(), Some(client.clone())).unwrap();
    };
    keep(&pruned).await;
    let user = Agreeing::default();
    let login = log_in(&world, &Options::default(), &user).await.unwrap();
    assert_ne!(login.client.client_id, "pruned");
    assert_eq!(user.times(), 2);
    let kept = world.store.lock().await.unwrap().client(&world.stub.origin()).cloned();
    assert_eq!(kept, Some(login.client));

    // Not a second time, and never for one that was given.
    is_stubborn.store(true, Ordering::SeqCst);
    for ways in [Ways::default(), given(None)] {
        keep(&pruned).await;
        let (before, asked) = (world.stub.to("POST /register").len(), user.times());
        let is_given = ways.given.is_some();
        let options = Options { ways, ..Options::default() };
        let refused = log_in(&world, &options, &user).await.unwrap_err();
        assert_eq!(refused.reason(), "token_refused");
        let registered = world.stub.to("POST /register").len() - before;
        assert_eq!((registered, user.times() - asked), if is_given { (0, 1) } else { (1, 2) });
    }
}

/// RFC 8252 §7.3; some servers take `localhost` only, and say so.
#[tokio::test]
async fn the_second_name_of_this_machine() {
    let world = World::start(|seen| {
        let refused = r#"{"error":"invalid_redirect_uri"}"#;
        let is_address = seen.route() == "POST /register" && seen.text.contains("127.0.0.1");
        is_address.then(|| Page::json(refused).with(400))
    });
    let user = Agreeing::default();
    let login = log_in(&world, &Options::default(), &user).await.unwrap();
    let uri = login.client.redirect_uri.unwrap();
    assert!(uri.starts_with("http://localhost:") && uri.ends_with("/callback"), "{uri}");
    assert_eq!(user.asked("redirect_uri"), [uri]);
    // Another refusal is one: nothing more is tried.
    let world = World::start(|seen| {
        let refused = r#"{"error":"invalid_client_metadata"}"#;
        (seen.route() == "POST /register").then(|| Page::json(refused).with(400))
    });
    let refused = log_in(&world, &Options::default(), &user).await.unwrap_err();
    assert_eq!(refused.reason(), "registration_refused");
    assert_eq!(world.stub.to("POST /register").len(), 1);
}

/// MCP authorization, authorization server binding (CL-19): a secret goes where its user says, or where
/// they said before, and not where an MCP server points.
#[tokio::test]
async fn secrets_go_where_the_user_says() {
    let world = World::start(|_| None);
    let user = Agreeing::default();
    let secret = Options { ways: given(Some("s3cret")), ..Options::default() };
    let own = Options { by: By::Client, ..secret.clone() };
    let workload = By::Assertion(Secret::new("s3cret"));
    let workload = Options { ways: given(None), by: workload, ..Options::default() };
    for options in [&secret, &own, &workload] {
        let refused = log_in(&world, options, &user).await.unwrap_err();
        assert_eq!(refused, Error::IssuerRequired { listed: vec![world.stub.origin()] });
    }
    assert_eq!((user.times(), world.stub.to("POST /token").len()), (0, 0));
    let issuer = Some(world.stub.origin());
    log_in(&world, &Options { issuer, ..own.clone() }, &user).await.unwrap();
    log_in(&world, &own, &user).await.unwrap();
    let elsewhere = Some("https://auth.example.com".to_owned());
    let refused = log_in(&world, &Options { issuer: elsewhere, ..own }, &user).await.unwrap_err();
    assert_eq!(refused.reason(), "issuer_not_listed");
    // A public client has nothing to lose.
    log_in(&world, &Options { ways: given(None), ..Options::default() }, &user).await.unwrap();
}

/// CL-11, CL-12: the challenge's scopes, else the metadata's; `offline_access` where it is known.
#[tokio::test]
async fn what_is_asked_for() {
    let world = World::start(|seen| {
        let origin = seen.origin();
        Some(match seen.route().as_str() {
            "POST /mcp" if seen.header("authorization").is_empty() => {
                crate::tests::world::challenge(401, r#"Bearer scope="x y""#)
            }
            "GET /.well-known/oauth-authorization-server" => {
                let mut document = crate::tests::world::metadata(&origin);
                document["scopes_supported"] = json!(["offline_access", "z"]);
                Page::json(document.to_string())
            }
            _ => return None,
        })
    });
    let user = Agreeing::default();
    log_in(&world, &Options::default(), &user).await.unwrap();
    let scope = Some(ScopeSet::parse("mine").unwrap());
    log_in(&world, &Options { scope, ..Options::default() }, &user).await.unwrap();
    assert_eq!(user.asked("scope"), ["x y offline_access", "mine"]);
}

/// The port that somebody names may be the one that is registered: no other one will do.
#[tokio::test]
async fn a_port_that_is_named_is_meant() {
    let world = World::start(|_| None);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let user = Agreeing::default();
    let refused = log_in(&world, &Options { port, ..Options::default() }, &user).await;
    assert_eq!(refused.unwrap_err().reason(), "server_unreachable");
    assert_eq!(user.times(), 0);
    // One that was registered by chance may differ (RFC 8252 §7.3).
    let mut login = log_in(&world, &Options::default(), &user).await.unwrap();
    let uri = format!("http://127.0.0.1:{}/callback", taken.local_addr().unwrap().port());
    login.client.redirect_uri = Some(uri.clone());
    let mut locked = world.store.lock().await.unwrap();
    locked.set_client(&world.stub.origin(), Some(login.client)).unwrap();
    drop(locked);
    log_in(&world, &Options::default(), &user).await.unwrap();
    assert_ne!(user.asked("redirect_uri").last(), Some(&uri));
}

/// RFC 9126: where the server demands it, nothing of the request passes the browser.
#[tokio::test]
async fn pushed_requests() {
    for answer in [r#"{"request_uri":"urn:x:1"}"#, "{}", r#"{"request_uri":7}"#] {
        let world = World::start(move |seen| {
            let origin = seen.origin();
            Some(match seen.route().as_str() {
                "GET /.well-known/oauth-authorization-server" => {
                    let mut document = crate::tests::world::metadata(&origin);
                    document["require_pushed_authorization_requests"] = true.into();
                    document["pushed_authorization_request_endpoint"] =
                        format!("{origin}/par").into();
                    Page::json(document.to_string())
                }
                "POST /par" => Page::json(answer).with(201),
                _ => return None,
            })
        });
        let issuer = Some(world.stub.origin());
        let ways = given(Some("s3cret"));
        let options = Options { issuer, ways, ..Options::default() };
        // The state is not in the URL, so that this user has nothing to paste: the waiting is cut short.
        let user = Agreeing::default();
        let login = log_in(&world, &options, &user);
        let outcome = tokio::time::timeout(Duration::from_millis(1500), login).await;
        let pushed = &world.stub.to("POST /par")[0];
        assert_eq!(pushed.field("code_challenge_method"), "S256");
        assert_eq!(pushed.field("resource"), world.url());
        assert_eq!(pushed.field("state").len(), 43);
        assert!(pushed.header("authorization").starts_with("Basic "));
        if answer.contains("urn") {
            assert_eq!(user.asked("request_uri"), ["urn:x:1"]);
            assert_eq!(user.asked("client_id"), ["mine"]);
            assert_eq!(user.asked("state"), [""]);
        } else {
            assert_eq!(outcome.unwrap().unwrap_err().reason(), "answer_invalid");
            assert_eq!(user.times(), 0);
        }
    }
}
