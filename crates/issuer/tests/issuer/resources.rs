//! Which resource is meant (RFC 8707).

use countersign_issuer::Error;

use crate::{
    browser::text,
    http::get,
    issuer::{ACCOUNT, FILES, Issuer, MAIL, PASSWORD},
    tokens::verified,
};

/// RFC 8707 §2.
#[test]
fn unknown_resources_are_invalid_targets() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for resource in [
        "https://other.example.com",
        "https://mcp.example.com",
        "https://mcp.example.com/files/",
        "https://mcp.example.com/Files",
        "https://mcp.example.com/files?x=1",
        "https://mcp.example.com/files#x",
        "http://mcp.example.com/files",
        "https://mcp.example.com/files/sub",
        "https://u@mcp.example.com/files",
        "not a uri",
    ] {
        let answer = get(&issuer.authorize_url(&client, &[("resource", resource)]));
        assert_eq!(answer.parameter("error"), "invalid_target", "{resource}");
    }
}

/// Complaint 4: the spelling that a URL type makes is accepted, the configured one is minted.
#[test]
fn complaint_4_spelling_of_a_bare_origin() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let spellings = [
        MAIL,
        "https://mail.example.com/",
        "https://MAIL.example.com:443/",
        "HTTPS://mail.example.com",
    ];
    for spelling in spellings {
        let changed = [("resource", spelling), ("scope", "mail:send")];
        let code = issuer.code(&client, &changed);
        let tokens =
            issuer.redeem(&client, &code, &[("resource", "https://mail.example.com/")]).json();
        let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
        assert_eq!(claims["aud"], MAIL, "{spelling}");
        let refreshed =
            issuer.refresh(&client, text(&tokens, "refresh_token"), &[("resource", spelling)]);
        let refreshed = refreshed.json();
        let (_, claims) = verified(&issuer, text(&refreshed, "access_token"));
        assert_eq!(claims["aud"], MAIL, "{spelling}");
    }
}

/// Complaint 9: clients that name no resource get the default one, not an empty audience.
#[test]
fn complaint_9_default_resource() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[("resource", "")]);
    let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
    assert_eq!(claims["aud"], FILES);

    let issuer = Issuer::empty(|_| ());
    issuer.add_user(ACCOUNT, PASSWORD);
    let client = issuer.client();
    let none = [("resource", ""), ("scope", "")];
    let answer = get(&issuer.authorize_url(&client, &none));
    assert_eq!(answer.parameter("error"), "invalid_target", "there is none");
    issuer.add_resource(FILES, &[("files:read", "Read", "")], false);
    let tokens = issuer.tokens(&client, &none);
    let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
    assert_eq!((&claims["aud"], &claims["scope"]), (&FILES.into(), &"files:read".into()));
    issuer.add_resource(MAIL, &[("mail:send", "Send", "")], false);
    let answer = get(&issuer.authorize_url(&client, &none));
    assert_eq!(answer.parameter("error"), "invalid_target", "either of two");
}

/// A configured alias is accepted; what is minted is the resource.
#[test]
fn aliases() {
    let issuer = Issuer::start();
    let wiki = "https://wiki.example.com/mcp";
    let scopes = [("wiki:read", "Read", "")];
    issuer.try_add_resource(wiki, &scopes, false, &["mcp://wiki", "https://w.example"]).unwrap();
    let client = issuer.client();
    for alias in ["mcp://wiki", "https://w.example/"] {
        let tokens = issuer.tokens(&client, &[("resource", alias), ("scope", "wiki:read")]);
        let (_, claims) = verified(&issuer, text(&tokens, "access_token"));
        assert_eq!(claims["aud"], wiki);
    }
}

#[test]
fn resources_that_cannot_be_added() {
    let issuer = Issuer::start();
    let read = [("read", "Read", "")];
    for (uri, scopes, aliases, reason) in [
        ("mcp.example.com", &read[..], &[][..], "value_invalid"),
        ("https://x.example#f", &read, &[], "value_invalid"),
        ("https://x.example", &[], &[], "value_invalid"),
        ("https://x.example", &[("a b", "", "")], &[], "value_invalid"),
        ("https://x.example", &[("openid", "", "")], &[], "value_invalid"),
        ("https://x.example", &[("a", "", "unknown")], &[], "value_invalid"),
        ("https://x.example", &[("a", "", "b"), ("b", "", "a")], &[], "value_invalid"),
        ("https://x.example", &read, &["no uri"], "value_invalid"),
        ("https://x.example", &[("a", "", ""), ("a", "", "")], &[], "already_exists"),
        (FILES, &read, &[], "already_exists"),
        ("https://MAIL.example.com/", &read, &[], "already_exists"),
        ("https://x.example", &read, &[FILES], "already_exists"),
    ] {
        let added = issuer.try_add_resource(uri, scopes, false, aliases);
        assert_eq!(added.as_ref().map_err(Error::reason), Err(reason), "{uri} {scopes:?}");
    }
}
