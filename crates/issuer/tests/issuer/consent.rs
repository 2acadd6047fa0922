//! The consent page: who is asked, how often, and that nobody else answers.

use serde_json::json;

use crate::{
    browser::{Browser, CROSS_SITE, text},
    http::{Answer, FORM, encode, send},
    issuer::{CALLBACK, Client, FILES, Issuer},
};

/// Posts the fields of a page with these headers.
fn post(
    browser: &mut Browser,
    issuer: &Issuer,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Answer {
    let headers = [&[FORM], headers].concat();
    browser.send("POST", &issuer.at("/authorize"), &headers, Some(&encode(fields)))
}

fn consent_page(browser: &mut Browser, issuer: &Issuer, client: &Client) -> Answer {
    let login = browser.visit(issuer, &issuer.authorize_url(client, &[]));
    let page = browser.log_in(issuer, &login);
    page.assert_page(200);
    page
}

/// OAuth 2.1 §4.1.2.1: who says no is believed.
#[test]
fn deny() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let page = consent_page(&mut browser, &issuer, &client);
    let answer = browser.press(&issuer, &page, "deny", &[]);
    assert_eq!(answer.redirect().0, CALLBACK);
    assert_eq!(answer.parameter("error"), "access_denied");
    assert_eq!(answer.parameter("iss"), issuer.url);
    assert_eq!(answer.parameter("state"), "a state/with ünusual&chars");
    browser.press(&issuer, &page, "allow", &[]).assert_page(400);
}

/// A page grants once, within ten minutes.
#[test]
fn pages_are_used_once_and_not_for_ever() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let page = consent_page(&mut browser, &issuer, &client);
    assert_eq!(browser.press(&issuer, &page, "allow", &[]).status, 303);
    browser.press(&issuer, &page, "allow", &[]).assert_page(400);
    let stranger = issuer.registered("http://127.0.0.1/cb");
    let url = issuer.authorize_url(&stranger, &[("redirect_uri", "http://127.0.0.1:1/cb")]);
    let page = browser.visit(&issuer, &url);
    page.assert_page(200);
    issuer.sql("UPDATE interactions SET expires_at = expires_at - 600");
    browser.press(&issuer, &page, "allow", &[]).assert_page(400);
}

/// Session fixation: a page that was begun in one browser is nothing in another.
#[test]
fn attack_12_interaction_of_another_browser() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut attacker = Browser::new();
    let begun = attacker.open(&issuer.authorize_url(&client, &[]));
    let link = begun.header("location").to_owned();
    let mut victim = Browser::new();
    consent_page(&mut victim, &issuer, &client);
    victim.open(&link).assert_page(403);
    Browser::new().open(&link).assert_page(403);
    let page = attacker.open(&link);
    victim.press(&issuer, &page, "allow", &[]).assert_page(403);
    attacker.open(&link).assert_page(200);
    for forged in ["in_unknown", "", "%00"] {
        victim.open(&issuer.at(&format!("/authorize?interaction={forged}"))).assert_page(400);
    }
}

/// Attack 12: what was asked is stored; a form cannot change it.
#[test]
fn attack_12_form_cannot_change_the_request() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let page = consent_page(&mut browser, &issuer, &client);
    let changes = [
        ("scope", "files:read files:write"),
        ("redirect_uri", "https://evil.example"),
        ("client_id", "c_other"),
        ("state", "other"),
    ];
    let answer = browser.press(&issuer, &page, "allow", &changes);
    assert_eq!(answer.redirect().0, CALLBACK);
    assert_eq!(answer.parameter("state"), "a state/with ünusual&chars");
    let tokens = issuer.redeem(&client, &answer.parameter("code"), &[]).json();
    assert_eq!(tokens["scope"], "files:read");
}

