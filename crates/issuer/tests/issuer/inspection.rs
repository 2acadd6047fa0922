//! What an operator learns of a token beside the server, and does to it: the same as `/introspect` and
//! `/revoke`.

use countersign_core::Reason;
use countersign_issuer::{Config, RevokedToken, Store, TokenInfo, TokenKind, TokenReport, Tokens};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    browser::text,
    dpop,
    issuer::{ACCOUNT, CALLBACK, Client, FILES, Issuer},
    tokens::verified,
};

fn config(issuer: &Issuer) -> Config {
    Config { issuer: Some(issuer.url.clone()), ..issuer.folder().config() }
}

/// What the command line does: another process with the same database.
fn beside<T>(config: &Config, work: impl AsyncFnOnce(Tokens) -> T) -> T {
    Runtime::new().unwrap().block_on(async {
        let store = Store::open(&config.database).await.unwrap();
        let tokens = Tokens::open(store.clone(), config).await.unwrap();
        let done = work(tokens).await;
        store.close().await;
        done
    })
}

fn inspect(issuer: &Issuer, token: &str) -> TokenReport {
    beside(&config(issuer), async |tokens| tokens.inspect(token).await.unwrap())
}

fn reason(report: &TokenReport) -> Option<Reason> {
    report.refused.as_ref().map(|refusal| refusal.reason)
}

fn revoke(issuer: &Issuer, token: &str) -> Result<(TokenInfo, bool), Reason> {
    match beside(&config(issuer), async |tokens| tokens.revoke(token).await.unwrap()) {
        RevokedToken::Ended(info, is_new) => Ok((*info, is_new)),
        RevokedToken::Foreign(refusal) => Err(refusal.reason),
    }
}

/// RFC 7662: what the endpoint says to whom the token concerns.
fn is_active(issuer: &Issuer, client: &Client, token: &str) -> bool {
    let answer = issuer.post("/introspect", client, &[("token", token)]).json();
    answer["active"].as_bool().unwrap()
}

fn access(tokens: &Value) -> &str {
    text(tokens, "access_token")
}

fn refresh(tokens: &Value) -> &str {
    text(tokens, "refresh_token")
}

#[test]
fn an_access_token_is_known_and_ends_alone() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let tokens = issuer.tokens(&client, &[]);
    let (_, claims) = verified(&issuer, access(&tokens));

    let report = inspect(&issuer, access(&tokens));
    assert_eq!(reason(&report), None);
    let token = report.token.unwrap();
    assert_eq!(token.kind, TokenKind::Access);
    assert_eq!(token.issuer, issuer.url);
    assert_eq!(json!(token.id), claims["jti"]);
    assert_eq!(json!(token.subject), claims["sub"]);
    assert_eq!(token.user.unwrap().name, ACCOUNT);
    assert_eq!(token.client_id.as_ref(), Some(&client.id));
    assert_eq!(token.client_name.as_deref(), Some("Test client"));
    assert_eq!(token.audience, [FILES]);
    assert_eq!(token.scope, "files:read");
    assert_eq!(json!(token.issued_at), claims["iat"]);
    assert_eq!(json!(token.expires_at), claims["exp"]);
    assert_eq!(token.bound_to, None);
    let grant = token.grant.unwrap();
    assert_eq!((grant.id.as_str(), grant.revoked_at), (issuer.grants()[0].id.as_str(), None));
    let status = token.status.unwrap();
    assert_eq!(json!(status.uri), claims["status"]["status_list"]["uri"]);
    assert_eq!(json!(status.index), claims["status"]["status_list"]["idx"]);
    assert!(!status.is_revoked);

    let (token, is_new) = revoke(&issuer, access(&tokens)).unwrap();
    assert!(is_new && token.status.unwrap().is_revoked);
    assert_eq!(token.grant.unwrap().revoked_at, None);
    assert!(!is_active(&issuer, &client, access(&tokens)), "at once");
    let report = inspect(&issuer, access(&tokens));
    assert_eq!(reason(&report), Some(Reason::TokenRevoked));
    assert_eq!(report.token.unwrap().scope, "files:read", "it is still ours");
    assert!(!revoke(&issuer, access(&tokens)).unwrap().1, "once");
    assert_eq!(issuer.number("SELECT COUNT(*) FROM revocation_log"), 1);
    let by = "SELECT COUNT(*) FROM revocation_log WHERE reason = 'revoked_by_administrator'";
    assert_eq!(issuer.number(by), 1);
    assert!(is_active(&issuer, &client, refresh(&tokens)), "RFC 7009 §2.1: the grant goes on");
    assert_eq!(issuer.refresh(&client, refresh(&tokens), &[]).status, 200);
}

#[test]
fn a_refresh_token_ends_its_grant() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let first = issuer.tokens(&client, &[]);
    let second = issuer.refresh(&client, refresh(&first), &[]).json();
    let report = inspect(&issuer, refresh(&first));
    assert_eq!(reason(&report), Some(Reason::TokenInactive), "it has a successor");
    let report = inspect(&issuer, refresh(&second));
    assert_eq!(reason(&report), None);
    let token = report.token.unwrap();
    assert_eq!((token.kind, token.id, token.status), (TokenKind::Refresh, None, None));
    assert_eq!(token.user.unwrap().name, ACCOUNT);
    assert_eq!((token.audience, token.scope.as_str()), (vec![FILES.to_owned()], "files:read"));
    assert!(token.issued_at.unwrap() < token.expires_at);
    let consents = "SELECT COUNT(*) FROM consents";
    assert_eq!(issuer.number(consents), 1);

    // Also by one that was used: whoever has it found it somewhere.
    let (token, is_new) = revoke(&issuer, refresh(&first)).unwrap();
    assert!(is_new);
    assert_eq!(token.grant.unwrap().reason.as_deref(), Some("revoked_by_administrator"));
    for token in [refresh(&first), refresh(&second), access(&first), access(&second)] {
        assert_eq!(reason(&inspect(&issuer, token)), Some(Reason::TokenRevoked));
        assert!(!is_active(&issuer, &client, token));
        assert!(!revoke(&issuer, token).unwrap().1, "nothing is left");
    }
    assert_eq!(issuer.number(consents), 0, "the user is asked the next time");
    issuer.refresh(&client, refresh(&second), &[]).assert_error(400, "invalid_grant");
}

