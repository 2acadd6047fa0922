//! Devices without a browser (RFC 8628).

use std::thread;

use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

use crate::{
    browser::{BY_ITSELF, Browser, text},
    dpop::proof_by,
    http::{Answer, FORM, encode, get, send},
    issuer::{
        ACCOUNT, CALLBACK, Client, FILES, Folder, Issuer, MAIL, PASSWORD, VERIFIER, new_client,
    },
    tokens::verified,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A client for devices, which the administrator added.
fn add(issuer: &Issuer, method: &str) -> Client {
    let mut new = new_client(method);
    new.name = "Television".to_owned();
    new.grant_types = [GRANT, "refresh_token"].map(str::to_owned).to_vec();
    issuer.try_add(new).unwrap()
}

/// What a device is told when it begins.
fn begin(issuer: &Issuer, client: &Client, more: &[(&str, &str)]) -> Value {
    let answer = issuer.post("/device_authorization", client, more);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn poll(issuer: &Issuer, client: &Client, device: &Value, more: &[(&str, &str)]) -> Answer {
    let code = text(device, "device_code");
    let usual = [("grant_type", GRANT), ("device_code", code)];
    issuer.token(client, &[&usual[..], more].concat())
}

/// Opens the page, types a code, and goes on to whatever comes.
fn enter(issuer: &Issuer, browser: &mut Browser, code: &str) -> Answer {
    let page = browser.send("GET", &issuer.at("/device"), &[BY_ITSELF], None);
    page.assert_page(200);
    let answer = post(issuer, browser, &page.field("csrf"), code, &[]);
    browser.follow(issuer, answer)
}

fn post(
    issuer: &Issuer,
    browser: &mut Browser,
    csrf: &str,
    code: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let body = encode(&[("csrf", csrf), ("user_code", code)]);
    let headers = [&[FORM], headers].concat();
    browser.send("POST", &issuer.at("/device"), &headers, Some(&body))
}

/// A person who decides about the device with this code.
fn decide(issuer: &Issuer, device: &Value, action: &str) -> Answer {
    let mut browser = Browser::new();
    let login = enter(issuer, &mut browser, text(device, "user_code"));
    let consent = browser.log_in(issuer, &login);
    browser.press(issuer, &consent, action, &[])
}

/// §3.1 to §3.5, from beginning to tokens.
#[test]
fn rfc_8628_whole_flow() {
    let issuer = Issuer::start();
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(
        text(&metadata, "device_authorization_endpoint"),
        issuer.at("/device_authorization")
    );
    assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&GRANT.into()));
    let client = add(&issuer, "none");
    let device = begin(&issuer, &client, &[("scope", "files:read"), ("resource", FILES)]);
    let code = text(&device, "user_code");
    assert_eq!((code.len(), code.chars().nth(4)), (9, Some('-')), "{code}");
    assert_eq!(text(&device, "verification_uri"), issuer.at("/device"));
    assert_eq!((&device["expires_in"], &device["interval"]), (&600.into(), &5.into()));
    poll(&issuer, &client, &device, &[]).assert_error(400, "authorization_pending");

    // §3.3.1: filled in, and still for the user to send.
    let mut browser = Browser::new();
    let page = browser.send("GET", text(&device, "verification_uri_complete"), &[BY_ITSELF], None);
    page.assert_page(200);
    assert!(page.body.contains(&format!("value=\"{code}\"")), "{}", page.body);
    // §6.1: in any case, without the dash.
    let typed = code.replace('-', "").to_lowercase();
    let entered = post(&issuer, &mut browser, &page.field("csrf"), &typed, &[]);
    let login = browser.follow(&issuer, entered);
    login.assert_page(200);
    assert!(login.body.contains("Television"));
    // §5.2 and our rule: digests, and nothing in clear.
    let stored = String::from_utf8_lossy(&issuer.folder().stored()).into_owned();
    for secret in [text(&device, "device_code"), code, &code.replace('-', "")] {
        assert!(!stored.contains(secret));
    }
    let consent = browser.log_in(&issuer, &login);
    consent.assert_page(200);
    for expected in
        ["Television", code, "mcp.example.com", "Read your files", ">ada<", "in front of you"]
    {
        assert!(consent.body.contains(expected), "{expected} in {}", consent.body);
    }
    assert!(!consent.body.contains("You will be sent"), "no redirect follows");
    let done = browser.press(&issuer, &consent, "allow", &[]);
    done.assert_page(200);
    assert!(done.body.contains("The device is connected"));

    let tokens = poll(&issuer, &client, &device, &[]);
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(tokens.header("cache-control"), "no-store");
    let tokens = tokens.json();
    let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
    assert_eq!((&claims["aud"], &claims["scope"]), (&FILES.into(), &"files:read".into()));
    assert_eq!(claims["client_id"], client.id);
    assert!(claims["auth_time"].is_i64());
    let refreshed = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    assert_eq!(refreshed.status, 200);
    assert_eq!(issuer.grants().len(), 1);
    // What was allowed once is asked about again (§5.4): the next device may be somebody else's.
    let next = begin(&issuer, &client, &[]);
    let consent = enter(&issuer, &mut browser, text(&next, "user_code"));
    assert!(consent.body.contains(text(&next, "user_code")), "{}", consent.body);
}

