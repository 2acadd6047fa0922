//! Redis between nodes: they count and remember together. When it is away or slow, each of them goes on by
//! itself, but for what only Redis can know.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use countersign_issuer::Config;
use countersign_testkit::{
    keys::TestKey,
    redis::{self, Redis},
    token::Token,
};
use serde_json::{Value, json};

use crate::{
    browser::{BY_ITSELF, Browser},
    http::{Answer, FORM, encode, send},
    issuer::{self, CALLBACK, CHALLENGE, Client, FILES, Folder, Issuer, VERIFIER, asserting, now},
    parallel::at_once,
};

/// What both nodes are, wherever they listen.
const PUBLIC: &str = "https://auth.example.com";

/// For everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often something is tried that a machine that stands still for seconds can spoil.
const ATTEMPTS: usize = 3;

/// Two nodes on one database, behind one proxy. The second must be dropped first.
struct Nodes {
    second: Issuer,
    first: Issuer,
}

impl Nodes {
    fn start(redis: Option<&str>) -> Self {
        let adjust = |config: &mut Config| {
            config.issuer = Some(PUBLIC.to_owned());
            config.trusted_proxies = 1;
            config.redis = redis.map(|url| url.parse().unwrap());
        };
        let first = Issuer::start_with(adjust);
        let mut config = first.folder().config();
        adjust(&mut config);
        let second = Issuer::run(Folder::new(), config).unwrap();
        Self { second, first }
    }

    /// They take turns.
    fn turn(&self, index: usize) -> &Issuer {
        if index.is_multiple_of(2) { &self.first } else { &self.second }
    }
}

fn register(issuer: &Issuer, address: &str) -> Answer {
    let body = json!({ "redirect_uris": [CALLBACK] }).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    send("POST", &issuer.at("/register"), &headers, Some(&body))
}

/// How many registrations two nodes let in that an address sends to them in turns, and how many it was
/// entitled to meanwhile by one limit: 100 at once, and one a second.
fn let_in(nodes: &Nodes, address: &str) -> (usize, usize) {
    let start = Instant::now();
    let tries = (0..240).filter(|index| register(nodes.turn(*index), address).status == 201);
    let count = tries.count();
    (count, 101 + usize::try_from(start.elapsed().as_secs()).unwrap())
}

#[test]
fn without_redis_each_node_counts() {
    let (count, _) = let_in(&Nodes::start(None), "198.51.100.7");
    assert!(count >= 200, "{count}");
}

#[test]
fn with_redis_nodes_count_together() {
    let nodes = Nodes::start(Some(&redis::database()));
    let mut counts = (0..ATTEMPTS).map(|attempt| let_in(&nodes, &format!("198.51.100.{attempt}")));
    assert!(counts.any(|(count, entitled)| (100..=entitled).contains(&count)));
}

/// Begins an authorization, and opens its login page at the other node.
fn login_page(nodes: &Nodes, client: &Client) -> (Browser, Answer) {
    let mut browser = Browser::new();
    let begun = browser.open(&nodes.first.authorize_url(client, &[]));
    let location = begun.header("location").to_owned();
    let interaction = location.strip_prefix(&format!("{PUBLIC}/authorize?")).unwrap();
    let url = nodes.second.at(&format!("/authorize?{interaction}"));
    let page = browser.send("GET", &url, &[BY_ITSELF], None);
    assert_eq!(page.status, 200, "{page:?}");
    (browser, page)
}

fn press(issuer: &Issuer, browser: &Browser, page: &Answer, fields: &[(&str, &str)]) -> Answer {
    let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
    let hidden = [("interaction", &*interaction), ("csrf", &*csrf)];
    let headers = [FORM, ("origin", PUBLIC), ("sec-fetch-site", "same-origin")];
    let body = encode(&[&hidden[..], fields].concat());
    browser.clone().send("POST", &issuer.at("/authorize"), &headers, Some(&body))
}

/// How many wrong passwords for a name two nodes take in turns, of the same address.
fn wrong_passwords(nodes: &Nodes, name: &str) -> usize {
    let (browser, page) = login_page(nodes, &nodes.first.client());
    let fields = [("action", "login"), ("username", name), ("password", "wrong password")];
    (0..12)
        .take_while(|index| press(nodes.turn(*index), &browser, &page, &fields).status == 403)
        .count()
}

#[test]
fn failed_logins_between_nodes() {
    let alone = Nodes::start(None);
    let mut counts = (0..ATTEMPTS).map(|attempt| wrong_passwords(&alone, &format!("a{attempt}")));
    assert!(counts.any(|count| count == 10), "each node has its five");
    let together = Nodes::start(Some(&redis::database()));
    let mut counts =
        (0..ATTEMPTS).map(|attempt| wrong_passwords(&together, &format!("b{attempt}")));
    assert!(counts.any(|count| count == 5), "five for both");
}

