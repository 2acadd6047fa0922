//! What is done about a refusal, with somebody to ask and without.

use super::*;
use crate::{
    discovery::Challenge,
    tests::world::{Agreeing, World},
};

fn refused(status: u16, challenge: Option<Challenge>) -> Refused {
    Refused { status, challenge }
}

fn scope(text: &str) -> Option<Challenge> {
    let scope = ScopeSet::parse(text).ok();
    Some(Challenge { scope, error: Some("insufficient_scope".to_owned()), ..Challenge::default() })
}

/// Where nobody can be asked, the error says which login is needed, and nothing is sent.
#[tokio::test]
async fn without_a_user() {
    let world = World::start(|_| None);
    let none = None::<&Agreeing>;
    let mut access = Access::new(&world.http, &world.store, world.url(), none).unwrap();
    access.ready().await.unwrap();
    let error = access.refused(&refused(401, None)).await.unwrap_err();
    assert_eq!(error, Error::LoginRequired { url: world.url().to_owned() });
    assert!(world.stub.seen().is_empty());

    world.keep(|_| {}).await;
    let mut access = Access::new(&world.http, &world.store, world.url(), none).unwrap();
    let error = access.refused(&refused(403, scope("c a"))).await.unwrap_err();
    let (url, scope) = (world.url().to_owned(), "a b c".to_owned());
    assert_eq!(error, Error::StepUpRequired { url, scope });
    assert!(world.stub.seen().is_empty());
}

/// A 403 that asks for nothing opens no browser, with a login and without.
#[tokio::test]
async fn what_is_forbidden() {
    let world = World::start(|_| None);
    let user = Agreeing::default();
    for _ in 0..2 {
        let mut access = Access::new(&world.http, &world.store, world.url(), Some(&user)).unwrap();
        let error = access.refused(&refused(403, None)).await.unwrap_err();
        assert_eq!(error.reason(), "forbidden");
        world.keep(|_| {}).await;
    }
    assert_eq!(user.times(), 0);
}

/// A server that takes no token ends in an error, from the first login on.
#[tokio::test]
async fn a_server_that_takes_no_token() {
    let world = World::start(|_| None);
    let user = Agreeing::default();
    let mut access = Access::new(&world.http, &world.store, world.url(), Some(&user)).unwrap();
    for _ in 0..2 {
        access.ready().await.unwrap();
        access.refused(&refused(401, None)).await.unwrap();
    }
    let error = access.refused(&refused(401, None)).await.unwrap_err();
    assert_eq!((error.reason(), user.times()), ("token_rejected", 1));
}
