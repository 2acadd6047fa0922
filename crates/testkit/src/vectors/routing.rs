//! Which resource a request is for; documents, preflights, origins; what is told to the server.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Case, FILES, FILES_METADATA, ISSUER, bare_challenge, token};
use crate::token::Token;

const NOTES: &str = "https://mcp.example.com/notes/mcp";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = routes();
    cases.extend(documents());
    cases.extend(origins());
    cases.extend(forwarding());
    cases.extend(shadow());
    cases
}

fn routes() -> Vec<Case> {
    let at = |name: &str, authority: &str, path: &str| {
        Case::new(name, "DESIGN, resources.hosts and path")
            .at(authority, path)
            .bearer(&token().sign())
    };
    let nested = |name: &str, path: &str| {
        let outer = Token::new(ISSUER, "https://nested.example.com/").sign();
        Case::new(name, "RFC 9110 §4.2.3: paths are told apart by case, though not by every server")
            .at("nested.example.com", path)
            .bearer(&outer)
    };
    let ambiguous = |name: &str, path: &str| {
        at(name, "mcp.example.com", path).refused(400, "path_ambiguous").envoy_may_refuse()
    };
    vec![
        at("path-below", "mcp.example.com", "/files/mcp/sub").allowed(),
        at("path-with-slash", "mcp.example.com", "/files/mcp/").allowed(),
        at("path-with-query", "mcp.example.com", "/files/mcp?x=1").allowed(),
        at("host-in-other-case", "MCP.Example.COM", "/files/mcp").allowed(),
        at("host-with-port", "mcp.example.com:443", "/files/mcp").allowed(),
        at("path-sibling", "mcp.example.com", "/files/mcp2").refused(404, "resource_unknown"),
        at("path-above", "mcp.example.com", "/files").refused(404, "resource_unknown"),
        at("path-in-other-case", "mcp.example.com", "/Files/mcp").refused(404, "resource_unknown"),
        at("path-root", "mcp.example.com", "/").refused(404, "resource_unknown"),
        at("host-unknown", "other.example.com", "/files/mcp").refused(404, "resource_unknown"),
        at("host-below", "x.mcp.example.com", "/files/mcp").refused(404, "resource_unknown"),
        ambiguous("path-with-dots", "/healthz/../files/mcp"),
        ambiguous("path-with-encoded-dots", "/healthz/%2e%2e/files/mcp"),
        ambiguous("path-with-encoded-slash", "/files%2fmcp"),
        ambiguous("path-with-backslash", "/files\\mcp"),
        ambiguous("path-with-two-slashes", "//files/mcp"),
        ambiguous("path-with-parameters", "/healthz/..;/files/mcp"),
        ambiguous("path-with-a-parameter", "/files/mcp;x"),
        ambiguous("path-encoded-without-need", "/files/%6dcp"),
        nested("path-of-the-outer-resource", "/Administration").allowed(),
        nested("path-of-the-inner-resource-in-other-case", "/ADMIN").refused(400, "path_ambiguous"),
        nested("path-below-the-inner-resource-in-other-case", "/Admin/x?a=1")
            .refused(400, "path_ambiguous"),
        nested("path-of-the-inner-resource-in-other-case-with-slash", "/Admin/")
            .refused(400, "path_ambiguous"),
        nested("public-path-of-the-inner-resource-in-other-case", "/Admin/health")
            .refused(400, "path_ambiguous"),
        Case::new("public-path", "DESIGN, public_paths")
            .at("mcp.example.com", "/healthz")
            .method("GET")
            .forwarded("public", &[]),
        Case::new("public-path-strips-credentials", "DESIGN, forward")
            .at("mcp.example.com", "/healthz")
            .method("GET")
            .bearer("x")
            .with("x-mcp-subject", "admin")
            .forwarded("public", &[]),
        Case::new("below-a-public-path", "DESIGN, public_paths")
            .at("mcp.example.com", "/healthz/x")
            .method("GET")
            .refused(404, "resource_unknown"),
        Case::new("token-for-another-path-of-the-host", "RFC 8707 §2")
            .at("mcp.example.com", "/notes/mcp")
            .bearer(&token().sign())
            .challenged(
                401,
                "audience_mismatch",
                &super::challenge(
                    "https://mcp.example.com/.well-known/oauth-protected-resource/notes/mcp",
                    "invalid_token",
                    "The access token is invalid",
                    "notes:use",
                ),
            ),
    ]
}

