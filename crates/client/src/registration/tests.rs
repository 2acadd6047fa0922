//! The order of the ways, and what servers make of a registration.

use countersign_core::oauth::metadata::AuthorizationServerMetadata;
use proptest::prelude::*;
use reqwest::header::HeaderMap;

use super::*;
use crate::tests::world::{World, login, metadata};

const ISSUER: &str = "https://auth.example.com";
const DOCUMENT: &str = "https://me.example.com/client.json";
const REDIRECT: &str = "http://127.0.0.1:1/callback";

fn server(more: &[(&str, Value)]) -> Server {
    let mut document = metadata(ISSUER);
    for (name, value) in more {
        document[*name] = value.clone();
    }
    let metadata =
        AuthorizationServerMetadata::parse(document.to_string().as_bytes(), ISSUER).unwrap();
    Server { issuer: ISSUER.to_owned(), metadata }
}

fn given(client_secret: Option<&str>) -> GivenClient {
    let client_secret = client_secret.map(Secret::new);
    GivenClient { client_id: "given".to_owned(), client_secret, client_key: None }
}

/// CL-06: given, then by a document where the server takes those, then what is registered.
#[test]
fn the_order_of_the_ways() {
    let with_documents = server(&[("client_id_metadata_document_supported", true.into())]);
    let without = server(&[]);
    let known = login("https://h/mcp", ISSUER).client;
    let all = Ways {
        given: Some(given(None)),
        document: Some(DOCUMENT.to_owned()),
        known: Some(known.clone()),
    };
    let no_given = Ways { given: None, ..all.clone() };
    for (ways, server, expected) in [
        (&all, &with_documents, Some("given")),
        (&all, &without, Some("given")),
        (&no_given, &with_documents, Some(DOCUMENT)),
        (&no_given, &without, Some("c")),
        (&Ways::default(), &with_documents, None),
    ] {
        let found = ways.without_request(server, 0).unwrap();
        assert_eq!(found.map(|client| client.client_id).as_deref(), expected);
    }
    // The way of a client is gone again; one that registered itself is the store's.
    let again = Ways::of(&all.without_request(&without, 0).unwrap().unwrap());
    assert!(again.given.unwrap().is(&all.without_request(&without, 0).unwrap().unwrap()));
    assert!(Ways::of(&known).given.is_none() && Ways::of(&known).document.is_none());
}

/// RFC 7591 §3.2.1: a secret has an end.
#[test]
fn secrets_that_are_over() {
    let mut known = login("https://h/mcp", ISSUER).client;
    known.expires_at = Some(1000);
    let ways = Ways { known: Some(known), ..Ways::default() };
    assert!(ways.without_request(&server(&[]), 999).unwrap().is_some());
    assert!(ways.without_request(&server(&[]), 1000).unwrap().is_none());
}

/// draft-ietf-oauth-client-id-metadata-document §3.
#[test]
fn documents_that_are_none() {
    let server = server(&[("client_id_metadata_document_supported", true.into())]);
    for url in [
        "http://127.0.0.1/c.json",
        "https://h",
        "https://h/",
        "https://u@h/c",
        "https://h/c#f",
        "file:///c",
    ] {
        let ways = Ways { document: Some(url.to_owned()), ..Ways::default() };
        assert_eq!(ways.without_request(&server, 0).unwrap_err().reason(), "url_invalid", "{url}");
    }
}

/// OAuth 2.1 §2.4: as the server says, with the header where it says nothing (RFC 8414 §2).
#[test]
fn how_a_secret_is_shown() {
    for (supported, expected) in [
        (json!([]), AuthMethod::ClientSecretBasic),
        (json!(["none"]), AuthMethod::ClientSecretBasic),
        (json!(["client_secret_post"]), AuthMethod::ClientSecretPost),
        (json!(["client_secret_post", "client_secret_basic"]), AuthMethod::ClientSecretBasic),
    ] {
        let server = server(&[("token_endpoint_auth_methods_supported", supported)]);
        let ways = Ways { given: Some(given(Some("s"))), ..Ways::default() };
        assert_eq!(ways.without_request(&server, 0).unwrap().unwrap().auth_method, expected);
    }
    let public = Ways { given: Some(given(None)), ..Ways::default() };
    let public = public.without_request(&server(&[]), 0).unwrap().unwrap();
    assert_eq!(public.auth_method, AuthMethod::None);
}

