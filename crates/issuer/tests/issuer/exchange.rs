//! Token exchange (RFC 8693): less, never more.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use countersign_issuer::{ClientResource, NewClient};
use serde_json::{Value, json};

use crate::{
    browser::text,
    dpop,
    http::{Answer, get},
    issuer::{ACCOUNT, CALLBACK, Client, FILES, Issuer, MAIL, new_client},
    tokens::verified,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SEARCH: &str = "https://search.example.com/mcp";

/// An issuer with a third resource, which shares a scope with the first.
fn start() -> Issuer {
    let issuer = Issuer::start();
    let scopes = [("files:read", "Search in your files", ""), ("search:all", "Search all", "")];
    issuer.add_resource(SEARCH, &scopes, false);
    issuer
}

/// A client that may exchange tokens; `server_of` names a resource that it is the server of.
fn add(issuer: &Issuer, server_of: Option<&str>, exchanges: &[(&str, &str)]) -> Client {
    let mut resources: Vec<ClientResource> = exchanges
        .iter()
        .map(|(resource, scopes)| ClientResource {
            resource: (*resource).to_owned(),
            exchanges: (*scopes).to_owned(),
            introspects: server_of == Some(resource),
            ..ClientResource::default()
        })
        .collect();
    if let Some(uri) = server_of.filter(|uri| exchanges.iter().all(|(other, _)| other != uri)) {
        let resource = uri.to_owned();
        resources.push(ClientResource { resource, introspects: true, ..ClientResource::default() });
    }
    let grant_types = vec![GRANT.to_owned()];
    let method = "client_secret_basic";
    issuer.try_add(NewClient { grant_types, resources, ..new_client(method) }).unwrap()
}

/// An access token that a user gave a client for the first resource.
fn subject(issuer: &Issuer, scope: &str) -> (Client, Value) {
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[("scope", scope)]);
    (client, tokens)
}

fn exchange(issuer: &Issuer, client: &Client, token: &str, more: &[(&str, &str)]) -> Answer {
    let usual =
        [("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
    let usual = usual.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    let all: Vec<(&str, &str)> =
        usual.chain(more.iter().filter(|(_, value)| !value.is_empty()).copied()).collect();
    issuer.token(client, &all)
}

fn claims(issuer: &Issuer, answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    verified(issuer, text(&answer.json(), "access_token")).1
}

/// Whether a token is good, by its own client.
fn is_active(issuer: &Issuer, client: &Client, token: &str) -> bool {
    issuer.post("/introspect", client, &[("token", token)]).json()["active"] == true
}

/// §2.1, §2.2.1, §4.1: the server of a resource goes on to another one for the user who called it.
#[test]
fn rfc_8693_a_server_acts_for_its_user() {
    let issuer = start();
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).json();
    assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&GRANT.into()));
    let server = add(&issuer, Some(FILES), &[(SEARCH, "files:read")]);
    // `openid` is a matter between the user and the first client.
    let (client, tokens) = subject(&issuer, "openid files:write");
    let token = text(&tokens, "access_token");
    let answer = exchange(&issuer, &server, token, &[("resource", SEARCH)]);
    let new = claims(&issuer, &answer);
    let (_, old) = verified(&issuer, token);
    let response = answer.json();
    assert_eq!(response["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(
        (&response["token_type"], &response["scope"]),
        (&"Bearer".into(), &"files:read".into())
    );
    assert!(response["refresh_token"].is_null() && response["id_token"].is_null());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&new["sub"], &new["auth_time"]), (&old["sub"], &old["auth_time"]));
    assert_eq!((&new["aud"], &new["scope"]), (&SEARCH.into(), &"files:read".into()));
    assert_eq!(new["client_id"], server.id, "the client that has it");
    assert_eq!(new["act"], json!({ "sub": server.id }), "and acts");
    assert!(new["exp"].as_i64().unwrap() <= old["exp"].as_i64().unwrap());
    assert_ne!(new["jti"], old["jti"]);
    let new = text(&response, "access_token");
    let introspected = issuer.post("/introspect", &server, &[("token", new)]).json();
    assert_eq!(introspected["act"]["sub"], server.id);
    let bearer = format!("Bearer {new}");
    let info =
        crate::http::send("GET", &issuer.at("/userinfo"), &[("authorization", &bearer)], None);
    assert_eq!(info.status, 403, "not what the first client was told: {}", info.body);

    // `audience` is another name for it (§2.1).
    let answer = exchange(&issuer, &server, token, &[("audience", SEARCH)]);
    assert_eq!(claims(&issuer, &answer)["aud"], SEARCH);
    // The next server in the chain: who acted before stands inside (§4.1).
    let next = add(&issuer, Some(SEARCH), &[(SEARCH, "files:read")]);
    let chained = claims(&issuer, &exchange(&issuer, &next, new, &[]));
    assert_eq!(chained["act"], json!({ "sub": next.id, "act": { "sub": server.id } }));
    // One grant, of the user and the first client.
    assert_eq!(issuer.grants().len(), 1);
    assert_eq!(issuer.grants()[0].client_id, client.id);
}

