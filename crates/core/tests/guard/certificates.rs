//! Tokens bound to a client certificate (RFC 8705 §3): good on connections on which the host saw that
//! certificate, and on no others.

use countersign_core::guard::{Engine, RequestHead, Step};
use countersign_testkit::token::Token;
use serde_json::json;

use super::support::{code, engine, inline, token, verify};

const DIGEST: [u8; 32] = [7; 32];

fn bound() -> Token {
    token().claim("cnf", json!({ "x5t#S256": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc" }))
}

fn ask(engine: &mut Engine, scheme: &str, token: &str, shown: Option<[u8; 32]>) -> &'static str {
    let credentials = format!("{scheme} {token}");
    let headers: [(&[u8], &[u8]); 1] = [(b"authorization", credentials.as_bytes())];
    let head = RequestHead {
        method: b"GET",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &headers,
        has_body: false,
        client: None,
        certificate: shown,
    };
    let step: Step = engine.begin(head, 10);
    code(&verify(engine, step, 10))
}

#[test]
fn each_connection_shows_its_own() {
    let mut engine = engine(&inline());
    let token = bound().sign();
    for (shown, expected) in [
        (None, "token_bound"),
        (Some([8; 32]), "token_bound"),
        (Some(DIGEST), "allow"),
        // It is remembered now: others cannot use it all the same.
        (None, "token_bound"),
        (Some([8; 32]), "token_bound"),
        (Some(DIGEST), "allow"),
    ] {
        assert_eq!(ask(&mut engine, "Bearer", &token, shown), expected, "{shown:?}");
    }
    // A token for everybody is good on every connection.
    assert_eq!(ask(&mut engine, "Bearer", &super::support::token().sign(), Some(DIGEST)), "allow");
}

#[test]
fn nothing_else_stands_in_for_it() {
    let mut engine = engine(&inline());
    for cnf in [
        json!({ "x5t#S256": "" }),
        json!({ "x5t": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc" }),
        json!({ "jkt": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc" }),
        json!({ "x5t#S256": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=" }),
        json!({ "x5t#S256": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd" }),
        json!({ "x5t#S256": ["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"] }),
        json!({ "x5t#S256": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc", "jkt": "x" }),
        json!("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"),
    ] {
        let token = token().claim("cnf", cnf.clone()).sign();
        assert_eq!(ask(&mut engine, "Bearer", &token, Some(DIGEST)), "token_bound", "{cnf}");
    }
    // Where proofs are required, a certificate is none.
    let mut policy = inline();
    policy["resources"][0]["dpop"] = "require".into();
    let mut engine = super::support::engine(&policy);
    let refused = ask(&mut engine, "Bearer", &bound().sign(), Some(DIGEST));
    assert_eq!(refused, "scheme_unsupported");
}
