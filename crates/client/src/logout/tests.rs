//! Logouts against a world of servers that a test turns as it likes.

use super::*;
use crate::tests::{
    stub::Page,
    world::{World, metadata},
};

/// RFC 7009 §2.1: the refresh token, with which the grant ends, else the access token.
#[tokio::test]
async fn the_grant_ends() {
    for (has_refresh, token, hint) in
        [(true, "old-r", "refresh_token"), (false, "old", "access_token")]
    {
        let world = World::start(|_| None);
        world
            .keep(|login| {
                if !has_refresh {
                    login.tokens.refresh_token = None;
                }
            })
            .await;
        let done = logout(&world.http, &world.store, world.url()).await.unwrap();
        assert_eq!(done, Revocation::Done);
        let asked = &world.stub.to("POST /revoke")[0];
        let fields =
            [asked.field("token"), asked.field("token_type_hint"), asked.field("client_id")];
        assert_eq!(fields, [token, hint, "c"]);
        assert_eq!(world.kept(), None);
        let again = logout(&world.http, &world.store, world.url()).await.unwrap_err();
        assert_eq!(again.reason(), "login_required");
    }
}

/// Whatever the server does, nothing is kept here; and its error is told.
#[tokio::test]
async fn servers_that_do_not_revoke() {
    let world = World::start(|seen| {
        let mut document = metadata(&seen.origin());
        document.as_object_mut().unwrap().remove("revocation_endpoint");
        let is_asked = seen.route() == "GET /.well-known/oauth-authorization-server";
        is_asked.then(|| Page::json(document.to_string()))
    });
    world.keep(|_| {}).await;
    let outcome = logout(&world.http, &world.store, world.url()).await.unwrap();
    assert_eq!((outcome, world.kept()), (Revocation::NotOffered, None));

    for (route, status, reason) in [
        ("POST /revoke", 503, "revocation_refused"),
        ("POST /revoke", 302, "revocation_refused"),
        ("GET /.well-known/oauth-authorization-server", 500, "answer_invalid"),
    ] {
        let world = World::start(move |seen| (seen.route() == route).then(|| Page::status(status)));
        world.keep(|_| {}).await;
        match logout(&world.http, &world.store, world.url()).await.unwrap() {
            Revocation::Failed(error) => assert_eq!(error.reason(), reason),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.kept(), None);
    }
}

/// A server that takes its time does not keep others from their logins.
#[tokio::test]
async fn a_slow_server_holds_nobody_up() {
    let world = World::start(|seen| {
        (seen.route() == "POST /revoke").then(|| Page::status(200).then(3000, ""))
    });
    world.keep(|_| {}).await;
    let other = async {
        while world.stub.to("POST /revoke").is_empty() {
            tokio::task::yield_now().await;
        }
        drop(world.store.lock().await.unwrap());
    };
    tokio::select! {
        _ = logout(&world.http, &world.store, world.url()) => panic!("the lock was held"),
        () = other => {}
    }
}
