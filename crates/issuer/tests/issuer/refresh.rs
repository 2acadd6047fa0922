//! Refresh tokens (OAuth 2.1 §4.3): rotated at each use, with the same successor for a retry.

use std::{collections::BTreeSet, sync::Barrier, thread};

use crate::{
    browser::text,
    issuer::{CALLBACK, FILES, Issuer, MAIL},
    tokens::verified,
};

/// Complaint 1: parallel processes get one successor between them, and nobody is logged out.
#[test]
fn attack_13_parallel_refreshes_have_one_successor() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let start = Barrier::new(50);
    let answers: Vec<_> = thread::scope(|scope| {
        let refresh = || {
            start.wait();
            issuer.refresh(&client, &token, &[])
        };
        let all: Vec<_> = (0..50).map(|_| scope.spawn(refresh)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let successors: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{answer:?}");
            text(&answer.json(), "refresh_token").to_owned()
        })
        .collect();
    assert_eq!(successors.len(), 1);
    let next = issuer.refresh(&client, successors.first().unwrap(), &[]);
    assert_eq!(next.status, 200);
}

/// A lost answer: the retry gets what was lost.
#[test]
fn retry_within_the_grace_gets_the_same_successor() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let second = issuer.refresh(&client, &first, &[]).json();
    issuer.sql("UPDATE refresh_tokens SET rotated_at = rotated_at - 50");
    let again = issuer.refresh(&client, &first, &[]).json();
    assert_eq!(text(&again, "refresh_token"), text(&second, "refresh_token"));
    assert_eq!(again["expires_in"], 900);
    assert_eq!(issuer.refresh(&client, text(&second, "refresh_token"), &[]).status, 200);
}

/// After the grace somebody else has the token: the family ends.
#[test]
fn attack_14_reuse_after_the_grace_revokes_the_family() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let second = text(&issuer.refresh(&client, &first, &[]).json(), "refresh_token").to_owned();
    issuer.sql("UPDATE refresh_tokens SET rotated_at = rotated_at - 60");
    issuer.refresh(&client, &first, &[]).assert_error(400, "invalid_grant");
    issuer.refresh(&client, &second, &[]).assert_error(400, "invalid_grant");
}

/// The grace ends when the successor is used: whoever has that does not need the old one.
#[test]
fn attack_14_reuse_after_the_successor_was_used_revokes_the_family() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let second = text(&issuer.refresh(&client, &first, &[]).json(), "refresh_token").to_owned();
    let third = text(&issuer.refresh(&client, &second, &[]).json(), "refresh_token").to_owned();
    issuer.refresh(&client, &first, &[]).assert_error(400, "invalid_grant");
    issuer.refresh(&client, &third, &[]).assert_error(400, "invalid_grant");
}

/// A family ends alone.
#[test]
fn attack_14_other_grants_go_on() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let first = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let other = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    issuer.refresh(&client, &first, &[]);
    issuer.sql("UPDATE refresh_tokens SET rotated_at = rotated_at - 60");
    issuer.refresh(&client, &first, &[]).assert_error(400, "invalid_grant");
    assert_eq!(issuer.refresh(&client, &other, &[]).status, 200);
}

/// Another client gets the answer that an unknown token gets, and the token stays good.
#[test]
fn attack_15_refresh_token_of_another_client() {
    let issuer = Issuer::start();
    let (a, b) = (issuer.client(), issuer.add_client("client_secret_post", &[CALLBACK]));
    let token = text(&issuer.tokens(&a, &[]), "refresh_token").to_owned();
    let others = issuer.refresh(&b, &token, &[]);
    others.assert_error(400, "invalid_grant");
    assert_eq!(others.body, issuer.refresh(&b, "rt_unknown", &[]).body);
    assert_eq!(issuer.refresh(&a, &token, &[]).status, 200);
}