/// §3.5: who asks too often waits five seconds longer from then on, whichever node is asked.
#[test]
fn rfc_8628_slow_down_is_remembered() {
    let issuer = Issuer::start();
    let client = add(&issuer, "client_secret_basic");
    let device = begin(&issuer, &client, &[]);
    let ask = || poll(&issuer, &client, &device, &[]);
    let interval = || issuer.number("SELECT poll_interval FROM device_codes");
    ask().assert_error(400, "authorization_pending");
    // No clock decides here whether a poll is too soon.
    let soon = "UPDATE device_codes SET polled_at = polled_at + 1000";
    issuer.sql(soon);
    ask().assert_error(400, "slow_down");
    assert_eq!(interval(), 10);
    issuer.sql(soon);
    ask().assert_error(400, "slow_down");
    assert_eq!(interval(), 15);
    issuer.sql("UPDATE device_codes SET polled_at = polled_at - 15");
    ask().assert_error(400, "authorization_pending");
    assert_eq!(interval(), 15);
    // Once it is allowed nobody has to wait.
    decide(&issuer, &device, "allow").assert_page(200);
    issuer.sql(soon);
    assert_eq!(ask().status, 200);
}

/// §3.5: `access_denied`, `expired_token`.
#[test]
fn rfc_8628_denied_and_expired() {
    let issuer = Issuer::start();
    let client = add(&issuer, "none");
    let denied = begin(&issuer, &client, &[]);
    let page = decide(&issuer, &denied, "deny");
    page.assert_page(200);
    assert!(page.body.contains("The device was refused"));
    poll(&issuer, &client, &denied, &[]).assert_error(400, "access_denied");
    let again = enter(&issuer, &mut Browser::new(), text(&denied, "user_code"));
    again.assert_page(400);

    // The page is open, and somebody looks at it for too long; or nobody fetches what was allowed.
    let device = begin(&issuer, &client, &[]);
    let allowed = begin(&issuer, &client, &[]);
    decide(&issuer, &allowed, "allow").assert_page(200);
    let mut browser = Browser::new();
    let login = enter(&issuer, &mut browser, text(&device, "user_code"));
    let consent = browser.log_in(&issuer, &login);
    issuer.sql("UPDATE device_codes SET expires_at = expires_at - 600");
    browser.press(&issuer, &consent, "allow", &[]).assert_page(400);
    for device in [&device, &allowed] {
        poll(&issuer, &client, device, &[]).assert_error(400, "expired_token");
    }
    enter(&issuer, &mut Browser::new(), text(&device, "user_code")).assert_page(400);
}

/// §5.4: nobody gives itself a grant with which others can be made to log in for it.
#[test]
fn attack_39_nobody_registers_for_devices() {
    let issuer = Issuer::start();
    let answer = issuer.register(&json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", GRANT],
    }));
    let registered = json!(["authorization_code", "refresh_token"]);
    assert_eq!(answer.json()["grant_types"], registered);
    let only = json!({ "redirect_uris": [CALLBACK], "grant_types": [GRANT] });
    issuer.register(&only).assert_error(400, "invalid_client_metadata");
    let id = text(&answer.json(), "client_id").to_owned();
    let stranger = Client { id, secret: None, method: "none".to_owned() };
    for client in [stranger, issuer.client()] {
        let begun = issuer.post("/device_authorization", &client, &[]);
        begun.assert_error(400, "unauthorized_client");
        let device = json!({ "device_code": "dc_x" });
        poll(&issuer, &client, &device, &[]).assert_error(400, "unauthorized_client");
    }
    let device = add(&issuer, "client_secret_post");
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..device.clone() };
    issuer.post("/device_authorization", &wrong, &[]).assert_error(401, "invalid_client");
    // It has no page to send anybody to, either.
    get(&issuer.authorize_url(&device, &[])).assert_page(400);
}

