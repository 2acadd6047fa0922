//! Authorization requests (OAuth 2.1 §4.1.1): refused here, refused to the client, or shown.

use crate::{
    browser::Browser,
    http::{Answer, get},
    issuer::{CALLBACK, CHALLENGE, Client, FILES, Issuer},
};

fn request(issuer: &Issuer, client: &Client, changed: &[(&str, &str)]) -> Answer {
    get(&issuer.authorize_url(client, changed))
}

/// An error that the client is told, with `state` and `iss` (OAuth 2.1 §4.1.2.1, RFC 9207 §2).
#[track_caller]
fn assert_told(issuer: &Issuer, answer: &Answer, error: &str) {
    let (target, _) = answer.redirect();
    assert_eq!((target.as_str(), answer.parameter("error").as_str()), (CALLBACK, error));
    assert_eq!(answer.parameter("iss"), issuer.url);
    assert_eq!(answer.parameter("state"), "a state/with ünusual&chars");
    assert!(!answer.header("location").contains("code="));
}

/// OAuth 2.1 §4.1.2.1, RFC 9700 §4.1.1: nobody is sent to an address that is not registered.
#[test]
fn attack_1_unregistered_redirect_uri_stays_here() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for uri in [
        "https://evil.example/callback",
        "https://app.example.com/callback/",
        "https://app.example.com/callback?x=1",
        "https://app.example.com/callback#x",
        "https://app.example.com/callback/../evil",
        "https://app.example.com/Callback",
        "https://APP.example.com/callback",
        "https://app.example.com:443/callback",
        "https://app.example.com:8443/callback",
        "https://app.example.com@evil.example/callback",
        "https://app.example.com.evil.example/callback",
        "https://app.example.com\\@evil.example/callback",
        "http://app.example.com/callback",
        "//app.example.com/callback",
        "/callback",
        "javascript:alert(1)//https://app.example.com/callback",
        "https://app.example.com/callback\r\nset-cookie: x=y",
        " https://app.example.com/callback",
    ] {
        request(&issuer, &client, &[("redirect_uri", uri)]).assert_page(400);
    }
}

/// Complaint 7: a person sees what is wrong and what to do, since no client can be told.
#[test]
fn unknown_client_is_explained() {
    let issuer = Issuer::start();
    for id in ["", "c_unknown", "' OR 1=1 --", "\0", &"x".repeat(5000)] {
        let client = Client { id: id.to_owned(), secret: None, method: String::new() };
        request(&issuer, &client, &[]).assert_page(400);
    }
}

/// OAuth 2.1 §3.1: parameters are sent once.
#[test]
fn repeated_parameters_are_refused() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let url = issuer.authorize_url(&client, &[]);
    // Those that decide who is answered cannot be answered.
    get(&format!("{url}&client_id=c_other")).assert_page(400);
    get(&format!("{url}&client_id={}", client.id)).assert_page(400);
    get(&format!("{url}&redirect_uri=https%3A%2F%2Fevil.example")).assert_page(400);
    for more in [
        "response_type=code",
        "scope=files:read",
        "code_challenge_method=S256",
        "code_challenge=x",
        "unknown=1&unknown=2",
    ] {
        let answer = get(&format!("{url}&{more}"));
        assert_eq!(answer.parameter("error"), "invalid_request", "{more}");
    }
    let answer = get(&format!("{url}&state=other"));
    assert_eq!(answer.parameter("error"), "invalid_request");
    assert!(!answer.header("location").contains("state="), "which of them would it be?");
    let answer = get(&format!("{url}&resource=https%3A%2F%2Fmail.example.com"));
    assert_told(&issuer, &answer, "invalid_target");
}

/// RFC 7636 §4.3: a missing method means `plain`, which is never taken.
#[test]
fn attack_3_only_s256() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for method in ["", "plain", "s256", "S512", "S256 "] {
        let answer = request(&issuer, &client, &[("code_challenge_method", method)]);
        assert_told(&issuer, &answer, "invalid_request");
    }
    for challenge in ["short", &"a".repeat(44), &format!("{CHALLENGE}="), &"+".repeat(43)] {
        let answer = request(&issuer, &client, &[("code_challenge", challenge)]);
        assert_told(&issuer, &answer, "invalid_request");
    }
}

/// OAuth 2.1 §7.5.1, MCP AS-05: PKCE for every client, whatever its secret.
#[test]
fn attack_4_no_challenge() {
    let issuer = Issuer::start();
    for method in ["none", "client_secret_basic"] {
        let client = issuer.add_client(method, &[CALLBACK]);
        let without = [("code_challenge", ""), ("code_challenge_method", "")];
        assert_told(&issuer, &request(&issuer, &client, &without), "invalid_request");
        assert_told(
            &issuer,
            &request(&issuer, &client, &[("code_challenge", "")]),
            "invalid_request",
        );
    }
}