/// A client gives up some of its own scopes, and by a token of its own says who acts (§4.1).
#[test]
fn rfc_8693_own_tokens_and_actor_tokens() {
    let issuer = start();
    let allowed = ClientResource {
        resource: FILES.to_owned(),
        exchanges: "files:read files:write".to_owned(),
        scopes: "files:read".to_owned(),
        ..ClientResource::default()
    };
    let grants = ["authorization_code", "refresh_token", "client_credentials", GRANT];
    let new = NewClient {
        redirect_uris: vec![CALLBACK.to_owned()],
        grant_types: grants.map(str::to_owned).to_vec(),
        resources: vec![allowed],
        ..new_client("client_secret_post")
    };
    let client = issuer.try_add(new).unwrap();
    let tokens = issuer.tokens(&client, &[("scope", "files:write")]);
    let token = text(&tokens, "access_token");
    // files:write implies files:read.
    let narrow = claims(&issuer, &exchange(&issuer, &client, token, &[("scope", "files:read")]));
    assert_eq!((&narrow["scope"], &narrow["aud"]), (&"files:read".into(), &FILES.into()));
    assert!(narrow["act"].is_null(), "nobody acts but the client that the user knows");
    let own = issuer.token(&client, &[("grant_type", "client_credentials")]).json();
    let own = text(&own, "access_token");
    let actor = [("actor_token", own), ("actor_token_type", ACCESS_TOKEN)];
    let acting = claims(&issuer, &exchange(&issuer, &client, token, &actor));
    assert_eq!(acting["act"], json!({ "sub": client.id }));
    // An actor's token must be the client's own, be good, and have its type beside it.
    let other = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let others = issuer.token(&other, &[("grant_type", "client_credentials")]).json();
    for (actor, kind) in [
        (text(&others, "access_token"), ACCESS_TOKEN),
        (token, ACCESS_TOKEN),
        ("x", ACCESS_TOKEN),
        (own, ""),
        (own, "urn:ietf:params:oauth:token-type:jwt"),
        ("", ACCESS_TOKEN),
    ] {
        let actor = [("actor_token", actor), ("actor_token_type", kind)];
        exchange(&issuer, &client, token, &actor).assert_error(400, "invalid_request");
    }
    // A service's own token has no user.
    exchange(&issuer, &client, own, &[]).assert_error(400, "invalid_request");
}

/// Attack 30 (Zitadel CVE-2026-56668): no broader scope, no other audience, no other client.
#[test]
fn attack_30_never_more() {
    let issuer = start();
    let rules = [(FILES, "files:read files:write"), (SEARCH, "files:read search:all")];
    let server = add(&issuer, Some(FILES), &rules);
    let (client, tokens) = subject(&issuer, "files:read");
    let token = text(&tokens, "access_token");
    let ask = |more: &[(&str, &str)]| exchange(&issuer, &server, token, more);
    for scope in
        ["files:write", "files:read files:write", "mail:send", "openid", "offline_access", "\""]
    {
        ask(&[("scope", scope)]).assert_error(400, "invalid_scope");
    }
    for scope in ["search:all", "files:read search:all", "files:write"] {
        ask(&[("resource", SEARCH), ("scope", scope)]).assert_error(400, "invalid_scope");
    }
    assert_eq!(claims(&issuer, &ask(&[("resource", SEARCH)]))["scope"], "files:read");
    for resource in [MAIL, "https://other.example", "not a URL"] {
        ask(&[("resource", resource)]).assert_error(400, "invalid_target");
        ask(&[("audience", resource)]).assert_error(400, "invalid_target");
    }
    for two in [
        [("resource", FILES), ("resource", SEARCH)],
        [("resource", FILES), ("audience", SEARCH)],
        [("audience", SEARCH), ("audience", FILES)],
    ] {
        ask(&two).assert_error(400, "invalid_target");
    }
    // Neither the client that has the token nor the server that it is for.
    let stranger = add(&issuer, Some(SEARCH), &rules);
    exchange(&issuer, &stranger, token, &[]).assert_error(400, "invalid_request");
    // Nobody without the grant, not even with the token's own client.
    exchange(&issuer, &client, token, &[]).assert_error(400, "unauthorized_client");
    let mcp_server = issuer.add_resource_server(FILES);
    exchange(&issuer, &mcp_server, token, &[]).assert_error(400, "unauthorized_client");
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..server.clone() };
    exchange(&issuer, &wrong, token, &[]).assert_error(401, "invalid_client");
    let registered = issuer.register(&json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", GRANT],
    }));
    assert_eq!(registered.json()["grant_types"], json!(["authorization_code"]), "attack 39");
    // Where a policy leaves nothing of the scopes, there is no token.
    let nothing = add(&issuer, Some(FILES), &[(FILES, "files:write")]);
    exchange(&issuer, &nothing, token, &[]).assert_error(400, "invalid_scope");
}

