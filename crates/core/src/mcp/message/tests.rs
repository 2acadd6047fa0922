//! Messages, and the ways to hide one operation behind another.

use alloc::{borrow::ToOwned as _, format, string::ToString as _, vec::Vec};

use proptest::{collection, prelude::*, sample::select};

use super::*;

/// As a whole, and in parts: always the same.
fn read(body: &str) -> Result<Message, Reason> {
    let whole = Message::parse(body.as_bytes());
    for size in [1, 2, 3, 7] {
        assert_eq!(in_parts(body.as_bytes().chunks(size)), whole, "{body}");
    }
    whole
}

fn in_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Message, Reason> {
    let mut scan = MessageScan::new();
    for part in parts {
        scan.push(part)?;
    }
    scan.finish()
}

#[test]
fn operations() {
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, "tools/list"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
            "tools/call \"a\"",
        ),
        (
            r#"{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"file:///a"}}"#,
            "resources/read \"file:///a\"",
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "notifications/initialized"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "transport"),
    ] {
        assert_eq!(read(body).unwrap().operation.to_string(), expected, "{body}");
    }
}

fn listen(params: &str) -> Result<Operation, Reason> {
    let message = read(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{params}}}"#
    ));
    // The same with the method behind its params.
    let turned =
        format!(r#"{{"params":{params},"method":"subscriptions/listen","id":1,"jsonrpc":"2.0"}}"#);
    assert_eq!(read(&turned), message, "{params}");
    message.map(|message| message.operation)
}

