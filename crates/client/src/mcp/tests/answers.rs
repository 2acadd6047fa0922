use super::*;

/// The text of an event with a message.
fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}

const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
const LOG: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;

async fn ask(stub: &Stub) -> Result<Value, Error> {
    let mut connection = connection(stub);
    connection.request("a", Map::new(), &mut ()).await.map(|outcome| done(Ok(outcome)))
}

/// Streamable HTTP, receiving messages: notifications come before the answer, and the answer ends it.
#[tokio::test]
async fn streams_are_read_to_the_answer() {
    let stub = stateless(|seen| {
        let answer = event(&seen.message(json!({ "a": 1 })));
        let stream = format!(
            "\u{feff}: hello\n\nid: 1\ndata:\n\n{}event: other\ndata: {{}}\n\n{}{answer}",
            event(PROGRESS),
            event(LOG)
        );
        // It stays open, which must make no difference.
        Page::events(&stream).then(60_000, "")
    });
    let mut ear = Ear::default();
    let result = done(connection(&stub).request("a", Map::new(), &mut ear).await);
    assert_eq!(result, json!({ "a": 1 }));
    assert_eq!(ear.told, ["notifications/progress", "notifications/message"]);
}

/// Progress keeps a request alive, whatever the time without a byte is; the whole time is bounded.
#[tokio::test]
async fn silence_and_time_are_bounded() {
    let stub = stateless(|seen| {
        let mut page = Page::events(": open\n\n");
        for _ in 0..4 {
            page = page.then(150, event(PROGRESS));
        }
        page.then(150, event(&seen.message(json!({}))))
    });
    ask(&stub).await.unwrap();

    let silent = [
        stateless(|_| Page::events(": open\n\n").then(60_000, "")),
        stateless(|_| Page::json("{").then(60_000, "")),
        stateless(|_| Page::status(400).then(0, "x").then(60_000, "")),
    ];
    for stub in &silent {
        let error = ask(stub).await.unwrap_err();
        assert_eq!(error.reason(), "server_unreachable");
        assert!(error.to_string().contains("it said nothing for"), "{error}");
        assert_eq!(stub.seen().len(), 2);
    }

    let stub = stateless(|_| Page::events(": open\n\n").then(100, ": still here\n\n").forever());
    let began = tokio::time::Instant::now();
    let error = ask(&stub).await.unwrap_err();
    assert!(error.to_string().ends_with("no answer within 3 seconds"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(6));
}

/// Bounds that no clock knows are none. And whoever calls may do so from any thread.
#[tokio::test]
async fn time_without_an_end() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let stub = stateless(|seen| seen.result(json!({})));
    let limits = Limits { silence: Duration::MAX, total: Duration::MAX, ..SHORT };
    let mut connection = connection(&stub).with_limits(limits);
    done(sent(connection.request("a", Map::new(), &mut ())).await);
    done(sent(connection.list_tools(&mut ())).await);
    sent(connection.close(&mut ())).await;
}

#[tokio::test]
async fn nobody_there() {
    let stub = stateless(|_| Page::status(200));
    let url = stub.url.clone();
    drop(stub);
    tokio::task::yield_now().await;
    let mut connection = Connection::new(Http::new().unwrap(), &url).unwrap();
    let error = connection.connect(&mut ()).await.unwrap_err();
    assert_eq!(error.reason(), "server_unreachable");
}

