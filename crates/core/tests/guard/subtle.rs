//! What a review found that the other tests had not: each says what must hold, and why.

use countersign_core::guard::{Answer, Engine, Policy, RequestHead, Step};
use countersign_testkit::token::Token;
use serde_json::{Value, json};

use super::support::{
    ISSUER, ask, begin, code, engine, inline, response, retry_after, token, verify, with_rules,
};

/// `Answer::GiveUp` is documented as 503, and a host that cannot verify now (a WebCrypto that
/// throws) is our fault: a 401 would make the client log in again (DESIGN, MCP in the engine).
#[test]
fn giving_up_on_a_signature_is_503() {
    let mut engine = engine(&inline());
    let step = begin(&mut engine, "/mcp", &token().sign(), 10);
    let Step::NeedSignature(pending) = step else { panic!("found {}", code(&step)) };
    assert!(retry_after(engine.resume(pending, Answer::GiveUp, 10)) >= 1);
}

fn read(scopes: Value, uri: &str) -> &'static str {
    let mut policy = inline();
    policy["resources"][0]["scopes"] = scopes;
    let mut engine = engine(&policy);
    let step = begin(&mut engine, "/mcp", &token().claim("scope", "mcp:use").sign(), 10);
    let Step::NeedBody(pending) = verify(&mut engine, step, 10) else {
        panic!("no body asked for")
    };
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": uri } });
    code(&engine.resume(pending, Answer::Body(body.to_string().as_bytes()), 10))
}

/// RFC 3986 §3.1: a scheme has no case, with or without `//` after it.
#[test]
fn schemes_have_no_case() {
    for pattern in ["urn:secret:*", "URN:secret:1"] {
        let scopes = json!({ "resources": { pattern: ["files:admin"] } });
        for uri in ["urn:secret:1", "URN:secret:1", "Urn:secret:1"] {
            assert_eq!(read(scopes.clone(), uri), "scope_insufficient", "{uri} for {pattern}");
        }
    }
}

/// RFC 8089 App. B and RFC 3986 §6.2: other names of the file that the rule is about. Refused or
/// recognised; never let pass by the baseline.
#[test]
fn other_spellings_do_not_pass_a_rule() {
    let scopes = json!({ "resources": { "file:///secret/*": ["files:admin"] } });
    for uri in [
        "file:///secret/a",
        "file:/secret/a",
        "file://localhost/secret/a",
        "file:////secret/a",
        "file:///secret%2Fa",
        "file:///secret\\a",
    ] {
        assert_ne!(read(scopes.clone(), uri), "allow", "{uri}");
    }
}

/// RFC 9110 §5.5: spaces at the ends are no part of a header's value. The server would see another
/// subject than the token has, so no header can carry it.
#[test]
fn claims_that_headers_would_change_are_refused() {
    for subject in [" admin", "admin ", " "] {
        let token = token().claim("sub", subject).sign();
        assert_eq!(ask(&mut engine(&inline()), &token, 10), "claim_malformed", "{subject:?}");
    }
}

/// CGI and WSGI servers read `X_Mcp_Subject` and `X-Mcp-Subject` as the same variable.
#[test]
fn identity_headers_cannot_be_spoofed_with_underscores() {
    let mut engine = engine(&inline());
    let credentials = format!("Bearer {}", token().sign());
    let headers: [(&[u8], &[u8]); 3] = [
        (b"authorization", credentials.as_bytes()),
        (b"x_mcp_subject", b"admin"),
        (b"X-Mcp_Scope", b"files:admin"),
    ];
    let head = RequestHead {
        method: b"POST",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &headers,
        has_body: true,
        client: None,
        certificate: None,
    };
    let step = engine.begin(head, 10);
    let Step::Forward(forward) = verify(&mut engine, step, 10) else { panic!("it is forwarded") };
    let removed: Vec<&str> = forward.remove.iter().map(|name| name.as_str()).collect();
    for name in ["x_mcp_subject", "x-mcp_scope"] {
        assert!(removed.contains(&name), "{name} is not among {removed:?}");
    }
}

fn error_path(edit: impl FnOnce(&mut Value)) -> Option<String> {
    let mut policy = with_rules(inline());
    edit(&mut policy);
    Policy::parse(policy.to_string().as_bytes()).err().map(|error| error.path)
}

/// Two claims for one header: which one the server sees depends on the host.
#[test]
fn one_header_carries_one_claim() {
    let path = |forward: Value| error_path(|policy| policy["resources"][0]["forward"] = forward);
    let headers = json!({ "headers": { "X-User": "sub", "x-user": "client_id" } });
    assert!(path(headers).is_some_and(|path| path.starts_with("$.resources[0].forward.headers")));
    let claims = json!({ "headers": { "x-user": "sub" }, "claims": "X-User" });
    assert_eq!(path(claims).as_deref(), Some("$.resources[0].forward.claims"));
}

