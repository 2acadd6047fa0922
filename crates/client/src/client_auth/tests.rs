//! What stands in a request, as a server reads it.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::tests::world::login;

const ISSUER: &str = "https://auth.example.com";

fn client(auth_method: AuthMethod) -> Registration {
    let mut client = login("https://h/mcp", ISSUER).client;
    client.auth_method = auth_method;
    client
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// OAuth 2.1 §2.4.1: both parts are form-encoded before they are joined. A space is `%20`, which servers
/// read that decode a form, and those that decode a URL.
#[test]
fn basic() {
    let mut client = client(AuthMethod::ClientSecretBasic);
    client.client_id = "https://h/c:1".to_owned();
    client.client_secret = Some(Secret::new("a b:%+ü"));
    let proof = prove(&client, ISSUER, 0).unwrap();
    assert!(proof.form.is_empty());
    let basic = proof.basic.unwrap();
    let pair = STANDARD.decode(basic.expose().strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), "https%3A%2F%2Fh%2Fc%3A1:a%20b%3A%25%2B%C3%BC");
}

#[test]
fn in_the_form() {
    let mut with_secret = client(AuthMethod::ClientSecretPost);
    with_secret.client_secret = Some(Secret::new("s"));
    let proof = prove(&with_secret, ISSUER, 0).unwrap();
    let form = [("client_id", Secret::new("c")), ("client_secret", Secret::new("s"))];
    assert!(proof.basic.is_none() && proof.form == form);
    // A public client shows no secret, even if it was given one.
    with_secret.auth_method = AuthMethod::None;
    assert_eq!(prove(&with_secret, ISSUER, 0).unwrap().form, form[..1]);
}

#[test]
fn what_is_missing() {
    for method in
        [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::PrivateKeyJwt]
    {
        let error = prove(&client(method), ISSUER, 0).map(drop).unwrap_err();
        assert_eq!(error.reason(), "crypto_failed");
    }
}

/// An algorithm's name, a private key, its public one, and what verifies with it.
type Named<'a> = (&'a str, &'a [u8], &'a [u8], &'static dyn VerificationAlgorithm);

/// RFC 7523 §3: signed by the key, for this issuer alone, for a minute, and each one once.
#[test]
fn assertions() {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ec_public =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref()).unwrap();
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed_public = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa_der: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let keys: [Named<'_>; 3] = [
        ("ES256", ec.as_ref(), ec_public.public_key().as_ref(), &ECDSA_P256_SHA256_FIXED),
        ("EdDSA", ed.as_ref(), ed_public.public_key().as_ref(), &ED25519),
        ("RS256", rsa_der.as_ref(), rsa.public_key().as_ref(), &RSA_PKCS1_2048_8192_SHA256),
    ];
    for (name, der, public, algorithm) in keys {
        let mut client = client(AuthMethod::PrivateKeyJwt);
        let text = pem(der);
        client.client_key = Some(ClientKey::from_pem(&text).unwrap());
        assert!(!format!("{client:?}").contains(&STANDARD.encode(der)));
        let assertion = || {
            let proof = prove(&client, ISSUER, 1000).unwrap();
            assert!(proof.basic.is_none());
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            assert_eq!(proof.form[1], ("client_assertion_type", Secret::new(kind)));
            proof.form[2].1.expose().to_owned()
        };
        let (first, second) = (assertion(), assertion());
        let (input, signature) = first.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        let key = UnparsedPublicKey::new(algorithm, public);
        key.verify(input.as_bytes(), &signature).unwrap();
        let part = |text: &str, index: usize| -> Value {
            let part = text.split('.').nth(index).unwrap();
            serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap()
        };
        assert_eq!(part(&first, 0)["alg"], name);
        let claims = part(&first, 1);
        let expected = json!({ "iss": "c", "sub": "c", "aud": ISSUER, "iat": 1000, "exp": 1060,
            "jti": claims["jti"] });
        assert_eq!(claims, expected);
        assert_ne!(claims["jti"], part(&second, 1)["jti"]);
    }
}

/// What is no such key is refused, and not shown.
#[test]
fn keys_that_are_none() {
    let wrapped = pem(b"s3cret");
    for text in ["", "s3cret", &wrapped, "-----BEGIN PRIVATE KEY-----s3cret"] {
        let error = ClientKey::from_pem(text).unwrap_err();
        assert_eq!(error.reason(), "crypto_failed");
        assert!(!error.to_string().contains("s3cret"));
    }
}

proptest! {
    /// Whatever identifier and secret a server gave, they go back as they came.
    #[test]
    fn basic_is_read_back(id in "\\PC{0,20}", secret in "\\PC{0,20}") {
        let mut client = client(AuthMethod::ClientSecretBasic);
        client.client_id = id.clone();
        client.client_secret = Some(Secret::new(secret.clone()));
        let basic = prove(&client, ISSUER, 0).unwrap().basic.unwrap();
        let pair = STANDARD.decode(&basic.expose()[6..]).unwrap();
        let pair = String::from_utf8(pair).unwrap();
        let (one, two) = pair.split_once(':').unwrap();
        let decode = |text: &str| -> String {
            let text = format!("{text}=");
            form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
        };
        prop_assert_eq!((decode(one), decode(two)), (id, secret));
    }
}