/// MCP 2026-07-28, schema, `SubscriptionFilter`.
#[test]
fn subscriptions() {
    for (params, uris) in [
        ("{}", &[][..]),
        (r#"{"notifications":{}}"#, &[]),
        (r#"{"notifications":{"toolsListChanged":true,"x":{"resourceSubscriptions":["c"]}}}"#, &[]),
        (r#"{"notifications":{"resourceSubscriptions":[]}}"#, &[]),
        (r#"{"notifications":{"resourceSubscriptions":["a","\u0062"],"x":["c"]}}"#, &["a", "b"]),
        (
            r#"{"_meta":{"resourceSubscriptions":[1]},"resourceSubscriptions":["c"],"notifications":{"x":[[1],{"y":2}],"resourceSubscriptions":[ "a" , "b" ]},"uri":"c","name":"c"}"#,
            &["a", "b"],
        ),
    ] {
        let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        assert_eq!(listen(params), Ok(Operation::Listen(uris)), "{params}");
    }
    for params in [
        r#"{"notifications":null}"#,
        r#"{"notifications":[]}"#,
        r#"{"notifications":["resourceSubscriptions",["a"]]}"#,
        r#"{"notifications":[{"resourceSubscriptions":["a"]}]}"#,
        r#"{"notifications":{"resourceSubscriptions":null}}"#,
        r#"{"notifications":{"resourceSubscriptions":"a"}}"#,
        r#"{"notifications":{"resourceSubscriptions":{"0":"a"}}}"#,
        r#"{"notifications":{"resourceSubscriptions":["a",1]}}"#,
        r#"{"notifications":{"resourceSubscriptions":["a",["b"]]}}"#,
        r#"{"notifications":{"resourceSubscriptions":[{"uri":"b"}]}}"#,
        r#"{"notifications":{"resourceSubscriptions":["a"],"resourceSubscriptions":["b"]}}"#,
        r#"{"notifications":{"resourceSubscriptions":["a"]},"notifications":{}}"#,
        r#"{"notifications":{"resourceSubscriptions":["a"],"ResourceSubscriptions":["b"]}}"#,
        r#"{"notifications":{"resource_subscriptions":["a"]}}"#,
        r#"{"notifications":{"resourceSubscriptions":["a"],"_Resource_Subscriptions":["b"]}}"#,
        r#"{"notifications":{"re\u017fourceSubscriptions":["b"]}}"#,
        r#"{"notifications":{},"Notifications":{"resourceSubscriptions":["b"]}}"#,
    ] {
        assert_eq!(listen(params), Err(Reason::MessageMalformed), "{params}");
    }
    // To no other method it means anything.
    let other = r#"{"jsonrpc":"2.0","method":"x","params":{"Notifications":1,"notifications":{"resourceSubscriptions":[1]}}}"#;
    assert!(read(other).is_ok());
}

#[test]
fn subscriptions_are_bounded() {
    let of = |count: usize, length: usize| {
        let uris = alloc::vec![format!("{:?}", "a".repeat(length)); count].join(",");
        listen(&format!(r#"{{"notifications":{{"resourceSubscriptions":[{uris}]}}}}"#))
    };
    for (count, length) in [
        (MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_BYTES / MAX_SUBSCRIPTIONS),
        (MAX_SUBSCRIPTIONS_BYTES / MAX_NAME, MAX_NAME),
    ] {
        assert!(of(count, length).is_ok());
        assert_eq!(of(count + 1, length), Err(Reason::MessageExcessive));
        assert_eq!(of(count, length + 1), Err(Reason::MessageExcessive));
    }
}

/// The ways around Envoy's own MCP filter (spec/proxy.md): each refused.
#[test]
fn smuggling_is_refused() {
    for body in [
        "",
        "null",
        r#"{"id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017f":{"name":"b"},"params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}{}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["a"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["a"]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["tools/call"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
    ] {
        assert_eq!(read(body), Err(Reason::MessageMalformed), "{body}");
    }
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    assert_eq!(read(batch), Err(Reason::BatchUnsupported));
    assert_eq!(Message::parse(b"{\"a\":\"\xff\"}"), Err(Reason::MessageMalformed));
}

/// What is no member of the message or of its `params` is not taken for one, wherever it stands.
#[test]
fn members_count_where_they_belong() {
    for (params, expected) in [
        (r#"{"arguments":{"name":"b","uri":"c"},"name":"a"}"#, Ok("a")),
        (r#"{"arguments":[{"name":"b"},{"name":"c"}],"name":"a"}"#, Ok("a")),
        (r#"{"name":"a","arguments":{"params":{"name":"b"},"method":"ping","id":2}}"#, Ok("a")),
        (r#"{"name":"a","arguments":{"Name":"b","Method":"c"}}"#, Ok("a")),
        (r#"{"_meta":{"name":"b"},"name":"a"}"#, Ok("a")),
        (r#"{"arguments":{"name":"b"}}"#, Err(Reason::MessageMalformed)),
        (r#"[{"name":"b"}]"#, Err(Reason::MessageMalformed)),
        (r#"{"name":{"name":"b"}}"#, Err(Reason::MessageMalformed)),
        (r#"{"uri":"b"}"#, Err(Reason::MessageMalformed)),
        (r#"{"name":"a","URI":"b"}"#, Err(Reason::MessageMalformed)),
    ] {
        let first =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let last = format!(r#"{{"params":{params},"method":"tools/call","id":1,"jsonrpc":"2.0"}}"#);
        for body in [first, last] {
            let name = read(&body).map(|message| message.operation.name().map(Into::into));
            assert_eq!(name, expected.map(|name| Some(String::from(name))), "{body}");
        }
    }
}

/// Also behind 8 KiB and more of arguments, and at whatever depth the rest is.
#[test]
fn a_name_is_found_however_late() {
    for length in [8_000, 9_000, 100_000] {
        let body = format!(
            r#"{{"params":{{"arguments":{{"x":["{}"]}},"name":"a"}},"jsonrpc":"2.0","id":1,"method":"tools/call"}}"#,
            "x".repeat(length)
        );
        assert_eq!(read(&body).unwrap().operation.name(), Some("a"));
    }
}

#[test]
fn versions() {
    let with = |meta: &str| {
        read(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{meta}}}}}"#))
            .map(|message| message.version)
    };
    let key = VERSION_KEY;
    assert_eq!(with(&format!(r#"{{"{key}":"2026-07-28"}}"#)), Ok(Some("2026-07-28".into())));
    assert_eq!(with(r#"{"other":"2026-07-28"}"#), Ok(None));
    assert_eq!(with(&format!(r#"{{"x":{{"{key}":"2026-07-28"}}}}"#)), Ok(None));
    assert_eq!(with(&format!(r#"[{{"{key}":"2026-07-28"}}]"#)), Ok(None));
    assert_eq!(with(&format!(r#"{{"{key}":20260728}}"#)), Err(Reason::MessageMalformed));
    assert_eq!(with(&format!(r#"{{"{key}":null}}"#)), Err(Reason::MessageMalformed));
    assert_eq!(
        with(&format!(r#"{{"{key}":"{}"}}"#, "2".repeat(MAX_VERSION + 1))),
        Err(Reason::MessageExcessive)
    );
}

/// At each limit it is read, one byte more is not; a name that nobody needs may be of any length.
#[test]
fn limits() {
    let long = |length: usize| "x".repeat(length);
    let body = |id: &str, method: &str, name: &str| {
        let params = format!(r#"{{"name":"{name}"}}"#);
        read(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{params}}}"#))
    };
    assert!(body(&long(MAX_ID), "ping", "").is_ok());
    assert_eq!(body(&long(MAX_ID + 1), "ping", ""), Err(Reason::MessageExcessive));
    assert!(body("1", &long(MAX_METHOD), "").is_ok());
    assert_eq!(body("1", &long(MAX_METHOD + 1), ""), Err(Reason::MessageExcessive));
    assert!(body("1", "tools/call", &long(MAX_NAME)).is_ok());
    assert_eq!(body("1", "tools/call", &long(MAX_NAME + 1)), Err(Reason::MessageExcessive));
    assert!(body("1", "ping", &long(MAX_NAME + 1)).is_ok());
    let escaped = |length: usize| "\\u0078".repeat(length);
    assert!(body("1", "tools/call", &escaped(MAX_NAME)).is_ok());
    assert_eq!(body("1", "tools/call", &escaped(MAX_NAME + 1)), Err(Reason::MessageExcessive));
}

/// What a reader sees who builds up the whole value, as the guard once did.
fn model(body: &[u8]) -> Option<(Option<String>, Value)> {
    let value = json::parse(body).ok()?;
    let message = value.as_object()?;
    let known = ["jsonrpc", "method", "params", "id", "result", "error"];
    let no_lookalikes = |object: &json::Object, known: &[&str]| {
        !object.keys().any(|member| is_lookalike(member, known))
    };
    if message.get("jsonrpc")?.as_str() != Some("2.0") || !no_lookalikes(message, &known) {
        return None;
    }
    let id = match message.get("id") {
        None => Value::Null,
        Some(
            id @ (Value::String(_) | Value::Number(Number::Unsigned(_) | Number::Negative(_))),
        ) => id.clone(),
        Some(_) => return None,
    };
    let answers = message.contains_key("result") || message.contains_key("error");
    let Some(method) = message.get("method") else {
        return answers.then_some((None, id));
    };
    let method = method.as_str().filter(|_| !answers)?;
    let params = match message.get("params") {
        None => None,
        Some(params) => {
            Some(params.as_object().filter(|params| no_lookalikes(params, &["name", "uri"]))?)
        }
    };
    let member = if method.starts_with("resources/") { "uri" } else { "name" };
    let name = params.and_then(|params| params.get(member)).and_then(Value::as_str);
    Some((Some(Operation::new(method, name)?.to_string()), id))
}

fn members() -> impl Strategy<Value = Vec<u8>> {
    let value = select(alloc::vec![
        "1",
        "-1",
        "1.5",
        "null",
        "true",
        "\"2.0\"",
        "\"tools/call\"",
        "\"resources/read\"",
        "\"ping\"",
        "\"a\"",
        "[]",
        "{}",
        r#"{"name":"a"}"#,
        r#"{"uri":"a"}"#,
        r#"{"Name":"a"}"#,
        r#"{"name":1,"uri":"b"}"#,
        r#"{"arguments":{"name":"b"},"name":"a"}"#,
        r#"{"name":"a","name":"b"}"#,
    ]);
    let name = select(alloc::vec![
        "jsonrpc",
        "id",
        "method",
        "params",
        "result",
        "error",
        "x",
        "Method",
        "ID",
        "param\u{17f}",
        "m\\u0065thod",
    ]);
    let fixed = select(alloc::vec![
        r#""jsonrpc":"2.0""#,
        r#""id":1"#,
        r#""method":"tools/call""#,
        r#""method":"resources/read""#,
        r#""params":{"name":"a","uri":"b"}"#,
        r#""params":{"arguments":{},"name":"a"}"#,
        r#""result":{}"#,
    ]);
    let member = prop_oneof![
        1 => (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}")),
        3 => fixed.prop_map(Into::into),
    ];
    collection::vec(member, 0..6)
        .prop_map(|members| format!("{{{}}}", members.join(",")).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8192) })]

    #[test]
    fn nobody_sees_another_message(body in members(), size in 1..40_usize) {
        let found = Message::parse(&body);
        prop_assert_eq!(&in_parts(body.chunks(size)), &found);
        let seen = found.ok().map(|message| {
            let operation = (message.operation != Operation::Transport).then_some(message.operation);
            (operation.map(|operation| operation.to_string()), message.id)
        });
        prop_assert_eq!(seen, model(&body));
    }
}
