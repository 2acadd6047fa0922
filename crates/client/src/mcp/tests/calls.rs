use super::*;

fn listing(seen: &Seen, tools: Value, next: Option<&str>) -> Page {
    let mut page = json!({ "resultType": "complete", "tools": tools });
    if let Some(next) = next {
        page["nextCursor"] = next.into();
    }
    seen.result(page)
}

/// Server utilities, pagination.
#[tokio::test]
async fn all_pages_of_tools_are_read() {
    let stub = Stub::start(|seen| match (seen.method(), seen.body["params"]["cursor"].as_str()) {
        ("server/discover", _) => seen.result(json!({ "supportedVersions": ["2026-07-28"] })),
        (_, None) => listing(seen, json!([{ "name": "a", "title": "A" }]), Some("2")),
        (_, Some("2")) => {
            let bad = json!({ "type": "object", "x-mcp-header": "" });
            listing(seen, json!([{ "name": "bad", "inputSchema": bad }]), Some(""))
        }
        (_, Some("")) => listing(seen, json!([{ "name": "b" }]), None),
        other => panic!("{other:?}"),
    });
    let tools = done(connection(&stub).list_tools(&mut ()).await);
    let names: Vec<&str> = tools.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(tools.tools[0].definition["title"], "A");
    assert_eq!(tools.excluded[0].name, "bad");
}

#[tokio::test]
async fn lists_without_an_end_are_refused() {
    let stub = Stub::start(|seen| match seen.method() {
        "server/discover" => seen.result(json!({ "supportedVersions": ["2026-07-28"] })),
        _ => listing(seen, json!([]), Some("again")),
    });
    let mut connection = connection(&stub);
    let error = connection.list_tools(&mut ()).await.unwrap_err();
    // Their bytes count together.
    assert!(matches!(error.reason(), "answer_invalid" | "answer_too_long"), "{error}");
    assert!(stub.seen().len() <= 101);

    for result in [json!({}), json!({ "tools": [7] }), json!({ "tools": [], "nextCursor": 7 })] {
        let stub = Stub::start(move |seen| match seen.method() {
            "server/discover" => seen.result(json!({ "supportedVersions": ["2026-07-28"] })),
            _ => seen.result(result.clone()),
        });
        let error = super::connection(&stub).list_tools(&mut ()).await.unwrap_err();
        assert_eq!(error.reason(), "answer_invalid");
    }
}

/// 2026-07-28, client behaviour: a tool is called with its name and its annotated arguments in headers.
#[tokio::test]
async fn calls_mirror_what_the_tool_asks_for() {
    let properties = json!({ "region": { "type": "string", "x-mcp-header": "Region" } });
    let tools = json!([
        { "name": "query", "inputSchema": { "type": "object", "properties": properties } },
        { "name": "bad", "inputSchema": { "x-mcp-header": "A" } },
    ]);
    let stub = Stub::start(move |seen| match seen.method() {
        "server/discover" => seen.result(json!({ "supportedVersions": ["2026-07-28"] })),
        "tools/list" => listing(seen, tools.clone(), None),
        _ => seen.result(json!({ "content": [], "isError": true })),
    });
    let mut connection = connection(&stub);
    let arguments = object(json!({ "region": "Süd", "q": 1 }));
    let result = done(connection.call_tool("query", arguments.clone(), &mut ()).await);
    assert_eq!(result, json!({ "content": [], "isError": true }));
    let call = &stub.seen()[2];
    assert_eq!(call.header("mcp-name"), "query");
    assert_eq!(call.header("mcp-param-region"), "=?base64?U8O8ZA==?=");
    assert_eq!(call.body["params"]["arguments"], Value::Object(arguments));
    assert_eq!(call.body["params"]["_meta"]["progressToken"], call.body["id"]);

    // It is listed once; a tool that is hidden is the server's matter, one that is wrong is not.
    done(connection.call_tool("hidden", Map::new(), &mut ()).await);
    let error = connection.call_tool("bad", Map::new(), &mut ()).await.unwrap_err();
    assert!(matches!(error, Error::ToolExcluded { name, .. } if name == "bad"));
    assert_eq!(stub.methods(), ["server/discover", "tools/list", "tools/call", "tools/call"]);
}

/// 2026-07-28, client behaviour: after a mismatch the tools are listed again, and it is asked again.
#[tokio::test]
async fn a_tool_that_has_changed_is_looked_at_again() {
    let stub = Stub::start(|seen| match seen.method() {
        "server/discover" => seen.result(json!({ "supportedVersions": ["2026-07-28"] })),
        "tools/list" => {
            let mut property = json!({ "type": "string" });
            if seen.number > 2 {
                property["x-mcp-header"] = "Region".into();
            }
            let schema = json!({ "type": "object", "properties": { "region": property } });
            listing(seen, json!([{ "name": "t", "inputSchema": schema }]), None)
        }
        _ if seen.number > 2 && seen.header("mcp-param-region") != "eu" => {
            seen.error(400, -32020, Value::Null)
        }
        _ => seen.result(json!({})),
    });
    let mut connection = connection(&stub);
    let arguments = object(json!({ "region": "eu" }));
    done(connection.call_tool("t", arguments.clone(), &mut ()).await);
    done(connection.call_tool("t", arguments, &mut ()).await);
    let calls = ["tools/list", "tools/call", "tools/call", "tools/list", "tools/call"];
    assert_eq!(stub.methods()[1..], calls);

    // What goes on to be a mismatch is an error.
    let stub = stateless(|seen| seen.error(400, -32020, Value::Null));
    let error = super::connection(&stub).call_tool("t", Map::new(), &mut ()).await.unwrap_err();
    assert!(matches!(error, Error::Mcp { code: -32020, .. }));
    assert_eq!(stub.seen().len(), 3);
}

