//! How much strangers may ask for.

use std::time::Instant;

use serde_json::json;

use crate::{
    browser::Browser,
    http::{Answer, FORM, encode, send},
    issuer::{ACCOUNT, CALLBACK, CHALLENGE, Client, FILES, Folder, Issuer, PASSWORD},
};

/// Behind one proxy, which says where a request came from.
fn behind_a_proxy() -> Issuer {
    let folder = Folder::new();
    let mut config = folder.config();
    config.trusted_proxies = 1;
    let issuer = Issuer::run(folder, config).unwrap();
    issuer.add_user(ACCOUNT, PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read your files", "")], true);
    issuer
}

fn register(issuer: &Issuer, forwarded: &str) -> Answer {
    let body = json!({ "redirect_uris": [CALLBACK] }).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", forwarded)];
    send("POST", &issuer.at("/register"), &headers, Some(&body))
}

/// Asks until it is refused: how often it was let in, which is not more than the burst and as many a second as
/// are given back, and the refusal.
fn flood(
    (burst, per_second): (u32, u32),
    ask: impl Fn() -> Answer,
    expected: u16,
) -> (u32, Answer) {
    let start = Instant::now();
    for let_in in 0..5000 {
        let answer = ask();
        if answer.status == 429 {
            let seconds = u32::try_from(start.elapsed().as_secs()).unwrap();
            assert!(let_in <= burst + (seconds + 2) * per_second, "{let_in} in {seconds} s");
            return (let_in, answer);
        }
        assert_eq!(answer.status, expected);
    }
    panic!("never refused");
}

/// Attack 41: a flood from one address stops; everybody else goes on.
#[test]
fn attack_41_registrations_of_one_address() {
    let issuer = behind_a_proxy();
    let (let_in, refused) = flood((100, 1), || register(&issuer, "198.51.100.7"), 201);
    assert!(let_in >= 100, "{let_in}");
    refused.assert_error(429, "temporarily_unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    assert!(refused.header("access-control-expose-headers").contains("Retry-After"));
    // Attack 54: another address in front of one's own is no other address.
    let posing = || register(&issuer, "203.0.113.1, 198.51.100.7");
    flood((0, 1), posing, 201).1.assert_error(429, "temporarily_unavailable");
    assert_eq!(register(&issuer, "198.51.100.8").status, 201);
    // Clients that there are go on, from the same address too (complaint 20).
    let client = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    for _ in 0..150 {
        let forwarded = [("x-forwarded-for", "198.51.100.7")];
        let grant = [("grant_type", "client_credentials")];
        assert_eq!(issuer.post_with("/token", &client, &forwarded, &grant).status, 200);
    }
}

/// Each authorization that begins is stored for ten minutes.
#[test]
fn beginnings_of_one_address() {
    let issuer = behind_a_proxy();
    let client = issuer.client();
    let url = issuer.authorize_url(&client, &[]);
    let open = |address: &str| send("GET", &url, &[("x-forwarded-for", address)], None);
    let (begun, refused) = flood((240, 2), || open("198.51.100.7"), 303);
    assert!(begun >= 240, "{begun}");
    refused.assert_page(429);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(open("198.51.100.8").status, 303);
    let stored = issuer.number("SELECT COUNT(*) FROM interactions");
    let in_redis = issuer.folder().has_redis();
    assert_eq!(stored, if in_redis { 0 } else { i64::from(begun) + 1 });
}

/// `/par` stores for a minute what anybody sends who knows a public client.
#[test]
fn pushed_requests_of_one_address() {
    let issuer = behind_a_proxy();
    let public = issuer.client();
    let push = |client: &Client, address: &str| {
        let request = [
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        issuer.post_with("/par", client, &[("x-forwarded-for", address)], &request)
    };
    let refused = |client: &Client, address: &str| {
        // Some come in while the others are counted.
        let mut answers = (0..5000).map(|_| push(client, address));
        answers.find(|answer| answer.status == 429).expect("a limit")
    };
    let answer = refused(&public, "198.51.100.7");
    answer.assert_error(429, "temporarily_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert!(issuer.number("SELECT COUNT(*) FROM pushed_requests") >= 240);
    assert_eq!(push(&public, "198.51.100.8").status, 201);
    // Who authenticates is not counted.
    let confidential = issuer.add_client("client_secret_basic", &[CALLBACK]);
    assert_eq!(push(&confidential, "198.51.100.7").status, 201);
    // Who is not known is counted before anything is fetched, whatever it claims to have.
    let stranger = Client {
        id: "https://unknown.example/client.json".to_owned(),
        method: "private_key_jwt".to_owned(),
        ..public
    };
    refused(&stranger, "198.51.100.7").assert_error(429, "temporarily_unavailable");
}

/// Credential stuffing (issuer spec, section 2): one password for each of many accounts, from one address.
/// Those that are right are not counted: many people share an address.
#[test]
fn logins_that_fail_are_limited_by_address() {
    let issuer = behind_a_proxy();
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[]));
    let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
    let log_in = |name: &str, password: &str, address: &str| {
        let fields = [
            ("interaction", &*interaction),
            ("csrf", &*csrf),
            ("action", "login"),
            ("username", name),
            ("password", password),
        ];
        let headers = [FORM, ("x-forwarded-for", address)];
        let body = encode(&fields);
        browser.clone().send("POST", &issuer.at("/authorize"), &headers, Some(&body))
    };
    for _ in 0..3 {
        assert_eq!(log_in(ACCOUNT, PASSWORD, "198.51.100.7").status, 303);
    }
    // Too long to be hashed: as many as come are counted.
    let password = "x".repeat(2000);
    let start = Instant::now();
    let refused = (0..500).position(|index| {
        let answer = log_in(&format!("user{index}"), &password, "198.51.100.7");
        assert!([403, 429].contains(&answer.status), "{answer:?}");
        answer.status == 429 && answer.header("retry-after").parse::<u32>().is_ok()
    });
    let most = 60 + usize::try_from(start.elapsed().as_secs() / 2 + 1).unwrap();
    assert!(refused.is_some_and(|count| (60..=most).contains(&count)), "{refused:?} {most}");
    assert_eq!(log_in(ACCOUNT, PASSWORD, "198.51.100.8").status, 303, "from elsewhere");
}

/// Without a declared proxy the header is whatever a client likes, and a proxy on this machine is all
/// clients at once.
#[test]
fn attack_54_undeclared_proxies_count_nobody() {
    let issuer = Issuer::start();
    for _ in 0..130 {
        assert_eq!(register(&issuer, "198.51.100.7").status, 201);
    }
}
