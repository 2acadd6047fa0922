//! Requests whose sender hangs up half way: no lock stays taken, nothing is half done.

use std::{io::Write as _, net::TcpStream, thread, time::Duration};

use crate::{
    browser::{Browser, text},
    http::encode,
    issuer::{CALLBACK, Client, Issuer, VERIFIER},
    parallel::at_once,
};

/// Sends a request, and hangs up after a moment without reading the answer.
fn abandon(issuer: &Issuer, path: &str, kind: &str, body: &str, moment: Duration) {
    let mut stream = TcpStream::connect(issuer.url.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    // The server may be gone from this connection already.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
    thread::sleep(moment);
}

fn moments(index: usize) -> Duration {
    Duration::from_micros(200 * (index as u64 % 25))
}

const FORM: &str = "application/x-www-form-urlencoded";

fn refresh_body(client: &Client, token: &str) -> String {
    encode(&[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &client.id)])
}

/// Complaint 1: the answer to a rotation is lost; the client's next try gets the successor.
#[test]
fn abandoned_refreshes_lose_no_family() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    for _ in 0..4 {
        let body = refresh_body(&client, &token);
        at_once(25, |index| abandon(&issuer, "/token", FORM, &body, moments(index)));
        let answer = issuer.refresh(&client, &token, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        token = text(&answer.json(), "refresh_token").to_owned();
    }
}

/// Writers that are given up give the database back: everybody else goes on at once.
#[test]
fn abandoned_writers_leave_no_lock() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for _ in 0..4 {
        at_once(25, |index| {
            let metadata = format!("{{\"redirect_uris\":[\"{CALLBACK}\"]}}");
            match index % 2 {
                0 => abandon(&issuer, "/register", "application/json", &metadata, moments(index)),
                _ => {
                    let (_, query) = issuer
                        .authorize_url(&client, &[])
                        .split_once('?')
                        .map(|(path, query)| (path.to_owned(), query.to_owned()))
                        .unwrap();
                    abandon(&issuer, "/authorize", FORM, &query, moments(index));
                }
            }
        });
        issuer.registered(CALLBACK);
        issuer.tokens(&client, &[]);
    }
}

/// Attack 8: a redemption that is given up has happened or not; in both cases a code gives one
/// family at most.
#[test]
fn abandoned_redemptions_are_whole() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[]);
    for index in 0..20 {
        let code = browser.authorize(&issuer, &url).parameter("code");
        let body = encode(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("client_id", &client.id),
        ]);
        abandon(&issuer, "/token", FORM, &body, moments(index));
        let answer = issuer.redeem(&client, &code, &[]);
        match answer.status {
            200 => {
                let token = text(&answer.json(), "refresh_token").to_owned();
                assert!([200, 400].contains(&issuer.refresh(&client, &token, &[]).status));
            }
            _ => answer.assert_error(400, "invalid_grant"),
        }
    }
}

/// Logins that are given up still count as tries, and the server still lets people in.
#[test]
fn abandoned_logins() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
    let cookie = format!("cs_browser={}", browser.cookies["cs_browser"]);
    at_once(40, |index| {
        let name = format!("somebody {index}");
        let body = encode(&[
            ("interaction", &interaction),
            ("csrf", &csrf),
            ("action", "login"),
            ("username", &name),
            ("password", "wrong password"),
        ]);
        let kind = format!("{FORM}\r\nCookie: {cookie}");
        abandon(&issuer, "/authorize", &kind, &body, Duration::from_millis(20));
    });
    browser.log_in(&issuer, &page).assert_page(200);
}