/// A remembered consent is for what was allowed, and for nothing more.
#[test]
fn attack_44_more_than_was_allowed_is_asked() {
    let issuer = Issuer::start();
    let callbacks = [CALLBACK, "https://app.example.com/other"];
    let client = issuer.add_client("none", &callbacks);
    let mut browser = Browser::new();
    let both = [("scope", "files:read files:write")];
    browser.authorize(&issuer, &issuer.authorize_url(&client, &both));
    for allowed in ["files:read files:write", "files:read", "files:write"] {
        let url = issuer.authorize_url(&client, &[("scope", allowed)]);
        let answer = browser.visit(&issuer, &url);
        assert!(answer.parameter("code").starts_with("ac_"), "{allowed}");
    }
    for more in [
        ("scope", "files:read files:write offline_access"),
        ("redirect_uri", "https://app.example.com/other"),
        ("resource", "https://mail.example.com"),
    ] {
        let scope = ("scope", if more.0 == "resource" { "mail:send" } else { "files:read" });
        let changed = if more.0 == "scope" { vec![more] } else { vec![scope, more] };
        browser.visit(&issuer, &issuer.authorize_url(&client, &changed)).assert_page(200);
    }
    // Another client of the same name is another client.
    browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[])).assert_page(200);
}

/// What was taken back is asked about again; what the client gave back itself is not.
#[test]
fn attack_44_what_was_taken_back_is_asked_again() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[]);
    browser.authorize(&issuer, &url);
    let code = browser.visit(&issuer, &url).parameter("code");
    let tokens = issuer.redeem(&client, &code, &[]).json();
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(issuer.post("/revoke", &client, &[("token", refresh_token)]).status, 200);
    assert!(browser.visit(&issuer, &url).parameter("code").starts_with("ac_"));
    for grant in issuer.grants() {
        assert!(issuer.revoke_grant(&grant.id));
    }
    browser.visit(&issuer, &url).assert_page(200);
}

/// What the administrator takes away while a page shows it is not granted from that page.
#[test]
fn a_scope_that_is_gone_is_granted_from_no_page() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[("scope", "files:read files:write")]);
    let page = browser.visit(&issuer, &url);
    let page = browser.log_in(&issuer, &page);
    page.assert_page(200);
    issuer.remove_scope(FILES, "files:write");
    let answer = browser.press(&issuer, &page, "allow", &[]);
    answer.assert_page(400);
    assert_eq!(browser.visit(&issuer, &url).parameter("error"), "invalid_scope");
}

/// Who registered by themselves is asked about each time.
#[test]
fn attack_44_strangers_are_never_remembered() {
    let issuer = Issuer::start();
    let client = issuer.registered(CALLBACK);
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[]);
    browser.authorize(&issuer, &url).parameter("code");
    let page = browser.visit(&issuer, &url);
    page.assert_page(200);
    assert!(page.body.contains("not verified"));
}

/// The authorization server in the middle: another site cannot send somebody through.
#[test]
fn attack_46_cross_site_navigation_is_asked() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[]);
    browser.authorize(&issuer, &url).parameter("code");
    browser.visit(&issuer, &url).parameter("code");
    let (site, origin) = (("sec-fetch-site", "same-site"), ("sec-fetch-site", "same-origin"));
    for headers in [&[CROSS_SITE][..], &[site], &[origin], &[]] {
        let answer = browser.send("GET", &url, headers, None);
        let page = browser.follow(&issuer, answer);
        page.assert_page(200);
        assert!(page.body.contains("value=\"allow\""), "{headers:?}");
    }
}

/// The same by a client whose redirect URI is the issuer's own page: its answer, after a press on Deny, would
/// be another request.
#[test]
fn attack_46_nothing_is_answered_to_the_issuer_itself() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    browser.authorize(&issuer, &issuer.authorize_url(&client, &[])).parameter("code");
    let second = issuer.authorize_url(&client, &[("state", "evil")]);
    let refused = issuer.register(&json!({ "redirect_uris": [second] }));
    refused.assert_error(400, "invalid_redirect_uri");
    // With another port in its place at the registration.
    let evil = issuer.registered(&second.replacen(&issuer.url, "http://127.0.0.1:1", 1));
    let url = issuer.authorize_url(&evil, &[("redirect_uri", &second)]);
    let page = browser.visit(&issuer, &url);
    page.assert_page(400);
    assert!(page.body.contains("a page of this server"), "{}", page.body);
}