/// §2.2.2, attacks 6, 20: only a good access token of this issuer is a subject.
#[test]
fn attack_20_subject_tokens_that_are_none() {
    let issuer = start();
    let server = add(&issuer, Some(FILES), &[(FILES, "files:read")]);
    let (_, tokens) = subject(&issuer, "openid files:read");
    let token = text(&tokens, "access_token");
    let other = start();
    let (_, foreign) = subject(&other, "files:read");
    for bad in [
        &token[..token.len() - 2],
        &format!("{token}A"),
        text(&tokens, "refresh_token"),
        text(&tokens, "id_token"),
        text(&foreign, "access_token"),
        "",
        "x",
    ] {
        exchange(&issuer, &server, bad, &[]).assert_error(400, "invalid_request");
    }
    for kind in ["", "urn:ietf:params:oauth:token-type:id_token", "access_token"] {
        let kind = [("subject_token_type", kind)];
        exchange(&issuer, &server, token, &kind).assert_error(400, "invalid_request");
    }
    for kind in ["urn:ietf:params:oauth:token-type:refresh_token", "x"] {
        let kind = [("requested_token_type", kind)];
        exchange(&issuer, &server, token, &kind).assert_error(400, "invalid_request");
    }
    let wanted = [("requested_token_type", ACCESS_TOKEN)];
    assert_eq!(exchange(&issuer, &server, token, &wanted).status, 200);
}

/// What comes of a grant ends with it, and with whoever has it; it lives no longer than its source.
#[test]
fn exchanged_tokens_end_with_their_grant() {
    let issuer = start();
    let settings = countersign_issuer::NewResource {
        uri: "https://long.example.com".to_owned(),
        name: "Long".to_owned(),
        scopes: vec![countersign_issuer::NewScope {
            name: "files:read".to_owned(),
            ..countersign_issuer::NewScope::default()
        }],
        token_lifetime: Some(86_400),
        ..countersign_issuer::NewResource::default()
    };
    issuer.create_resource(settings).unwrap();
    let rules = [("https://long.example.com", "files:read"), (FILES, "files:read")];
    let server = add(&issuer, Some(FILES), &rules);
    let fresh = |more: &[(&str, &str)]| {
        let (client, tokens) = subject(&issuer, "files:read");
        let answer = exchange(&issuer, &server, text(&tokens, "access_token"), more);
        let new = claims(&issuer, &answer);
        let (_, old) = verified(&issuer, text(&tokens, "access_token"));
        assert!(new["exp"].as_i64() <= old["exp"].as_i64(), "{new} {old}");
        (client, tokens, text(&answer.json(), "access_token").to_owned())
    };
    // By the first client, with its refresh token.
    let (client, tokens, exchanged) = fresh(&[("resource", "https://long.example.com")]);
    assert!(is_active(&issuer, &server, &exchanged));
    issuer.post("/revoke", &client, &[("token", text(&tokens, "refresh_token"))]);
    assert!(!is_active(&issuer, &server, &exchanged));
    let again = exchange(&issuer, &server, text(&tokens, "access_token"), &[]);
    again.assert_error(400, "invalid_request");
    // By whoever has it.
    let (_, tokens, exchanged) = fresh(&[]);
    issuer.post("/revoke", &server, &[("token", &exchanged)]);
    assert!(!is_active(&issuer, &server, &exchanged));
    let token = text(&tokens, "access_token");
    assert_eq!(exchange(&issuer, &server, token, &[]).status, 200, "that one alone");
    // Attacks 22 and 23: with the first client, with the one that has it, with the user.
    let (client, _, exchanged) = fresh(&[]);
    issuer.disable_client(&client);
    assert!(!is_active(&issuer, &server, &exchanged));
    let (client, tokens, exchanged) = fresh(&[]);
    issuer.disable_client(&server);
    issuer.enable_client(&server);
    assert!(!is_active(&issuer, &server, &exchanged), "what it had stays revoked");
    let own = text(&tokens, "access_token");
    assert_eq!(exchange(&issuer, &server, own, &[]).status, 200, "the user's grant goes on");
    assert_eq!(issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).status, 200);
    let (_, tokens, exchanged) = fresh(&[]);
    issuer.disable_user(ACCOUNT);
    assert!(!is_active(&issuer, &server, &exchanged));
    let own = text(&tokens, "access_token");
    exchange(&issuer, &server, own, &[]).assert_error(400, "invalid_request");
}

