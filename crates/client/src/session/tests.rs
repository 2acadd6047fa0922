//! A login in use against a world of servers that a test turns as it likes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use super::*;
use crate::{
    registration::Origin,
    tests::{
        stub::{Page, Seen},
        world::{Agreeing, World, metadata},
    },
};

/// A world whose token endpoint answers as the test says.
fn with_tokens(answer: impl Fn(&Seen) -> Page + Send + Sync + 'static) -> World {
    World::start(move |seen| (seen.route() == "POST /token").then(|| answer(seen)))
}

fn insufficient(scope: &str) -> Challenge {
    Challenge {
        error: Some("insufficient_scope".to_owned()),
        scope: Some(ScopeSet::parse(scope).unwrap()),
        ..Challenge::default()
    }
}

fn session(world: &World) -> Session<'_> {
    Session::open(&world.http, &world.store, world.url()).unwrap()
}

/// OAuth 2.1 §4.3: renewed before its end, with the resource; what is not replaced stays, and so does the
/// scope, of which nothing was said.
#[tokio::test]
async fn a_token_is_renewed_in_time() {
    let world = with_tokens(|_| {
        Page::json(json!({ "access_token": "new", "token_type": "Bearer" }).to_string())
    });
    world.keep(|login| login.tokens.expires_at = Some(now() + MARGIN - 5)).await;
    let mut session = session(&world);
    assert_eq!(session.access_token().await.unwrap().expose(), "new");
    let asked = &world.stub.to("POST /token")[0];
    assert_eq!(asked.field("grant_type"), "refresh_token");
    assert_eq!(asked.field("refresh_token"), "old-r");
    assert_eq!(asked.field("resource"), world.url());
    assert_eq!(asked.field("scope"), "");
    let tokens = world.kept().unwrap().tokens;
    assert_eq!(tokens.access_token.expose(), "new");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "old-r");
    assert_eq!(tokens.scope, "a");
}

/// A token that nothing can renew is good until its end, and not one margin less: servers give tokens that
/// are shorter than that.
#[tokio::test]
async fn what_cannot_be_renewed_is_used_to_its_end() {
    let world = World::start(|_| None);
    let short = |login: &mut Login| {
        login.tokens.refresh_token = None;
        login.tokens.expires_at = Some(now() + 10);
    };
    world.keep(short).await;
    assert_eq!(session(&world).access_token().await.unwrap().expose(), "old");
    world
        .keep(|login| {
            short(login);
            login.tokens.expires_at = Some(now() - 1);
        })
        .await;
    let ended = session(&world).access_token().await.unwrap_err();
    assert_eq!(ended.reason(), "login_required");
}

/// Nobody uses a refresh token twice (OAuth 2.1 §4.3.1).
#[tokio::test]
async fn another_program_was_faster() {
    let world = World::start(|_| None);
    world.keep(|login| login.tokens.expires_at = Some(0)).await;
    let mut first = session(&world);
    let mut second = session(&world);
    let (one, two) = tokio::join!(first.access_token(), second.access_token());
    assert_eq!(one.unwrap().expose(), two.unwrap().expose());
    assert_eq!(world.stub.to("POST /token").len(), 1);
    // Another program logged out: nothing is asked for.
    world.store.lock().await.unwrap().forget(world.url()).unwrap();
    assert_eq!(first.refused(401, None).await, Ok(Next::LogIn));
    assert_eq!(world.stub.to("POST /token").len(), 1);
}

/// MCP authorization, authorization server binding (CL-19): what one server gave is shown to no other.
#[tokio::test]
async fn the_issuer_changed() {
    let world = World::start(|seen| {
        seen.route().contains("oauth-protected-resource").then(|| {
            let resource = format!("{}/mcp", seen.origin());
            let issuers = [format!("{}/other", seen.origin())];
            Page::json(
                json!({ "resource": resource, "authorization_servers": issuers }).to_string(),
            )
        })
    });
    world.keep(|_| {}).await;
    assert_eq!(session(&world).refused(401, None).await, Ok(Next::LogIn));
    assert!(world.stub.to("POST /token").is_empty());
    assert!(world.kept().is_some());
}

/// A client that was given belongs to its issuer: no secret goes where a server points later.
#[tokio::test]
async fn a_given_secret_does_not_follow_the_server() {
    let world = World::start(|seen| {
        let other = format!("{}/other", seen.origin());
        Some(match seen.route().as_str() {
            "GET /.well-known/oauth-protected-resource/mcp" => {
                let resource = format!("{}/mcp", seen.origin());
                let document = json!({ "resource": resource, "authorization_servers": [other] });
                Page::json(document.to_string())
            }
            "GET /.well-known/oauth-authorization-server/other" => {
                let mut document = metadata(&seen.origin());
                document["issuer"] = other.into();
                Page::json(document.to_string())
            }
            _ => return None,
        })
    });
    world
        .keep(|login| {
            login.client.origin = Origin::Given;
            login.client.client_secret = Some(Secret::new("s3cret"));
            login.client.auth_method = crate::client_auth::AuthMethod::ClientSecretPost;
            login.is_client_credentials = true;
        })
        .await;
    let user = Agreeing::default();
    let mut session = session(&world);
    assert_eq!(session.refused(401, None).await, Ok(Next::LogIn));
    let refused = session.log_in_again(None, &user).await.unwrap_err();
    assert_eq!(refused.reason(), "issuer_not_listed");
    assert!(world.stub.seen().iter().all(|seen| !seen.text.contains("s3cret")));
}

