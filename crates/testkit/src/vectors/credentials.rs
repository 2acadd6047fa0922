//! Where the token is, and how it is written.

use super::{Case, FILES_METADATA, bare_challenge, challenge, token};

pub(super) fn cases() -> Vec<Case> {
    let good = token().sign();
    let missing = bare_challenge(FILES_METADATA, "mcp:use");
    let malformed = challenge(
        FILES_METADATA,
        "invalid_request",
        "The Authorization header is malformed",
        "mcp:use",
    );
    let in_query = challenge(
        FILES_METADATA,
        "invalid_request",
        "The access token must be sent in the Authorization header",
        "mcp:use",
    );
    let bad_header = |name: &str, value: &str| {
        Case::new(name, "RFC 6750 §2.1, §3.1").with("authorization", value).challenged(
            400,
            "credentials_malformed",
            &malformed,
        )
    };
    let without =
        |name: &str| Case::new(name, "RFC 6750 §3.1").challenged(401, "token_missing", &missing);
    let query = |name: &str, path: &str| {
        Case::new(name, "MCP authorization, access token usage; OAuth 2.1 §5.1")
            .at("mcp.example.com", path)
            .challenged(400, "token_in_query", &in_query)
    };
    vec![
        Case::new("control", "RFC 6750 §2.1").bearer(&good).allowed(),
        Case::new("scheme-in-lower-case", "RFC 9110 §11.1")
            .with("authorization", &format!("bearer {good}"))
            .allowed(),
        Case::new("scheme-in-upper-case", "RFC 9110 §11.1")
            .with("authorization", &format!("BEARER {good}"))
            .allowed(),
        without("no-credentials"),
        without("empty-credentials").with("authorization", ""),
        without("scheme-alone").with("authorization", "Bearer"),
        Case::new("another-scheme", "RFC 9110 §11.6.1")
            .with("authorization", "Basic dXNlcjpwYXNz")
            .challenged(401, "scheme_unsupported", &missing),
        bad_header("credentials-twice", &format!("Bearer {good}"))
            .with("authorization", &format!("Bearer {good}")),
        bad_header("credentials-joined", &format!("Bearer {good}, Bearer {good}")),
        bad_header("two-tokens", &format!("Bearer {good} {good}")),
        bad_header("token-with-bytes-that-are-no-text", "Bearer \u{ff}\u{fe}abc"),
        bad_header("token-with-quote", &format!("Bearer \"{good}\"")),
        query("token-in-query", "/files/mcp?access_token=x").bearer(&good),
        query("token-only-in-query", &format!("/files/mcp?access_token={good}")),
        query("token-in-query-encoded", "/files/mcp?a=1&%61ccess_token=x").bearer(&good),
        Case::new("another-query", "RFC 6750 §2.3")
            .at("mcp.example.com", "/files/mcp?token=x")
            .bearer(&good)
            .allowed(),
    ]
}