/// Attack 23: while tokens are exchanged, the client is shut out; none slips through in between.
#[test]
fn attack_23_shut_out_in_the_middle() {
    let issuer = start();
    let server = add(&issuer, Some(FILES), &[(FILES, "files:read")]);
    let (_, tokens) = subject(&issuer, "files:read");
    let token = text(&tokens, "access_token");
    let begun = AtomicUsize::new(0);
    let got: Vec<String> = thread::scope(|scope| {
        let exchange = || {
            let mut got = Vec::new();
            loop {
                let answer = exchange(&issuer, &server, token, &[]);
                if answer.status != 200 {
                    return got;
                }
                got.push(text(&answer.json(), "access_token").to_owned());
                begun.fetch_add(1, Ordering::Relaxed);
            }
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(exchange)).collect();
        while begun.load(Ordering::Relaxed) < 8 && all.iter().any(|one| !one.is_finished()) {
            thread::yield_now();
        }
        issuer.disable_client(&server);
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(got.len() >= 8, "{}", got.len());
    issuer.enable_client(&server);
    for token in &got {
        assert!(!is_active(&issuer, &server, token));
    }
}

/// Mistakes of the administrator are told at once.
#[test]
fn policies_are_checked_when_they_are_added() {
    let issuer = start();
    let try_add = |method: &str, grants: &[&str], resource: &str, exchanges: &str| {
        let resources = vec![ClientResource {
            resource: resource.to_owned(),
            exchanges: exchanges.to_owned(),
            ..ClientResource::default()
        }];
        let grant_types = grants.iter().map(|grant| (*grant).to_owned()).collect();
        let new = NewClient { grant_types, resources, ..new_client(method) };
        issuer.try_add(new).map(|_| ()).map_err(|error| error.reason())
    };
    let invalid = Err("value_invalid");
    assert_eq!(try_add("private_key_jwt", &[GRANT], FILES, "files:read"), Ok(()));
    assert_eq!(try_add("none", &[GRANT], FILES, "files:read"), invalid);
    assert_eq!(try_add("client_secret_basic", &[GRANT], FILES, ""), invalid);
    assert_eq!(try_add("client_secret_basic", &[GRANT], FILES, "mail:send"), invalid);
    assert_eq!(try_add("client_secret_basic", &[GRANT], "https://x.example", "a"), invalid);
    assert_eq!(try_add("client_secret_basic", &[], FILES, "files:read"), invalid);
    let mut new = new_client("client_secret_basic");
    new.grant_types = vec![GRANT.to_owned()];
    assert_eq!(issuer.try_add(new).unwrap_err().reason(), "value_invalid", "for no resource");
}

/// RFC 9449 §5: what is exchanged with a proof is bound to its key; what is bound already is not
/// exchanged, since the proof that goes with it cannot be shown here (attack 30).
#[test]
fn rfc_9449_exchange_of_bound_tokens() {
    let issuer = start();
    let server = add(&issuer, Some(FILES), &[(SEARCH, "files:read")]);
    let (_, tokens) = subject(&issuer, "files:read");
    let form = |token: &str| {
        [
            ("grant_type", GRANT.to_owned()),
            ("subject_token", token.to_owned()),
            ("subject_token_type", ACCESS_TOKEN.to_owned()),
            ("resource", SEARCH.to_owned()),
        ]
    };
    let ask = |token: &str| {
        let form = form(token);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, &**value)).collect();
        let proof = dpop::proof(&issuer).sign();
        issuer.post_with("/token", &server, &[("dpop", &proof)], &form)
    };
    let answer = ask(text(&tokens, "access_token"));
    assert_eq!(claims(&issuer, &answer)["cnf"]["jkt"], dpop::jkt(dpop::KEY));
    assert_eq!(answer.json()["token_type"], "DPoP");

    let bound = dpop::bound(&issuer, &issuer.client(), "files:read");
    let bound = text(&bound, "access_token");
    ask(bound).assert_error(400, "invalid_request");
    exchange(&issuer, &server, bound, &[("resource", SEARCH)]).assert_error(400, "invalid_request");
}