/// What is over needs a user. A server that is down or busy does not, and the login stays.
#[tokio::test]
async fn refreshes_that_fail() {
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant"}"#, Ok(Next::LogIn)),
        (401, r#"{"error":"invalid_client"}"#, Ok(Next::LogIn)),
        (503, "busy", Err("token_refused")),
        (200, "<html>", Err("answer_invalid")),
        (302, "", Err("token_refused")),
    ] {
        let world = with_tokens(move |_| Page::json(body).with(status));
        let before = world.keep(|_| {}).await;
        let outcome = session(&world).refused(401, None).await;
        assert_eq!(outcome.map_err(|error| error.reason()), expected, "{status} {body}");
        assert_eq!(world.kept(), Some(before));
    }
}

/// Metadata that cannot be had now do not end a login, nor send it to the place where servers of 2025-03-26
/// had theirs.
#[tokio::test]
async fn metadata_that_fail() {
    for status in [429, 500, 503] {
        let world = World::start(move |seen| {
            seen.route().contains("oauth-protected-resource").then(|| Page::status(status))
        });
        world.keep(|_| {}).await;
        let error = session(&world).refused(401, None).await.unwrap_err();
        assert!(["server_unavailable", "answer_invalid"].contains(&error.reason()), "{error}");
        assert!(world.stub.to("POST /token").is_empty());
    }
}

/// A server that takes no token would have its user log in without an end.
#[tokio::test]
async fn a_server_that_takes_no_token() {
    let world = World::start(|_| None);
    world.keep(|_| {}).await;
    let user = Agreeing::default();
    let mut session = session(&world);
    assert_eq!(session.refused(401, None).await, Ok(Next::Retry));
    assert_eq!(session.refused(401, None).await, Ok(Next::LogIn));
    session.log_in_again(None, &user).await.unwrap();
    assert_eq!(session.refused(401, None).await, Ok(Next::Retry));
    assert_eq!(session.refused(401, None).await.unwrap_err().reason(), "token_rejected");
    assert_eq!(user.times(), 1);
}

/// MCP authorization, step-up authorization flow (CL-21): for the union, and not again and again.
#[tokio::test]
async fn steps_up_are_counted() {
    let world = World::start(|_| None);
    world.keep(|_| {}).await;
    let user = Agreeing::default();
    let mut session = session(&world);
    for (scope, asked) in [("c", "a b c"), ("d a", "a b c d")] {
        let challenge = insufficient(scope);
        assert_eq!(session.refused(403, Some(&challenge)).await, Ok(Next::LogIn));
        session.log_in_again(Some(&challenge), &user).await.unwrap();
        assert_eq!(user.asked("scope").last().unwrap(), asked);
    }
    let third = session.refused(403, Some(&insufficient("e"))).await.unwrap_err();
    assert_eq!(third, Error::ScopeInsufficient { scope: "e".to_owned() });
    // A refresh cannot widen: none was tried.
    let grants = world.stub.to("POST /token");
    assert!(grants.iter().all(|seen| seen.field("grant_type") == "authorization_code"));
}

/// A 403 without a challenge is the server's own affair.
#[tokio::test]
async fn what_is_forbidden_needs_no_login() {
    let world = World::start(|_| None);
    world.keep(|_| {}).await;
    let refused = session(&world).refused(403, None).await.unwrap_err();
    assert_eq!(refused.reason(), "forbidden");
}

/// RFC 9449 §9: the nonce of the refusal, once; then it is not the nonce.
#[tokio::test]
async fn a_nonce_is_asked_for_once() {
    let world = World::start(|_| None);
    world
        .keep(|login| {
            login.tokens.is_dpop = true;
            login.dpop = Some(crate::dpop::Key::generate().unwrap());
            login.tokens.refresh_token = None;
        })
        .await;
    let mut session = session(&world);
    let challenge = Challenge {
        error: Some("use_dpop_nonce".to_owned()),
        is_dpop: true,
        ..Challenge::default()
    };
    let mut headers = HeaderMap::new();
    headers.insert("dpop-nonce", HeaderValue::from_static("n-1"));
    session.learn(&headers);
    assert_eq!(session.refused(401, Some(&challenge)).await, Ok(Next::Retry));
    let sent = session.headers(&Method::POST, world.url()).unwrap();
    assert!(sent["authorization"].to_str().unwrap().starts_with("DPoP "));
    let proof = sent["dpop"].to_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims = countersign_core::jose::base64url::decode(proof.as_bytes()).unwrap();
    assert!(String::from_utf8(claims).unwrap().contains(r#""nonce":"n-1""#));
    assert_eq!(session.refused(401, Some(&challenge)).await, Ok(Next::LogIn));
}

/// A server that takes its time over its metadata does not keep others from their logins.
#[tokio::test]
async fn a_slow_server_holds_nobody_up() {
    let is_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_asked);
    let world = World::start(move |seen| {
        (seen.route() == "POST /mcp").then(|| {
            asked.store(true, Ordering::SeqCst);
            Page::status(200).then(1500, "")
        })
    });
    world.keep(|login| login.tokens.expires_at = Some(0)).await;
    let mut session = session(&world);
    let other = async {
        while !is_asked.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        drop(world.store.lock().await.unwrap());
    };
    tokio::select! {
        _ = session.access_token() => panic!("the lock was held"),
        () = other => {}
    }
}

/// RFC 6750 §2.1: no log shows the token.
#[tokio::test]
async fn headers_are_sensitive() {
    let world = World::start(|_| None);
    world.keep(|_| {}).await;
    let session = session(&world);
    let headers = session.headers(&Method::POST, world.url()).unwrap();
    assert_eq!(headers["authorization"], "Bearer old");
    assert!(!format!("{headers:?} {session:?}").contains("old-r"));
    assert!(!format!("{headers:?}").contains("old"));
}
