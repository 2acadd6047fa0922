use super::*;

/// 2026-07-28, versioning: a server that takes the first question is spoken to by that revision; each
/// request says of itself what the specification asks (basic, `_meta`; request metadata).
#[tokio::test]
async fn stateless_servers_are_asked_without_a_handshake() {
    let stub = stateless(|seen| seen.result(json!({ "resultType": "complete", "a": 1 })));
    let mut connection = connection(&stub).with_extension("com.example/x");
    let params = object(json!({ "uri": "file:///ä", "_meta": { "traceparent": "00" } }));
    let result = done(connection.request("resources/read", params, &mut ()).await);
    assert_eq!(result["a"], 1);
    assert_eq!(connection.revision(), Some(Revision::V20260728));
    assert!(connection.about().unwrap()["capabilities"]["tools"].is_object());

    assert_eq!(stub.methods(), ["server/discover", "resources/read"]);
    for seen in stub.seen() {
        let meta = &seen.body["params"]["_meta"];
        assert_eq!(seen.header("mcp-protocol-version"), "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "countersign");
        assert_eq!(
            meta["io.modelcontextprotocol/clientCapabilities"],
            json!({ "extensions": { "com.example/x": {} } })
        );
        assert_eq!(seen.header("mcp-method"), seen.method());
        assert_eq!(seen.header("accept"), "application/json, text/event-stream");
        assert_eq!(seen.header("content-type"), "application/json");
        assert_eq!(seen.header("mcp-session-id"), "");
    }
    let read = &stub.seen()[1];
    assert_eq!(read.header("mcp-name"), "=?base64?ZmlsZTovLy/DpA==?=");
    assert_eq!(read.body["params"]["_meta"]["traceparent"], "00");

    // There is nothing to end.
    connection.close(&mut ()).await;
    assert_eq!(stub.seen().len(), 2);
}

/// 2026-07-28, Streamable HTTP, backward compatibility: what is no modern error means that the server
/// is older.
#[tokio::test]
async fn older_servers_get_their_handshake() {
    for answer in [
        |_: &Seen| Page::status(400),
        |_: &Seen| Page::json("Bad Request: No valid session ID provided").with(400),
        // The TypeScript SDK of before.
        |seen: &Seen| seen.error(400, -32000, Value::Null),
        |_: &Seen| {
            let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"m"},"id":null}"#;
            Page::json(body).with(400)
        },
        |_: &Seen| Page::status(404),
        |_: &Seen| Page::status(405),
        |_: &Seen| Page::status(406),
        |seen: &Seen| seen.error(200, -32601, Value::Null),
        |seen: &Seen| seen.error(404, -32601, Value::Null),
        // It has something to say to every method.
        |seen: &Seen| seen.result(json!({})),
        // It takes both, but of the new ones none that is known here.
        |seen: &Seen| seen.result(json!({ "supportedVersions": ["2027-01-01", "2025-11-25"] })),
        |seen: &Seen| seen.error(400, -32022, json!({ "supported": ["2025-06-18"] })),
    ] {
        let stub = Stub::start(move |seen| match seen.method() {
            "server/discover" => answer(seen),
            "initialize" => seen.result(json!({ "protocolVersion": "2025-11-25" })),
            "notifications/initialized" => Page::status(202),
            _ => seen.result(json!({})),
        });
        let mut connection = connection(&stub).with_capability("elicitation", json!({}));
        done(connection.request("prompts/list", Map::new(), &mut ()).await);
        let handshake =
            ["server/discover", "initialize", "notifications/initialized", "prompts/list"];
        assert_eq!(stub.methods(), handshake);
        assert_eq!(connection.revision(), Some(Revision::V20251125));

        let seen = stub.seen();
        assert_eq!(seen[1].header("mcp-protocol-version"), "");
        assert_eq!(seen[1].header("mcp-method"), "");
        assert_eq!(
            seen[1].body["params"],
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "countersign", "version": env!("CARGO_PKG_VERSION") },
            })
        );
        assert!(seen[2].body.get("id").is_none());
        for seen in &seen[2..] {
            assert_eq!(seen.header("mcp-protocol-version"), "2025-11-25");
            assert!(seen.body["params"].get("_meta").is_none());
        }
    }
}

/// 2025-11-25, lifecycle: the server's revision counts, if it is a known one with sessions.
#[tokio::test]
async fn the_servers_older_revision_is_taken() {
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let stub = with_sessions(revision, |seen| seen.result(json!({})));
        let mut connection = connection(&stub);
        done(connection.connect(&mut ()).await);
        assert_eq!(connection.revision().map(Revision::as_str), Some(revision));
        assert_eq!(stub.seen()[2].header("mcp-protocol-version"), revision);
    }
    for revision in ["2024-11-05", "2026-07-28", "", "x\u{7}"] {
        let stub = with_sessions(revision, |seen| seen.result(json!({})));
        let error = connection(&stub).connect(&mut ()).await.unwrap_err();
        let Error::RevisionUnknown { listed, .. } = error else { panic!("{error:?}") };
        assert_eq!(listed, [revision.trim_end_matches('\u{7}')]);
    }
}

