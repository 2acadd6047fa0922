//! What stands in the tokens, checked with the published keys and another implementation of ES256.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use countersign_core::jose::base64url;
use serde_json::Value;

use crate::{
    browser::text,
    http::get,
    issuer::{FILES, Issuer, MAIL},
};

/// Header and claims of a token whose signature fits a published key.
pub(crate) fn verified(issuer: &Issuer, token: &str) -> (Value, Value) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let json = |part| serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap();
    let (header, claims): (Value, Value) = (json(header), json(claims));
    let keys = get(&issuer.at("/jwks")).json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]);
    let key = key.unwrap();
    let coordinate = |name| base64url::decode(text(key, name)).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signature = base64url::decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &signature)
        .unwrap();
    (header, claims)
}

#[test]
fn rfc_9068_access_token() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let response = issuer.tokens(&client, &[]);
    assert_eq!(response["token_type"], "Bearer");
    assert_eq!(response["expires_in"], 900);
    assert_eq!(response["scope"], "files:read");
    let (header, claims) = verified(&issuer, text(&response, "access_token"));
    assert_eq!((&header["typ"], &header["alg"]), (&"at+jwt".into(), &"ES256".into()));
    assert_eq!(claims["iss"], issuer.url);
    assert_eq!(claims["aud"], FILES, "one text: the resource as it is configured");
    assert_eq!(claims["client_id"], client.id);
    assert_eq!(claims["scope"], "files:read");
    assert!(text(&claims, "sub").starts_with("u_"), "an identifier that tells nothing");
    let second = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(second("exp") - second("iat"), 900);
    assert!((0..60).contains(&(second("iat") - second("auth_time"))));
    let other = issuer.tokens(&client, &[]);
    let (_, other) = verified(&issuer, text(&other, "access_token"));
    assert_ne!(claims["jti"], other["jti"]);
    assert_eq!(claims["sub"], other["sub"]);
}

/// RFC 8707 §2: a token is for the resource that was asked for, and for no other.
#[test]
fn rfc_8707_audience_is_the_requested_resource() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let response = issuer.tokens(&client, &[("resource", MAIL), ("scope", "mail:send")]);
    let (_, claims) = verified(&issuer, text(&response, "access_token"));
    assert_eq!(claims["aud"], MAIL);
    assert_eq!(claims["scope"], "mail:send");
}

/// OpenID Connect Core §2, §3.1.3.6: for who asks for `openid`, and only then.
#[test]
fn openid_id_token() {
    let issuer = Issuer::start();
    let client = issuer.client();
    assert!(issuer.tokens(&client, &[])["id_token"].is_null());
    let response =
        issuer.tokens(&client, &[("scope", "openid files:read"), ("nonce", "n-0S6_WzA2Mj")]);
    let (header, claims) = verified(&issuer, text(&response, "id_token"));
    assert_eq!(header["typ"], "JWT", "never to be taken for an access token");
    assert_eq!(claims["iss"], issuer.url);
    assert_eq!(claims["aud"], client.id);
    assert_eq!(claims["nonce"], "n-0S6_WzA2Mj");
    let (_, access) = verified(&issuer, text(&response, "access_token"));
    assert_eq!(claims["sub"], access["sub"]);
    assert_eq!(access["scope"], "files:read", "the resource has no scope openid");
    assert!(access["nonce"].is_null());
}

/// RFC 7638: the key's name is its thumbprint.
#[test]
fn rfc_7638_kid() {
    let issuer = Issuer::start();
    let keys = get(&issuer.at("/jwks")).json();
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["use"]), (&"EC".into(), &"sig".into()));
    assert!(key["d"].is_null(), "the private part stays here");
    let canonical = format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
        text(key, "x"),
        text(key, "y")
    );
    let thumbprint = base64url::encode(digest(&SHA256, canonical.as_bytes()));
    assert_eq!(text(key, "kid"), thumbprint);
}
