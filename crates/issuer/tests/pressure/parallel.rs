//! Many at once.

use std::{sync::Barrier, thread};

use serde_json::json;

use crate::{
    browser::{Browser, text},
    http::Answer,
    issuer::{CALLBACK, Issuer},
};

/// Runs the work on so many threads that start together.
pub(crate) fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(count);
    thread::scope(|scope| {
        let one = |index| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(index)
            })
        };
        let all: Vec<_> = (0..count).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Attack 47: a consent page that is sent many times grants once.
#[test]
fn attack_47_double_submit_grants_once() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let login = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    let page = browser.log_in(&issuer, &login);
    let answers = at_once(20, |_| browser.clone().press(&issuer, &page, "allow", &[]));
    let (granted, refused): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == 303);
    assert_eq!(granted.len(), 1);
    for answer in refused {
        answer.assert_page(400);
    }
    assert_eq!(issuer.redeem(&client, &granted[0].parameter("code"), &[]).status, 200);
}

/// Attack 47: of yes and no at the same moment, one counts; and a yes that does not is not remembered.
#[test]
fn attack_47_allow_and_deny_at_once() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let login = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    let mut page = browser.log_in(&issuer, &login);
    for _ in 0..5 {
        let answers = at_once(10, |index| {
            let action = if index % 2 == 0 { "allow" } else { "deny" };
            browser.clone().press(&issuer, &page, action, &[])
        });
        let mut answers = answers.iter().filter(|answer| answer.status == 303);
        let (Some(answer), None) = (answers.next(), answers.next()) else { panic!("not one") };
        let is_denied = answer.header("location").contains("error=access_denied");
        let remembered = issuer.number("SELECT COUNT(*) FROM consents");
        assert_eq!(remembered, i64::from(!is_denied));
        issuer.sql("DELETE FROM consents");
        page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    }
}

/// Guesses that come all at once are counted like those that come one by one.
#[test]
fn parallel_guesses_are_throttled() {
    let issuer = Issuer::start();
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[]));
    let answers = at_once(20, |index| {
        let password = format!("guess number {index}");
        let fields = [("username", "ada"), ("password", password.as_str())];
        browser.clone().press(&issuer, &page, "login", &fields)
    });
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(403), count(429)), (5, 15));
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    }
}

/// SQLite has one writer: the others wait, and nobody is sent away.
#[test]
fn a_mixed_flood_has_no_failures() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens: Vec<String> =
        (0..8).map(|_| text(&issuer.tokens(&client, &[]), "refresh_token").to_owned()).collect();
    at_once(32, |index| {
        let mut token = tokens[index / 4].clone();
        for round in 0..6 {
            match index % 4 {
                0 => {
                    let answer = issuer.refresh(&client, &token, &[]);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    token = text(&answer.json(), "refresh_token").to_owned();
                }
                1 => {
                    let metadata = json!({ "redirect_uris": [CALLBACK], "client_name": "x" });
                    assert_eq!(issuer.register(&metadata).status, 201);
                }
                2 => {
                    let answer = crate::http::get(&issuer.authorize_url(&client, &[]));
                    assert_eq!(answer.status, 303, "{answer:?}");
                }
                _ => {
                    let code = format!("ac_{round}");
                    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
                }
            }
        }
    });
}

/// Attack 7: a code that comes again ends the newest token of the family too.
#[test]
fn attack_7_replay_after_rotations() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let mut token = text(&issuer.redeem(&client, &code, &[]).json(), "refresh_token").to_owned();
    for _ in 0..3 {
        token = text(&issuer.refresh(&client, &token, &[]).json(), "refresh_token").to_owned();
    }
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
    issuer.refresh(&client, &token, &[]).assert_error(400, "invalid_grant");
}

/// Attack 5 in a race: of the client and a thief, at most one gets anything, and it is the client.
#[test]
fn attack_5_owner_and_thief_at_once() {
    let issuer = Issuer::start();
    let (owner, thief) = (issuer.client(), issuer.add_client("client_secret_post", &[CALLBACK]));
    for _ in 0..5 {
        let code = issuer.code(&owner, &[]);
        let answers = at_once(10, |index| {
            let client = if index == 0 { &owner } else { &thief };
            issuer.redeem(client, &code, &[])
        });
        for answer in &answers[1..] {
            answer.assert_error(400, "invalid_grant");
        }
        assert!([200, 400].contains(&answers[0].status));
        issuer.redeem(&owner, &code, &[]).assert_error(400, "invalid_grant");
    }
}