/// Of two patterns that are the same once normalised, one would silently win.
#[test]
fn equal_patterns_are_a_mistake() {
    let path = error_path(|policy| {
        policy["resources"][0]["scopes"]["resources"] =
            json!({ "file:///a": [], "FILE:///%61": ["files:admin"] });
    });
    assert!(path.is_some_and(|path| path.starts_with("$.resources[0].scopes.resources[")));
}

/// A host fetches by HTTP, whatever the issuer's scheme.
#[test]
fn keys_are_fetched_by_http() {
    let path = error_path(|policy| {
        policy["issuers"][0] =
            json!({ "issuer": "http://127.0.0.1:8090", "jwks_uri": "ftp://127.0.0.1/jwks" });
    });
    assert_eq!(path.as_deref(), Some("$.issuers[0].jwks_uri"));
}

/// The path of the mistake, as for `algorithms`.
#[test]
fn empty_token_types_have_their_path() {
    let path = error_path(|policy| policy["issuers"][0]["token_types"] = json!([]));
    assert_eq!(path.as_deref(), Some("$.issuers[0].token_types"));
    let path = error_path(|policy| policy["issuers"][0]["issuer"] = json!(format!("{ISSUER}?x")));
    assert_eq!(path.as_deref(), Some("$.issuers[0].issuer"));
}

/// A request for `path` with a token for the resource at the root of the host.
fn get(engine: &mut Engine, path: &str) -> Step {
    let token = Token::new(ISSUER, "https://mcp.example.com").claim("iat", 1).claim("exp", 100_000);
    let credentials = format!("Bearer {}", token.sign());
    let headers: [(&[u8], &[u8]); 1] = [(b"authorization", credentials.as_bytes())];
    let head = RequestHead {
        method: b"GET",
        authority: b"mcp.example.com",
        path: path.as_bytes(),
        headers: &headers,
        has_body: false,
        client: None,
        certificate: None,
    };
    let step = engine.begin(head, 10);
    verify(engine, step, 10)
}

/// RFC 3986 §6.2.2.2: `%61` is `a`. Where one resource lies below another, a token for the outer one
/// must not reach the inner one by another spelling of its path.
#[test]
fn a_resource_is_found_by_every_spelling_of_its_path() {
    let mut policy = inline();
    policy["resources"] = json!([
        { "resource": "https://mcp.example.com" },
        { "resource": "https://mcp.example.com/admin/mcp" },
    ]);
    let mut engine = engine(&policy);
    assert_eq!(code(&get(&mut engine, "/other")), "allow");
    assert_eq!(code(&get(&mut engine, "/admin/mcp")), "audience_mismatch");
    for path in ["/%61dmin/mcp", "/admin/mc%70", "/admin;x/mcp", "/admin/mcp;x"] {
        assert_ne!(code(&get(&mut engine, path)), "allow", "{path}");
    }
}

/// RFC 9110 §9.3.2, and the documentation of `Response::body`.
#[test]
fn answers_to_head_have_no_body() {
    let head = RequestHead {
        method: b"HEAD",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &[],
        has_body: false,
        client: None,
        certificate: None,
    };
    let response = response(engine(&inline()).begin(head, 10));
    assert_eq!((response.status, response.body.len()), (401, 0));
}

/// RFC 6454 §6.2: an origin is written without its default port. The resource's own is always
/// allowed, however its identifier is written.
#[test]
fn the_own_origin_is_allowed() {
    let mut policy = inline();
    policy["resources"] = json!([{ "resource": "https://mcp.example.com:443/mcp" }]);
    let headers: [(&[u8], &[u8]); 1] = [(b"origin", b"https://mcp.example.com")];
    let head = RequestHead {
        method: b"GET",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &headers,
        has_body: false,
        client: None,
        certificate: None,
    };
    assert_eq!(code(&engine(&policy).begin(head, 10)), "token_missing");
}

/// A body can be sent slowly; the decision falls when it is there.
#[test]
fn a_token_can_expire_while_its_body_is_sent() {
    let mut engine = engine(&with_rules(inline()));
    let step = begin(&mut engine, "/mcp", &token().claim("exp", 20).sign(), 10);
    let Step::NeedBody(pending) = verify(&mut engine, step, 10) else {
        panic!("no body asked for")
    };
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(code(&engine.resume(pending, Answer::Body(body), 3600)), "token_expired");
}

/// It looks like a pattern, is compared as text, and so matches no page.
#[test]
fn origins_have_no_wildcards() {
    let path = error_path(|policy| {
        policy["resources"][0]["origins"] = json!(["https://*.example.com"]);
    });
    assert_eq!(path.as_deref(), Some("$.resources[0].origins[0]"));
}
