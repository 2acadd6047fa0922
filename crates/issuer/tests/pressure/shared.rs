//! Two servers on one database: what must happen once happens once.

use std::collections::BTreeSet;

use crate::{
    browser::text,
    http,
    issuer::{Folder, Issuer},
    parallel::at_once,
};

/// A second server beside the first. It must be dropped before it.
fn beside(first: &Issuer) -> Issuer {
    Issuer::run(Folder::new(), first.folder().config()).unwrap()
}

/// Attack 13: the retry may come to another server.
#[test]
fn attack_13_one_successor_between_two_servers() {
    let first = Issuer::start();
    let second = beside(&first);
    let client = first.client();
    let token = text(&first.tokens(&client, &[]), "refresh_token").to_owned();
    let answers = at_once(50, |index| {
        let issuer = if index % 2 == 0 { &first } else { &second };
        issuer.refresh(&client, &token, &[])
    });
    let successors: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{answer:?}");
            text(&answer.json(), "refresh_token").to_owned()
        })
        .collect();
    assert_eq!(successors.len(), 1);
}

/// Attack 8: a code is redeemed once, wherever.
#[test]
fn attack_8_one_redemption_between_two_servers() {
    let first = Issuer::start();
    let second = beside(&first);
    let client = first.client();
    let code = first.code(&client, &[]);
    let answers = at_once(50, |index| {
        let issuer = if index % 2 == 0 { &first } else { &second };
        issuer.redeem(&client, &code, &[])
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| [200, 400].contains(&answer.status)));
}

/// Both publish the key that both sign with.
#[test]
fn one_key_between_two_servers() {
    let first = Issuer::start();
    let second = beside(&first);
    assert_eq!(http::get(&first.at("/jwks")).body, http::get(&second.at("/jwks")).body);
}
