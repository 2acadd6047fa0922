//! An issuer under a path, and its tokens as a guard reads them.

use std::net::TcpListener;

use countersign_core::{
    jose::{
        alg::Algorithm,
        jwks::{JwkSet, Selection},
        jws::CompactJws,
    },
    jwt::claims::Claims,
};

use crate::{
    browser::{BY_ITSELF, Browser, text},
    http::{FORM, encode, get},
    issuer::{ACCOUNT, FILES, Issuer, PASSWORD},
};

/// Under `/t/1`, and with its own lifetime of tokens.
fn start() -> (Issuer, String) {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let origin = format!("http://{listen}");
    let mut issuer = Issuer::empty(|config| {
        config.listen = listen;
        config.issuer = Some(format!("{origin}/t/1"));
        config.access_token_lifetime = 60;
    });
    issuer.url = format!("{origin}/t/1");
    issuer.add_user(ACCOUNT, PASSWORD);
    issuer.add_resource(FILES, &[("files:read", "Read your files", "")], true);
    (issuer, origin)
}

/// RFC 8414 §3.1, RFC 9068 §2.2, RFC 9207 §2: everything is under the path, and `iss` has it.
#[test]
fn rfc_8414_an_issuer_under_a_path() {
    let (issuer, origin) = start();
    let metadata = get(&format!("{origin}/.well-known/oauth-authorization-server/t/1")).json();
    assert_eq!(metadata["issuer"], issuer.url);
    for endpoint in
        ["authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint"]
    {
        assert!(text(&metadata, endpoint).starts_with(&issuer.at("/")), "{endpoint}");
        assert_ne!(get(text(&metadata, endpoint)).status, 404, "{endpoint}");
    }

    let client = issuer.client();
    let mut browser = Browser::new();
    let mut page = browser.visit(&issuer, &issuer.authorize_url(&client, &[]));
    for (action, name, password) in [("login", ACCOUNT, PASSWORD), ("allow", "", "")] {
        page.assert_page(200);
        assert!(page.body.contains("action=\"authorize\""), "relative to the page's own path");
        let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
        let form = [
            ("interaction", interaction.as_str()),
            ("csrf", &csrf),
            ("action", action),
            ("username", name),
            ("password", password),
        ];
        let headers = [FORM, ("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        let answer = browser.send("POST", &issuer.at("/authorize"), &headers, Some(&encode(&form)));
        page = browser.follow(&issuer, answer);
    }
    assert_eq!(page.parameter("iss"), issuer.url);
    let tokens = issuer.redeem(&client, &page.parameter("code"), &[]).json();
    assert_eq!(tokens["expires_in"], 60);

    // As a guard reads it.
    let token = text(&tokens, "access_token");
    let keys = JwkSet::parse(get(text(&metadata, "jwks_uri")).body.as_bytes(), 10).unwrap();
    assert!(keys.skipped().is_empty(), "a guard can use every key");
    let jws = CompactJws::parse(token).unwrap();
    assert_eq!(jws.header().typ.as_deref(), Some("at+jwt"));
    assert_eq!(jws.header().algorithm, Some(Algorithm::Es256));
    let Selection::Found(key) = keys.select(jws.header().kid.as_deref(), Algorithm::Es256) else {
        panic!("no key for {:?}", jws.header());
    };
    let verifier = key.verifier(Algorithm::Es256).unwrap();
    assert!(verifier.verify(jws.signing_input().as_bytes(), jws.signature()));
    let claims = Claims::parse(jws.payload()).unwrap();
    assert_eq!(claims.issuer.as_deref(), Some(issuer.url.as_str()));
    assert_eq!(claims.audience, [FILES]);
    assert_eq!(claims.expires_at.unwrap() - claims.issued_at.unwrap(), 60);
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "auth_time", "scope"] {
        assert!(claims.has(name), "{name}");
    }
    assert_eq!(issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).status, 200);
}

/// The root of the host is another issuer's place.
#[test]
fn nothing_is_outside_of_the_path() {
    let (issuer, origin) = start();
    for path in ["/authorize", "/token", "/device", "/jwks", "/register", "/healthz"] {
        let answer = Browser::new().send("GET", &format!("{origin}{path}"), &[BY_ITSELF], None);
        assert_eq!(answer.status, 404, "{path}");
        assert_ne!(get(&issuer.at(path)).status, 404, "{path}");
    }
}
