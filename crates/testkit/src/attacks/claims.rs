//! Claims that do not say that this caller may do this here and now.

use serde_json::{Value, json};

use super::{Case, ISSUER, NOW, RESOURCE, good};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = issuers();
    cases.extend(audiences());
    cases.extend(times());
    cases.extend(required());
    cases.extend(scopes());
    cases.extend(bindings());
    cases
}

/// A claim of that value; null takes it away.
fn with(id: &str, clause: &'static str, name: &str, value: impl Into<Value>) -> Case {
    Case::new(id, clause, good().claim(name, value).sign())
}

/// The same with a value that only its text can be written with.
fn edited(id: &str, clause: &'static str, find: &str, replacement: &str) -> Case {
    Case::new(id, clause, good().edit_payload(find, replacement).sign())
}

/// RFC 9068 §4: exactly the issuer, no URL that is as good as equal.
fn issuers() -> Vec<Case> {
    let clause = "RFC 9068 §4, RFC 8414 §3.3";
    let iss =
        |id: &str, value: Value, reason| with(id, clause, "iss", value).refused("es256", reason);
    let unknown = |id: &str, value: &str| iss(id, json!(value), "issuer_unknown");
    vec![
        iss("iss-absent", Value::Null, "issuer_unknown"),
        iss("iss-array", json!([ISSUER]), "claim_malformed"),
        iss("iss-object", json!({ "iss": ISSUER }), "claim_malformed"),
        iss("iss-number", json!(1), "claim_malformed"),
        unknown("iss-empty", ""),
        unknown("iss-other", "https://evil.example"),
        unknown("iss-with-slash", "https://auth.example.com/"),
        unknown("iss-upper-case", "https://AUTH.EXAMPLE.COM"),
        unknown("iss-http", "http://auth.example.com"),
        unknown("iss-without-scheme", "auth.example.com"),
        unknown("iss-with-port", "https://auth.example.com:443"),
        unknown("iss-longer", "https://auth.example.com.evil.example"),
        unknown("iss-shorter", "https://auth.example.co"),
        unknown("iss-userinfo", "https://auth.example.com@evil.example"),
        unknown("iss-path", "https://auth.example.com/tenant"),
        unknown("iss-query", "https://auth.example.com?x"),
        unknown("iss-fragment", "https://auth.example.com#x"),
        unknown("iss-with-a-space", "https://auth.example.com "),
        unknown("iss-with-a-nul", "https://auth.example.com\u{0}.evil.example"),
        unknown("iss-look-alike", "https://auth.ex\u{430}mple.com"),
    ]
}

/// RFC 8707 §2: for this resource, whatever is otherwise alike.
fn audiences() -> Vec<Case> {
    let clause = "RFC 8707 §2, RFC 9068 §4";
    let aud =
        |id: &str, value: Value, reason| with(id, clause, "aud", value).refused("es256", reason);
    let foreign = |id: &str, value: &str| aud(id, json!(value), "audience_mismatch");
    let resource = |id: &str, value: Value, reason| {
        with(id, clause, "resource", value).refused("resource-claim", reason)
    };
    vec![
        with("aud-array", clause, "aud", json!([RESOURCE])),
        with("aud-default-port", clause, "aud", "https://mcp.example.com:443/files/mcp"),
        with("aud-upper-case-host", clause, "aud", "HTTPS://MCP.EXAMPLE.COM/files/mcp"),
        with("resource-claim", clause, "resource", RESOURCE),
        aud("aud-absent", Value::Null, "claim_missing"),
        aud("aud-empty-array", json!([]), "claim_missing"),
        aud("aud-number", json!(1), "claim_malformed"),
        aud("aud-object", json!({ RESOURCE: true }), "claim_malformed"),
        aud("aud-array-inside", json!([[RESOURCE]]), "claim_malformed"),
        aud("aud-array-with-null", json!([RESOURCE, null]), "claim_malformed"),
        aud("aud-and-another", json!([RESOURCE, "https://other.example.com"]), "audience_mismatch"),
        aud("aud-others-alone", json!(["https://other.example.com", "x"]), "audience_mismatch"),
        foreign("aud-empty", ""),
        foreign("aud-other-server", "https://other.example.com/files/mcp"),
        foreign("aud-other-server-of-the-host", "https://mcp.example.com/mail/mcp"),
        foreign("aud-host-alone", "https://mcp.example.com"),
        foreign("aud-http", "http://mcp.example.com/files/mcp"),
        foreign("aud-other-port", "https://mcp.example.com:8443/files/mcp"),
        foreign("aud-trailing-slash", "https://mcp.example.com/files/mcp/"),
        foreign("aud-longer", "https://mcp.example.com/files/mcp2"),
        foreign("aud-shorter", "https://mcp.example.com/files"),
        foreign("aud-path-in-other-case", "https://mcp.example.com/Files/mcp"),
        foreign("aud-encoded", "https://mcp.example.com/files%2Fmcp"),
        foreign("aud-encoded-letter", "https://mcp.example.com/%66iles/mcp"),
        foreign("aud-dot-segments", "https://mcp.example.com/x/../files/mcp"),
        foreign("aud-double-slash", "https://mcp.example.com//files/mcp"),
        foreign("aud-query", "https://mcp.example.com/files/mcp?"),
        foreign("aud-fragment", "https://mcp.example.com/files/mcp#"),
        foreign("aud-userinfo", "https://mcp.example.com@evil.example/files/mcp"),
        foreign("aud-user", "https://user@mcp.example.com/files/mcp"),
        foreign("aud-subdomain", "https://x.mcp.example.com/files/mcp"),
        foreign("aud-host-longer", "https://mcp.example.com.evil.example/files/mcp"),
        foreign("aud-host-with-dot", "https://mcp.example.com./files/mcp"),
        foreign("aud-inside-another", "https://evil.example/?u=https://mcp.example.com/files/mcp"),
        foreign("aud-backslash", "https:\\\\mcp.example.com\\files\\mcp"),
        foreign("aud-with-a-space", " https://mcp.example.com/files/mcp"),
        foreign("aud-with-a-line-break", "https://mcp.example.com/files/mcp\n"),
        foreign("aud-two-in-one", &format!("{RESOURCE} https://other.example.com")),
        foreign("aud-wildcard", "*"),
        foreign("aud-client", "client-1"),
        foreign("aud-issuer", ISSUER),
        resource("resource-claim-other", json!("https://other.example.com"), "audience_mismatch"),
        resource("resource-claim-and-other", json!([RESOURCE, "x"]), "audience_mismatch"),
        resource("resource-claim-number", json!(1), "claim_malformed"),
    ]
}