/// RFC 8707, and the rules for scopes: as for codes. OAuch: a parameter twice, GET.
#[test]
fn resources_and_scopes_are_checked_as_for_codes() {
    let issuer = Issuer::start();
    let client = add(&issuer, "none");
    let ask = |more: &[(&str, &str)]| issuer.post("/device_authorization", &client, more);
    ask(&[("resource", "https://other.example")]).assert_error(400, "invalid_target");
    ask(&[("resource", FILES), ("resource", MAIL)]).assert_error(400, "invalid_target");
    ask(&[("resource", FILES), ("scope", "mail:send")]).assert_error(400, "invalid_scope");
    ask(&[("scope", "files:read"), ("scope", "files:write")]).assert_error(400, "invalid_request");
    let url = issuer.at("/device_authorization");
    assert_eq!(get(&url).status, 405);
    assert_eq!(send("PUT", &issuer.at("/device"), &[], Some("")).status, 405);
    let device = begin(&issuer, &client, &[("resource", MAIL)]);
    decide(&issuer, &device, "allow").assert_page(200);
    let other = poll(&issuer, &client, &device, &[("resource", FILES)]);
    other.assert_error(400, "invalid_target");
    // Attack 10: it was not used up.
    let tokens = poll(&issuer, &client, &device, &[("resource", MAIL)]).json();
    assert_eq!(tokens["scope"], "mail:send");
}

/// Attacks 5, 6 and 15: a code is worth something to its client, and as what it is.
#[test]
fn attack_6_codes_of_other_kinds_and_clients() {
    let issuer = Issuer::start();
    let (client, other) = (add(&issuer, "none"), add(&issuer, "none"));
    let device = begin(&issuer, &client, &[]);
    poll(&issuer, &other, &device, &[]).assert_error(400, "invalid_grant");
    decide(&issuer, &device, "allow").assert_page(200);
    poll(&issuer, &other, &device, &[]).assert_error(400, "invalid_grant");
    let user_code = text(&device, "user_code");
    for forged in [user_code, &user_code.replace('-', ""), "dc_", "ac_x", "\0"] {
        let forged = json!({ "device_code": forged });
        poll(&issuer, &client, &forged, &[]).assert_error(400, "invalid_grant");
    }
    let missing = issuer.token(&client, &[("grant_type", GRANT)]);
    missing.assert_error(400, "invalid_request");
    let app = issuer.client();
    let code = text(&device, "device_code");
    let as_code =
        [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
    issuer.token(&app, &as_code).assert_error(400, "invalid_grant");
    enter(&issuer, &mut Browser::new(), code).assert_page(400);
    assert_eq!(poll(&issuer, &client, &device, &[]).status, 200, "its client may use it");
}

/// Attacks 7 and 8: 20 redemptions at once have one success; whoever brings it again ends the grant.
#[test]
fn attack_8_device_codes_are_redeemed_once() {
    let issuer = Issuer::start();
    let client = add(&issuer, "none");
    let device = begin(&issuer, &client, &[]);
    decide(&issuer, &device, "allow").assert_page(200);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let ask = || poll(&issuer, &client, &device, &[]);
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.assert_error(400, "invalid_grant");
    }
    poll(&issuer, &client, &device, &[]).assert_error(400, "invalid_grant");
    let tokens = answers.iter().find(|answer| answer.status == 200).unwrap().json();
    let refresh = text(&tokens, "refresh_token");
    issuer.refresh(&client, refresh, &[]).assert_error(400, "invalid_grant");
    assert_eq!(issuer.grants().len(), 0);
}

/// Attacks 22 and 23: shut out between the decision and the redemption.
#[test]
fn attack_22_shut_out_before_redemption() {
    let issuer = Issuer::start();
    let client = add(&issuer, "none");
    let [first, second, waiting] = [(); 3].map(|()| begin(&issuer, &client, &[]));
    for device in [&first, &second] {
        decide(&issuer, device, "allow").assert_page(200);
    }
    let mut browser = Browser::new();
    let login = enter(&issuer, &mut browser, text(&waiting, "user_code"));
    let consent = browser.log_in(&issuer, &login);
    issuer.disable_user(ACCOUNT);
    poll(&issuer, &client, &first, &[]).assert_error(400, "invalid_grant");
    // The session is gone with the user.
    let page = browser.press(&issuer, &consent, "allow", &[]);
    assert!(page.status == 403 || page.body.contains("type=\"password\""), "{page:?}");
    poll(&issuer, &client, &waiting, &[]).assert_error(400, "authorization_pending");
    issuer.enable_user(ACCOUNT);
    issuer.disable_client(&client);
    poll(&issuer, &client, &second, &[]).assert_error(401, "invalid_client");
    issuer.enable_client(&client);
    poll(&issuer, &client, &second, &[]).assert_error(400, "invalid_grant");
}

