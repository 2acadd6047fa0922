//! Clients that ask for bound tokens only (`dpop_bound_access_tokens`, RFC 9449 §5.2), however they came
//! to be known.

use serde_json::{Value, json};

use countersign_testkit::keys::TestKey;

use crate::{
    browser::text,
    dpop::proof_by,
    http::send,
    issuer::{CALLBACK, Client, FILES, Issuer, VERIFIER, new_client},
};

/// Neither a code nor a refresh token gives a token without a proof, or is used up by trying.
#[track_caller]
fn gets_bound_tokens_only(issuer: &Issuer, client: &Client) {
    let proof = || proof_by(TestKey::Ed25519(9), &issuer.at("/token")).sign();
    let code = issuer.code(client, &[]);
    issuer.redeem(client, &code, &[]).assert_error(400, "invalid_dpop_proof");
    let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let first = issuer.post_with("/token", client, &[("dpop", &proof())], &form);
    assert_eq!((first.status, &first.json()["token_type"]), (200, &json!("DPoP")), "{first:?}");
    let first = first.json();
    let refresh = text(&first, "refresh_token");
    issuer.refresh(client, refresh, &[]).assert_error(400, "invalid_dpop_proof");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let second = issuer.post_with("/token", client, &[("dpop", &proof())], &form);
    assert_eq!((second.status, &second.json()["token_type"]), (200, &json!("DPoP")), "{second:?}");
}

fn metadata(bound: Value) -> Value {
    json!({
        "client_name": "Bound",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "dpop_bound_access_tokens": bound,
    })
}

/// RFC 7591: what is registered is said, kept, and changed by RFC 7592.
#[test]
fn registered() {
    let issuer = Issuer::start();
    let answer = issuer.register(&metadata(json!(true)));
    assert_eq!(answer.status, 201, "{answer:?}");
    let document = answer.json();
    assert_eq!(document["dpop_bound_access_tokens"], true);
    let id = text(&document, "client_id").to_owned();
    let client = Client { id: id.clone(), secret: None, method: "none".to_owned() };
    gets_bound_tokens_only(&issuer, &client);

    let uri = text(&document, "registration_client_uri");
    let bearer =
        |document: &Value| format!("Bearer {}", text(document, "registration_access_token"));
    let authorization = bearer(&document);
    let read = send("GET", uri, &[("authorization", &authorization)], None).json();
    assert_eq!(read["dpop_bound_access_tokens"], true);
    let mut changed = metadata(json!(false));
    changed["client_id"] = json!(id);
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = send("PUT", uri, &headers, Some(&changed.to_string()));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["dpop_bound_access_tokens"].is_null());
    assert_eq!(issuer.tokens(&client, &[])["token_type"], "Bearer");
    for bad in [json!("true"), json!(1), json!([])] {
        issuer.register(&metadata(bad)).assert_error(400, "invalid_client_metadata");
    }
}

#[test]
fn described_by_a_document() {
    let issuer = Issuer::start();
    let url = "https://app.example.com/client.json";
    let mut document = metadata(json!(true));
    document["client_id"] = json!(url);
    issuer.pin(url, &document.to_string()).unwrap();
    let client = Client { id: url.to_owned(), secret: None, method: "none".to_owned() };
    gets_bound_tokens_only(&issuer, &client);
    document["dpop_bound_access_tokens"] = json!(false);
    issuer.pin(url, &document.to_string()).unwrap();
    assert_eq!(issuer.tokens(&client, &[])["token_type"], "Bearer");
}

#[test]
fn added_by_the_administrator() {
    let issuer = Issuer::start();
    let grants = ["authorization_code", "refresh_token", "client_credentials"];
    for method in ["client_secret_basic", "private_key_jwt"] {
        let mut new = new_client(method);
        new.redirect_uris = vec![CALLBACK.to_owned()];
        new.grant_types = grants.map(str::to_owned).to_vec();
        new.dpop_bound = true;
        new.resources = vec![countersign_issuer::ClientResource {
            resource: FILES.to_owned(),
            scopes: "files:read".to_owned(),
            introspects: false,
            exchanges: String::new(),
        }];
        let client = issuer.try_add(new).unwrap();
        gets_bound_tokens_only(&issuer, &client);
        let own = issuer.token(&client, &[("grant_type", "client_credentials")]);
        own.assert_error(400, "invalid_dpop_proof");
    }
}