/// Cross-site request forgery: a form counts when it is from our page, in this session.
#[test]
fn attack_47_forged_forms() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let mut browser = Browser::new();
    let page = consent_page(&mut browser, &issuer, &client);
    let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
    let good = [("interaction", &*interaction), ("csrf", &*csrf), ("action", "allow")];
    let own = [("origin", &*issuer.url), ("sec-fetch-site", "same-origin")];
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", &*issuer.url), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
    ] {
        post(&mut browser, &issuer, &good, headers).assert_page(403);
    }
    for token in ["", "x", &"A".repeat(43)] {
        let bad = [("interaction", &*interaction), ("csrf", token), ("action", "allow")];
        post(&mut browser, &issuer, &bad, &own).assert_page(403);
    }
    let without = [("interaction", &*interaction), ("action", "allow")];
    post(&mut browser, &issuer, &without, &own).assert_page(403);
    let twice = [&good[..], &[("action", "deny")]].concat();
    post(&mut browser, &issuer, &twice, &own).assert_page(403);

    // The token of another interaction, and of another session.
    let other = browser.visit(&issuer, &issuer.authorize_url(&client, &[])).field("csrf");
    let mixed = [("interaction", &*interaction), ("csrf", &*other), ("action", "allow")];
    post(&mut browser, &issuer, &mixed, &own).assert_page(403);
    let mut without_session = browser.clone();
    without_session.cookies.remove("cs_session");
    post(&mut without_session, &issuer, &good, &own).assert_page(403);

    // Shown twice, the first page still counts; Chromium hides the origin of such a form.
    let link = issuer.at(&format!("/authorize?interaction={interaction}"));
    assert_eq!(browser.open(&link).field("csrf"), csrf);
    let hidden = [("origin", "null"), ("sec-fetch-site", "same-origin")];
    assert_eq!(post(&mut browser, &issuer, &good, &hidden).status, 303);
}

/// Attack 47: logging somebody in as somebody else is a forgery too.
#[test]
fn attack_47_forged_login() {
    let issuer = Issuer::start();
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[]));
    let interaction = page.field("interaction");
    let fields = [
        ("interaction", &*interaction),
        ("action", "login"),
        ("username", crate::issuer::ACCOUNT),
        ("password", crate::issuer::PASSWORD),
    ];
    post(&mut browser, &issuer, &fields, &[]).assert_page(403);
    assert!(!browser.cookies.contains_key("cs_session"));
}

/// Names are text, whatever they look like.
#[test]
fn attack_48_names_are_escaped() {
    let issuer = Issuer::start();
    let name = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}evil\u{200b}";
    let answer = issuer.register(&json!({ "client_name": name, "redirect_uris": [CALLBACK] }));
    let client = Client {
        id: text(&answer.json(), "client_id").to_owned(),
        secret: None,
        method: "none".to_owned(),
    };
    issuer.add_resource("https://x.example", &[("x", "<b onclick=x>", "")], false);
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[("resource", "https://x.example"), ("scope", "x")]);
    let login = browser.visit(&issuer, &url);
    let consent = browser.log_in(&issuer, &login);
    let changed = [("redirect_uri", CALLBACK), ("scope", "nonsense")];
    let error = send("GET", &issuer.authorize_url(&client, &changed), &[], None);
    for page in [&login, &consent, &error] {
        for dangerous in ["<script", "<img", "<b ", "\u{202e}", "\u{200b}", "\"'>"] {
            assert!(!page.body.contains(dangerous), "{dangerous} in {}", page.body);
        }
        assert!(page.body.contains("&lt;script&gt;"));
    }
    assert!(consent.body.contains("&lt;b onclick"));
}

/// Attack 48: every page refuses to be framed, errors too.
#[test]
fn attack_48_no_frames() {
    let issuer = Issuer::start();
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&issuer.client(), &[]);
    let login = browser.visit(&issuer, &url);
    login.assert_page(200);
    browser.log_in(&issuer, &login).assert_page(200);
    browser.open(&issuer.at("/authorize")).assert_page(400);
    let redirect = browser.open(&url);
    assert_eq!(redirect.header("referrer-policy"), "no-referrer");
    assert_eq!(redirect.header("cache-control"), "no-store");
}

/// Two people in one browser: a page that was shown to one is nothing for the other.
#[test]
fn consent_is_of_who_was_asked() {
    let issuer = Issuer::start();
    issuer.add_user("grace", crate::issuer::PASSWORD);
    let client = issuer.client();
    let mut browser = Browser::new();
    let first = consent_page(&mut browser, &issuer, &client);
    let second = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    let login = browser.press(&issuer, &second, "logout", &[]);
    let fields = [("username", "grace"), ("password", crate::issuer::PASSWORD)];
    browser.press(&issuer, &login, "login", &fields).assert_page(200);
    browser.press(&issuer, &first, "allow", &[]).assert_page(403);
}
