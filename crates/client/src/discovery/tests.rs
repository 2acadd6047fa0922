//! Where metadata are looked for, and whose are taken.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::tests::{
    stub::{Page, Seen, Stub},
    world::{challenge, metadata as server_metadata},
};

/// Metadata of the resource at this origin.
fn of_resource(resource: &str, origin: &str) -> Page {
    Page::json(json!({ "resource": resource, "authorization_servers": [origin] }).to_string())
}

/// A server that refuses to be asked without a token.
fn refusing(answer: impl Fn(&Seen) -> Page + Send + Sync + 'static) -> Stub {
    Stub::start(move |seen| match seen.route().as_str() {
        "POST /mcp" => challenge(401, "Bearer"),
        _ => answer(seen),
    })
}

async fn find(stub: &Stub) -> Result<Resource, Error> {
    resource(&Http::new().unwrap(), &stub.url).await
}

/// What was asked for, but for the server itself.
fn places(stub: &Stub) -> Vec<String> {
    let seen = stub.seen().into_iter().map(|seen| seen.target);
    seen.filter(|target| target != "/mcp").collect()
}

const INSERTED: &str = "/.well-known/oauth-protected-resource/mcp";
const ROOT: &str = "/.well-known/oauth-protected-resource";

/// CL-02: the path-inserted place, then the root; pages that stand for all that is not there are none.
#[tokio::test]
async fn places_of_a_resource() {
    for nothing in [
        Page::status(404),
        Page::status(401),
        Page::status(302).header("location", "/elsewhere"),
        Page::status(200).header("content-type", "text/html").then(0, "<html>"),
        Page::status(200).then(0, "{}"),
        Page::json("{}").with(404),
    ] {
        let stub = refusing(move |seen| match seen.target.as_str() {
            // Many servers call themselves by their origin.
            ROOT => of_resource(&seen.origin(), &seen.origin()),
            _ => nothing.clone(),
        });
        let found = find(&stub).await.unwrap();
        assert_eq!((found.id, found.issuers), (stub.origin(), vec![stub.origin()]));
        assert_eq!(places(&stub), [INSERTED, ROOT]);
    }
    let stub = refusing(|seen| of_resource(&format!("{}/mcp", seen.origin()), &seen.origin()));
    assert_eq!(find(&stub).await.unwrap().id, stub.url);
    assert_eq!(places(&stub), [INSERTED]);
    // The identifier is the server's own spelling of it (RFC 8707).
    let stub = refusing(|seen| of_resource(&format!("{}/", seen.origin()), &seen.origin()));
    assert_eq!(find(&stub).await.unwrap().id, format!("{}/", stub.origin()));
}

