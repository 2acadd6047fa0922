//! Sessions that are bound to whom they were given to (MCP 2025-11-25, session management).

use countersign_core::guard::{Engine, Outcome, Policy};
use serde_json::{Value, json};

use super::{Case, FILES, ISSUER, NOW, policies::LONG, token};
use crate::{drive, keys::TestKey, token::Token};

const CLAUSE: &str = "MCP 2025-11-25, session management; security best practices";
const OTHER: &str = "https://mcp.example.com/other/mcp";
const ID: &str = "1868a90c-0fe3.4b";

pub(super) fn policy(mode: &str) -> Value {
    let resource = |identifier: &str| {
        json!({
            "resource": identifier, "scopes": { "baseline": ["mcp:use"] }, "mode": mode,
            "session_secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        })
    };
    json!({
        "issuers": [{
            "issuer": ISSUER, "max_lifetime": LONG,
            "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
        }],
        "resources": [resource(FILES), resource(OTHER)],
    })
}

/// The session as whoever makes this request gets it.
fn sealed(case: &Case) -> String {
    let policy = Policy::parse(policy("enforce").to_string().as_bytes()).expect("a valid policy");
    let fetches = drive::Fetches::new();
    let outcome = drive::run(&mut Engine::new(policy), &case.into(), &fetches, NOW);
    let Outcome::Forward(forward) = outcome else { panic!("not let through: {outcome:?}") };
    let seal = forward.session_seal.expect("sessions are bound");
    seal.seal(ID.as_bytes()).expect("an id")
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str| Case::new(&format!("session-{name}"), CLAUSE).policy("sessions");
    let mine = |name: &str| case(name).bearer(&token().sign());
    let of = |token: Token| sealed(&case("").bearer(&token.sign()));
    let own = of(token());
    let good = |case: Case| case.with("mcp-session-id", &own).allowed().sets("mcp-session-id", ID);
    let unknown = |name: &str, id: &str| {
        mine(name).with("mcp-session-id", id).refused(404, "session_unknown")
    };
    let there = case("").at("mcp.example.com", "/other/mcp");
    let elsewhere = sealed(&there.bearer(&token().claim("aud", OTHER).sign()));
    vec![
        mine("none-yet").allowed(),
        good(mine("own")),
        good(mine("own-on-get").method("GET")),
        good(mine("own-on-delete").method("DELETE")),
        good(case("own-with-a-new-token").bearer(&token().claim("jti", "token-2").sign())),
        unknown("of-another-subject", &of(token().claim("sub", "user-2"))),
        unknown("of-another-client", &of(token().claim("client_id", "client-2"))),
        unknown("of-another-resource", &elsewhere),
        unknown("as-the-server-has-it", ID),
        unknown("with-another-id", &own.replacen('1', "2", 1)),
        unknown("with-a-short-seal", own.get(..own.len() - 1).unwrap_or_default()),
        unknown("seal-alone", own.get(ID.len()..).unwrap_or_default()),
        mine("twice")
            .with("mcp-session-id", &own)
            .with("mcp-session-id", &own)
            .refused(404, "session_unknown"),
        // To CGI and WSGI servers this is the same variable as the header.
        mine("underscored").with("mcp_session_id", ID).allowed().removes("mcp_session_id"),
        mine("underscored-beside-own")
            .with("Mcp_Session-Id", ID)
            .with("mcp-session-id", &own)
            .allowed()
            .sets("mcp-session-id", ID)
            .removes("mcp_session-id"),
        mine("in-shadow-mode").policy("sessions-shadow").with("mcp-session-id", ID).allowed(),
        Case::new("session-where-none-is-bound", CLAUSE)
            .bearer(&token().sign())
            .with("mcp-session-id", ID)
            .allowed(),
    ]
}
