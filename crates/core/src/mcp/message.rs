//! One JSON-RPC message (MCP, base protocol), read so that no other reader can see another
//! operation in it.

use super::operation::Operation;
use crate::{
    Reason,
    jose::json::{self, Number, Object, Value},
};

/// What the engine needs to know of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it asks for.
    pub operation: Operation,
    /// Its `id`, to be repeated in an error; null for notifications and responses.
    pub id: Value,
}

impl Message {
    /// Reads a request body.
    ///
    /// # Errors
    /// - [`Reason::MessageMalformed`]: not strict JSON ([`json::parse`]), not JSON-RPC 2.0, or a
    ///   member that differs from a known one in case only, which some servers read all the same.
    /// - [`Reason::BatchUnsupported`]: an array.
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let value = json::parse(body).map_err(|_| Reason::MessageMalformed)?;
        let message = match &value {
            Value::Array(_) => return Err(Reason::BatchUnsupported),
            Value::Object(message) => message,
            _ => return Err(Reason::MessageMalformed),
        };
        refuse_lookalikes(message, &["jsonrpc", "method", "params", "id", "result", "error"])?;
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(Reason::MessageMalformed);
        }
        let id = match message.get("id") {
            None => Value::Null,
            Some(
                id @ (Value::String(_) | Value::Number(Number::Unsigned(_) | Number::Negative(_))),
            ) => id.clone(),
            Some(_) => return Err(Reason::MessageMalformed),
        };
        Ok(Self { operation: operation(message)?, id })
    }
}

fn operation(message: &Object) -> Result<Operation, Reason> {
    let answers = message.contains_key("result") || message.contains_key("error");
    let Some(method) = message.get("method") else {
        // A client's answer to a request of the server.
        return if answers { Ok(Operation::Transport) } else { Err(Reason::MessageMalformed) };
    };
    let method = method.as_str().ok_or(Reason::MessageMalformed)?;
    if answers {
        return Err(Reason::MessageMalformed);
    }
    let empty = Object::new();
    let params = match message.get("params") {
        None => &empty,
        Some(Value::Object(params)) => params,
        Some(_) => return Err(Reason::MessageMalformed),
    };
    refuse_lookalikes(params, &["name", "uri"])?;
    let member = if method.starts_with("resources/") { "uri" } else { "name" };
    let name = params.get(member).and_then(Value::as_str);
    Operation::new(method, name).ok_or(Reason::MessageMalformed)
}

/// `{"Method": …}` is the same as `{"method": …}` to some JSON libraries.
fn refuse_lookalikes(members: &Object, known: &[&str]) -> Result<(), Reason> {
    let lookalike = |member: &&alloc::string::String| {
        known.iter().any(|name| member.as_str() != *name && member.eq_ignore_ascii_case(name))
            // Letters that case folding maps to ASCII: ſ (to s) and the Kelvin sign (to k).
            || member.contains(['\u{17f}', '\u{212a}'])
    };
    match members.keys().find(lookalike) {
        Some(_) => Err(Reason::MessageMalformed),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    fn read(body: &str) -> Result<Message, Reason> {
        Message::parse(body.as_bytes())
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
            (
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                "notifications/initialized",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "transport"),
        ] {
            assert_eq!(read(body).unwrap().operation.to_string(), expected, "{body}");
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
}
