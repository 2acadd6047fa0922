//! The login page, sessions, and what `prompt` and `max_age` ask for.

use crate::{
    browser::{BY_ITSELF, Browser},
    http::{Answer, get},
    issuer::{ACCOUNT, Issuer, PASSWORD},
};

fn log_in_as(
    browser: &mut Browser,
    issuer: &Issuer,
    page: &Answer,
    name: &str,
    password: &str,
) -> Answer {
    browser.press(issuer, page, "login", &[("username", name), ("password", password)])
}

/// Attack 55: who is not there fails like who typed a wrong password.
#[test]
fn attack_55_unknown_users_look_like_known_ones() {
    let issuer = Issuer::start();
    let url = issuer.authorize_url(&issuer.client(), &[]);
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &url);
    let known = log_in_as(&mut browser, &issuer, &page, ACCOUNT, "wrong password");
    let unknown = log_in_as(&mut browser, &issuer, &page, "nobody", "wrong password");
    known.assert_page(403);
    assert_eq!(known.body.replace(ACCOUNT, "nobody"), unknown.body);
    assert_eq!(known.status, unknown.status);
    assert!(browser.cookies.keys().all(|name| !name.contains("session")));
    for (name, password) in [("", ""), (ACCOUNT, ""), ("", PASSWORD), (ACCOUNT, &"x".repeat(2000))]
    {
        log_in_as(&mut browser, &issuer, &page, name, password).assert_page(403);
    }
    browser.log_in(&issuer, &page).assert_page(200);
}

/// Attack 55, by the clock: both take as long as the hash takes.
#[test]
fn attack_55_unknown_users_take_as_long() {
    let issuer = Issuer::start();
    let url = issuer.authorize_url(&issuer.client(), &[]);
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &url);
    let mut time = |name: &str| {
        let start = std::time::Instant::now();
        log_in_as(&mut browser, &issuer, &page, name, "wrong password").assert_page(403);
        start.elapsed().as_secs_f64()
    };
    let (mut known, mut unknown) = (f64::MAX, f64::MAX);
    // Other tests run beside this one: the quickest of many counts, and both take turns.
    for name in ["grace", "alan", "edsger"] {
        issuer.add_user(name, PASSWORD);
        for _ in 0..5 {
            known = known.min(time(name));
            unknown = unknown.min(time(&format!("no {name}")));
        }
    }
    // Without the dummy hash it is a twentieth.
    assert!(unknown > known / 5.0, "{known} {unknown}");
}

/// Guessing rests after five failures, for that account and address.
#[test]
fn guessing_is_slowed_down() {
    let issuer = Issuer::start();
    let url = issuer.authorize_url(&issuer.client(), &[]);
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &url);
    for _ in 0..5 {
        log_in_as(&mut browser, &issuer, &page, ACCOUNT, "wrong password").assert_page(403);
    }
    let answer = browser.log_in(&issuer, &page);
    answer.assert_page(429);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() <= 60);
    log_in_as(&mut browser, &issuer, &page, "ADA ", "wrong password").assert_page(429);
    issuer.add_user("grace", PASSWORD);
    log_in_as(&mut browser, &issuer, &page, "grace", PASSWORD).assert_page(200);
}

/// Session cookies: out of reach of scripts and other sites, new with each login.
#[test]
fn sessions_are_new_with_each_login() {
    let issuer = Issuer::start();
    let url = issuer.authorize_url(&issuer.client(), &[("prompt", "login")]);
    let mut browser = Browser::new();
    // One that an attacker planted.
    browser.cookies.insert("cs_session".to_owned(), "ss_planted".to_owned());
    let page = browser.visit(&issuer, &url);
    browser.log_in(&issuer, &page).assert_page(200);
    let first = browser.cookies["cs_session"].clone();
    assert_ne!(first, "ss_planted");
    issuer.sql("UPDATE sessions SET auth_time = auth_time - 100");
    let page = browser.visit(&issuer, &url);
    assert!(page.body.contains("type=\"password\""), "prompt=login");
    browser.log_in(&issuer, &page);
    let second = browser.cookies["cs_session"].clone();
    assert_ne!(first, second);
    browser.cookies.insert("cs_session".to_owned(), first);
    let page = browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[]));
    assert!(page.body.contains("type=\"password\""), "the old one has ended");
}