/// OAuth 2.1 §4.1.2.1, RFC 9101 §5.
#[test]
fn requests_that_are_not_supported() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for (changed, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("response_mode", "form_post"), "invalid_request"),
        (("request", "eyJhbGciOiJub25lIn0.e30."), "invalid_request_object"),
        (("request_uri", "https://app.example.com/r"), "request_uri_not_supported"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "soon"), "invalid_request"),
        (("nonce", &"n".repeat(5000)), "invalid_request"),
    ] {
        assert_told(&issuer, &request(&issuer, &client, &[changed]), error);
    }
    let answer = request(&issuer, &client, &[("foo", "bar"), ("response_mode", "query")]);
    assert!(answer.header("location").contains("interaction="), "unknown ones are ignored");
    let answer = crate::http::send("DELETE", &issuer.authorize_url(&client, &[]), &[], None);
    assert_eq!(answer.status, 405);
}

/// RFC 6749 §3.3, RFC 8707 §2: a resource's scopes, and no other's.
#[test]
fn scopes_are_those_of_the_resource() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for scope in ["admin", "files:read admin", "mail:send", "files:read mail:send", "files:READ"] {
        let answer = request(&issuer, &client, &[("scope", scope)]);
        assert_told(&issuer, &answer, "invalid_scope");
    }
    for scope in ["files:read  files:write", " files:read", "files:\"", "files:rëad"] {
        let answer = request(&issuer, &client, &[("scope", scope)]);
        assert_told(&issuer, &answer, "invalid_scope");
    }
    for (asked, granted) in [
        ("files:read files:write", "files:read files:write"),
        ("files:write", "files:write"),
        ("files:read offline_access", "files:read offline_access"),
        ("", "files:read"),
        ("offline_access", "offline_access files:read"),
        ("files:read files:read", "files:read"),
    ] {
        assert_eq!(issuer.tokens(&client, &[("scope", asked)])["scope"], granted, "{asked}");
    }
}

/// Complaint 7 of RFC 8252 §7.3: the port of a loopback address is free, everything else is not.
#[test]
fn rfc_8252_loopback_ports() {
    let issuer = Issuer::start();
    let registered = ["http://localhost/callback", "http://127.0.0.1:33418/", "http://[::1]/cb"];
    let client = issuer.add_client("none", &registered);
    for uri in ["http://localhost:51234/callback", "http://127.0.0.1:1/", "http://[::1]:65535/cb"] {
        let url = issuer.authorize_url(&client, &[("redirect_uri", uri)]);
        let answer = Browser::new().authorize(&issuer, &url);
        assert_eq!(answer.redirect().0, uri);
        // The token request must repeat what was sent, not what is registered.
        let code = answer.parameter("code");
        let other = [("redirect_uri", "http://localhost/callback")];
        issuer.redeem(&client, &code, &other).assert_error(400, "invalid_grant");
        assert_eq!(issuer.redeem(&client, &code, &[("redirect_uri", uri)]).status, 200);
    }
    for uri in [
        "http://localhost:1/other",
        "http://127.0.0.1:1/callback",
        "http://127.0.0.2:1/",
        "http://localhost:1@evil.example/callback",
        "http://localhost:99999/callback",
        "https://localhost:1/callback",
    ] {
        request(&issuer, &client, &[("redirect_uri", uri)]).assert_page(400);
    }
}

/// OAuth 2.1 §4.1.1: with one registered address it may be left out.
#[test]
fn redirect_uri_may_be_left_out_if_there_is_one() {
    let issuer = Issuer::start();
    let without = [("redirect_uri", "")];
    let answer = request(&issuer, &issuer.client(), &[("redirect_uri", ""), ("scope", "x")]);
    assert_eq!(answer.redirect().0, CALLBACK);
    let two = issuer.add_client("none", &[CALLBACK, "https://app.example.com/other"]);
    request(&issuer, &two, &without).assert_page(400);
}

/// RFC 9700 §4.11.2: who registered by themselves cannot use this server as an open redirector.
#[test]
fn strangers_errors_are_not_redirected_to_the_web() {
    let issuer = Issuer::start();
    let client = issuer.registered("https://evil.example/landing");
    let changed = [("redirect_uri", "https://evil.example/landing"), ("scope", "nonsense")];
    let answer = request(&issuer, &client, &changed);
    answer.assert_page(400);
    assert!(answer.body.contains("evil.example"), "the person can still go on");
    let native = issuer.registered("http://127.0.0.1/cb");
    let changed = [("redirect_uri", "http://127.0.0.1:7/cb"), ("scope", "nonsense")];
    assert_eq!(request(&issuer, &native, &changed).parameter("error"), "invalid_scope");
}

/// The query of a registered address stays, with the response after it (OAuth 2.1 §2.3).
#[test]
fn registered_query_is_kept() {
    let issuer = Issuer::start();
    let callback = "https://app.example.com/cb?tenant=1";
    let client = issuer.add_client("none", &[callback]);
    let answer = request(&issuer, &client, &[("redirect_uri", callback), ("scope", "x")]);
    assert!(answer.header("location").starts_with(&format!("{callback}&error=invalid_scope")));
}

/// OpenID Connect Core §3.1.2.1: a request may come as a form.
#[test]
fn request_as_a_form() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let url = issuer.authorize_url(&client, &[("resource", FILES)]);
    let body = url.split_once('?').unwrap().1;
    let answer =
        crate::http::send("POST", &issuer.at("/authorize"), &[crate::http::FORM], Some(body));
    assert!(answer.header("location").contains("/authorize?interaction="));
}