/// 2026-07-28, versioning: a revision that the server names is tried again, once.
#[tokio::test]
async fn a_refused_revision_is_tried_again_once() {
    let supported = json!({ "supported": ["2026-07-28"], "requested": "2026-07-28" });
    let stub = Stub::start({
        let supported = supported.clone();
        move |seen| match seen.number {
            0 => seen.error(400, -32022, supported.clone()),
            1 => seen.result(json!({ "supportedVersions": ["2026-07-28"] })),
            _ => seen.result(json!({ "prompts": [] })),
        }
    });
    done(connection(&stub).request("prompts/list", Map::new(), &mut ()).await);
    assert_eq!(stub.methods(), ["server/discover", "server/discover", "prompts/list"]);

    let stub = Stub::start(move |seen| seen.error(400, -32022, supported.clone()));
    let error = connection(&stub).connect(&mut ()).await.unwrap_err();
    assert_eq!(error.reason(), "answer_invalid");
    assert_eq!(stub.seen().len(), 2);
}

#[tokio::test]
async fn modern_errors_lead_to_no_handshake() {
    for (code, data, reason) in [
        (-32020, Value::Null, "mcp_error"),
        (-32021, Value::Null, "mcp_error"),
        (-32022, json!({ "supported": ["2099-01-01"] }), "revision_unknown"),
        (-32022, Value::Null, "revision_unknown"),
    ] {
        let stub = Stub::start(move |seen| seen.error(400, code, data.clone()));
        let error = connection(&stub).connect(&mut ()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{code}");
        assert_eq!(stub.methods(), ["server/discover"]);
    }
}

#[tokio::test]
async fn a_server_that_is_none_is_told_from_one_that_is_broken() {
    let stub = Stub::start(|_| Page::status(405));
    let error = connection(&stub).connect(&mut ()).await.unwrap_err();
    assert!(error.to_string().contains("HTTP+SSE"), "{error}");
    let stub = Stub::start(|_| Page::status(500));
    let error = connection(&stub).connect(&mut ()).await.unwrap_err();
    assert!(error.to_string().ends_with("status 500"), "{error}");
    assert_eq!(stub.methods(), ["server/discover"]);
    let stub = Stub::start(|_| Page::status(307).header("location", "https://evil.example/mcp"));
    let error = connection(&stub).connect(&mut ()).await.unwrap_err();
    assert!(error.to_string().contains("redirects to https://evil.example/mcp"), "{error}");
    assert_eq!(stub.seen().len(), 1);
}

/// MCP authorization: each request has the token, and a refusal leaves things as they are.
#[tokio::test]
async fn refusals_are_outcomes_at_every_step() {
    const DISCOVER: &str = "server/discover";
    const INITIALIZE: &str = "initialize";
    const INITIALIZED: &str = "notifications/initialized";
    const LIST: &str = "prompts/list";
    // What was done before the refusal is not done again, unless it was no more than a question.
    let expected: [(&str, &[&str]); 4] = [
        (DISCOVER, &[DISCOVER, DISCOVER, INITIALIZE, INITIALIZED, LIST]),
        (INITIALIZE, &[DISCOVER, INITIALIZE, DISCOVER, INITIALIZE, INITIALIZED, LIST]),
        (INITIALIZED, &[DISCOVER, INITIALIZE, INITIALIZED, INITIALIZED, LIST]),
        (LIST, &[DISCOVER, INITIALIZE, INITIALIZED, LIST, LIST]),
    ];
    for (stop, expected) in expected {
        let stub = Stub::start(move |seen| match seen.method() {
            method if method == stop && seen.header("authorization") != "Bearer good" => {
                Page::status(401)
                    .header("www-authenticate", r#"Bearer scope="a b", error="invalid_token""#)
                    .header("dpop-nonce", "n")
            }
            DISCOVER => Page::status(400),
            INITIALIZE => seen
                .result(json!({ "protocolVersion": "2025-06-18" }))
                .header("mcp-session-id", "s-1"),
            INITIALIZED => Page::status(202),
            _ => seen.result(json!({})),
        });
        let mut connection = connection(&stub);
        let mut ear = Ear { token: Some("Bearer bad"), ..Ear::default() };
        let refused = connection.request("prompts/list", Map::new(), &mut ear).await.unwrap();
        let Outcome::Refused(Refused { status: 401, challenge: Some(challenge) }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(challenge.error.as_deref(), Some("invalid_token"));
        assert_eq!(challenge.scope.unwrap().to_string(), "a b");
        assert_eq!(ear.nonces, ["n"]);

        ear.token = Some("Bearer good");
        done(connection.request("prompts/list", Map::new(), &mut ear).await);
        assert_eq!(stub.methods(), expected, "{stop}");
        assert_eq!(ear.asked.len(), stub.seen().len());
        assert!(stub.seen().iter().all(|seen| seen.header("authorization").starts_with("Bearer ")));
    }
}

#[tokio::test]
async fn refusals_without_a_challenge_and_servers_without_time() {
    let stub = stateless(|_| Page::status(403));
    let refused = connection(&stub).request("a", Map::new(), &mut ()).await;
    assert_eq!(refused, Ok(Outcome::Refused(Refused { status: 403, challenge: None })));

    for (after, seconds) in [("7", Some(7)), ("soon", None), ("", None)] {
        for status in [429, 503] {
            let stub = stateless(move |_| Page::status(status).header("retry-after", after));
            let error = connection(&stub).request("a", Map::new(), &mut ()).await.unwrap_err();
            let url = stub.url.clone();
            assert_eq!(error, Error::Unavailable { url, status, retry_after: seconds });
        }
    }
}
