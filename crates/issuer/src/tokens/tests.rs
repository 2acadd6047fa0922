//! Tokens that only this issuer could have signed, each wrong in one respect.

use countersign_core::Reason;
use serde_json::{Value, json};

use super::{By, Verdict};
use crate::{
    clock,
    http::App,
    keys::DEFAULT_ALGORITHM,
    status::Place,
    store::{IssuedToken, test_stores},
};

/// The claims of a good one; `null` takes one away.
async fn token(app: &App, place: &Place, typ: &str, change: (&str, Value)) -> String {
    let issuer = app.issuer.as_str();
    let mut claims = json!({
        "iss": issuer,
        "sub": "u",
        "aud": "https://r",
        "client_id": "c",
        "scope": "read",
        "iat": clock::now(),
        "exp": clock::now() + 60,
        "jti": "t",
        "status": place.claim(issuer),
    });
    match change {
        (name, Value::Null) => drop(claims.as_object_mut().unwrap().remove(name)),
        (name, value) => claims[name] = value,
    }
    app.keys.signer(DEFAULT_ALGORITHM).await.unwrap().sign(typ, &claims).unwrap()
}

async fn reason(app: &App, token: &str) -> (bool, Option<Reason>) {
    match app.judge().verdict(token).await.unwrap() {
        Verdict::Own(_, reason) => (true, reason),
        Verdict::Foreign(refusal) => (false, Some(refusal.reason)),
    }
}

/// The reasons are those of the guard (docs/reasons.md).
#[tokio::test]
async fn signed_and_wrong() {
    let store = test_stores::sqlite().await;
    let app = store.app().await;
    let place = app.status.take(&app, clock::now() + 60, None).await.unwrap();
    let now = clock::now();
    let elsewhere = |uri: &str| json!({ "status_list": { "idx": 0, "uri": uri } });
    for (typ, change, expected) in [
        ("at+jwt", ("x", json!(1)), (true, None)),
        ("application/at+jwt", ("x", json!(1)), (true, None)),
        ("JWT", ("x", json!(1)), (false, Some(Reason::TokenTypeUnsupported))),
        ("at+jwt", ("iss", json!("https://a.example")), (false, Some(Reason::IssuerUnknown))),
        ("at+jwt", ("iss", Value::Null), (false, Some(Reason::IssuerUnknown))),
        ("at+jwt", ("exp", Value::Null), (false, Some(Reason::ClaimMissing))),
        ("at+jwt", ("exp", json!("1")), (false, Some(Reason::ClaimMalformed))),
        ("at+jwt", ("exp", json!(now)), (true, Some(Reason::TokenExpired))),
        ("at+jwt", ("status", Value::Null), (false, Some(Reason::ClaimMissing))),
        ("at+jwt", ("status", json!({})), (false, Some(Reason::ClaimMalformed))),
        (
            "at+jwt",
            ("status", elsewhere("https://a.example/status-lists/x")),
            (false, Some(Reason::ClaimMalformed)),
        ),
        (
            "at+jwt",
            ("status", elsewhere(&format!("{}/status-lists/x", app.issuer))),
            (true, Some(Reason::TokenRevoked)),
        ),
    ] {
        let text = token(&app, &place, typ, change.clone()).await;
        assert_eq!(reason(&app, &text).await, expected, "{typ} {change:?}");
        let is_good = app.judge().access_token(&text).is_ok();
        let is_in_time = !matches!(expected, (false, _) | (_, Some(Reason::TokenExpired)));
        assert_eq!(is_good, is_in_time, "{typ} {change:?}: the list is asked besides");
    }
}

/// On both engines: what was revoked is so for every node, and is written down once, with who did it.
#[tokio::test]
async fn an_end_is_an_end() {
    for store in test_stores::each().await {
        store.fill().await;
        let app = store.app().await;
        store
            .run(
                "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                 created_at) VALUES ('g', 'u', 'c', 'https://r', 'read', 0, 7)",
            )
            .await;
        for (by, logged) in [
            (By::Client, "SELECT COUNT(*) FROM revocation_log WHERE reason = 'revoked_by_client'"),
            (
                By::Administrator,
                "SELECT COUNT(*) FROM revocation_log WHERE reason = 'revoked_by_administrator'",
            ),
        ] {
            let place = app.status.take(&app, clock::now() + 60, None).await.unwrap();
            let issued = IssuedToken {
                status_list: &place.list,
                status_index: place.index,
                general_scopes: "",
                expires_at: clock::now() + 60,
            };
            assert_eq!(store.grant_at(&place.list, place.index).await.unwrap(), None);
            store.add_issued_token("g", &issued).await.unwrap();
            let grant = store.grant_at(&place.list, place.index).await.unwrap().unwrap();
            assert_eq!((grant.id.as_str(), grant.created_at, grant.revoked_at), ("g", 7, None));
            assert_eq!(store.grant("g").await.unwrap(), Some(grant));
            // One whose time is over here may be good for a guard whose clock is behind.
            let over = ("exp", json!(clock::now() - 1));
            let text = token(&app, &place, "at+jwt", over).await;
            let good = token(&app, &place, "at+jwt", ("x", json!(1))).await;
            assert_eq!(reason(&app, &good).await, (true, None));
            let judge = app.judge();
            let found = judge.find(&text).await.unwrap().unwrap();
            assert_eq!(found.client_id(), Some("c"));
            assert!(judge.end(&found, by).await.unwrap());
            assert!(!judge.end(&found, by).await.unwrap());
            assert_eq!(reason(&app, &good).await, (true, Some(Reason::TokenRevoked)));
            assert_eq!(store.number(logged).await, 1);
        }
        store.run("UPDATE grants SET revoked_at = 8, reason = 'test'").await;
        let grant = store.grant("g").await.unwrap().unwrap();
        assert_eq!((grant.revoked_at, grant.reason.as_deref()), (Some(8), Some("test")));
        assert_eq!(store.user("u").await.unwrap().unwrap().name, "Ada");
        assert!(store.user("nobody").await.unwrap().is_none());
    }
}
