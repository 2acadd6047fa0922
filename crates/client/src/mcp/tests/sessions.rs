use super::*;

async fn ask(stub: &Stub) -> Result<Outcome<Value>, Error> {
    connection(stub).request("a", Map::new(), &mut ()).await
}

/// 2025-11-25, session management: the identifier goes with every request, and the session is ended.
#[tokio::test]
async fn sessions_are_kept_and_ended() {
    let stub = with_sessions("2025-11-25", |seen| match seen.verb.as_str() {
        "DELETE" => Page::status(405),
        _ => seen.result(json!({})),
    });
    let mut connection = connection(&stub);
    done(connection.call_tool("t", object(json!({ "a": 1 })), &mut ()).await);
    connection.close(&mut ()).await;
    assert_eq!(
        stub.methods(),
        ["server/discover", "initialize", "notifications/initialized", "tools/call", "DELETE"]
    );
    let seen = stub.seen();
    assert_eq!(seen[1].header("mcp-session-id"), "");
    for seen in &seen[2..] {
        assert_eq!(seen.header("mcp-session-id"), "s-1");
        assert_eq!(seen.header("mcp-protocol-version"), "2025-11-25");
        assert_eq!(seen.header("mcp-name"), "");
    }
    assert!(!format!("{connection:?}").contains("s-1"));
}

#[tokio::test]
async fn identifiers_are_visible_ascii() {
    for id in ["", "a b", "ä", "a\tb"] {
        let stub = Stub::start(move |seen| match seen.method() {
            "initialize" => {
                seen.result(json!({ "protocolVersion": "2025-11-25" })).header("mcp-session-id", id)
            }
            _ => Page::status(400),
        });
        assert_eq!(ask(&stub).await.unwrap_err().reason(), "answer_invalid", "{id}");
        assert_eq!(stub.methods(), ["server/discover", "initialize"]);
    }
}

/// 2025-11-25, session management: 404 to a request with a session is the session's end.
#[tokio::test]
async fn a_session_that_is_gone_is_begun_again() {
    let stub = Stub::start(|seen| match seen.method() {
        "server/discover" => Page::status(400),
        "initialize" => seen
            .result(json!({ "protocolVersion": "2025-11-25" }))
            .header("mcp-session-id", if seen.number == 1 { "old" } else { "new" }),
        "notifications/initialized" => Page::status(202),
        // As the TypeScript SDK has it.
        _ if seen.header("mcp-session-id") == "old" => seen.error(404, -32001, Value::Null),
        _ => seen.result(json!({ "a": 1 })),
    });
    assert_eq!(done(ask(&stub).await), json!({ "a": 1 }));
    let again = ["initialize", "notifications/initialized", "a"];
    assert_eq!(stub.methods()[1..], [again, again].concat());
    assert_eq!(stub.seen()[4].header("mcp-session-id"), "");

    // Once.
    let stub = with_sessions("2025-11-25", |_| Page::status(404));
    assert!(ask(&stub).await.unwrap_err().to_string().ends_with("status 404"));
    assert_eq!(stub.seen().len(), 7);
}

/// A server without sessions means what it says with 404.
#[tokio::test]
async fn without_a_session_nothing_is_begun_again() {
    let stub = Stub::start(|seen| match seen.method() {
        "initialize" => seen.result(json!({ "protocolVersion": "2025-11-25" })),
        "notifications/initialized" => Page::status(202),
        _ => Page::status(404),
    });
    let mut connection = connection(&stub);
    let error = connection.request("a", Map::new(), &mut ()).await.unwrap_err();
    assert!(error.to_string().ends_with("status 404"));
    connection.close(&mut ()).await;
    assert_eq!(stub.seen().len(), 4);
}

/// 2025-11-25, ping; and JSON-RPC 2.0 §5.1 for what this client does not do.
#[tokio::test]
async fn servers_requests_are_answered_on_the_way() {
    let stub = with_sessions("2025-06-18", |seen| match seen.method() {
        "a" => Page::events(concat!(
            "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"sampling/createMessage\"}\n\n",
        ))
        .then(50, format!("data: {}\n\n", seen.message(json!({})))),
        // It is an answer, and is not taken: that makes no difference.
        _ => Page::status(401),
    });
    done(ask(&stub).await);
    let seen = stub.seen();
    assert_eq!(seen[4].body, json!({ "jsonrpc": "2.0", "id": "p", "result": {} }));
    assert_eq!((&seen[5].body["id"], &seen[5].body["error"]["code"]), (&json!(8), &json!(-32601)));
    assert_eq!(seen[5].header("mcp-session-id"), "s-1");
}

#[tokio::test]
async fn servers_that_ask_without_an_end_are_left() {
    let stub = with_sessions("2025-06-18", |seen| match seen.method() {
        "a" => {
            Page::events("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\n").forever()
        }
        _ => Page::status(202),
    });
    let error = ask(&stub).await.unwrap_err();
    assert!(error.to_string().ends_with("it asks too much"), "{error}");
    assert_eq!(stub.seen().len(), 104);
}