/// Attacks 12, 45 and 47: the form and the decision belong to one browser, and count once.
#[test]
fn attack_47_forms_from_elsewhere() {
    let issuer = Issuer::start();
    let client = add(&issuer, "none");
    let device = begin(&issuer, &client, &[]);
    let code = text(&device, "user_code");
    let mut browser = Browser::new();
    let page = browser.send("GET", &issuer.at("/device"), &[BY_ITSELF], None);
    let csrf = page.field("csrf");
    let mut other = Browser::new();
    post(&issuer, &mut other, &csrf, code, &[]).assert_page(403);
    post(&issuer, &mut browser, "", code, &[]).assert_page(403);
    for headers in [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]] {
        post(&issuer, &mut browser, &csrf, code, &headers).assert_page(403);
    }
    let entered = post(&issuer, &mut browser, &csrf, code, &[]);
    let interaction = entered.header("location").to_owned();
    other.open(&interaction).assert_page(403);
    // Two people have the code: one of them decides.
    let login = browser.follow(&issuer, entered);
    let consent = browser.log_in(&issuer, &login);
    let second = enter(&issuer, &mut other, code);
    let second = other.log_in(&issuer, &second);
    browser.press(&issuer, &consent, "allow", &[]).assert_page(200);
    browser.press(&issuer, &consent, "allow", &[]).assert_page(400);
    other.press(&issuer, &second, "allow", &[]).assert_page(400);
    assert_eq!(issuer.grants().len(), 1);
    // Attack 48: what is no code is not shown.
    let script = "/device?user_code=%3Cscript%3Ealert(1)%3C/script%3E";
    let page = browser.send("GET", &issuer.at(script), &[BY_ITSELF], None);
    page.assert_page(200);
    assert!(!page.body.contains("alert"), "{}", page.body);
}

/// §5.1: guesses are few, from one address; right ones do not set anybody free.
#[test]
fn rfc_8628_guesses_are_limited() {
    let folder = Folder::new();
    let mut config = folder.config();
    config.trusted_proxies = 1;
    let issuer = Issuer::run(folder, config).unwrap();
    issuer.add_user(ACCOUNT, PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read your files", "")], true);
    let client = add(&issuer, "none");
    let device = begin(&issuer, &client, &[]);
    let mut browser = Browser::new();
    let page = browser.send("GET", &issuer.at("/device"), &[BY_ITSELF], None);
    let csrf = page.field("csrf");
    let mut guess = |code: &str, address: &str| {
        post(&issuer, &mut browser, &csrf, code, &[("x-forwarded-for", address)])
    };
    // One more is let in every six seconds, however slow this machine is.
    let mut let_in = 0;
    while let_in < 200 && guess("BBBB-BBBB", "198.51.100.7").status == 400 {
        let_in += 1;
    }
    assert!((10..200).contains(&let_in), "{let_in}");
    let code = text(&device, "user_code").to_owned();
    let mut refused = guess(&code, "198.51.100.7");
    for _ in 0..50 {
        // A new turn came just now; it is used up by the next guess.
        if refused.status == 429 {
            break;
        }
        refused = guess("BBBB-BBBB", "198.51.100.7");
    }
    refused.assert_page(429);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert!(refused.body.contains("Too many tries"));
    assert_eq!(guess(&code, "198.51.100.8").status, 303);
    // What a public client begins is stored: that is limited too.
    let begun = |address: &str| {
        let forwarded = [("x-forwarded-for", address)];
        issuer.post_with("/device_authorization", &client, &forwarded, &[]).status
    };
    let let_in = (0..2000).take_while(|_| begun("198.51.100.9") == 200).count();
    assert!((240..2000).contains(&let_in), "{let_in}");
    assert_eq!(begun("198.51.100.10"), 200);
}

/// RFC 9449 §5: who asks with a proof gets bound tokens, as by any other grant; asking too early uses no
/// proof up.
#[test]
fn rfc_9449_bound_tokens_for_devices() {
    let issuer = Issuer::start();
    let client = add(&issuer, "none");
    let device = begin(&issuer, &client, &[("scope", "files:read"), ("resource", FILES)]);
    let proof = proof_by(TestKey::Ed25519(9), &issuer.at("/token")).sign();
    let poll = |code: &str| {
        let form = [("grant_type", GRANT), ("device_code", code)];
        issuer.post_with("/token", &client, &[("dpop", &proof)], &form)
    };
    let code = text(&device, "device_code");
    poll(code).assert_error(400, "authorization_pending");
    decide(&issuer, &device, "allow");
    let tokens = poll(code);
    assert_eq!((tokens.status, &tokens.json()["token_type"]), (200, &json!("DPoP")), "{tokens:?}");
    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    issuer.refresh(&client, &refresh, &[]).assert_error(400, "invalid_dpop_proof");
}