fn documents() -> Vec<Case> {
    let get = |name: &str, authority: &str, path: &str| {
        Case::new(name, "RFC 9728 §3, MCP authorization server discovery")
            .at(authority, path)
            .method("GET")
    };
    let served = |case: Case, document: Option<Value>| {
        let mut case = case.header("access-control-allow-origin", "*");
        case.expect.verdict = "metadata".to_owned();
        case.expect.status = Some(200);
        case.expect.json = document;
        case
    };
    let files = json!({
        "resource": FILES,
        "authorization_servers": [ISSUER, "https://brief.example.com"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["mcp:use"],
        "resource_name": "Example files",
        "resource_documentation": "https://docs.example.com/files",
    });
    let strict = json!({
        "resource": "https://strict.example.com/mcp",
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["mcp:use"],
    });
    let well_known = "/.well-known/oauth-protected-resource";
    let mut head =
        served(get("metadata-by-head", "strict.example.com", well_known).method("HEAD"), None);
    head.expect.json = None;
    let mut preflight = get("metadata-preflight", "strict.example.com", well_known)
        .method("OPTIONS")
        .with("origin", "https://anything.example")
        .with("access-control-request-method", "GET")
        .header("access-control-allow-origin", "*");
    preflight.expect.verdict = "metadata".to_owned();
    preflight.expect.status = Some(204);
    vec![
        served(get("metadata", "mcp.example.com", &format!("{well_known}/files/mcp")), Some(files)),
        served(get("metadata-at-the-root", "strict.example.com", well_known), Some(strict.clone())),
        served(
            get("metadata-path-inserted", "strict.example.com", &format!("{well_known}/mcp")),
            Some(strict),
        ),
        served(
            get("metadata-of-a-bare-origin", "legacy-api.example.com", well_known),
            Some(json!({
                "resource": "https://legacy-api.example.com",
                "authorization_servers": ["https://legacy.example.com"],
                "bearer_methods_supported": ["header"],
            })),
        ),
        head,
        preflight,
        get("metadata-at-the-root-of-two", "mcp.example.com", well_known)
            .refused(404, "metadata_unknown"),
        get("metadata-of-nothing", "mcp.example.com", &format!("{well_known}/other"))
            .refused(404, "metadata_unknown"),
        get(
            "authorization-server-metadata",
            "mcp.example.com",
            "/.well-known/oauth-authorization-server",
        )
        .refused(404, "metadata_unknown"),
        get("openid-configuration", "mcp.example.com", "/.well-known/openid-configuration")
            .refused(404, "metadata_unknown"),
        get(
            "metadata-below-the-resource",
            "mcp.example.com",
            "/files/mcp/.well-known/oauth-protected-resource",
        )
        .refused(404, "metadata_unknown"),
        Case::new("metadata-by-post", "RFC 9728 §3")
            .at("strict.example.com", well_known)
            .refused(405, "method_not_allowed"),
    ]
}

fn origins() -> Vec<Case> {
    let from = |name: &str, origin: &str| {
        Case::new(name, "MCP Streamable HTTP, security warning")
            .bearer(&token().sign())
            .with("origin", origin)
    };
    let preflight = |name: &str, origin: &str| {
        Case::new(name, "Fetch standard, CORS preflight")
            .method("OPTIONS")
            .with("origin", origin)
            .with("access-control-request-method", "POST")
    };
    let app = "https://app.example.com";
    let mut allowed = preflight("preflight", app)
        .header("access-control-allow-origin", app)
        .header("access-control-allow-methods", "POST, GET, DELETE");
    allowed.expect.verdict = "preflight".to_owned();
    allowed.expect.status = Some(204);
    let mut asked = preflight("preflight-for-mirrored-parameters", app)
        .with("access-control-request-headers", "authorization, Mcp-Param-Region, x-other")
        .header(
            "access-control-allow-headers",
            "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, \
             Mcp-Session-Id, Last-Event-ID, mcp-param-region",
        );
    asked.expect.verdict = "preflight".to_owned();
    asked.expect.status = Some(204);
    let missing = bare_challenge(FILES_METADATA, "mcp:use");
    vec![
        from("origin-allowed", app).allowed().header("access-control-allow-origin", app),
        from("origin-of-the-resource", "https://mcp.example.com").allowed(),
        from("origin-forbidden", "https://evil.example").refused(403, "origin_forbidden"),
        from("origin-null", "null").refused(403, "origin_forbidden"),
        from("origin-by-http", "http://app.example.com").refused(403, "origin_forbidden"),
        from("origin-below", "https://x.app.example.com").refused(403, "origin_forbidden"),
        Case::new("challenge-is-readable-by-the-page", "Fetch standard, CORS")
            .with("origin", app)
            .challenged(401, "token_missing", &missing)
            .header("access-control-expose-headers", "WWW-Authenticate, Mcp-Session-Id")
            .header("access-control-allow-origin", app),
        allowed,
        asked,
        preflight("preflight-forbidden", "https://evil.example").refused(403, "origin_forbidden"),
    ]
}

fn forwarding() -> Vec<Case> {
    let notes = || Token::new(ISSUER, NOTES).claim("scope", "notes:use");
    let claims = |token: &Token| {
        // As it stands in the token: the members are in the same order on both sides.
        token.signing_input().split('.').nth(1).unwrap_or_default().to_owned()
    };
    let at = |name: &str, token: &Token, told: &[(&str, &str)]| {
        let mut set = told.to_vec();
        let claims = claims(token);
        set.push(("x-claims", &claims));
        let mut case = Case::new(name, "DESIGN, forward")
            .at("mcp.example.com", "/notes/mcp")
            .bearer(&token.sign())
            .with("x-user", "admin")
            .with("x-tenant", "spoofed")
            .with("x-claims", URL_SAFE_NO_PAD.encode("{}").as_str())
            .forwarded("allow", &set);
        case.expect.removed =
            vec!["x-user".to_owned(), "x-tenant".to_owned(), "x-claims".to_owned()];
        case
    };
    let mut spoofed = Case::new("identity-headers-cannot-be-spoofed", "DESIGN, forward")
        .bearer(&token().sign())
        .with("x-mcp-subject", "admin")
        .with("X-MCP-Scope", "files:admin")
        .with("x_mcp_subject", "admin")
        .allowed();
    spoofed.expect.removed.push("x-mcp-subject".to_owned());
    spoofed.expect.removed.push("x_mcp_subject".to_owned());
    let mut of_another =
        Case::new("headers-of-another-resource-cannot-be-spoofed", "DESIGN, forward")
            .bearer(&token().sign())
            .with("x-user", "admin")
            .with("x_tenant", "spoofed")
            .with("x-claims", URL_SAFE_NO_PAD.encode("{}").as_str())
            .allowed();
    of_another.expect.removed.extend(["x-user", "x_tenant", "x-claims"].map(str::to_owned));
    let mut overridden = Case::new("a-method-cannot-be-overridden", "DESIGN, forward")
        .bearer(&token().sign())
        .method("GET")
        .with("X-HTTP-Method-Override", "POST")
        .with("x-http-method", "POST")
        .with("x_method_override", "POST")
        .allowed();
    let names = ["x-http-method-override", "x-http-method", "x_method_override"];
    overridden.expect.removed.extend(names.map(str::to_owned));
    vec![
        spoofed,
        of_another,
        overridden,
        at("custom-headers-and-kept-token", &notes(), &[("x-user", "user-1")]),
        at(
            "claims-of-every-kind",
            &notes().claim("tenant", 7).claim("roles", json!(["a", "b"])),
            &[("x-user", "user-1"), ("x-tenant", "7"), ("x-roles", r#"["a","b"]"#)],
        ),
        at(
            "claim-that-is-not-ascii",
            &notes().claim("name", "Zoë"),
            &[("x-user", "user-1"), ("x-name", "Zo\u{c3}\u{ab}")],
        ),
        at(
            "audiences-may-be-shared-where-allowed",
            &notes().claim("aud", json!([NOTES, "https://other.example.com"])),
            &[("x-user", "user-1")],
        ),
    ]
}

fn shadow() -> Vec<Case> {
    let at = |name: &str| {
        Case::new(name, "DESIGN, mode")
            .at("shadow.example.com", "/mcp")
            .body(&super::message("tools/call", r#"{"name":"read_file"}"#))
    };
    let good = Token::new(ISSUER, "https://shadow.example.com/mcp");
    vec![
        at("shadow-allows").bearer(&good.sign()).allowed(),
        at("shadow-lets-pass").because("token_missing").forwarded("shadow", &[]),
        at("shadow-lets-pass-a-bad-token")
            .bearer(&good.clone().claim("exp", 0).sign())
            .because("token_expired")
            .forwarded("shadow", &[]),
        at("shadow-lets-pass-a-batch")
            .bearer(&good.sign())
            .body("[]")
            .because("batch_unsupported")
            .forwarded("shadow", &[]),
    ]
}