/// 2025-03-26, batching: clients must read batches.
#[tokio::test]
async fn batches_of_the_revision_that_has_them() {
    for as_stream in [false, true] {
        let answer = move |seen: &Seen| {
            let told = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
            let batch = format!("[{told},{}]", seen.message(json!({ "a": 1 })));
            match as_stream {
                true => Page::events(&format!("data: {batch}\n\n")),
                false => Page::json(batch),
            }
        };
        let stub = with_sessions("2025-03-26", answer);
        let mut ear = Ear::default();
        let result = done(connection(&stub).request("a", Map::new(), &mut ear).await);
        assert_eq!(result, json!({ "a": 1 }));
        assert_eq!(ear.told, ["notifications/message"]);
        let stub = with_sessions("2025-06-18", answer);
        assert_eq!(ask(&stub).await.unwrap_err().reason(), "answer_invalid");
    }
}

/// 2025-11-25, resumability and redelivery: after a break, the stream goes on from the last event, no
/// sooner than the server wants.
#[tokio::test]
async fn streams_go_on_after_a_break() {
    let stub = with_sessions("2025-11-25", |seen| match (seen.verb.as_str(), seen.number) {
        // The connection breaks before all is there that was to come.
        ("POST", _) => Page::events("id: e1\nretry: 400\ndata:\n\nid: e2\ndata: {\"cut")
            .header("content-length", "1000"),
        (_, 4) => Page::events("id: e3\ndata:\n\n"),
        _ => Page::events("data: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"a\":1}}\n\n"),
    });
    let began = tokio::time::Instant::now();
    let mut ear = Ear::default();
    let result = done(connection(&stub).request("a", Map::new(), &mut ear).await);
    assert_eq!(result, json!({ "a": 1 }));
    assert!(began.elapsed() >= Duration::from_millis(800));
    assert_eq!(stub.methods()[3..], ["a", "GET", "GET"]);
    let seen = stub.seen();
    assert_eq!(seen[4].header("last-event-id"), "e1");
    assert_eq!(seen[5].header("last-event-id"), "e3");
    assert_eq!(seen[5].header("accept"), "text/event-stream");
    assert_eq!(seen[5].header("mcp-session-id"), "s-1");
    assert_eq!(ear.asked, ["POST", "POST", "POST", "POST", "GET", "GET"]);
}

#[tokio::test]
async fn breaks_have_an_end() {
    // Without an event to go on from.
    let stub = with_sessions("2025-11-25", |_| Page::events("retry: 1\ndata:\n\n"));
    assert_eq!(ask(&stub).await.unwrap_err().reason(), "answer_invalid");
    assert_eq!(stub.seen().len(), 4);

    // The server has nothing more to say, or cannot go on. It may have done what it was asked for: this
    // is no refusal that invites to ask again.
    for status in [200, 204, 400, 401, 403, 404, 405] {
        let stub = with_sessions("2025-11-25", move |seen| match seen.verb.as_str() {
            "POST" => Page::events("id: 1\nretry: 1\ndata:\n\n"),
            _ => Page::status(status),
        });
        let error = ask(&stub).await.unwrap_err();
        assert!(error.to_string().contains("may have done"), "{error}");
        assert_eq!(stub.seen().len(), 5, "{status}");
    }
    let stub = with_sessions("2025-11-25", |seen| match seen.verb.as_str() {
        "POST" => Page::events("id: 1\nretry: 1\ndata:\n\n"),
        _ => Page::events(""),
    });
    assert_eq!(ask(&stub).await.unwrap_err().reason(), "answer_invalid");
    assert_eq!(stub.seen().len(), 9);

    // It wants to be left alone for longer than there is time.
    let stub = with_sessions("2025-11-25", |_| Page::events("id: 1\nretry: 99999999\ndata:\n\n"));
    assert_eq!(ask(&stub).await.unwrap_err().reason(), "answer_invalid");
    assert_eq!(stub.seen().len(), 4);
}

#[tokio::test]
async fn connections_that_break_are_named() {
    let stub = with_sessions("2025-11-25", |_| Page::json("{").header("content-length", "1000"));
    let error = ask(&stub).await.unwrap_err();
    assert_eq!(error.reason(), "server_unreachable");
    assert!(error.to_string().starts_with(&stub.url), "{error}");
}

/// 2025-11-25, cancellation: a closed stream says nothing, so it is said.
#[tokio::test]
async fn a_dropped_request_is_cancelled() {
    let stub = with_sessions("2025-11-25", |seen| match seen.method() {
        "tools/call" => Page::events(": open\n\n").then(100, ": more\n\n").forever(),
        "notifications/cancelled" => Page::status(202),
        _ => Page::status(200),
    });
    let mut connection = connection(&stub);
    let mut caller = ();
    let call = connection.call_tool("t", Map::new(), &mut caller);
    let timed = tokio::time::timeout(Duration::from_millis(250), call).await;
    assert!(timed.is_err());
    connection.close(&mut ()).await;
    assert_eq!(stub.methods()[3..], ["tools/call", "notifications/cancelled", "DELETE"]);
    let seen = stub.seen();
    assert_eq!(seen[4].body["params"]["requestId"], seen[3].body["id"]);
    assert_eq!(seen[4].header("mcp-session-id"), "s-1");

    // What came to its end is not cancelled.
    let stub = with_sessions("2025-11-25", |seen| seen.result(json!({})));
    let mut connection = super::connection(&stub);
    done(connection.call_tool("t", Map::new(), &mut ()).await);
    connection.close(&mut ()).await;
    assert_eq!(stub.methods()[4..], ["DELETE"]);
}