/// Logins in progress are in Redis, not in the database; and end once.
#[test]
fn interactions_between_nodes() {
    let nodes = Nodes::start(Some(&redis::database()));
    let client = nodes.first.client();
    let is_shared = (0..ATTEMPTS).any(|_| {
        let (browser, page) = login_page(&nodes, &client);
        let answers =
            at_once(20, |index| press(nodes.turn(index), &browser, &page, &[("action", "deny")]));
        let ended = answers.iter().filter(|answer| answer.status == 303).count();
        assert!(answers.iter().all(|answer| [303, 400].contains(&answer.status)));
        assert!(ended <= 1, "{ended}");
        ended == 1 && nodes.first.number("SELECT COUNT(*) FROM interactions") == 0
    });
    assert!(is_shared);
}

/// Of a client whose clock is as far ahead as it may be, so that Redis need not be older than that; and so
/// that what it says it made just now can be older than a Redis that has just started.
fn assertion(issuer: &str, client_id: &str) -> Token {
    issuer::assertion(issuer, client_id).claim("iat", now() + redis::AHEAD)
}

/// A proof by the same client.
fn proof(url: &str) -> Token {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let jti = format!("proof-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let proof = Token::proof(TestKey::Ed25519(9), "POST", url, "", now() + redis::AHEAD);
    proof.claim("ath", Value::Null).claim("jti", jti)
}

/// A request that it signed.
fn request_object(client: &Client) -> Token {
    let parameters = json!({
        "sub": null, "client_id": client.id, "response_type": "code", "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE, "code_challenge_method": "S256", "resource": FILES,
        "scope": "files:read",
    });
    let token = assertion(PUBLIC, &client.id).header("typ", "oauth-authz-req+jwt");
    let parameters = parameters.as_object().unwrap().iter();
    parameters.fold(token, |token, (name, value)| token.claim(name, value.clone()))
}

fn service(issuer: &Issuer) -> Client {
    issuer.add_service("private_key_jwt", &[(FILES, "files:read")])
}

fn present(issuer: &Issuer, assertion: &str) -> Answer {
    let grant = [("grant_type", "client_credentials")];
    let body = encode(&[&grant[..], &asserting(assertion)].concat());
    send("POST", &issuer.at("/token"), &[FORM], Some(&body))
}

/// Attack 26: an assertion is good once, whichever node it comes to; with the database alone and with
/// Redis.
#[test]
fn attack_26_assertions_between_nodes() {
    for redis in [None, Some(redis::database())] {
        let nodes = Nodes::start(redis.as_deref());
        let client = service(&nodes.first);
        let is_taken = (0..ATTEMPTS).any(|_| {
            let text = assertion(PUBLIC, &client.id).sign();
            let answers = at_once(20, |index| present(nodes.turn(index), &text));
            let taken = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(taken <= 1, "{taken}");
            assert!(answers.iter().all(|answer| [200, 401, 503].contains(&answer.status)));
            taken == 1
        });
        assert!(is_taken);
    }
}

/// Attack 62, RFC 9101: so are proofs and signed requests; with Redis, nothing of it is in the database.
#[test]
fn attack_62_proofs_and_requests_between_nodes() {
    let nodes = Nodes::start(Some(&redis::database()));
    let client = nodes.first.add_client("private_key_jwt", &[CALLBACK]);
    let url = format!("{PUBLIC}/par");
    let push = |node: &Issuer, proof: &str, object: &str| {
        let assertion = assertion(PUBLIC, &client.id).sign();
        let body = encode(&[&[("request", object)][..], &asserting(&assertion)].concat());
        send("POST", &node.at("/par"), &[FORM, ("dpop", proof)], Some(&body))
    };
    let once = |refusal: &str, push: &(dyn Fn(&Issuer) -> Answer + Sync)| {
        let answers = at_once(20, |index| push(nodes.turn(index)));
        let taken = answers.iter().filter(|answer| answer.status == 201).count();
        assert!(taken <= 1, "{taken}");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            match answer.status {
                503 => assert_unknown(answer),
                _ => answer.assert_error(400, refusal),
            }
        }
        taken == 1
    };
    assert!((0..ATTEMPTS).any(|_| {
        let shown = proof(&url).sign();
        once("invalid_dpop_proof", &|node| push(node, &shown, &request_object(&client).sign()))
    }));
    assert!((0..ATTEMPTS).any(|_| {
        let object = request_object(&client).sign();
        once("invalid_request_object", &|node| push(node, &proof(&url).sign(), &object))
    }));
    assert_eq!(nodes.first.number("SELECT COUNT(*) FROM jti_seen"), 0);
}