/// Where the challenge says, and nowhere else.
#[tokio::test]
async fn the_place_that_is_named() {
    let named = |page: Page| {
        Stub::start(move |seen| match seen.target.as_str() {
            "/mcp" => {
                let place = format!("{}/named", seen.origin());
                challenge(401, &format!(r#"Bearer resource_metadata="{place}", scope="a b""#))
            }
            "/named" => page.clone(),
            _ => of_resource(&format!("{}/mcp", seen.origin()), &seen.origin()),
        })
    };
    let stub = named(Page::status(404));
    assert_eq!(find(&stub).await.unwrap_err().reason(), "answer_invalid");
    assert_eq!(places(&stub), ["/named"]);

    for place in ["http://169.254.169.254/x", "file:///etc/passwd", "javascript:alert(1)", "/x", ""]
    {
        let stub =
            Stub::start(move |_| challenge(401, &format!(r#"Bearer resource_metadata="{place}""#)));
        assert_eq!(find(&stub).await.unwrap_err().reason(), "url_invalid", "{place}");
    }
}

/// RFC 9728 §3.3: metadata of another resource are not used.
#[tokio::test]
async fn metadata_of_others() {
    for resource in [
        "https://evil.example.com",
        "https://evil.example.com/mcp",
        "O/mcp/",
        "O/other",
        "O.evil.example.com",
        "https://127.0.0.1/mcp",
        "nonsense\u{1b}[2J",
    ] {
        let stub = refusing(move |seen| {
            of_resource(&resource.replace('O', &seen.origin()), &seen.origin())
        });
        let error = find(&stub).await.unwrap_err();
        assert_eq!(error.reason(), "resource_mismatch", "{resource}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    for document in [
        json!({}),
        json!([]),
        json!({ "resource": 1 }),
        json!({ "resource": "O/mcp" }),
        json!({ "resource": "O/mcp", "authorization_servers": [] }),
        json!({ "resource": "O/mcp", "authorization_servers": ["javascript:alert(1)"] }),
        json!({ "resource": "O/mcp", "authorization_servers": ["https://u@h"] }),
    ] {
        let text = document.to_string();
        let stub = refusing(move |seen| Page::json(text.replace('O', &seen.origin())));
        assert_eq!(
            find(&stub).await.unwrap_err().reason(),
            "resource_metadata_invalid",
            "{document}"
        );
    }
    let stub = refusing(|_| Page::json("{\"a\":\"").then(0, vec![b'x'; 4096]).forever());
    assert_eq!(find(&stub).await.unwrap_err().reason(), "answer_too_long");
}

/// What cannot be had now is not absent: nobody is sent to where the servers of 2025-03-26 had theirs.
#[tokio::test]
async fn servers_that_cannot_answer_now() {
    for (status, reason) in
        [(429, "server_unavailable"), (500, "answer_invalid"), (503, "server_unavailable")]
    {
        let stub = refusing(move |_| Page::status(status));
        assert_eq!(find(&stub).await.unwrap_err().reason(), reason);
        assert_eq!(places(&stub), [INSERTED]);
        let error = server(&Http::new().unwrap(), &stub.origin()).await.unwrap_err();
        assert_eq!(error.reason(), reason);
    }
}

/// Revision 2025-03-26 (CL-28): only for a server that wants a token and has no metadata.
#[tokio::test]
async fn servers_without_metadata() {
    let stub = refusing(|_| Page::status(404));
    let found = find(&stub).await.unwrap();
    assert_eq!((found.id, found.issuers), (stub.url.clone(), vec![stub.origin()]));
    assert!(found.metadata.is_none());
    let stub = Stub::start(|seen| match seen.route().as_str() {
        "POST /mcp" => Page::status(403),
        _ => Page::status(404),
    });
    assert_eq!(find(&stub).await.unwrap_err().reason(), "not_protected");
    let stub = Stub::start(|_| Page::status(404));
    assert_eq!(find(&stub).await.unwrap_err().reason(), "answer_invalid");
    let stub = Stub::start(|_| Page::status(307).header("location", "https://evil.example.com/"));
    assert_eq!(find(&stub).await.unwrap_err().reason(), "redirected");
    assert_eq!(places(&stub), Vec::<String>::new());
}

/// CL-04, CL-05: three places for an issuer with a path, in this order, and the issuer in them byte for
/// byte.
#[tokio::test]
async fn places_of_an_authorization_server() {
    let http = Http::new().unwrap();
    let orders = [
        "/.well-known/oauth-authorization-server/t",
        "/.well-known/openid-configuration/t",
        "/t/.well-known/openid-configuration",
    ];
    for last in 0..orders.len() {
        let stub = Stub::start(move |seen| {
            let mut document = server_metadata(&seen.origin());
            document["issuer"] = format!("{}/t", seen.origin()).into();
            match orders.get(last) {
                Some(place) if *place == seen.target => Page::json(document.to_string()),
                _ => Page::status(200).header("content-type", "text/html").then(0, "<html>"),
            }
        });
        let found = server(&http, &format!("{}/t", stub.origin())).await.unwrap();
        assert_eq!(found.issuer, format!("{}/t", stub.origin()));
        assert_eq!(places(&stub), orders[..=last]);
    }
    for issuer in ["O/", "O/t/", "https://evil.example.com", ""] {
        let stub = Stub::start(move |seen| {
            let mut document = server_metadata(&seen.origin());
            document["issuer"] = issuer.replace('O', &seen.origin()).into();
            Page::json(document.to_string())
        });
        let error = server(&http, &stub.origin()).await.unwrap_err();
        assert_eq!(error.reason(), "issuer_mismatch", "{issuer}");
        assert_eq!(places(&stub).len(), 1);
    }
    let stub = Stub::start(|_| Page::status(404));
    let missing = server(&http, &stub.origin()).await.unwrap_err();
    assert_eq!(missing.reason(), "issuer_metadata_missing");
    for issuer in ["http://h", "ftp://h", "https://u@h", "h"] {
        assert_eq!(server(&http, issuer).await.unwrap_err().reason(), "url_invalid");
    }
}

/// CL-24: no endpoint of a server leads to what is neither https nor its own kind.
#[tokio::test]
async fn endpoints() {
    let http = Http::new().unwrap();
    for endpoint in ["javascript:alert(1)", "file:///x", "data:text/html,x", "http:", "/token", ""]
    {
        let stub = Stub::start(move |seen| {
            let mut document = server_metadata(&seen.origin());
            document["token_endpoint"] = endpoint.into();
            Page::json(document.to_string())
        });
        let found = server(&http, &stub.origin()).await.unwrap();
        let error = found.endpoint("token_endpoint").unwrap_err();
        assert_eq!(error.reason(), "issuer_metadata_invalid", "{endpoint}");
    }
    let stub = Stub::start(|seen| {
        let mut document = server_metadata(&seen.origin());
        document["code_challenge_methods_supported"] = json!(["plain"]);
        Page::json(document.to_string())
    });
    let found = server(&http, &stub.origin()).await.unwrap();
    assert_eq!(found.check_pkce().unwrap_err().reason(), "pkce_missing");
}

#[test]
fn challenges() {
    let of = |lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        Challenge::of(&headers)
    };
    let two = of(&[r#"DPoP error="x""#, r#"Basic realm="a", bearer scope="a b""#]).unwrap();
    assert!(!two.is_dpop && two.error.is_none());
    assert_eq!(two.scope.unwrap().to_string(), "a b");
    let dpop = of(&[r#"DPoP error="use_dpop_nonce""#]).unwrap();
    assert!(dpop.is_dpop && dpop.error.as_deref() == Some("use_dpop_nonce"));
    for none in [&[][..], &["Basic realm=\"a\""], &["Bearer scope=\"a"], &["Bearer a=1, a=2"]] {
        assert_eq!(of(none), None);
    }
    // A scope that is none is passed over, and the rest stays.
    let odd = of(&[r#"Bearer scope="a  b", error="insufficient_scope""#]).unwrap();
    assert!(odd.scope.is_none() && odd.error.is_some());
}

proptest! {
    /// Hostile metadata are read without panic, and never taken for another server's.
    #[test]
    fn hostile_metadata(resource in "\\PC{0,40}", more in prop::collection::vec(any::<u8>(), 0..60)) {
        let url = "https://h/mcp";
        let document = json!({ "resource": resource, "authorization_servers": ["https://as"] });
        if let Ok(found) = checked(document.to_string().as_bytes(), url, url) {
            prop_assert!(speaks_for(&found.resource, url));
        }
        let _ = checked(&more, url, url);
    }

    /// Only the server itself and its origin speak for it.
    #[test]
    fn who_speaks_for_a_server(host in "[a-z]{1,3}", path in "(/[a-c]{0,2}){0,3}") {
        let resource = format!("https://{host}{path}");
        let is_own = host == "h" && matches!(path.as_str(), "" | "/" | "/a/b");
        prop_assert_eq!(speaks_for(&resource, "https://h/a/b"), is_own);
    }
}