/// RFC 7519 §4.1.4 to §4.1.6, with the leeway of 60 seconds.
fn times() -> Vec<Case> {
    let clause = "RFC 7519 §2, §4.1.4, RFC 9068 §4";
    let end = NOW + 3600;
    let exp = format!("\"exp\":{end}");
    let malformed = |id: &str, value: &str| {
        edited(id, clause, &exp, &format!("\"exp\":{value}")).refused("es256", "claim_malformed")
    };
    let own = |id: &str, name: &str, value: u64| with(id, clause, name, value);
    vec![
        own("just-not-expired", "exp", NOW - 59),
        own("just-expired", "exp", NOW - 60).refused("just-not-expired", "token_expired"),
        own("long-expired", "exp", NOW - 30 * 86_400).refused("es256", "token_expired"),
        own("expired-in-1970", "exp", 0).refused("es256", "token_expired"),
        Case::new("an-hour-later", clause, good().sign()).at(end + 59),
        Case::new("an-hour-and-a-leeway-later", clause, good().sign())
            .at(end + 60)
            .refused("an-hour-later", "token_expired"),
        Case::new("two-minutes-earlier", clause, good().sign()).at(NOW - 120),
        Case::new("earlier-than-it-was-issued", clause, good().sign())
            .at(NOW - 121)
            .refused("two-minutes-earlier", "token_not_yet_valid"),
        own("issued-at-the-edge", "iat", NOW + 60),
        own("issued-in-the-future", "iat", NOW + 61)
            .refused("issued-at-the-edge", "token_not_yet_valid"),
        own("not-before-at-the-edge", "nbf", NOW + 60),
        own("not-before-in-the-future", "nbf", NOW + 61)
            .refused("not-before-at-the-edge", "token_not_yet_valid"),
        own("a-day-long", "exp", NOW - 60 + 86_400),
        own("more-than-a-day-long", "exp", NOW - 60 + 86_401)
            .refused("a-day-long", "token_lifetime_excessive"),
        own("as-good-as-eternal", "exp", 253_402_300_799)
            .refused("es256", "token_lifetime_excessive"),
        edited("exp-with-fraction", clause, &exp, &format!("\"exp\":{end}.5")),
        malformed("exp-text", &format!("\"{end}\"")),
        malformed("exp-true", "true"),
        malformed("exp-null", "null"),
        malformed("exp-array", &format!("[{end}]")),
        malformed("exp-negative", "-1"),
        malformed("exp-beyond-64-bits", "18446744073709551616"),
        malformed("exp-huge", "1e300"),
        malformed("exp-in-milliseconds", &format!("{end}000")),
        edited("exp-beyond-doubles", clause, &exp, "\"exp\":1e400")
            .refused("es256", "token_malformed"),
        with("nbf-text", clause, "nbf", "1769904000").refused("es256", "claim_malformed"),
        with("nbf-false", clause, "nbf", false).refused("es256", "claim_malformed"),
        with("iat-text", clause, "iat", "1769904000").refused("es256", "claim_malformed"),
        with("iat-true", clause, "iat", true).refused("es256", "claim_malformed"),
        with("iat-negative", clause, "iat", -1).refused("es256", "claim_malformed"),
    ]
}

