//! Clients whose `client_id` is the URL of a document about them
//! (draft-ietf-oauth-client-id-metadata-document-03, MCP AS-06 to AS-09).

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use countersign_issuer::{ClientDocuments, Config};
use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, text},
    http::{Answer, get},
    issuer::{CALLBACK, Client, FILES, Folder, Issuer, asserting, assertion},
    site::{Page, Site},
    tokens::verified,
};

/// An issuer with a user and a resource that can reach the site.
fn start(site: &Site, adjust: impl FnOnce(&mut Config)) -> Issuer {
    let folder = Folder::new();
    let mut config = folder.config();
    site.allow(&mut config, folder.path());
    adjust(&mut config);
    let issuer = Issuer::run(folder, config).unwrap();
    issuer.add_user(crate::issuer::ACCOUNT, crate::issuer::PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read your files", "")], true);
    issuer
}

fn described(site: &Site) -> Client {
    Client { id: site.client_id(), secret: None, method: "none".to_owned() }
}

/// The page that a user sees first.
fn visit(issuer: &Issuer, client: &Client) -> Answer {
    Browser::new().visit(issuer, &issuer.authorize_url(client, &[]))
}

/// Lets the held document grow old.
fn age(issuer: &Issuer) {
    issuer.sql("UPDATE client_documents SET fresh_until = fresh_until - 86400");
}

/// AS-06, AS-07, AS-08: nobody registers; the user sees which site it is, and where the answer goes.
#[test]
fn as_06_whole_flow() {
    let site = Site::start();
    site.serve(Page::json(site.document().to_string()));
    let issuer = start(&site, |_| ());
    let client = described(&site);
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);

    let mut browser = Browser::new();
    // Complaint 2: documents of native apps have no port.
    let callback = "http://localhost:51234/callback";
    let login =
        browser.visit(&issuer, &issuer.authorize_url(&client, &[("redirect_uri", callback)]));
    assert!(login.body.contains("A described app"), "{}", login.body);
    let consent = browser.log_in(&issuer, &login);
    consent.assert_page(200);
    let host = site.url.strip_prefix("https://").unwrap();
    assert!(consent.body.contains(&format!("<strong>{host}</strong>")), "{}", consent.body);
    assert!(consent.body.contains("<strong>localhost:51234</strong>"));
    assert!(consent.body.contains("not verified"));
    let code = browser.press(&issuer, &consent, "allow", &[]).parameter("code");
    let answer = issuer.redeem(&client, &code, &[("redirect_uri", callback)]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (_, claims) = verified(&issuer, text(&answer.json(), "access_token"));
    assert_eq!(claims["client_id"], client.id);
    let refreshed = issuer.refresh(&client, text(&answer.json(), "refresh_token"), &[]);
    assert_eq!(refreshed.status, 200);
    let requests = site.take();
    assert_eq!(requests.len(), 1, "one document for all of it: {requests:?}");
    assert!(requests[0].starts_with("GET /client.json HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(!requests[0].to_ascii_lowercase().contains("referer"));
    // Every time anew: anybody can use this client_id (attack 44).
    let again =
        browser.visit(&issuer, &issuer.authorize_url(&client, &[("redirect_uri", callback)]));
    again.assert_page(200);
}

/// AS-08, SBP: whoever answers on the user's computer only could be any program there.
#[test]
fn as_08_localhost_only_is_warned_about() {
    let site = Site::start();
    let warning = "another program here could pretend to be it";
    let callback = [("redirect_uri", "http://localhost:1/callback")];
    for (uris, warned) in [
        (json!(["http://localhost/callback", "http://127.0.0.1/callback"]), true),
        (json!(["http://localhost/callback", CALLBACK]), false),
    ] {
        let mut document = site.document();
        document["redirect_uris"] = uris;
        site.serve(Page::json(document.to_string()));
        let issuer = start(&site, |_| ());
        let mut browser = Browser::new();
        let login = browser.visit(&issuer, &issuer.authorize_url(&described(&site), &callback));
        let consent = browser.log_in(&issuer, &login);
        assert_eq!(consent.body.contains(warning), warned, "{}", consent.body);
    }
}

/// Attack 38: whatever is not a good document ends on a page, and nothing of it is kept.
#[test]
fn attack_38_bad_documents() {
    let site = Site::start();
    let issuer = start(&site, |_| ());
    let client = described(&site);
    let good = site.document();
    let with = |name: &str, value: Value| {
        let mut document = good.clone();
        document[name] = value;
        Page::json(document.to_string())
    };
    let mut twice = good.to_string();
    twice.insert_str(1, "\"client_name\":\"x\",");
    let whole = || Page::json(good.to_string());
    for (what, page) in [
        ("redirect", Page { status: 302, ..whole().header("location", &site.client_id()) }),
        ("redirect", Page { status: 307, ..whole().header("location", "https://127.0.0.1/x") }),
        ("status", Page { status: 404, ..whole() }),
        ("status", Page { status: 201, ..whole() }),
        ("type", whole().header("content-type", "text/html")),
        ("type", whole().header("content-type", "text/plain; application/json")),
        ("size", with("x", json!("x".repeat(21_000)))),
        ("other", with("client_id", json!("https://other.example/client.json"))),
        ("other", with("client_id", json!(format!("{}?", site.client_id())))),
        ("secret", with("client_secret", json!("x"))),
        ("method", with("token_endpoint_auth_method", json!("client_secret_basic"))),
        ("name", with("client_name", Value::Null)),
        ("uris", with("redirect_uris", json!([]))),
        ("uris", with("redirect_uris", json!(["javascript:alert(1)"]))),
        ("twice", Page::json(twice)),
        ("json", Page::json("<html>")),
    ] {
        site.take();
        site.serve(page);
        for _ in 0..2 {
            visit(&issuer, &client).assert_page(400);
        }
        assert_eq!(site.take().len(), 2, "{what}: fetched again, not kept, not followed");
        issuer.redeem(&client, "ac_x", &[]).assert_error(401, "invalid_client");
    }
    site.serve(whole());
    visit(&issuer, &client).assert_page(200);
}

/// Attack 38, and spec §8: three seconds are enough for everybody, and who takes longer is not asked
/// again at once.
#[test]
fn attack_38_slow_sites() {
    let site = Site::start();
    let issuer = start(&site, |_| ());
    let client = described(&site);
    site.serve(Page::json(site.document().to_string()));
    visit(&issuer, &client).assert_page(200);
    // Too old to be used while the site is down.
    age(&issuer);
    age(&issuer);
    // Longer than anybody here waits.
    site.serve(Page { delay: Duration::from_secs(300), ..Page::status(200) });
    site.take();
    let answer = issuer.redeem(&client, "ac_x", &[]);
    answer.assert_error(503, "temporarily_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    let failed = Instant::now();
    visit(&issuer, &client).assert_page(503);
    // One request holds one slot, and the next ones none, for ten seconds.
    assert!(site.take().len() == 1 || failed.elapsed() > Duration::from_secs(9));
}

/// Where clients that are known come back, an address makes nobody fetch or store anything.
#[test]
fn attack_37_strangers_make_nobody_fetch() {
    let site = Site::start();
    let mut document = site.document();
    document["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "none"]);
    document["jwks"] = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    site.serve(Page::json(document.to_string()));
    let issuer = start(&site, |_| ());
    let client = Client { method: "private_key_jwt".to_owned(), ..described(&site) };
    let form = [("grant_type", "refresh_token"), ("refresh_token", "rt_x"), ("token", "x")];
    for method in ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let stranger = Client { method: method.to_owned(), ..client.clone() };
        for path in ["/token", "/revoke", "/introspect"] {
            issuer.post(path, &stranger, &form).assert_error(401, "invalid_client");
        }
    }
    assert!(site.take().is_empty());
    assert_eq!(issuer.number("SELECT COUNT(*) FROM clients"), 0);
    assert_eq!(issuer.number("SELECT COUNT(*) FROM client_documents"), 0);
    // Where it may begin it is fetched; then it is known, and looked at again when it is old.
    visit(&issuer, &client).assert_page(200);
    assert_eq!(site.take().len(), 1);
    issuer.post("/token", &client, &form).assert_error(400, "invalid_grant");
    assert!(site.take().is_empty());
    age(&issuer);
    issuer.post("/token", &client, &form).assert_error(400, "invalid_grant");
    assert_eq!(site.take().len(), 1);
    // Documents are forgotten sooner than clients.
    issuer.sql("DELETE FROM client_documents");
    issuer.post("/token", &client, &form).assert_error(400, "invalid_grant");
    assert_eq!(site.take().len(), 1);
}

/// A clock that leapt while a document was fetched must not make it fresh for ever.
#[test]
fn complaint_14_fresh_for_a_day_at_most() {
    let site = Site::start();
    site.serve(Page::json(site.document().to_string()));
    let issuer = start(&site, |_| ());
    visit(&issuer, &described(&site)).assert_page(200);
    issuer.sql("UPDATE client_documents SET fresh_until = fresh_until + 31536000");
    site.take();
    visit(&issuer, &described(&site)).assert_page(200);
    assert_eq!(site.take().len(), 1);
    visit(&issuer, &described(&site)).assert_page(200);
    assert!(site.take().is_empty());
}

/// Attack 38: `client_id`s that are no good URLs are never fetched.
#[test]
fn attack_38_bad_urls() {
    let site = Site::start();
    site.serve(Page::json(site.document().to_string()));
    let issuer = start(&site, |_| ());
    for id in [
        site.url.clone(),
        format!("{}/", site.url),
        format!("{}/a/../client.json", site.url),
        format!("{}/%2e%2e/client.json", site.url),
        format!("{}#x", site.client_id()),
        site.client_id().replace("localhost", "LOCALHOST"),
        site.client_id().replace("https://", "https://user@"),
        site.client_id().replace("https://", "http://"),
        "https://".to_owned(),
    ] {
        let client = Client { id, ..described(&site) };
        visit(&issuer, &client).assert_page(400);
        issuer.redeem(&client, "ac_x", &[]).assert_error(401, "invalid_client");
    }
    assert!(site.take().is_empty());
}

/// Attack 37: without the operator's word, nothing inside is ever connected to.
#[test]
fn attack_37_nothing_inside_is_connected_to() {
    let issuer = Issuer::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"] {
        let id = format!("https://{host}:{port}/client.json");
        let client = Client { id, secret: None, method: "none".to_owned() };
        visit(&issuer, &client).assert_page(400);
    }
    let answer = issuer.register(&json!({
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": format!("https://127.0.0.1:{port}/jwks"),
    }));
    answer.assert_error(400, "invalid_client_metadata");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// Complaint 14, RFC 9111: as long as the site says, within five minutes and a day.
#[test]
fn complaint_14_caching() {
    let site = Site::start();
    let issuer = start(&site, |_| ());
    let client = described(&site);
    let fresh = || issuer.number("SELECT fresh_until - fetched_at FROM client_documents");
    for (control, seconds) in [
        ("max-age=1", 300),
        ("no-store", 300),
        ("max-age=3600", 3600),
        ("max-age=31536000", 86_400),
    ] {
        age(&issuer);
        let page = Page::json(site.document().to_string()).header("cache-control", control);
        site.serve(page.header("etag", "\"1\""));
        visit(&issuer, &client).assert_page(200);
        assert!((seconds - 10..=seconds).contains(&fresh()), "{control}: {}", fresh());
        site.take();
        visit(&issuer, &client).assert_page(200);
        assert!(site.take().is_empty(), "{control}");
    }
    // Unchanged: asked cheaply, and kept.
    age(&issuer);
    site.serve(
        Page { body: String::new(), ..Page::status(304) }.header("cache-control", "max-age=600"),
    );
    visit(&issuer, &client).assert_page(200);
    assert!(site.take()[0].to_ascii_lowercase().contains("if-none-match: \"1\""));
    assert!((590..=600).contains(&fresh()));
    // Changed: the new redirect URI counts, the old one no longer.
    age(&issuer);
    let mut document = site.document();
    document["redirect_uris"] = json!(["https://new.example.com/callback"]);
    site.serve(Page::json(document.to_string()));
    visit(&issuer, &client).assert_page(400);
    let new = [("redirect_uri", "https://new.example.com/callback")];
    Browser::new().visit(&issuer, &issuer.authorize_url(&client, &new)).assert_page(200);
}

/// Complaint 13: a site that is down for a while stops nobody; one that says no does.
#[test]
fn complaint_13_sites_that_are_down() {
    let site = Site::start();
    let issuer = start(&site, |_| ());
    let client = described(&site);
    for status in [403, 429, 500, 503] {
        site.serve(Page::status(status));
        visit(&issuer, &client).assert_page(503);
        site.serve(Page::json(site.document().to_string()));
        visit(&issuer, &client).assert_page(200);
        issuer.sql("UPDATE client_documents SET fresh_until = fresh_until - 400");
        site.serve(Page::status(status));
        visit(&issuer, &client).assert_page(200);
        assert_eq!(site.take().len(), 3, "{status}");
        // For a day.
        age(&issuer);
        age(&issuer);
        visit(&issuer, &client).assert_page(503);
        site.take();
        issuer.sql("DELETE FROM client_documents");
    }
    site.serve(Page::json(site.document().to_string()));
    visit(&issuer, &client).assert_page(200);
    issuer.sql("UPDATE client_documents SET fresh_until = fresh_until - 400");
    for status in [404, 410] {
        site.serve(Page::status(status));
        visit(&issuer, &client).assert_page(400);
    }
}

/// Complaint 13: what cannot be fetched can be supplied.
#[test]
fn complaint_13_pinned_documents() {
    let site = Site::start();
    let issuer = start(&site, |config| config.client_documents = ClientDocuments::Off);
    let client = described(&site);
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    visit(&issuer, &client).assert_page(400);
    issuer.pin(&client.id, &site.document().to_string()).unwrap();
    visit(&issuer, &client).assert_page(200);
    assert!(issuer.tokens(&client, &[])["access_token"].is_string());
    age(&issuer);
    visit(&issuer, &client).assert_page(200);
    assert!(site.take().is_empty(), "never fetched");
    for bad in ["{}", "", &site.document().to_string().replace("client.json", "other.json")] {
        assert_eq!(issuer.pin(&client.id, bad).unwrap_err().reason(), "value_invalid");
    }
    assert!(issuer.pin("https://localhost", "{}").is_err());
}

/// AS-08: the administrator may name the sites.
#[test]
fn as_08_trusted_domains() {
    let site = Site::start();
    site.serve(Page::json(site.document().to_string()));
    let client = described(&site);
    for (domain, status) in [("localhost", 200), ("host", 400), ("example.com", 400)] {
        let domains = ClientDocuments::Domains(vec!["claude.ai".to_owned(), domain.to_owned()]);
        let issuer = start(&site, |config| config.client_documents = domains);
        site.take();
        visit(&issuer, &client).assert_page(status);
        assert_eq!(site.take().len(), usize::from(status == 200), "{domain}");
    }
}

/// AS-09, complaint 12: clients that sign, with keys in the document or beside it.
#[test]
fn as_09_private_key_jwt() {
    let site = Site::start();
    let jwks = |key: TestKey, kid: &str| json!({ "keys": [key.jwk(kid)] });
    let mut inline = site.document();
    inline["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "none"]);
    inline["jwks"] = jwks(TestKey::Es256(1), "es1");
    site.serve(Page::json(inline.to_string()));
    let issuer = start(&site, |_| ());
    let client = Client { method: "private_key_jwt".to_owned(), ..described(&site) };
    assert!(issuer.tokens(&client, &[])["access_token"].is_string());
    let public = described(&site);
    issuer.redeem(&public, "ac_x", &[]).assert_error(401, "invalid_client");

    let mut beside = site.document();
    beside["token_endpoint_auth_method"] = json!("private_key_jwt");
    beside["jwks_uri"] =
        json!(format!("{}/jwks", site.url).replace("localhost", "app.example.com"));
    age(&issuer);
    site.serve(Page::json(beside.to_string()));
    visit(&issuer, &client).assert_page(200);
    // That host does not exist: neither yes nor no.
    issuer.redeem(&client, "ac_x", &[]).assert_error(503, "temporarily_unavailable");
}

/// Complaint 12: keys are fetched, kept, and looked for again when one is new; not at each request.
#[test]
fn complaint_12_keys_beside_the_document() {
    let site = Site::start();
    let issuer = start(&site, |_| ());
    let client = Client { method: "private_key_jwt".to_owned(), ..described(&site) };
    let mut document = site.document();
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    document["jwks"] = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    issuer.pin(&client.id, &document.to_string()).unwrap();
    // The certificate is for localhost, which no document may name; the database may.
    issuer.sql_text(&format!("UPDATE clients SET jwks = NULL, jwks_uri = '{}/jwks'", site.url));
    let keys = |key: TestKey, kid: &str| {
        let page = Page::json(json!({ "keys": [key.jwk(kid)] }).to_string());
        site.serve(page.header("content-type", "application/jwk-set+json"));
    };
    let send = |key: TestKey, kid: &str| {
        let signed = assertion(&issuer.url, &client.id).key(key, kid).sign();
        let grant = [("grant_type", "refresh_token"), ("refresh_token", "rt_x")];
        let anonymous = Client { method: "assertion".to_owned(), ..client.clone() };
        issuer.post("/token", &anonymous, &[&grant[..], &asserting(&signed)].concat())
    };
    keys(TestKey::Es256(1), "es1");
    for _ in 0..3 {
        send(TestKey::Es256(1), "es1").assert_error(400, "invalid_grant");
    }
    assert_eq!(site.take().len(), 1);
    keys(TestKey::Es256(2), "es2");
    for _ in 0..3 {
        send(TestKey::Es256(2), "es2").assert_error(401, "invalid_client");
    }
    assert!(site.take().is_empty(), "not again within half a minute");
}

/// Keys that are not where they should be are no reason to ask for them at every request.
#[test]
fn complaint_12_keys_that_are_not_there() {
    let site = Site::start();
    let issuer = start(&site, |_| ());
    let client = Client { method: "private_key_jwt".to_owned(), ..described(&site) };
    let mut document = site.document();
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    document["jwks"] = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    issuer.pin(&client.id, &document.to_string()).unwrap();
    for (path, page, status) in [
        ("gone", Page::status(404), 401),
        ("wrong", Page::json("<html>"), 503),
        ("slow", Page { delay: Duration::from_secs(300), ..Page::status(200) }, 503),
    ] {
        let uri = format!("{}/{path}", site.url);
        issuer.sql_text(&format!("UPDATE clients SET jwks = NULL, jwks_uri = '{uri}'"));
        site.serve(page);
        let mut answered = Instant::now();
        for round in 0..3 {
            assert_eq!(issuer.redeem(&client, "ac_x", &[]).status, status, "{path}");
            if round == 0 {
                answered = Instant::now();
            }
        }
        let is_slow = answered.elapsed() > Duration::from_secs(9);
        assert!(site.take().len() == 1 || is_slow, "{path}");
    }
}

/// Attack 23, for a client that nobody registered.
#[test]
fn attack_23_disabled_document_clients() {
    let site = Site::start();
    site.serve(Page::json(site.document().to_string()));
    let issuer = start(&site, |_| ());
    let client = described(&site);
    let tokens = issuer.tokens(&client, &[]);
    issuer.disable_client(&client);
    age(&issuer);
    visit(&issuer, &client).assert_page(400);
    let refused = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    refused.assert_error(401, "invalid_client");
}

/// Who is deleted loses everything, and is a new client afterwards; who shall not come back is disabled.
#[test]
fn deleted_document_clients_begin_anew() {
    let site = Site::start();
    site.serve(Page::json(site.document().to_string()));
    let issuer = start(&site, |_| ());
    let client = described(&site);
    let tokens = issuer.tokens(&client, &[]);
    site.take();
    issuer.delete_client(&client);
    let refused = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    refused.assert_error(401, "invalid_client");
    assert!(site.take().is_empty(), "a stranger, until its user comes");
    assert!(issuer.tokens(&client, &[])["access_token"].is_string());
}