/// The endpoint and the operator are told the same of everything.
#[test]
fn one_verdict() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_basic", &[CALLBACK]);
    let tokens = issuer.tokens(&client, &[("scope", "openid files:read")]);
    let (signed, _) = access(&tokens).rsplit_once('.').unwrap();
    let (_, other_signature) = text(&tokens, "id_token").rsplit_once('.').unwrap();
    let refresh_token = refresh(&tokens);
    for (token, expected) in [
        (access(&tokens), None),
        (refresh_token, None),
        (text(&tokens, "id_token"), Some(Reason::TokenTypeUnsupported)),
        (&format!("{signed}.{other_signature}"), Some(Reason::SignatureInvalid)),
        (&format!("{signed}."), Some(Reason::TokenMalformed)),
        (signed, Some(Reason::TokenMalformed)),
        ("x", Some(Reason::TokenMalformed)),
        ("", Some(Reason::TokenMalformed)),
        (&refresh_token.replace("rt_", "ac_"), Some(Reason::TokenMalformed)),
        (&format!("rt_{}", "A".repeat(43)), Some(Reason::TokenInactive)),
    ] {
        let report = inspect(&issuer, token);
        assert_eq!(reason(&report), expected, "{token}");
        assert_eq!(report.token.is_some(), expected.is_none(), "{token}");
        if !token.is_empty() {
            assert_eq!(is_active(&issuer, &client, token), expected.is_none(), "{token}");
        }
        if let Some(reason) = expected {
            assert_eq!(revoke(&issuer, token).unwrap_err(), reason, "{token}");
        }
    }
    assert_eq!(issuer.number("SELECT COUNT(*) FROM revocation_log"), 0);

    // By another name it is another issuer.
    let other = "https://auth.example.com".to_owned();
    let named = Config { issuer: Some(other), ..config(&issuer) };
    let token = access(&tokens);
    let report = beside(&named, async |tokens| tokens.inspect(token).await.unwrap());
    let refusal = report.refused.unwrap();
    assert_eq!((refusal.reason, refusal.detail), (Reason::IssuerUnknown, Some(issuer.url.clone())));

    issuer.disable_user(ACCOUNT);
    for token in [token, refresh_token] {
        let report = inspect(&issuer, token);
        assert_eq!(reason(&report), Some(Reason::TokenRevoked));
        let token = report.token.unwrap();
        assert!(token.user.unwrap().is_disabled);
        assert_eq!(token.grant.unwrap().reason.as_deref(), Some("user_disabled"));
    }
}

/// RFC 9449 §6.1: the key is named.
#[test]
fn bound_tokens() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let tokens = dpop::redeem(&issuer, &client, &code, &dpop::proof(&issuer)).json();
    for token in [access(&tokens), refresh(&tokens)] {
        let token = inspect(&issuer, token).token.unwrap();
        assert_eq!(token.bound_to, Some(dpop::jkt(dpop::KEY)));
    }
}

/// Tokens of a client's own stand in blocks, whose places only the sealing key tells. Without it nothing
/// is guessed; where it is not needed it is not missed.
#[test]
fn tokens_of_services() {
    let issuer = Issuer::start();
    let service = issuer.add_service("client_secret_basic", &[(FILES, "files:read")]);
    let credentials = [("grant_type", "client_credentials")];
    let own = issuer.token(&service, &credentials).json();
    let without = Config { key_file: Some(issuer.folder().path().join("none")), ..config(&issuer) };
    let token = inspect(&issuer, access(&own)).token.unwrap();
    assert!(token.subject.as_ref() == Some(&service.id) && token.user.is_none());
    assert_eq!(token.grant, None);
    let ask = |config: &Config| {
        beside(config, async |tokens| tokens.inspect(access(&own)).await)
            .map(|report| reason(&report))
            .map_err(|error| error.reason())
    };
    assert_eq!(ask(&without), Ok(None));
    issuer.disable_client(&service);
    assert_eq!(ask(&config(&issuer)), Ok(Some(Reason::TokenRevoked)));
    assert_eq!(ask(&without), Err("crypto_failed"));
    assert!(!issuer.folder().path().join("none").exists(), "none is made");
    let token = inspect(&issuer, access(&own)).token.unwrap();
    assert!(token.client_disabled && token.status.unwrap().is_revoked);
    issuer.delete_client(&service);
    let token = inspect(&issuer, access(&own)).token.unwrap();
    assert_eq!(token.client_name, None);
}

/// A list that is gone has no valid tokens, and a key that was revoked has signed none.
#[test]
fn what_is_over() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    issuer.sql("UPDATE status_lists SET drop_at = 1");
    assert_eq!(reason(&inspect(&issuer, access(&tokens))), Some(Reason::TokenRevoked));
    issuer.sql("UPDATE refresh_tokens SET expires_at = 1");
    let report = inspect(&issuer, refresh(&tokens));
    assert_eq!(reason(&report), Some(Reason::TokenExpired));
    assert_eq!(report.token.unwrap().expires_at, 1);
    issuer.sql("UPDATE signing_keys SET state = 'revoked'");
    assert_eq!(reason(&inspect(&issuer, access(&tokens))), Some(Reason::KeyUnknown));
}
