//! Further forms of messages, requests and targets: what another reader could read differently.

use serde_json::{Value, json};

use super::{Case, message, token};

const SMUGGLING: &str = "spec/proxy.md, parser differentials";
const MIRROR: &str = "MCP 2026-07-28, Streamable HTTP, server validation";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = messages();
    cases.extend(excessive());
    cases.extend(mirrored());
    cases.extend(versions());
    cases.extend(targets());
    cases
}

fn post(name: &str, clause: &str, body: &str) -> Case {
    Case::new(name, clause).bearer(&token().sign()).body(body)
}

fn messages() -> Vec<Case> {
    let malformed = |name: &str, body: &str| {
        post(name, SMUGGLING, body).json_rpc("message_malformed", -32700, Value::Null)
    };
    let write = r#""method":"tools/call","params":{"name":"write_file"}"#;
    let utf_16: String = message("ping", "{}").chars().flat_map(|c| ['\0', c]).collect();
    vec![
        malformed("empty-body", ""),
        malformed("white-space-body", " \r\n"),
        malformed("body-in-utf-16", &utf_16),
        malformed("id-null", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
        malformed("id-fraction", r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#),
        malformed("id-twice", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#),
        malformed("jsonrpc-1", r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#),
        malformed("jsonrpc-number", r#"{"jsonrpc":2.0,"id":7,"method":"ping"}"#),
        malformed("method-number", r#"{"jsonrpc":"2.0","id":7,"method":1}"#),
        malformed("method-absent", r#"{"jsonrpc":"2.0","id":7,"params":{"name":"write_file"}}"#),
        malformed("params-null", r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#),
        malformed(
            "params-twice",
            &format!(r#"{{"jsonrpc":"2.0","id":7,"params":{{"name":"write_log"}},{write}}}"#),
        ),
        malformed(
            "params-with-a-long-s",
            &format!(r#"{{"jsonrpc":"2.0","id":7,"param\u017f":{{}},{write}}}"#),
        ),
        malformed(
            "params-in-other-case",
            &format!(r#"{{"jsonrpc":"2.0","id":7,"Params":{{"name":"write_log"}},{write}}}"#),
        ),
        malformed(
            "duplicate-by-escapes",
            &format!(r#"{{"jsonrpc":"2.0","id":7,"\u006dethod":"ping",{write}}}"#),
        ),
        malformed(
            "duplicate-inside-arguments",
            &message("tools/call", r#"{"name":"write_log","arguments":{"a":1,"a":2}}"#),
        ),
        malformed("lone-surrogate", &message("tools/call", r#"{"name":"\ud800"}"#)),
        malformed("trailing-comma", r#"{"jsonrpc":"2.0","id":7,"method":"ping",}"#),
        malformed("comment", r#"{"jsonrpc":"2.0","id":7,/**/"method":"ping"}"#),
        malformed("nul-after-the-message", &format!("{}\0", message("ping", "{}"))),
        post("empty-batch", "MCP 2025-06-18, changes", "[]").json_rpc(
            "batch_unsupported",
            -32600,
            Value::Null,
        ),
        post(
            "white-space-around-the-message",
            "RFC 8259 §2",
            &format!("\r\n {}\n", message("ping", "{}")),
        )
        .allowed(),
        post("id-text", "JSON-RPC 2.0 §4", r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#)
            .allowed(),
        post(
            "unknown-members",
            "JSON-RPC 2.0 §4",
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","x":1}"#,
        )
        .allowed(),
        // A call is a call, whether its caller waits for an answer or not.
        post("tool-call-as-notification", SMUGGLING, &format!(r#"{{"jsonrpc":"2.0",{write}}}"#))
            .needs("mcp:use files:write"),
        post(
            "error-response",
            "MCP base protocol",
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}"#,
        )
        .allowed(),
    ]
}

/// What is longer than is ever needed.
fn excessive() -> Vec<Case> {
    let excessive = |name: &str, body: &str| {
        post(name, "docs/reasons.md, message_excessive", body).json_rpc(
            "message_excessive",
            -32600,
            Value::Null,
        )
    };
    let long = |length: usize| "x".repeat(length);
    vec![
        excessive("method-longer-than-1-kib", &message(&long(1025), "{}")),
        excessive(
            "id-longer-than-1-kib",
            &format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, long(1025)),
        ),
        excessive(
            "number-of-1025-characters",
            &message("ping", &format!(r#"{{"x":0.{}}}"#, "1".repeat(1023))),
        ),
    ]
}

/// The message says of which revision it is, too.
fn versions() -> Vec<Case> {
    let with = |name: &str, header: Option<&str>, version: Value| {
        let meta = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": version } });
        let case = post(name, MIRROR, &message("tools/list", &meta.to_string()));
        match header {
            Some(header) => {
                case.with("mcp-protocol-version", header).with("mcp-method", "tools/list")
            }
            None => case,
        }
    };
    let new = "2026-07-28";
    let mismatch = |case: Case| case.json_rpc("header_mismatch", -32020, json!(7));
    vec![
        with("version-in-the-message", Some(new), json!(new)).allowed(),
        mismatch(with("another-version-in-the-message", Some(new), json!("2027-01-01"))),
        mismatch(with("older-version-in-the-headers", Some("2025-11-25"), json!(new))),
        mismatch(with("version-in-the-message-only", None, json!(new))),
        with("version-in-the-message-is-no-text", Some(new), json!(20_260_728)).json_rpc(
            "message_malformed",
            -32700,
            Value::Null,
        ),
    ]
}

fn mirrored() -> Vec<Case> {
    let with = |name: &str, version: &str, method: &str, named: Option<&str>, body: &str| {
        let case = post(name, MIRROR, body)
            .with("mcp-protocol-version", version)
            .with("mcp-method", method);
        match named {
            Some(named) => case.with("mcp-name", named),
            None => case,
        }
    };
    let (old, new) = ("2025-06-18", "2026-07-28");
    let read = |uri: &str| message("resources/read", &json!({ "uri": uri }).to_string());
    let text_id =
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"read_file"}}"#;
    let mismatch = |case: Case, id: Value| case.json_rpc("header_mismatch", -32020, id);
    vec![
        with(
            "mirrored-resource",
            new,
            "resources/read",
            Some("file:///public/a"),
            &read("file:///public/a"),
        )
        .allowed(),
        mismatch(
            with(
                "mirrored-another-resource",
                new,
                "resources/read",
                Some("file:///public/a"),
                &read("file:///secret/a"),
            ),
            json!(7),
        ),
        mismatch(
            with("mirrored-error-repeats-the-id", new, "tools/call", Some("write_log"), text_id),
            json!("a"),
        ),
        mismatch(with("mirrored-empty-name", new, "tools/call", Some(""), text_id), json!("a")),
        mismatch(
            with("mirrored-method-in-other-case", new, "Tools/Call", Some("read_file"), text_id),
            json!("a"),
        ),
        mismatch(with("mirrored-by-an-older-client", old, "ping", None, text_id), json!("a")),
        mismatch(
            with(
                "mirrored-response",
                new,
                "ping",
                None,
                r#"{"jsonrpc":"2.0","id":"a","result":{}}"#,
            ),
            json!("a"),
        ),
        post("later-revision-without-headers", MIRROR, text_id)
            .with("mcp-protocol-version", "2027-01-01")
            .json_rpc("header_mismatch", -32020, Value::Null),
        with(
            "mirrored-name-nobody-needs",
            new,
            "tools/list",
            Some("x"),
            &message("tools/list", "{}"),
        )
        .allowed(),
    ]
}

fn targets() -> Vec<Case> {
    let at = |name: &str, authority: &str, path: &str| {
        Case::new(name, "DESIGN, resources.hosts and path")
            .at(authority, path)
            .bearer(&token().sign())
    };
    vec![
        at("host-with-final-dot", "mcp.example.com.", "/files/mcp").allowed(),
        at("host-with-userinfo", "mcp.example.com@evil.example", "/files/mcp")
            .refused(404, "resource_unknown")
            .envoy_may_refuse(),
        at("host-that-ends-like-ours", "evil-mcp.example.com", "/files/mcp")
            .refused(404, "resource_unknown"),
        at("path-with-encoded-backslash", "mcp.example.com", "/files%5Cmcp")
            .refused(400, "path_ambiguous")
            .envoy_may_refuse(),
        at("path-with-encoded-nul", "mcp.example.com", "/files/mcp%00")
            .refused(400, "path_ambiguous")
            .envoy_may_refuse(),
        at("path-with-dots-in-names", "mcp.example.com", "/files/mcp/a..b/...").allowed(),
        at("query-with-dots", "mcp.example.com", "/files/mcp?x=/../y").allowed(),
    ]
}
