//! Lists that show what their caller may use, and nothing else.

use serde_json::{Value, json};

use super::{Answered, Case, ISSUER, ServerResponse, message};
use crate::{token::Token, vectors::policies};

const RESOURCE: &str = "https://lists.example.com/mcp";
const CLAUSE: &str = "docs/policy.md, filter_lists";

pub(super) fn policy() -> Value {
    let scopes = json!({
        "baseline": ["mcp:use"],
        "implies": { "files:write": ["files:read"] },
        "tools": { "read_file": ["files:read"], "write_*": ["files:write"] },
        "prompts": { "summary": ["prompts:read"] },
        "resources": { "file:///public/*": [], "file:///*": ["files:read"] },
        "filter_lists": true,
    });
    let resource = |resource: &str, mode: &str| json!({ "resource": resource, "issuers": [ISSUER], "scopes": scopes, "mode": mode });
    json!({
        "issuers": [{ "issuer": ISSUER, "jwks": policies::jwks(), "max_lifetime": policies::LONG }],
        "resources": [
            resource(RESOURCE, "enforce"),
            resource("https://shadow.example.com/mcp", "shadow"),
        ],
        "limits": { "body_bytes": 4096 },
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = lists();
    cases.extend(others());
    cases.extend(events());
    cases.extend(unreadable());
    cases
}

/// A request for a list by a token with this scope.
fn ask(name: &str, scope: &str, method: &str) -> Case {
    let token = Token::new(ISSUER, RESOURCE).claim("scope", scope).sign();
    let case = Case::new(name, CLAUSE)
        .policy("lists")
        .at("lists.example.com", "/mcp")
        .bearer(&token)
        .body(&message(method, "{}"));
    let case = case.allowed_with(scope);
    case.sets("accept-encoding", "identity")
}

/// The stream of a client that listens, or takes up what it missed.
fn listen(name: &str, scope: &str) -> Case {
    let mut case = ask(name, scope, "ping").method("GET");
    case.request.headers.retain(|(name, _)| name != "content-type");
    case
}

fn answers(case: Case, media: &str, body: &str, expected: &str) -> Case {
    let expect = Answered { status: 200, body: Some(expected.to_owned()), ..Answered::default() };
    let headers = vec![("content-type".to_owned(), media.to_owned())];
    respond(case, ServerResponse { status: 200, headers, body: body.to_owned(), expect })
}

fn respond(mut case: Case, response: ServerResponse) -> Case {
    case.response = Some(response);
    case
}

fn json_answers(case: Case, body: &str, expected: &str) -> Case {
    answers(case, "application/json", body, expected)
}

const PRIVATE: &str = r#""cacheScope":"private""#;

fn lists() -> Vec<Case> {
    let result = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{{members}}}}}"#);
    let private = |members: &str| result(&format!("{PRIVATE},{members}"));
    let tool = |name: &str| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
    let tools = |names: &[&str]| {
        let tools: Vec<String> = names.iter().map(|name| tool(name)).collect();
        format!(r#""tools":[{}]"#, tools.join(","))
    };
    let all = ["read_file", "write_file", "other", "write_log"];
    let filtered = |name: &str, scope: &str, left: &[&str]| {
        json_answers(ask(name, scope, "tools/list"), &result(&tools(&all)), &private(&tools(left)))
    };
    let prompts = |names: &str| format!(r#""prompts":[{names}]"#);
    let resources = |uris: &[&str]| {
        let entries: Vec<Value> =
            uris.iter().map(|uri| json!({ "uri": uri, "name": "x" })).collect();
        format!(r#""resources":{}"#, Value::Array(entries))
    };
    let templates = |templates: &[&str]| {
        let entries: Vec<Value> =
            templates.iter().map(|uri| json!({ "uriTemplate": uri, "name": "x" })).collect();
        format!(r#""resourceTemplates":{}"#, Value::Array(entries))
    };
    let uris = [
        "file:///public/a",
        "file:///secret/a",
        "file:///public/../secret/a",
        "https://h.example/a",
    ];
    let all_templates = [
        "file:///public/{path}",
        "file:///{path}",
        "file:///secret/{path}",
        "file:///secret/a",
        "{+uri}",
        "https://{host}/a",
        "file:///public/../{path}",
    ];
    let low = "mcp:use";
    let spread = "{\r\n  \"id\": 7,\r\n  \"result\" : { \"nextCursor\": \"c\\u0031\", \"tools\" : [\r\n    \
                  {\"name\":\"write_a\"} ,\r\n    {\"x\":1e3,\"name\":\"\\u006fther\"} ,\r\n    \
                  {\"name\":\"write_b\"}\r\n  ], \"ttlMs\": 1.50 },\r\n  \"jsonrpc\": \"2.0\" }";
    let spread_left = "{\r\n  \"id\": 7,\r\n  \"result\" : {\"cacheScope\":\"private\", \"nextCursor\": \
                       \"c\\u0031\", \"tools\" : [\r\n    {\"x\":1e3,\"name\":\"\\u006fther\"}\r\n  ], \
                       \"ttlMs\": 1.50 },\r\n  \"jsonrpc\": \"2.0\" }";
    let public = r#""cacheScope":"public","tools":[{"name":"write_a"}]"#;
    vec![
        filtered("list-without-scopes", low, &["other"]),
        filtered("list-with-read", "mcp:use files:read", &["read_file", "other"]),
        filtered("list-with-write", "mcp:use files:write", &all),
        json_answers(
            ask("list-with-nothing-left", low, "tools/list"),
            &result(&tools(&["write_file", "read_file"])),
            &private(r#""tools":[]"#),
        ),
        json_answers(
            ask("list-that-is-empty", low, "tools/list"),
            &result(r#""tools":[]"#),
            &private(r#""tools":[]"#),
        ),
        json_answers(
            ask("list-that-is-null", low, "tools/list"),
            &result(r#""tools":null"#),
            &result(r#""tools":null"#),
        ),
        json_answers(
            ask("list-of-prompts", low, "prompts/list"),
            &result(&prompts(
                r#"{"name":"summary"},{"name":"other","arguments":[{"name":"summary"}]}"#,
            )),
            &private(&prompts(r#"{"name":"other","arguments":[{"name":"summary"}]}"#)),
        ),
        json_answers(
            ask("list-of-resources", low, "resources/list"),
            &result(&resources(&uris)),
            &private(&resources(&["file:///public/a", "https://h.example/a"])),
        ),
        json_answers(
            ask("list-of-resources-with-read", "mcp:use files:read", "resources/list"),
            &result(&resources(&uris)),
            &private(&resources(&["file:///public/a", "file:///secret/a", "https://h.example/a"])),
        ),
        json_answers(
            ask("list-of-templates", low, "resources/templates/list"),
            &result(&templates(&all_templates)),
            &private(&templates(&[
                "file:///public/{path}",
                "file:///{path}",
                "{+uri}",
                "https://{host}/a",
            ])),
        ),
        json_answers(
            ask("list-of-templates-with-read", "mcp:use files:read", "resources/templates/list"),
            &result(&templates(&all_templates)),
            &private(&templates(&all_templates[..6])),
        ),
        json_answers(ask("list-as-it-is-written", low, "tools/list"), spread, spread_left),
        json_answers(
            ask("list-that-is-for-all", low, "tools/list"),
            &result(public),
            &result(r#""cacheScope":"private","tools":[]"#),
        ),
        json_answers(
            ask("list-with-names-inside", low, "tools/list"),
            &result(
                r#""tools":[{"inputSchema":{"name":"write_a","tools":[1]},"name":"other"}],"x":{"tools":1}"#,
            ),
            &private(
                r#""tools":[{"inputSchema":{"name":"write_a","tools":[1]},"name":"other"}],"x":{"tools":1}"#,
            ),
        ),
    ]
}

/// What has no list goes on byte for byte.
fn others() -> Vec<Case> {
    let same = |case: Case, body: &str| json_answers(case, body, body);
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no","data":{"tools":[{"name":"write_a"}]}}}"#;
    let list = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"write_a"}]}}"#;
    let low = "mcp:use";
    let mut shadow = ask("list-in-shadow-mode", low, "tools/list").at("shadow.example.com", "/mcp");
    let token = Token::new(ISSUER, "https://shadow.example.com/mcp").claim("scope", low).sign();
    shadow = shadow.instead("authorization", &format!("Bearer {token}"));
    shadow.expect.set.remove("accept-encoding");
    let mut call = ask("no-list", low, "ping");
    call.expect.set.remove("accept-encoding");
    let plain = |status: u16, media: &str, body: &str| ServerResponse {
        status,
        headers: vec![("content-type".to_owned(), media.to_owned())],
        body: body.to_owned(),
        expect: Answered { status, body: Some(body.to_owned()), ..Answered::default() },
    };
    vec![
        same(ask("list-refused-by-the-server", low, "tools/list"), error),
        same(
            ask("list-result-without-list", low, "tools/list"),
            r#"{"result":{"resultType":"input_required"}}"#,
        ),
        same(shadow, list),
        same(call, list),
        respond(
            ask("list-and-a-page-for-people", low, "tools/list"),
            plain(503, "text/html", "<h1>tools</h1>"),
        ),
        respond(
            listen("listening-and-a-page-for-people", low),
            plain(405, "text/plain", "no stream here"),
        ),
    ]
}

fn events() -> Vec<Case> {
    let low = "mcp:use";
    let stream = |case: Case, body: &str, expected: &str| {
        answers(case, "text/event-stream; charset=utf-8", body, expected)
    };
    let list =
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"write_a"},{"name":"other"}]}}"#;
    let left =
        r#"{"jsonrpc":"2.0","id":7,"result":{"cacheScope":"private","tools":[{"name":"other"}]}}"#;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"tools":[{"name":"write_a"}]}}"#;
    let around = |data: &str, end: &str| {
        [
            ": ping",
            "",
            "id: 1",
            "data:",
            "",
            "retry:5",
            &format!("data: {progress}"),
            "",
            "event: message",
            &format!("data: {data}"),
            "id: 2",
            "",
            ":x",
            "",
            "",
        ]
        .join(end)
    };
    let (head, tail) = list.split_at(r#"{"jsonrpc":"2.0","#.len());
    let (head_left, tail_left) = left.split_at(head.len());
    let lines = format!("id: 3\ndata: {head}\ndata:{tail}\n\n");
    let lines_left = format!("id: 3\ndata: {head_left}\ndata: {tail_left}\n\n");
    let prompts = r#"{"jsonrpc":"2.0","id":9,"result":{"prompts":[{"name":"summary"}]}}"#;
    let prompts_left = r#"{"jsonrpc":"2.0","id":9,"result":{"cacheScope":"private","prompts":[]}}"#;
    vec![
        stream(ask("events", low, "tools/list"), &around(list, "\n"), &around(left, "\n")),
        stream(
            ask("events-with-crlf", low, "tools/list"),
            &around(list, "\r\n"),
            &around(left, "\r\n"),
        ),
        stream(ask("events-with-cr", low, "tools/list"), &around(list, "\r"), &around(left, "\r")),
        stream(ask("event-of-several-lines", low, "tools/list"), &lines, &lines_left),
        stream(
            ask("event-that-does-not-end", low, "tools/list"),
            &format!("data: {list}"),
            &format!("data: {left}\n"),
        ),
        stream(
            ask("events-begin-with-a-byte-order-mark", low, "tools/list"),
            &format!("\u{feff}data: {list}\n\n"),
            &format!("data: {left}\n\n"),
        ),
        stream(
            listen("events-taken-up-again", low),
            &format!("data: {prompts}\n\ndata: {list}\n\n"),
            &format!("data: {prompts_left}\n\ndata: {left}\n\n"),
        ),
        stream(
            listen("events-of-the-old-transport", low),
            &format!("event: endpoint\ndata: /messages?id=[1]\n\ndata: {list}\n\n"),
            &format!("event: endpoint\ndata: /messages?id=[1]\n\ndata: {left}\n\n"),
        ),
    ]
}

/// What cannot be read strictly becomes an error, never a list.
fn unreadable() -> Vec<Case> {
    let low = "mcp:use";
    let error = json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -32603 } });
    let list = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"other"}]}}"#;
    let refused = |case: Case, status: u16, headers: &[(&str, &str)], body: &str| {
        let expect = Answered {
            status,
            json: Some(error.clone()),
            reason: Some("list_unreadable".to_owned()),
            removed: vec!["etag".to_owned(), "content-encoding".to_owned()],
            ..Answered::default()
        };
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (headers, body) = (headers.collect(), body.to_owned());
        respond(case, ServerResponse { status: 200, headers, body, expect })
    };
    let json_type = ("content-type", "application/json");
    let head = |name: &str, headers: &[(&str, &str)]| {
        refused(ask(name, low, "tools/list"), 502, headers, list)
    };
    let body = |name: &str, body: &str| {
        refused(ask(name, low, "tools/list"), 200, &[json_type, ("etag", "\"1\"")], body)
    };
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
    let event = |name: &str, data: &str| {
        let text = "{\"error\":{\"code\":-32603,\"message\":\"The server's answer cannot be filtered\"},\
                    \"id\":7,\"jsonrpc\":\"2.0\"}";
        let after = format!("data: {list}\n\n");
        let left = result(r#"{"cacheScope":"private","tools":[{"name":"other"}]}"#);
        let mut case = answers(
            ask(name, low, "tools/list"),
            "text/event-stream",
            &format!("id: 1\n{data}\n\n{after}"),
            &format!("id: 1\ndata: {text}\n\ndata: {left}\n\n"),
        );
        if let Some(response) = &mut case.response {
            response.expect.reason = Some("list_unreadable".to_owned());
        }
        case
    };
    let long = "x".repeat(5000);
    let mut cases = vec![
        head("list-compressed", &[json_type, ("content-encoding", "gzip")]),
        head("list-of-another-type", &[("content-type", "text/plain")]),
        head("list-in-utf-16", &[("content-type", "application/json; charset=utf-16")]),
        body("list-that-is-no-json", "tools: write_a"),
        body(
            "list-that-breaks-off",
            r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"write_a"}]"#,
        ),
        body("list-in-a-batch", &format!("[{list}]")),
        body("list-with-a-byte-order-mark", &format!("\u{feff}{list}")),
        body("list-twice", &result(r#"{"tools":[],"tools":[{"name":"write_a"}]}"#)),
        body("list-in-other-case", &result(r#"{"tools":[],"Tools":[{"name":"write_a"}]}"#)),
        body(
            "result-in-other-case",
            r#"{"jsonrpc":"2.0","id":7,"Result":{"tools":[{"name":"write_a"}]}}"#,
        ),
        body("list-that-is-an-object", &result(r#"{"tools":{"a":{"name":"write_a"}}}"#)),
        body("result-that-is-a-list", &result(r#"[{"tools":[{"name":"write_a"}]}]"#)),
        body("tool-that-has-no-name", &result(r#"{"tools":[{"title":"write_a"}]}"#)),
        body("tool-with-a-name-that-is-no-text", &result(r#"{"tools":[{"name":["write_a"]}]}"#)),
        body("tool-with-two-names", &result(r#"{"tools":[{"name":"other","name":"write_a"}]}"#)),
        body(
            "tool-with-a-name-in-other-case",
            &result(r#"{"tools":[{"name":"other","Name":"write_a"}]}"#),
        ),
        body("tool-that-is-a-text", &result(r#"{"tools":["write_a"]}"#)),
        body("list-beyond-the-limit", &result(&format!(r#"{{"tools":[],"x":"{long}"}}"#))),
        event("event-that-is-no-json", "data: {tools:[]}"),
        event("event-with-a-batch", &format!("data: [{list}]")),
        event("event-with-a-second-message", &format!("data: {list}\ndata: {list}")),
    ];
    let mut large = event("event-beyond-the-limit", &format!("data: {{\"x\":\"{long}\"}}"));
    let mut almost = event("event-with-data-in-other-case", &format!("Data: {list}"));
    for case in [&mut large, &mut almost] {
        // Nothing of the event is left.
        let body = case.response.as_mut().and_then(|response| response.expect.body.as_mut());
        if let Some(body) = body {
            *body = body.replacen("id: 1\n", "", 1);
        }
    }
    cases.extend([large, almost, something_behind(list)]);
    cases.extend(unreadable_heads(list));
    cases
}

/// A message goes on when it is whole, and nothing that is behind it.
fn something_behind(list: &str) -> Case {
    let mut case = json_answers(
        ask("list-with-something-behind", "mcp:use", "tools/list"),
        &format!("{list}\n{list}"),
        &list.replace("{\"tools\"", &format!("{{{PRIVATE},\"tools\"")),
    );
    if let Some(response) = &mut case.response {
        response.expect.reason = Some("list_unreadable".to_owned());
    }
    case
}

/// A part of a stream begins anywhere, and what has no type, or almost one of messages, is read as
/// messages by some: on the transport's other legs too.
fn unreadable_heads(list: &str) -> Vec<Case> {
    let low = "mcp:use";
    let refused = |case: Case, id: Value, status: u16, media: Option<&str>, body: &str| {
        let expect = Answered {
            status: 502,
            json: Some(json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32603 } })),
            reason: Some("list_unreadable".to_owned()),
            ..Answered::default()
        };
        let headers = media.map(|media| ("content-type".to_owned(), media.to_owned()));
        let (headers, body) = (headers.into_iter().collect(), body.to_owned());
        respond(case, ServerResponse { status, headers, body, expect })
    };
    let ask = |name: &str| ask(name, low, "tools/list");
    let events = format!("data: {list}\n\n");
    let part = format!(": {list}\n\n");
    vec![
        refused(ask("list-in-a-part-of-a-stream"), json!(7), 206, Some("text/event-stream"), &part),
        refused(
            listen("listening-to-a-part-of-a-stream", low),
            Value::Null,
            206,
            Some("multipart/byteranges; boundary=x"),
            &part,
        ),
        refused(listen("listening-to-no-type", low), Value::Null, 200, None, &events),
        refused(
            listen("listening-to-two-types-in-one", low),
            Value::Null,
            200,
            Some("text/plain, text/Event-Stream"),
            &events,
        ),
        refused(
            listen("listening-to-another-json", low),
            Value::Null,
            200,
            Some("application/json-rpc"),
            list,
        ),
    ]
}
