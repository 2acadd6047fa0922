//! Changes of the signing keys while the server runs.

use std::{
    thread,
    time::{Duration, Instant},
};

use countersign_issuer::{Rotation, SigningKeys};
use tokio::runtime::Runtime;

use crate::{
    browser::text,
    http::{get, send},
    issuer::Issuer,
    tokens::verified,
};

/// What the command line does beside the server.
fn beside<T>(issuer: &Issuer, work: impl AsyncFnOnce(SigningKeys) -> T) -> T {
    let config = issuer.folder().config();
    Runtime::new()
        .unwrap()
        .block_on(async { work(SigningKeys::open(&config).await.unwrap()).await })
}

fn kids(issuer: &Issuer) -> Vec<String> {
    let keys = get(&issuer.at("/jwks")).json();
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the key set is as expected.
fn until(issuer: &Issuer, expected: impl Fn(&[String]) -> bool) -> Vec<String> {
    let start = Instant::now();
    loop {
        let now = kids(issuer);
        if expected(&now) {
            return now;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{now:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Attack 63: a revoked key leaves the key set of a running server within seconds, another one signs,
/// and nobody is logged out.
#[test]
fn attack_63_a_revoked_key_leaves_the_key_set() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let (header, _) = verified(&issuer, text(&tokens, "access_token"));
    let stolen = header["kid"].as_str().unwrap().to_owned();
    let tag = get(&issuer.at("/jwks")).header("etag").to_owned();
    beside(&issuer, async |keys| keys.revoke(&stolen, "stolen").await.unwrap());
    let now = until(&issuer, |now| !now.contains(&stolen));
    assert_eq!(now.len(), 1);
    let answer = send("GET", &issuer.at("/jwks"), &[("if-none-match", &tag)], None);
    assert_eq!(answer.status, 200, "what is cached is not confirmed");
    let again = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).json();
    let (header, _) = verified(&issuer, text(&again, "access_token"));
    assert_eq!(header["kid"], now[0].as_str());
}

/// Attack 63: a key that is announced is published, and signs nothing before its time.
#[test]
fn attack_63_pending_keys_do_not_sign() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = kids(&issuer);
    beside(&issuer, async |keys| keys.rotate("ES256", Rotation::Announced).await.unwrap());
    let both = until(&issuer, |now| now.len() == 2);
    let tokens = issuer.tokens(&client, &[]);
    let (header, _) = verified(&issuer, text(&tokens, "access_token"));
    assert_eq!(header["kid"], first[0].as_str());

    beside(&issuer, async |keys| keys.rotate("ES256", Rotation::AtOnce).await.unwrap());
    let start = Instant::now();
    let mut token = text(&tokens, "refresh_token").to_owned();
    loop {
        let again = issuer.refresh(&client, &token, &[]).json();
        let (header, _) = verified(&issuer, text(&again, "access_token"));
        if header["kid"] != first[0].as_str() {
            assert!(both.iter().any(|kid| header["kid"] == kid.as_str()));
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        token = text(&again, "refresh_token").to_owned();
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(kids(&issuer), both, "what the old one signed is still valid");
    verified(&issuer, text(&tokens, "access_token"));
}

/// RFC 9110 §13.1.2.
#[test]
fn the_key_set_is_revalidated() {
    let issuer = Issuer::start();
    let answer = get(&issuer.at("/jwks"));
    let tag = answer.header("etag").to_owned();
    assert_eq!(answer.header("cache-control"), "public, max-age=300, stale-while-revalidate=600");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = send("GET", &issuer.at("/jwks"), &[("if-none-match", &known)], None);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{known}");
        assert_eq!(again.header("etag"), tag);
        assert!(again.header("cache-control").contains("max-age=300"));
    }
}