/// RFC 6749 §6, complaints 5 and 19: what is refused consumes nothing.
#[test]
fn attack_16_wider_scope_or_other_resource() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    for scope in ["files:read files:write", "files:write", "mail:send", "openid"] {
        let answer = issuer.refresh(&client, &token, &[("scope", scope)]);
        answer.assert_error(400, "invalid_scope");
    }
    issuer.refresh(&client, &token, &[("scope", "files:\"")]).assert_error(400, "invalid_scope");
    for resource in [MAIL, "https://unknown.example", "nonsense"] {
        let answer = issuer.refresh(&client, &token, &[("resource", resource)]);
        answer.assert_error(400, "invalid_target");
    }
    let right = [("scope", "files:read"), ("resource", FILES)];
    assert_eq!(issuer.refresh(&client, &token, &right).status, 200, "not consumed");
}

/// RFC 6749 §6: an access token may have less; the grant keeps all of it.
#[test]
fn narrower_scope_is_for_this_token_only() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[("scope", "files:read files:write offline_access")]);
    let narrow =
        issuer.refresh(&client, text(&tokens, "refresh_token"), &[("scope", "files:read")]).json();
    assert_eq!(narrow["scope"], "files:read");
    let (_, claims) = verified(&issuer, text(&narrow, "access_token"));
    assert_eq!(claims["scope"], "files:read");
    let all = issuer.refresh(&client, text(&narrow, "refresh_token"), &[]).json();
    assert_eq!(all["scope"], "files:read files:write offline_access");
    // What files:write implies is less too.
    let tokens = issuer.tokens(&client, &[("scope", "files:write offline_access")]);
    let implied =
        issuer.refresh(&client, text(&tokens, "refresh_token"), &[("scope", "files:read")]);
    assert_eq!(implied.json()["scope"], "files:read");
}

/// A scope that was taken away is in no token from then on, also where a grant was made a moment after.
#[test]
fn what_the_resource_has_no_more_is_left_out() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[("scope", "files:read files:write offline_access")]);
    let code = issuer.code(&client, &[("scope", "files:read files:write")]);
    issuer.remove_scope(FILES, "files:write");
    issuer.sql("UPDATE grants SET scopes = 'files:read files:write offline_access'");
    let refreshed = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).json();
    assert_eq!(refreshed["scope"], "files:read offline_access");
    let asked = [("scope", "files:write")];
    let refused = issuer.refresh(&client, text(&refreshed, "refresh_token"), &asked);
    refused.assert_error(400, "invalid_scope");
    assert_eq!(issuer.redeem(&client, &code, &[]).json()["scope"], "files:read offline_access");
}

/// OAuth 2.1 §4.3.1: unused tokens end, and so does the whole family one day.
#[test]
fn idle_and_absolute_lifetime() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    issuer.sql("UPDATE refresh_tokens SET expires_at = expires_at - 30 * 86400");
    issuer.refresh(&client, &token, &[]).assert_error(400, "invalid_grant");

    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    issuer.sql("UPDATE grants SET created_at = created_at - 180 * 86400");
    let last = issuer.refresh(&client, &token, &[]);
    assert_eq!(last.status, 200);
    let last = text(&last.json(), "refresh_token").to_owned();
    issuer.refresh(&client, &last, &[]).assert_error(400, "invalid_grant");
}

/// Nothing that works lies in the database: not the token, nor what it is sealed under.
#[test]
fn secrets_are_stored_as_digests() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_post", &[CALLBACK]);
    let code = issuer.code(&client, &[]);
    let first = text(&issuer.redeem(&client, &code, &[]).json(), "refresh_token").to_owned();
    let second = text(&issuer.refresh(&client, &first, &[]).json(), "refresh_token").to_owned();
    let unused = issuer.code(&client, &[]);
    let stored = issuer.folder().stored();
    let secret = client.secret.clone().unwrap();
    let found = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(found(&client.id), "the search works");
    for secret in [&code, &unused, &first, &second, &secret] {
        let random = secret.split_once('_').unwrap().1;
        assert!(!found(random), "{secret}");
    }
    assert!(!found(crate::issuer::PASSWORD));
}