#[tokio::test]
async fn size_is_bounded() {
    for stub in [
        stateless(|_| Page::json(vec![b' '; 1000]).forever()),
        stateless(|_| Page::events(&":".repeat(1000)).forever()),
        stateless(|_| Page::events(&event(PROGRESS)).forever()),
        stateless(|_| Page::events("data: x\n").forever()),
    ] {
        let (url, limit) = (stub.url.clone(), SHORT.bytes);
        assert_eq!(ask(&stub).await, Err(Error::TooLong { url, limit }));
    }
    // What HTTP calls a failure is cut short, and a failure all the same.
    let stub = stateless(|_| Page::status(418).then(0, vec![b'x'; 1000]).forever());
    let error = ask(&stub).await.unwrap_err();
    assert!(error.to_string().ends_with("status 418"), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_is_refused() {
    type Answer = fn(&Seen) -> String;
    let wrong: [Answer; 8] = [
        |_| r#"{"jsonrpc":"2.0","id":999,"result":{}}"#.to_owned(),
        |_| r#"{"jsonrpc":"2.0","id":"2","result":{}}"#.to_owned(),
        |_| r#"{"jsonrpc":"2.0","id":2.0,"result":{}}"#.to_owned(),
        |_| r#"{"jsonrpc":"2.0","id":999,"error":{"code":1,"message":"m"}}"#.to_owned(),
        |seen| format!("[{}]", seen.message(json!({}))),
        |_| "not JSON".to_owned(),
        |_| r#"{"jsonrpc":"2.0","id":2,"id":2,"result":{}}"#.to_owned(),
        // Since 2026-07-28 servers must not ask on the stream of an answer.
        |_| r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#.to_owned(),
    ];
    for wrong in wrong {
        for as_stream in [false, true] {
            let stub = stateless(move |seen| match as_stream {
                true => Page::events(&event(&wrong(seen))).then(60_000, ""),
                false => Page::json(wrong(seen)),
            });
            let error = ask(&stub).await.unwrap_err();
            assert_eq!(error.reason(), "answer_invalid", "{error}");
            assert_eq!(stub.methods(), ["server/discover", "a"]);
        }
    }
    for page in [
        Page::status(202),
        Page::status(204),
        Page::json("{}").header("content-type", "text/html"),
        Page::json(""),
        Page::json(PROGRESS),
        Page::events("data: \u{fffd}\n\ndata: {\n\n"),
        Page::events("").then(0, b"data: \xff\n\n".as_slice()),
        // The end of the stream is the end of the request, whatever can be taken up again elsewhere.
        Page::events(""),
        Page::events("id: 1\nretry: 1\ndata:\n\n"),
        // This event has not ended.
        Page::events(r#"data: {"jsonrpc":"2.0","id":2,"result":{}}"#),
        Page::status(500),
        Page::json(r#"{"error":"server_error"}"#).with(500),
    ] {
        let text = format!("{page:?}");
        let stub = stateless(move |_| page.clone());
        assert_eq!(ask(&stub).await.unwrap_err().reason(), "answer_invalid", "{text}");
        assert_eq!(stub.seen().len(), 2, "{text}");
    }
}

/// JSON-RPC says more than HTTP; an error need not name the request that could not be read.
#[tokio::test]
async fn errors_are_the_servers_words() {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"no such tool"}}"#;
    for page in [
        Page::json(error),
        Page::json(error).with(400),
        Page::json(error).with(404),
        Page::json(error).with(500),
        Page::events(&event(error)),
    ] {
        let stub = stateless(move |_| page.clone());
        let expected = Error::Mcp { code: -32602, message: "no such tool".to_owned() };
        assert_eq!(ask(&stub).await, Err(expected));
    }
    // Another request's error is none of ours.
    let stub = stateless(|_| {
        Page::json(r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"m"}}"#).with(400)
    });
    assert!(ask(&stub).await.unwrap_err().to_string().ends_with("status 400"));
}

/// 2026-07-28, cancellation: who closes the stream has cancelled.
#[tokio::test]
async fn a_dropped_request_closes_its_stream() {
    let stub = stateless(|_| Page::events(": open\n\n").then(20, ": more\n\n").forever());
    let mut connection = connection(&stub);
    let mut caller = ();
    let request = connection.request("a", Map::new(), &mut caller);
    let timed = tokio::time::timeout(Duration::from_millis(200), request).await;
    assert!(timed.is_err());
    for _ in 0..100 {
        if *stub.left.lock().unwrap() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*stub.left.lock().unwrap(), 1);
    connection.close(&mut ()).await;
    assert_eq!(stub.methods(), ["server/discover", "a"]);
}
