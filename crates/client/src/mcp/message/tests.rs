use super::*;

fn one_of(text: &str) -> Result<Incoming, String> {
    read(text.as_bytes(), false).map(|mut messages| messages.remove(0))
}

#[test]
fn messages_are_told_apart() {
    let result = one_of(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#).unwrap();
    assert!(matches!(&result, Incoming::Result { result, .. } if result["a"] == 1));
    assert!(result.answers(7) && !result.answers(8));

    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"a\u001bb","data":[2]}}"#;
    let error = one_of(error).unwrap();
    assert!(error.answers(7) && !error.answers(8));
    let Incoming::Error { error, .. } = error else { panic!("{error:?}") };
    assert_eq!((error.code, error.message.as_str(), error.data), (-1, "ab", json!([2])));

    let request = one_of(r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#).unwrap();
    assert_eq!(request, Incoming::Request { id: "x".into(), method: "ping".to_owned() });
    assert!(!request.answers(7));

    let told = one_of(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"a":1}}"#);
    let Incoming::Notification(told) = told.unwrap() else { panic!("no notification") };
    assert_eq!((told.method.as_str(), told.params), ("notifications/message", json!({ "a": 1 })));
}

/// JSON-RPC 2.0 §5: an error whose request could not be read has no identifier, or null.
#[test]
fn errors_may_have_no_identifier() {
    for id in ["", r#""id":null,"#] {
        let text = format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32700,"message":"m"}}}}"#);
        assert!(one_of(&text).unwrap().answers(7), "{text}");
        let text = format!(r#"{{"jsonrpc":"2.0",{id}"result":{{}}}}"#);
        assert!(one_of(&text).is_err(), "{text}");
    }
}

/// 2025-03-26 has batches, later revisions do not (changelog of 2025-06-18).
#[test]
fn batches_are_of_one_revision() {
    let batch = br#"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":7,"result":{}}]"#;
    assert_eq!(read(batch, true).unwrap().len(), 2);
    assert!(read(batch, false).is_err());
    assert!(read(br#"[[{"jsonrpc":"2.0","id":7,"result":{}}]]"#, true).is_err());
}

#[test]
fn what_is_no_message_is_refused() {
    for bad in [
        "",
        "null",
        "7",
        "<html>",
        "{}",
        r#"{"id":7,"result":{}}"#,
        r#"{"jsonrpc":"1.0","id":7,"result":{}}"#,
        r#"{"jsonrpc":2.0,"id":7,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":7.5,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":true,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"a","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":"1","message":""}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1.5,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"id":8}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{}} {}"#,
    ] {
        assert!(one_of(bad).is_err(), "{bad}");
    }
}

/// 2025-11-25, ping: the answer is an empty object. Anything else that a server asks for is refused.
#[test]
fn servers_requests_are_answered() {
    assert_eq!(
        answer_to(&json!("a"), "ping"),
        json!({ "jsonrpc": "2.0", "id": "a", "result": {} })
    );
    let refused = answer_to(&json!(3), "sampling/createMessage");
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(3), &json!(-32601)));
}