/// A new assertion each time, until one is accepted; meanwhile the answer is to come again, and what was
/// used before is not taken. Gives the one that was.
fn until_accepted(issuer: &Issuer, client: &Client, used: Option<&str>) -> String {
    let start = Instant::now();
    loop {
        let text = assertion(&issuer.url, &client.id).sign();
        let answer = present(issuer, &text);
        if let Some(used) = used {
            assert_ne!(present(issuer, used).status, 200, "an assertion was good twice");
        }
        if answer.status == 200 {
            return text;
        }
        assert_unknown(&answer);
        assert!(start.elapsed() < PATIENCE, "{answer:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// 503: a 401 would make the client register again.
fn assert_unknown(answer: &Answer) {
    answer.assert_error(503, "temporarily_unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

/// Everything but what only Redis knows goes on, each node for itself.
fn assert_goes_on(issuer: &Issuer, client: &Client, signing: &Client) {
    assert_eq!(send("GET", &issuer.at("/readyz"), &[], None).status, 200);
    // Login, consent, a code, tokens.
    let tokens = issuer.tokens(client, &[]);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(issuer.refresh(client, refresh, &[]).status, 200);
    assert_unknown(&present(issuer, &assertion(&issuer.url, &signing.id).sign()));
    let proof = proof(&issuer.at("/token")).sign();
    let code = issuer.code(client, &[]);
    let form =
        [("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", VERIFIER)];
    assert_unknown(&issuer.post_with("/token", client, &[("dpop", &proof)], &form));
    // A flood still meets a limit. The first that does is looked at: on a slow machine the next one may come
    // when there is room again.
    let start = Instant::now();
    let refused = loop {
        let answer = register(issuer, "198.51.100.99");
        if answer.status != 201 {
            break answer;
        }
        assert!(start.elapsed() < PATIENCE);
    };
    refused.assert_error(429, "temporarily_unavailable");
}

#[test]
fn redis_goes_away_and_comes_back() {
    let redis = Redis::start();
    redis.settle();
    let issuer = Issuer::start_with(|config| {
        config.trusted_proxies = 1;
        config.redis = Some(redis.url().parse().unwrap());
    });
    let (client, signing) = (issuer.client(), service(&issuer));
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    let used = until_accepted(&issuer, &signing, None);
    redis.stop();
    assert_goes_on(&issuer, &client, &signing);
    // What was begun in Redis is over, with a page that says so.
    let began_in_redis = issuer.number("SELECT COUNT(*) FROM interactions") == 0;
    assert!(began_in_redis || page.status == 200);
    if began_in_redis {
        browser.log_in(&issuer, &page).assert_page(400);
    }
    // It comes back empty: what it knew is not taken for new.
    redis.resume();
    until_accepted(&issuer, &signing, Some(&used));
    let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    assert_eq!(page.status, 200);
}

#[test]
fn redis_is_slow() {
    let redis = Redis::start();
    redis.settle();
    let issuer = Issuer::start_with(|config| {
        config.trusted_proxies = 1;
        config.redis = Some(redis.url().parse().unwrap());
    });
    let (client, signing) = (issuer.client(), service(&issuer));
    let used = until_accepted(&issuer, &signing, None);
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    redis.freeze();
    assert_goes_on(&issuer, &client, &signing);
    redis.thaw();
    until_accepted(&issuer, &signing, Some(&used));
    // It has its memory: what was begun before goes on, to the end, since the user allowed it meanwhile.
    assert!(browser.log_in(&issuer, &page).parameter("code").starts_with("ac_"));
}

/// Attack 47: Redis is told of an authorization, and answers too late, so that it is in the database too.
/// It ends once all the same.
#[test]
fn nothing_that_is_in_two_places_ends_twice() {
    let redis = Redis::start();
    // Nothing else is asked of Redis: addresses are not counted.
    let issuer = Issuer::start_with(|config| config.redis = Some(redis.url().parse().unwrap()));
    let client = issuer.client();
    let begin = || {
        let mut browser = Browser::new();
        let login = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
        (browser, login)
    };
    let stored = || issuer.number("SELECT COUNT(*) FROM interactions");
    let until_in_redis = || {
        let start = Instant::now();
        loop {
            let before = stored();
            begin();
            if stored() == before {
                return;
            }
            assert!(start.elapsed() < PATIENCE);
        }
    };
    until_in_redis();
    let before = stored();
    redis.freeze();
    let (mut browser, login) = begin();
    assert_eq!(stored(), before + 1);
    redis.thaw();
    until_in_redis();
    let consent = browser.log_in(&issuer, &login);
    let allow = || browser.clone().press(&issuer, &consent, "allow", &[]);
    assert!(allow().parameter("code").starts_with("ac_"));
    allow().assert_page(400);
}

#[test]
fn a_server_starts_without_its_redis() {
    let issuer = Issuer::start_with(|config| {
        config.trusted_proxies = 1;
        config.redis = Some("unix:///nonexistent/redis.sock".parse().unwrap());
    });
    assert_goes_on(&issuer, &issuer.client(), &service(&issuer));
}