fn read(body: &str) -> Result<Registration, Error> {
    let (url, body) = ("https://auth.example.com/register".to_owned(), body.as_bytes().to_vec());
    let answer = Answer { url, status: 201, headers: HeaderMap::new(), body };
    registered(&answer, AuthMethod::None, REDIRECT)
}

/// RFC 7591 §3.2.1: the server may have changed anything.
#[test]
fn what_servers_make_of_it() {
    let changed = read(
        r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":9,
            "token_endpoint_auth_method":"client_secret_post"}"#,
    )
    .unwrap();
    assert_eq!(changed.auth_method, AuthMethod::ClientSecretPost);
    assert_eq!((changed.client_secret, changed.expires_at), (Some(Secret::new("s")), Some(9)));
    for expiry in ["0", "-1", "1.5", "\"soon\"", "null"] {
        let body = format!(r#"{{"client_id":"c","client_secret_expires_at":{expiry}}}"#);
        assert_eq!(read(&body).unwrap().expires_at, None, "{expiry}");
    }
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"client_id":""}"#,
        r#"{"client_id":7}"#,
        r#"{"client_id":"c","token_endpoint_auth_method":"client_secret_basic"}"#,
        r#"{"client_id":"c","token_endpoint_auth_method":"tls_client_auth"}"#,
        // It would be noticed after the browser only.
        r#"{"client_id":"c","token_endpoint_auth_method":"private_key_jwt"}"#,
    ] {
        assert_eq!(read(body).unwrap_err().reason(), "answer_invalid", "{body}");
    }
}

/// CL-09, CL-10: what is sent; and a server that has no endpoint for it.
#[tokio::test]
async fn what_is_registered() {
    let world = World::start(|_| None);
    let server = crate::discovery::server(&world.http, &world.stub.origin()).await.unwrap();
    let client = register(&world.http, &server, REDIRECT).await.unwrap();
    assert_eq!((client.auth_method, client.origin), (AuthMethod::None, Origin::Registered));
    let sent = &world.stub.to("POST /register")[0];
    assert_eq!(sent.body["application_type"], "native");
    assert_eq!(sent.body["redirect_uris"], json!([REDIRECT]));
    assert_eq!(sent.body["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(sent.body["token_endpoint_auth_method"], "none");
    assert_eq!(sent.header("authorization"), "");

    let mut document = metadata(ISSUER);
    document.as_object_mut().unwrap().remove("registration_endpoint");
    let metadata =
        AuthorizationServerMetadata::parse(document.to_string().as_bytes(), ISSUER).unwrap();
    let server = Server { issuer: ISSUER.to_owned(), metadata };
    let refused = register(&world.http, &server, REDIRECT).await.unwrap_err();
    assert_eq!(refused.reason(), "client_unknown");
}

proptest! {
    /// Whatever a server answers, nothing panics, and no client is half of one.
    #[test]
    fn hostile_answers(body in "\\PC{0,80}", method in "[a-z_]{0,20}", secret in any::<bool>()) {
        let _ = read(&body);
        let mut document = json!({ "client_id": body, "token_endpoint_auth_method": method });
        if secret {
            document["client_secret"] = "s".into();
        }
        if let Ok(client) = read(&document.to_string()) {
            prop_assert!(!client.client_id.is_empty());
            prop_assert!(!client.auth_method.needs_secret() || client.client_secret.is_some());
        }
    }
}