/// 2026-07-28, multi round-trip requests: state goes back as it came, in a request of its own, and not
/// where none came.
#[tokio::test]
async fn state_and_answers_go_back() {
    #[derive(Debug)]
    struct Person(bool);
    impl Caller for Person {
        fn headers(&mut self, _: &Method, _: &str) -> Result<HeaderMap, Error> {
            Ok(HeaderMap::new())
        }

        fn asked(&mut self, requests: &Map<String, Value>) -> Option<Map<String, Value>> {
            assert_eq!(requests["name"]["method"], "elicitation/create");
            self.0.then(|| object(json!({ "name": { "action": "decline" } })))
        }
    }
    let stub = stateless(|seen| {
        let requests = json!({ "name": { "method": "elicitation/create" } });
        seen.result(match seen.number {
            2 => json!({ "resultType": "input_required", "requestState": "{ }" }),
            3 => json!({
                "resultType": "input_required", "inputRequests": requests, "requestState": "s",
            }),
            4 => json!({ "resultType": "input_required", "inputRequests": requests }),
            _ => json!({ "resultType": "complete", "a": 1 }),
        })
    });
    let mut connection = connection(&stub).with_capability("elicitation", json!({}));
    let arguments = object(json!({ "x": 1 }));
    let result = done(connection.call_tool("t", arguments.clone(), &mut Person(true)).await);
    assert_eq!(result["a"], 1);
    let answers = json!({ "name": { "action": "decline" } });
    let rounds = [
        (Value::Null, Value::Null),
        (Value::Null, "{ }".into()),
        (answers.clone(), "s".into()),
        (answers, Value::Null),
    ];
    let calls = &stub.seen()[2..];
    assert_eq!(calls.len(), rounds.len());
    for (call, (responses, state)) in calls.iter().zip(rounds) {
        let params = &call.body["params"];
        assert_eq!((&params["inputResponses"], &params["requestState"]), (&responses, &state));
        assert_eq!(params["arguments"], json!({ "x": 1 }));
        assert_eq!(params["_meta"]["progressToken"], call.body["id"]);
        let capabilities = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(capabilities, &json!({ "elicitation": {} }));
    }
    let ids: std::collections::BTreeSet<_> =
        calls.iter().map(|call| &call.body["id"]).map(Value::as_u64).collect();
    assert_eq!(ids.len(), calls.len());

    let stub = stateless(|seen| {
        let requests = json!({ "name": { "method": "elicitation/create" } });
        seen.result(json!({ "resultType": "input_required", "inputRequests": requests }))
    });
    let mut connection = super::connection(&stub);
    let error = connection.call_tool("t", arguments, &mut Person(false)).await;
    assert_eq!(error, Err(Error::InputRequired));
    assert_eq!(stub.seen().len(), 3);
}

/// 2026-07-28, result type; multi round-trip requests, supported requests and server requirements.
#[tokio::test]
async fn results_are_of_a_known_type() {
    for (method, result) in [
        ("tools/call", json!({ "resultType": "input_required" })),
        ("tools/call", json!({ "resultType": "input_required", "inputRequests": [] })),
        ("tools/call", json!({ "resultType": "input_required", "requestState": 7 })),
        ("prompts/list", json!({ "resultType": "input_required", "requestState": "s" })),
        ("prompts/get", json!({ "resultType": "input_required", "requestState": "for ever" })),
        ("prompts/list", json!({ "resultType": "task" })),
        ("prompts/list", json!({ "resultType": 7 })),
    ] {
        let stub = stateless(move |seen| seen.result(result.clone()));
        let error = connection(&stub).request(method, Map::new(), &mut ()).await.unwrap_err();
        assert_eq!(error.reason(), "answer_invalid", "{method}");
        assert!(stub.seen().len() < 20);
    }
    // Before, it was a word like any other.
    let result = json!({ "resultType": "task" });
    let stub = with_sessions("2025-11-25", move |seen| seen.result(result.clone()));
    let result = done(connection(&stub).request("prompts/list", Map::new(), &mut ()).await);
    assert_eq!(result["resultType"], "task");
}

#[tokio::test]
async fn methods_that_no_header_can_carry_are_not_sent() {
    let stub = stateless(|seen| seen.result(json!({})));
    for method in ["a\r\nb", "ä"] {
        let error = connection(&stub).request(method, Map::new(), &mut ()).await.unwrap_err();
        assert_eq!(error.reason(), "request_invalid");
    }
    assert_eq!(stub.methods(), ["server/discover", "server/discover"]);
}