/// RFC 6265bis §4.1.3: with https, cookies that no other host can set.
#[test]
fn cookie_attributes() {
    let issuer = Issuer::start();
    let url = issuer.authorize_url(&issuer.client(), &[]);
    let cookie = get(&url).header("set-cookie").to_owned();
    assert!(cookie.starts_with("cs_browser=br_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");

    let https = Issuer::empty(|config| config.issuer = Some("https://auth.example.com".to_owned()));
    https.add_resource(crate::issuer::FILES, &[("files:read", "Read", "")], false);
    let url = https.authorize_url(&https.client(), &[]);
    let answer = get(&url);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-cs_browser=br_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    assert!(answer.header("location").starts_with("https://auth.example.com/authorize?"));
}

/// Sessions end by themselves, and when the person asks for another account.
#[test]
fn sessions_end() {
    let issuer = Issuer::start();
    let url = issuer.authorize_url(&issuer.client(), &[]);
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &url);
    let consent = browser.log_in(&issuer, &page);
    let login = browser.press(&issuer, &consent, "logout", &[]);
    assert!(login.body.contains("type=\"password\""));
    assert!(!browser.cookies.contains_key("cs_session"));
    browser.log_in(&issuer, &login).assert_page(200);
    issuer.sql("UPDATE sessions SET expires_at = expires_at - 12 * 3600");
    let page = browser.visit(&issuer, &url);
    assert!(page.body.contains("type=\"password\""));
}

/// OpenID Connect Core §3.1.2.1 and §3.1.2.6: an answer without a page, or an error.
#[test]
fn prompt_none() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let silent = issuer.authorize_url(&client, &[("prompt", "none")]);
    let mut browser = Browser::new();
    assert_eq!(browser.open(&silent).parameter("error"), "login_required");
    let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    let consent = browser.log_in(&issuer, &page);
    assert_eq!(browser.open(&silent).parameter("error"), "consent_required");
    browser.press(&issuer, &consent, "allow", &[]);
    let answer = browser.open(&silent);
    assert_eq!(answer.parameter("iss"), issuer.url);
    let code = answer.parameter("code");
    assert_eq!(issuer.redeem(&client, &code, &[]).status, 200);
    let more = [("prompt", "none"), ("scope", "files:read files:write")];
    let answer = browser.open(&issuer.authorize_url(&client, &more));
    assert_eq!(answer.parameter("error"), "consent_required");
    issuer.sql("UPDATE sessions SET auth_time = auth_time - 100");
    let young = [("prompt", "none"), ("max_age", "60")];
    let answer = browser.open(&issuer.authorize_url(&client, &young));
    assert_eq!(answer.parameter("error"), "login_required");
    let answer = browser.send("GET", &silent, &[("sec-fetch-site", "cross-site")], None);
    assert_eq!(answer.parameter("error"), "consent_required", "attack 46");
    let answer = browser.send("GET", &silent, &[], None);
    assert_eq!(answer.parameter("error"), "consent_required", "a browser that does not say");
    assert_eq!(browser.send("GET", &silent, &[BY_ITSELF], None).status, 303);
}

/// OpenID Connect Core §3.1.2.1: the age of a login, and questions that are asked again.
#[test]
fn max_age_and_prompt_consent() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    browser.authorize(&issuer, &issuer.authorize_url(&client, &[]));
    issuer.sql("UPDATE sessions SET auth_time = auth_time - 100");
    let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[("max_age", "60")]));
    assert!(page.body.contains("type=\"password\""));
    // A login page is not got around by the form that comes after it.
    browser.press(&issuer, &page, "allow", &[]).assert_page(200);
    let answer = browser.visit(&issuer, &issuer.authorize_url(&client, &[("max_age", "1000")]));
    assert_eq!(answer.parameter("iss"), issuer.url, "remembered");
    for prompt in ["consent", "select_account"] {
        let page = browser.visit(&issuer, &issuer.authorize_url(&client, &[("prompt", prompt)]));
        page.assert_page(200);
        assert!(page.body.contains("Allow"), "{prompt}");
    }
}

/// RFC 6749 appendix A.5. PostgreSQL could not store a NUL, and would say so after the consent.
#[test]
fn control_characters_are_refused_before_anybody_is_asked() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for name in ["nonce", "state"] {
        for value in ["\0", "a\nb", "\u{7f}"] {
            let url = issuer.authorize_url(&client, &[(name, value)]);
            let answer = Browser::new().open(&url);
            assert_eq!(answer.parameter("error"), "invalid_request", "{name} {value:?}");
        }
    }
}

/// RFC 6797: whoever typed the address once is not led to an imitation by http.
#[test]
fn https_is_pinned_where_it_is_used() {
    let pinned = "max-age=31536000";
    let https = Issuer::empty(|config| config.issuer = Some("https://auth.example.com".to_owned()));
    let plain = Issuer::start();
    for path in ["/", "/authorize", "/token", "/jwks", "/nothing"] {
        assert_eq!(get(&https.at(path)).header("strict-transport-security"), pinned, "{path}");
        assert_eq!(get(&plain.at(path)).header("strict-transport-security"), "", "{path}");
    }
}
