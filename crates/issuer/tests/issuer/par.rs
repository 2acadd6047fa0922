//! Authorization requests that the client pushes (RFC 9126). Names in brackets are those of the FAPI 2.0
//! conformance tests.

use crate::{
    browser::{Browser, text},
    http::{Answer, FORM, encode, get, send},
    issuer::{CALLBACK, CHALLENGE, Client, FILES, Issuer, MAIL, replaced},
    tokens::verified,
};

/// The usual request; those given replace a parameter, an empty value removes one.
fn push(issuer: &Issuer, client: &Client, changed: &[(&str, &str)]) -> Answer {
    let usual = [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "pushed"),
        ("scope", "files:read"),
        ("resource", FILES),
    ];
    issuer.post("/par", client, &replaced(&usual, changed))
}

fn reference(issuer: &Issuer, client: &Client) -> String {
    let answer = push(issuer, client, &[]);
    assert_eq!(answer.status, 201, "{}", answer.body);
    text(&answer.json(), "request_uri").to_owned()
}

fn open(issuer: &Issuer, client: &Client, uri: &str, more: &[(&str, &str)]) -> String {
    let usual = [("client_id", client.id.as_str()), ("request_uri", uri)];
    issuer.at(&format!("/authorize?{}", encode(&[&usual[..], more].concat())))
}

/// RFC 9126 §2.2, §4: the whole way, for public and confidential clients. Nothing beside the reference
/// counts.
#[test]
fn rfc_9126_whole_flow() {
    let issuer = Issuer::start();
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert_eq!(metadata["pushed_authorization_request_endpoint"], issuer.at("/par"));
    for method in ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] {
        let client = issuer.add_client(method, &[CALLBACK]);
        let answer = push(&issuer, &client, &[]);
        assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
        assert_eq!(answer.json()["expires_in"], 60);
        let uri = text(&answer.json(), "request_uri").to_owned();
        let random = uri.strip_prefix("urn:ietf:params:oauth:request_uri:pr_").unwrap();
        assert_eq!(random.len(), 43, "256 bits");
        let attack = [("scope", "files:write"), ("state", "other"), ("resource", MAIL)];
        let url = open(&issuer, &client, &uri, &attack);
        let answer = Browser::new().authorize(&issuer, &url);
        assert_eq!(answer.parameter("state"), "pushed");
        let tokens = issuer.redeem(&client, &answer.parameter("code"), &[]).json();
        let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
        assert_eq!((&claims["scope"], &claims["aud"]), (&"files:read".into(), &FILES.into()));
    }
}

/// [par-attempt-reuse-request_uri], [par-attempt-to-use-expired-request_uri],
/// [par-attempt-to-use-request_uri-for-different-client], attack 6: once, in time, by its client.
#[test]
fn references_are_used_once_in_time_by_their_client() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let uri = reference(&issuer, &client);
    let other = issuer.client();
    get(&open(&issuer, &other, &uri, &[])).assert_page(400);
    assert_eq!(get(&open(&issuer, &client, &uri, &[])).status, 303);
    get(&open(&issuer, &client, &uri, &[])).assert_page(400);

    let late = reference(&issuer, &client);
    issuer.sql("UPDATE pushed_requests SET expires_at = expires_at - 60");
    get(&open(&issuer, &client, &late, &[])).assert_page(400);
    let code = issuer.code(&client, &[]);
    for forged in [
        "urn:ietf:params:oauth:request_uri:".to_owned(),
        "urn:ietf:params:oauth:request_uri:pr_x".to_owned(),
        format!("urn:ietf:params:oauth:request_uri:{code}"),
        format!("{}x", reference(&issuer, &client)),
    ] {
        get(&open(&issuer, &client, &forged, &[])).assert_page(400);
    }
    // Nothing is fetched, whatever the URI says (RFC 9101 §10.4.1).
    let url = issuer.authorize_url(&client, &[("request_uri", "https://evil.example/request")]);
    assert_eq!(get(&url).parameter("error"), "request_uri_not_supported");
}

/// [par-ensure-pkce-required], [par-plain-pkce-rejected], [par-containing-request_uri], §2.3: the client
/// is told at once what the browser would be refused for.
#[test]
fn refused_when_they_are_pushed() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let uri = reference(&issuer, &client);
    for (changed, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("request_uri", uri.as_str()), "invalid_request"),
        (("request_uri", "https://app.example.com/r"), "invalid_request"),
        (("request", "x.y.z"), "invalid_request_object"),
        (("redirect_uri", "https://evil.example/cb"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("scope", "files:admin"), "invalid_scope"),
        (("resource", "https://unknown.example"), "invalid_target"),
    ] {
        push(&issuer, &client, &[changed]).assert_error(400, error);
    }
    // OAuch SameParameterTwice.
    let twice = encode(&[("client_id", &client.id), ("state", "a"), ("state", "b")]);
    let answer = send("POST", &issuer.at("/par"), &[FORM], Some(&twice));
    answer.assert_error(400, "invalid_request");
    assert_eq!(get(&issuer.at("/par")).status, 405);
}

/// §2: by the client that it is from, authenticated as ever.
#[test]
fn only_its_client_pushes() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..client.clone() };
    push(&issuer, &wrong, &[]).assert_error(401, "invalid_client");
    let public = Client { method: "none".to_owned(), ..client.clone() };
    push(&issuer, &public, &[]).assert_error(401, "invalid_client");
    let other = issuer.client();
    push(&issuer, &client, &[("client_id", &other.id)]).assert_error(401, "invalid_client");
    let service = issuer.add_service("client_secret_post", &[(FILES, "files:read")]);
    let refused = push(&issuer, &service, &[]);
    assert_eq!(refused.status, 400, "it has no users: {}", refused.body);
}

/// Nothing that authenticates a client is stored with its request, nor anything that nobody reads.
#[test]
fn credentials_are_not_stored() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_post", &[CALLBACK]);
    let more = [("x-large", "y".repeat(50_000)), ("nonce", "n".to_owned())];
    let more = more.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(push(&issuer, &client, &more).status, 201);
    let kept = "SELECT COUNT(*) FROM pushed_requests WHERE request LIKE '%nonce=n%' AND NOT request \
                LIKE '%x-large%'";
    assert_eq!(issuer.number(kept), 1);
    let found = issuer.number(
        "SELECT COUNT(*) FROM pushed_requests WHERE request LIKE '%client_secret%' OR request LIKE \
         '%assertion%'",
    );
    assert_eq!(found, 0);
    assert_eq!(issuer.number("SELECT COUNT(*) FROM pushed_requests"), 1);
}

/// OpenID Connect Core §3.1.2.1 still holds behind a reference.
#[test]
fn prompts_are_pushed_too() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let uri = |prompt: &str| {
        let answer = push(&issuer, &client, &[("prompt", prompt)]);
        text(&answer.json(), "request_uri").to_owned()
    };
    let silent = get(&open(&issuer, &client, &uri("none"), &[]));
    assert_eq!(silent.parameter("error"), "login_required");
    assert_eq!(silent.parameter("iss"), issuer.url);
    let mut browser = Browser::new();
    browser.authorize(&issuer, &open(&issuer, &client, &uri("consent"), &[]));
    // The same second counts as now: prompt=login asks for a login that is no older than the request.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let again = browser.visit(&issuer, &open(&issuer, &client, &uri("login"), &[]));
    assert!(again.body.contains("type=\"password\""), "{again:?}");
}
