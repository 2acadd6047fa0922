//! URIs of MCP resources in all their spellings, and streams that tell of their changes.

use serde_json::{Value, json};

use super::{
    Case, FILES, ISSUER, message,
    policies::{LONG, jwks},
    token,
};
use crate::token::Token;

const URIS: &str = "DESIGN, resource URIs; WHATWG URL; RFC 3986 §6.2";
const LISTEN: &str = "MCP 2026-07-28, schema, SubscriptionFilter (SEP-2575)";
const STRICT: &str = "https://strict.example.com/mcp";

/// Some resources are protected, and all others are not.
pub(super) fn policy() -> Value {
    json!({
        "issuers": [{ "issuer": ISSUER, "jwks": jwks(), "max_lifetime": LONG }],
        "resources": [
            {
                "resource": FILES,
                "scopes": {
                    "baseline": ["mcp:use"],
                    "resources": {
                        "*": [],
                        "file:///secret/*": ["admin"],
                        "file:///café/*": ["admin"],
                        "file:///my%20docs/*": ["admin"],
                        "file:///private(1)/*": ["admin"],
                        "HTTPS://Host.example:443/secret/*": ["admin"],
                        "http://[0::1]": ["admin"],
                        "file:///keys.txt": ["admin"],
                        "https://host.example/keys": ["admin"],
                        "https://host.example/keys?list=*": [],
                        "note://team/plans": ["notes:read"],
                    },
                },
            },
            {
                "resource": STRICT,
                "scopes": {
                    "baseline": ["mcp:use"],
                    "resources": { "file:///public/*": [] },
                    "unlisted": "deny",
                },
            },
            {
                "resource": "https://ruled.example.com/mcp",
                "scopes": {
                    "baseline": ["mcp:use"],
                    "resources": { "note://team/plans": ["notes:read"] },
                    "methods": { "subscriptions/*": ["changes:read"] },
                },
            },
        ],
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = spellings();
    cases.extend(listening());
    cases.extend(listening_by_headers());
    cases
}

/// A byte string.
fn bytes(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

fn ask(name: &str, clause: &str, body: &str) -> Case {
    Case::new(name, clause).policy("resources").bearer(&token().sign()).body(&bytes(body))
}

fn read(name: &str, uri: &str) -> Case {
    let params = json!({ "uri": uri }).to_string();
    ask(&format!("uri-{name}"), URIS, &message("resources/read", &params))
}

fn spellings() -> Vec<Case> {
    let same = |name: &str, uri: &str| read(name, uri).needs("mcp:use admin");
    let refused =
        |name: &str, uri: &str| read(name, uri).json_rpc("uri_ambiguous", -32600, json!(7));
    vec![
        read("of-no-rule", "https://host.example/public").allowed(),
        read("of-a-scheme-of-its-own", "postgres://user@db.example:5432/public").allowed(),
        read("with-encoded-slashes-in-its-query", "https://host.example/?u=a%2Fb").allowed(),
        same("with-an-escape-in-lower-case", "file:///caf%c3%a9/x"),
        same("with-an-escape-in-upper-case", "file:///caf%C3%A9/x"),
        same("without-an-escape", "file:///café/x"),
        same("with-an-encoded-space", "file:///my%20docs/x"),
        same("with-a-space", "file:///my docs/x"),
        refused("with-a-space-behind-it", "file:///keys.txt "),
        refused("with-parameters-behind-dots", "https://host.example/a/..;x/keys"),
        same("with-needless-escapes", "file:///private%281%29/x"),
        same("with-an-encoded-letter", "https://host.example/%73ecret/x"),
        same("with-its-default-port", "https://host.example:443/secret/x"),
        same("with-zeros-before-its-port", "https://host.example:0443/secret/x"),
        same("with-a-final-dot", "https://host.example./secret/x"),
        same("with-its-host-in-capitals", "HTTPS://HOST.EXAMPLE/secret/x"),
        same("of-an-address", "http://[::1]:80/"),
        same("with-an-empty-query", "https://host.example/keys?"),
        same("with-a-query", "https://host.example/keys?a"),
        same("with-parameters", "https://host.example/keys;a"),
        same("with-encoded-parameters-and-a-query", "https://host.example/keys%3Ba?b"),
        same("of-a-file", "file:///keys.txt"),
        read("with-a-query-of-a-closer-rule", "https://host.example/keys?list=all").allowed(),
        refused("with-an-empty-fragment", "file:///keys.txt#"),
        refused("with-a-fragment", "file:///keys.txt#a"),
        refused("with-a-fragment-behind-a-query", "https://host.example/keys?list=all#a"),
        refused("of-a-file-with-an-empty-query", "file:///keys.txt?"),
        refused("of-a-file-with-a-query", "file:///keys.txt?a"),
        refused("with-a-tab", "file:///secret\t/x"),
        refused("with-a-tab-between-dots", "file:///public/.\t./secret/x"),
        refused("with-a-line-feed-between-dots", "file:///public/.\n./secret/x"),
        refused("with-a-carriage-return-in-its-scheme", "fi\rle:///secret/x"),
        refused("with-a-space-before-it", " file:///secret/x"),
        refused("with-an-encoded-tab", "file:///public/.%09./secret/x"),
        refused("with-a-backslash-behind-its-host", "https://host.example\\secret/x"),
        refused("with-one-slash", "https:/host.example/secret/x"),
        refused("with-three-slashes", "https:///host.example/secret/x"),
        refused("with-a-user", "https://u@host.example/secret/x"),
        refused("with-an-encoded-host", "https://ho%73t.example/secret/x"),
        refused("with-a-host-that-is-not-ascii", "https://ｈost.example/secret/x"),
        refused("with-another-form-of-an-address", "https://127.1/secret/x"),
        refused("without-a-root", "file:secret/x"),
        refused("with-an-overlong-slash", "file:///public%C0%AF..%C0%AFsecret/x"),
        refused("with-dot-segments-in-its-query", "file:///public/x?/../../../secret/x"),
        refused("with-a-brace", "file:///public/{x}"),
    ]
}

fn filter(members: &str) -> String {
    message("subscriptions/listen", &format!(r#"{{"notifications":{members}}}"#))
}

fn subscriptions(uris: &[&str]) -> String {
    filter(&json!({ "toolsListChanged": true, "resourceSubscriptions": uris }).to_string())
}

fn listening() -> Vec<Case> {
    let listen = |name: &str, body: &str| ask(&format!("listen-{name}"), LISTEN, body);
    let on = |name: &str, uris: &[&str]| listen(name, &subscriptions(uris));
    let at = |host: &str, name: &str, uris: &[&str]| {
        let token = Token::new(ISSUER, &format!("https://{host}/mcp"));
        on(name, uris)
            .at(host, "/mcp")
            .instead("authorization", &format!("Bearer {}", token.sign()))
    };
    let challenge = |host: &str| {
        format!(r#"resource_metadata="https://{host}/.well-known/oauth-protected-resource/mcp""#)
    };
    let denied = format!("Bearer {}", challenge("strict.example.com"));
    let ruled = |name: &str, uris: &[&str], scope: &str| {
        let host = "ruled.example.com";
        let metadata = format!("https://{host}/.well-known/oauth-protected-resource/mcp");
        let text = "The operation needs more scopes";
        let challenge = super::challenge(&metadata, "insufficient_scope", text, scope);
        at(host, name, uris).challenged(403, "scope_insufficient", &challenge)
    };
    let malformed = |name: &str, members: &str| {
        listen(name, &filter(members)).json_rpc("message_malformed", -32700, Value::Null)
    };
    let many: Vec<String> = (0..257).map(|at| format!("note://{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let excessive = |case: Case| case.json_rpc("message_excessive", -32600, Value::Null);
    vec![
        listen("for-lists", &filter(r#"{"toolsListChanged":true}"#)).allowed(),
        listen("for-nothing", &message("subscriptions/listen", "{}")).allowed(),
        on("to-no-resource", &[]).allowed(),
        on("to-resources-of-no-rule", &["file:///a", "note://b"]).allowed(),
        on("to-a-protected-resource", &["file:///secret/a"]).needs("mcp:use admin"),
        on("to-one-that-is-protected", &["file:///a", "file:///%73ecret/a", "file:///b"])
            .needs("mcp:use admin"),
        on("to-a-protected-one-with-a-query", &["https://host.example/keys?a"])
            .needs("mcp:use admin"),
        on("to-several-that-are-protected", &["note://team/plans", "file:///secret/a"])
            .needs("mcp:use notes:read admin"),
        on("to-dot-segments", &["file:///a", "file:///a/../secret/a"]).json_rpc(
            "uri_ambiguous",
            -32600,
            json!(7),
        ),
        listen(
            "with-the-method-last",
            &format!(
                r#"{{"params":{{"notifications":{{"resourceSubscriptions":["file:///secret/a"]}}}},"method":"{}","id":7,"jsonrpc":"2.0"}}"#,
                "subscriptions\\/listen"
            ),
        )
        .needs("mcp:use admin"),
        malformed("to-a-text", r#"{"resourceSubscriptions":"file:///secret/a"}"#),
        malformed("to-null", r#"{"resourceSubscriptions":null}"#),
        malformed("to-an-object", r#"{"resourceSubscriptions":{"0":"file:///secret/a"}}"#),
        malformed("to-a-number", r#"{"resourceSubscriptions":["file:///a",7]}"#),
        malformed("to-a-list-in-a-list", r#"{"resourceSubscriptions":[["file:///secret/a"]]}"#),
        malformed(
            "twice",
            r#"{"resourceSubscriptions":["file:///a"],"resourceSubscriptions":["file:///secret/a"]}"#,
        ),
        malformed("in-other-case", r#"{"ResourceSubscriptions":["file:///secret/a"]}"#),
        malformed("in-snake-case", r#"{"resource_subscriptions":["file:///secret/a"]}"#),
        malformed("by-an-array", r#"[{"resourceSubscriptions":["file:///secret/a"]}]"#),
        excessive(on("to-too-many", &many)),
        excessive(on("to-one-that-is-too-long", &[&format!("note://{}", "a".repeat(8192))])),
        at("strict.example.com", "is-the-protocols-own", &[]).allowed(),
        at("strict.example.com", "to-a-listed-resource", &["file:///public/a"]).allowed(),
        at("strict.example.com", "to-an-unlisted-resource", &["file:///public/a", "file:///b"])
            .challenged(403, "operation_denied", &denied),
        ruled("with-a-rule-for-it", &[], "mcp:use changes:read"),
        ruled(
            "with-rules-for-it-and-for-a-resource",
            &["note://team/plans"],
            "mcp:use notes:read changes:read",
        ),
    ]
}

/// What the headers say never decides alone.
fn listening_by_headers() -> Vec<Case> {
    let with = |name: &str, body: &str| {
        ask(&format!("listen-by-headers-{name}"), LISTEN, body)
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", "subscriptions/listen")
    };
    vec![
        with("for-lists", &filter(r#"{"toolsListChanged":true}"#)).allowed(),
        with("to-a-protected-resource", &subscriptions(&["file:///secret/a"]))
            .needs("mcp:use admin"),
        with("with-a-name", &subscriptions(&["file:///secret/a"]))
            .with("mcp-name", "file:///a")
            .needs("mcp:use admin"),
        with("with-a-name-that-is-refused", &subscriptions(&["file:///a"]))
            .with("mcp-name", "file:///a/..")
            .allowed(),
        with("of-another-method", &message("tools/list", "{}")).json_rpc(
            "header_mismatch",
            -32020,
            json!(7),
        ),
    ]
}
