//! What the request asks of the MCP server, and the scopes for it.

use serde_json::{Value, json};

use super::{Case, FILES_METADATA, message, token};
use crate::token::Token;

const MCP: &str = "MCP authorization, scope challenge handling";
const SMUGGLING: &str = "spec/proxy.md, parser differentials";
const MIRROR: &str = "MCP 2026-07-28, Streamable HTTP, server validation";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = scopes();
    cases.extend(strict());
    cases.extend(methods());
    cases.extend(messages());
    cases.extend(mirrored());
    cases.extend(bodies());
    cases
}

fn with_scope(name: &str, scope: &str, body: &str) -> Case {
    Case::new(name, MCP).bearer(&token().claim("scope", scope).sign()).body(body)
}

fn call(tool: &str) -> String {
    message("tools/call", &json!({ "name": tool, "arguments": {} }).to_string())
}

fn scopes() -> Vec<Case> {
    let read = r#"{"uri":"file:///secret/a"}"#;
    let allowed =
        |name: &str, scope: &str, body: &str| with_scope(name, scope, body).allowed_with(scope);
    vec![
        allowed("tool-allowed", "mcp:use files:read", &call("read_file")),
        with_scope("tool-without-its-scope", "mcp:use", &call("read_file"))
            .needs("mcp:use files:read"),
        with_scope("tool-without-the-baseline", "files:read", &call("read_file")).needs("mcp:use"),
        with_scope("no-scope-at-all", "other", &message("tools/list", "{}")).needs("mcp:use"),
        with_scope("wildcard", "mcp:use files:read", &call("write_file"))
            .needs("mcp:use files:write"),
        allowed("wildcard-allowed", "mcp:use files:write", &call("write_file")),
        allowed("exact-beats-wildcard", "mcp:use", &call("write_log")),
        with_scope("longest-wildcard-wins", "mcp:use files:write", &call("write_secret_x"))
            .needs("mcp:use files:admin"),
        allowed("implied-scope", "mcp:use files:write", &call("read_file")),
        allowed("implied-twice", "mcp:use files:admin", &call("read_file")),
        with_scope("implication-goes-one-way", "mcp:use files:write", &call("write_secret_x"))
            .needs("mcp:use files:admin"),
        allowed("unlisted-needs-the-baseline", "mcp:use", &call("other_tool")),
        allowed("tool-name-in-other-case-is-another-tool", "mcp:use", &call("Read_File")),
        with_scope(
            "tool-name-with-escapes",
            "mcp:use",
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\u0072ead_file"}}"#,
        )
        .needs("mcp:use files:read"),
        with_scope(
            "method-with-escapes",
            "mcp:use",
            r#"{"jsonrpc":"2.0","id":7,"method":"tools\/call","params":{"name":"read_file"}}"#,
        )
        .needs("mcp:use files:read"),
        with_scope("prompt", "mcp:use", &message("prompts/get", r#"{"name":"summary"}"#))
            .needs("mcp:use prompts:read"),
        allowed(
            "prompt-of-another-name",
            "mcp:use",
            &message("prompts/get", r#"{"name":"other"}"#),
        ),
        allowed(
            "resource-public",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:///public/a"}"#),
        ),
        with_scope("resource", "mcp:use", &message("resources/read", read))
            .needs("mcp:use files:read"),
        with_scope("resource-subscribed", "mcp:use", &message("resources/subscribe", read))
            .needs("mcp:use files:read"),
        with_scope(
            "resource-in-other-case",
            "mcp:use",
            &message("resources/read", r#"{"uri":"FILE:///secret/a"}"#),
        )
        .needs("mcp:use files:read"),
        with_scope(
            "resource-encoded",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:///%73ecret/a"}"#),
        )
        .needs("mcp:use files:read"),
        with_scope(
            "resource-with-dot-segments",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:///public/../secret/a"}"#),
        )
        .json_rpc("uri_ambiguous", -32600, json!(7)),
        with_scope(
            "resource-with-encoded-dots",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:///public/%2e%2e/secret/a"}"#),
        )
        .json_rpc("uri_ambiguous", -32600, json!(7)),
        with_scope(
            "resource-of-the-local-host",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file://localhost/secret/a"}"#),
        )
        .needs("mcp:use files:read"),
        with_scope(
            "resource-without-authority",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:/secret/a"}"#),
        )
        .needs("mcp:use files:read"),
        with_scope(
            "resource-with-encoded-slash",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:///secret%2Fa"}"#),
        )
        .json_rpc("uri_ambiguous", -32600, json!(7)),
        with_scope(
            "resource-with-dot-segments-before-a-second-scheme",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:/public/../secret?x=://h/"}"#),
        )
        .json_rpc("uri_ambiguous", -32600, json!(7)),
        with_scope(
            "resource-with-a-percent-that-encodes-nothing",
            "mcp:use",
            &message("resources/read", r#"{"uri":"file:///public/%%361"}"#),
        )
        .json_rpc("uri_ambiguous", -32600, json!(7)),
        with_scope(
            "urn-in-other-case",
            "mcp:use",
            &message("resources/read", r#"{"uri":"URN:secret:1"}"#),
        )
        .needs("mcp:use files:admin"),
        with_scope("method-rule", "mcp:use", &message("logging/setLevel", r#"{"level":"debug"}"#))
            .needs("mcp:use files:admin"),
        with_scope("method-wildcard", "mcp:use", &message("completion/complete", "{}"))
            .needs("mcp:use files:read"),
    ]
}

fn strict() -> Vec<Case> {
    let metadata = "https://strict.example.com/.well-known/oauth-protected-resource/mcp";
    let denied = format!(r#"Bearer resource_metadata="{metadata}""#);
    let at = |name: &str, body: &str| {
        Case::new(name, "DESIGN, scopes.unlisted")
            .at("strict.example.com", "/mcp")
            .bearer(
                &Token::new("https://auth.example.com", "https://strict.example.com/mcp").sign(),
            )
            .body(body)
    };
    let deny = |name: &str, body: &str| at(name, body).challenged(403, "operation_denied", &denied);
    vec![
        at("strict-listed-tool", &call("read_file")).allowed(),
        at("strict-listed-method", &message("tools/list", "{}")).allowed(),
        deny("strict-unlisted-tool", &call("delete_file")),
        deny("strict-unlisted-method", &message("resources/list", "{}")),
        deny("strict-unlisted-prompt", &message("prompts/get", r#"{"name":"x"}"#)),
        at("strict-initialize", &message("initialize", "{}")).allowed(),
        at("strict-ping", &message("ping", "{}")).allowed(),
        at("strict-discover", &message("server/discover", "{}")).allowed(),
        at("strict-notification", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .allowed(),
        at("strict-response", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).allowed(),
        deny("strict-unlisted-tool-in-headers", &call("delete_file"))
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", "tools/call")
            .with("mcp-name", "delete_file"),
    ]
}

fn methods() -> Vec<Case> {
    let good = token().sign();
    let leg = |name: &str, method: &str| {
        Case::new(name, "MCP Streamable HTTP").bearer(&good).method(method)
    };
    let missing = super::bare_challenge(FILES_METADATA, "mcp:use");
    vec![
        leg("get-leg", "GET").allowed(),
        leg("delete-leg", "DELETE").allowed(),
        leg("head-leg", "HEAD").allowed(),
        // MCP has no such transport, and no rule would see what is asked for on it.
        leg("get-leg-that-becomes-a-websocket", "GET")
            .with("connection", "upgrade")
            .with("upgrade", "websocket")
            .challenged(
                403,
                "operation_denied",
                &format!(r#"Bearer resource_metadata="{FILES_METADATA}""#),
            )
            .envoy_may_refuse(),
        leg("put", "PUT")
            .refused(405, "method_not_allowed")
            .header("allow", "POST, GET, HEAD, DELETE"),
        leg("patch", "PATCH").refused(405, "method_not_allowed"),
        leg("get-leg-without-the-baseline", "GET")
            .instead("authorization", &format!("Bearer {}", token().claim("scope", "x").sign()))
            .needs("mcp:use"),
        Case::new("get-leg-without-token", "MCP authorization, RS-19").method("GET").challenged(
            401,
            "token_missing",
            &missing,
        ),
        Case::new("options-without-origin-is-no-preflight", "Fetch standard")
            .method("OPTIONS")
            .challenged(401, "token_missing", &missing),
        Case::new("put-without-token", "MCP authorization, RS-19").method("PUT").challenged(
            401,
            "token_missing",
            &missing,
        ),
    ]
}

fn messages() -> Vec<Case> {
    let body = |name: &str, clause: &str, body: &str| {
        Case::new(name, clause).bearer(&token().sign()).body(body)
    };
    let malformed = |name: &str, text: &str| {
        body(name, SMUGGLING, text).json_rpc("message_malformed", -32700, Value::Null)
    };
    let inner = call("write_file");
    vec![
        body("batch", "MCP 2025-06-18, changes", &format!("[{inner}]"))
            .json_rpc("batch_unsupported", -32600, Value::Null),
        malformed("duplicate-method", r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call","params":{"name":"write_file"}}"#),
        malformed("duplicate-name", r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write_log","name":"write_file"}}"#),
        malformed("method-in-other-case", r#"{"jsonrpc":"2.0","id":7,"method":"ping","Method":"tools/call"}"#),
        malformed("name-in-other-case", r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write_log","Name":"write_file"}}"#),
        malformed("byte-order-mark", &format!("\u{ef}\u{bb}\u{bf}{}", message("ping", "{}"))),
        malformed("second-message", &format!("{}{inner}", message("ping", "{}"))),
        malformed("second-message-on-its-line", &format!("{}\n{inner}", message("ping", "{}"))),
        malformed("bytes-that-are-no-text", &message("ping", "{\"x\":\"\u{ff}\"}")),
        malformed("without-jsonrpc", r#"{"id":7,"method":"ping"}"#),
        malformed("tool-without-a-name", &message("tools/call", "{}")),
        malformed("tool-with-an-array-name", &message("tools/call", r#"{"name":["write_file"]}"#)),
        malformed("params-as-array", &message("tools/call", r#"["write_file"]"#)),
        malformed("method-and-result", r#"{"jsonrpc":"2.0","id":7,"result":{},"method":"tools/call","params":{"name":"write_file"}}"#),
        malformed("nested-too-deeply", &message("ping", &format!("{{\"x\":{}{}}}", "[".repeat(70), "]".repeat(70)))),
        malformed("no-json", "hello"),
        malformed("a-string", "\"tools/call\""),
        body("late-tool-name", SMUGGLING, &format!(
            r#"{{"params":{{"arguments":{{"text":"{}"}},"name":"write_file"}},"method":"tools/call","id":7,"jsonrpc":"2.0"}}"#,
            "x".repeat(2000)
        ))
        .needs("mcp:use files:write"),
        body("tool-name-inside-arguments-does-not-count", SMUGGLING, &message("tools/call", r#"{"arguments":{"name":"write_log"},"name":"write_file"}"#))
            .needs("mcp:use files:write"),
    ]
}

fn mirrored() -> Vec<Case> {
    let with = |name: &str, version: &str, headers: &[(&str, &str)], body: &str| {
        let case = Case::new(name, MIRROR).bearer(&token().sign()).body(body);
        let case = case.with("mcp-protocol-version", version);
        headers.iter().fold(case, |case, (name, value)| case.with(name, value))
    };
    let new = "2026-07-28";
    let read = call("read_file");
    let named = |name| [("mcp-method", "tools/call"), ("mcp-name", name)];
    let mismatch = |case: Case, id: Value| case.json_rpc("header_mismatch", -32020, id);
    vec![
        with("mirrored", new, &named("read_file"), &read).allowed(),
        with("mirrored-in-base64", new, &named("=?base64?cmVhZF9maWxl?="), &read).allowed(),
        with(
            "mirrored-without-a-name",
            new,
            &[("mcp-method", "tools/list")],
            &message("tools/list", "{}"),
        )
        .allowed(),
        with("mirrored-params-pass", new, &named("read_file"), &read)
            .with("mcp-param-region", "eu")
            .allowed(),
        with(
            "mirrored-not-ascii",
            new,
            &named("=?base64?bMO2c2NoZW4=?="),
            &call("l\u{c3}\u{b6}schen"),
        )
        .needs("mcp:use files:admin"),
        mismatch(with("mirrored-another-tool", new, &named("write_log"), &read), json!(7)),
        mismatch(
            with(
                "mirrored-another-method",
                new,
                &[("mcp-method", "ping"), ("mcp-name", "read_file")],
                &read,
            ),
            json!(7),
        ),
        mismatch(with("mirrored-in-other-case", new, &named("Read_File"), &read), json!(7)),
        mismatch(
            with("mirrored-name-missing", new, &[("mcp-method", "tools/call")], &read),
            json!(7),
        ),
        mismatch(
            with("mirrored-method-missing", new, &[("mcp-name", "read_file")], &read),
            Value::Null,
        ),
        mismatch(with("mirrored-nothing", new, &[], &read), Value::Null),
        mismatch(with("mirrored-bad-base64", new, &named("=?base64?%%?="), &read), Value::Null),
        mismatch(
            with("mirrored-twice", new, &named("read_file"), &read).with("mcp-name", "write_log"),
            // Whether the header arrives twice or joined, it is no name.
            json!(null),
        )
        .refused(400, "header_mismatch"),
        // MCP authorization, scope challenge handling: one challenge names all that the operation needs.
        with("mirrored-without-the-baseline", new, &named("write_file"), &call("write_file"))
            .instead("authorization", &format!("Bearer {}", token().claim("scope", "x").sign()))
            .needs("mcp:use files:write"),
        with("mirrored-without-the-baseline-of-no-rule", new, &named("x"), &call("x"))
            .instead("authorization", &format!("Bearer {}", token().claim("scope", "x").sign()))
            .needs("mcp:use"),
        with("old-revision-without-headers", "2025-11-25", &[], &read).allowed(),
        with("old-revision-with-headers-that-fit", "2025-11-25", &named("read_file"), &read)
            .allowed(),
        mismatch(
            with("old-revision-with-headers-that-do-not", "2025-11-25", &named("write_log"), &read),
            json!(7),
        ),
        with("no-version-at-all", "", &[], &read).allowed(),
        with("headers-alone-never-allow", new, &named("write_log"), &call("write_file")).json_rpc(
            "header_mismatch",
            -32020,
            json!(7),
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let good = || {
        Case::new("", "DESIGN, MCP in the engine").bearer(&token().sign()).body(&call("read_file"))
    };
    let named = |name: &str, case: Case| Case { name: name.to_owned(), ..case };
    let media = |name: &str, value: &str| named(name, good().instead("content-type", value));
    let unsupported =
        |name: &str, value: &str| media(name, value).refused(415, "content_type_unsupported");
    let mut without = good().refused(415, "content_type_unsupported");
    without.request.headers.retain(|(name, _)| name != "content-type");
    vec![
        media("json-with-charset", "application/json; charset=utf-8").allowed(),
        media("json-in-other-case", "Application/JSON").allowed(),
        unsupported("text-plain", "text/plain"),
        unsupported("json-in-utf-16", "application/json; charset=utf-16"),
        unsupported("something-that-begins-like-json", "application/json-seq"),
        media("json-with-a-quoted-charset", "application/json;Charset=\"UTF-8\"").allowed(),
        media("json-with-another-parameter", "application/json; profile=x").allowed(),
        // RFC 9110 §5.6.6: no spaces around the equals sign. Some servers allow them, and know UTF-7.
        unsupported("charset-with-a-space-behind-its-name", "application/json; charset =utf-7"),
        unsupported("charset-with-a-space-before-its-value", "application/json; charset= utf-7"),
        unsupported(
            "charset-in-quotes-and-outside",
            "application/json; x=\"; charset=utf-8\"; charset =utf-7",
        ),
        unsupported("charset-in-quotes", "application/json; x=\"; charset=utf-7\""),
        unsupported("charset-twice", "application/json; charset=utf-8; charset=utf-7"),
        unsupported("charset-twice-alike", "application/json; charset=utf-8; charset=utf-8"),
        unsupported("empty-parameter", "application/json;; charset=utf-8"),
        unsupported("parameter-without-a-value", "application/json; charset"),
        named("no-content-type", without),
        named(
            "compressed-body",
            good().with("content-encoding", "gzip").refused(415, "content_type_unsupported"),
        ),
        named("identity-coding", good().with("content-encoding", "identity").allowed()),
        named("no-body", good().no_body().json_rpc("message_malformed", -32700, Value::Null)),
        named(
            "oversize-body",
            good()
                .body(&message("ping", &format!(r#"{{"x":"{}"}}"#, "x".repeat(5000))))
                .refused(413, "body_too_large"),
        ),
        named(
            "largest-body",
            good().body(&message("ping", &format!(r#"{{"x":"{}"}}"#, "x".repeat(4000)))).allowed(),
        ),
    ]
}