/// RFC 9068 §2.2: what every access token has, of its kind.
fn required() -> Vec<Case> {
    let clause = "RFC 9068 §2.2, RFC 7519 §4.1";
    let mut cases = Vec::new();
    for name in ["sub", "client_id", "jti", "iat", "exp"] {
        cases.push(
            with(&format!("{name}-absent"), clause, name, Value::Null)
                .refused("es256", "claim_missing"),
        );
    }
    for name in ["sub", "client_id", "jti"] {
        for (kind, value, reason) in [
            ("empty", json!(""), "claim_missing"),
            ("number", json!(1), "claim_malformed"),
            ("array", json!(["x"]), "claim_malformed"),
            ("object", json!({}), "claim_malformed"),
        ] {
            let case = with(&format!("{name}-{kind}"), clause, name, value);
            cases.push(case.refused("es256", reason));
        }
    }
    cases
}

/// RFC 6749 §3.3: scopes are texts that are equal or not.
fn scopes() -> Vec<Case> {
    let clause = "RFC 6749 §3.3, RFC 9068 §2.2.3";
    let scope =
        |id: &str, value: Value, reason| with(id, clause, "scope", value).refused("es256", reason);
    let lacking = |id: &str, value: &str| scope(id, json!(value), "scope_insufficient");
    let malformed = |id: &str, value: Value| scope(id, value, "claim_malformed");
    vec![
        with("scope-array", clause, "scope", json!(["mcp:use"])),
        scope("scope-absent", Value::Null, "scope_insufficient"),
        lacking("scope-empty", ""),
        lacking("scope-other", "files:read"),
        lacking("scope-upper-case", "MCP:USE"),
        lacking("scope-longer", "mcp:user"),
        lacking("scope-shorter", "mcp:us"),
        lacking("scope-wildcard", "mcp:*"),
        lacking("scope-star", "*"),
        lacking("scope-in-two", "mcp: use"),
        malformed("scope-with-comma-and-quote", json!("mcp:use,\"x\"")),
        malformed("scope-two-spaces", json!("mcp:use  files:read")),
        malformed("scope-tab", json!("mcp:use\tfiles:read")),
        malformed("scope-space-first", json!(" mcp:use")),
        malformed("scope-line-break", json!("x\nmcp:use")),
        malformed("scope-backslash", json!("mcp:use \\")),
        malformed("scope-not-ascii", json!("mcp:use \u{e4}")),
        malformed("scope-number", json!(1)),
        malformed("scope-object", json!({ "mcp:use": true })),
        malformed("scope-array-inside", json!([["mcp:use"]])),
        malformed("scope-array-with-number", json!(["mcp:use", 1])),
        malformed("scope-array-two-in-one", json!(["x mcp:use"])),
        with("scope-as-scp", clause, "scp", "mcp:use"),
        Case::new(
            "scope-as-scp-alone",
            clause,
            good().claim("scope", Value::Null).claim("scp", "mcp:use").sign(),
        )
        .refused("scope-as-scp", "scope_insufficient"),
        Case::new(
            "scope-as-permissions-alone",
            clause,
            good().claim("scope", Value::Null).claim("permissions", json!(["mcp:use"])).sign(),
        )
        .refused("es256", "scope_insufficient"),
    ]
}

/// A token that is bound to a key is no bearer token (RFC 9449 §7.2, RFC 8705 §3).
fn bindings() -> Vec<Case> {
    let clause = "RFC 9449 §7.2, RFC 8705 §3, RFC 7800 §3";
    let cnf =
        |id: &str, value: Value, reason| with(id, clause, "cnf", value).refused("es256", reason);
    vec![
        cnf("bound-to-a-key", json!({ "jkt": "x" }), "token_bound"),
        cnf("bound-to-a-certificate", json!({ "x5t#S256": "x" }), "token_bound"),
        cnf("bound-by-a-jwk", json!({ "jwk": {} }), "token_bound"),
        cnf("bound-to-nothing", json!({}), "token_bound"),
        cnf("bound-by-text", json!("x"), "token_bound"),
        cnf("bound-by-array", json!([]), "token_bound"),
        with(
            "status-elsewhere",
            "Token Status List §6",
            "status",
            json!({
                "status_list": { "idx": 0, "uri": "https://evil.example/list" },
            }),
        )
        .refused("es256", "status_unavailable"),
        with("status-malformed", "Token Status List §6", "status", json!({ "status_list": 1 }))
            .refused("es256", "claim_malformed"),
    ]
}
