//! A JSON-RPC message: no other reader sees another operation in it, and JSON survives being written.
#![no_main]

use countersign_core::{
    Reason,
    jose::json,
    mcp::{
        message::{Message, MessageScan},
        operation::Operation,
    },
};
use countersign_fuzz::model;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let strict = json::parse(body);
    if let Ok(value) = &strict {
        let written = value.to_string();
        let theirs: Value = serde_json::from_slice(body).expect("laxer than ours");
        let ours: Value = serde_json::from_str(&written).expect("we write JSON");
        assert!(model::same_json(&ours, &theirs));
        json::parse(written.as_bytes()).expect("what we write, we read");
    }
    let whole = Message::parse(body);
    assert_eq!(whole, in_parts(body), "parts of {} bytes", size_of_parts(body));
    let Ok(message) = whole else { return };
    assert!(strict.is_ok(), "an accepted message is strict JSON");
    let theirs: Value = serde_json::from_slice(body).expect("laxer than ours");
    assert_eq!(theirs["jsonrpc"], "2.0");
    let id: Value = serde_json::from_str(&message.id.to_string()).expect("an id");
    assert_eq!(id, theirs.get("id").cloned().unwrap_or_default());
    assert_eq!(message.operation.method(), theirs.get("method").and_then(Value::as_str));
    let params = &theirs["params"];
    match &message.operation {
        Operation::Tool(name) | Operation::Prompt(name) => assert_eq!(params["name"], **name),
        Operation::Resource { uri, .. } => assert_eq!(params["uri"], **uri),
        Operation::Transport => assert!(theirs.get("result").or(theirs.get("error")).is_some()),
        Operation::Listen(uris) => {
            let found = params["notifications"]["resourceSubscriptions"].as_array();
            let found = found.map(Vec::as_slice).unwrap_or_default();
            assert!(found.iter().eq(uris.iter()));
        }
        Operation::Method(_) => {}
    }
    // Readers that do not tell case apart see the same.
    let names = theirs.as_object().expect("an object").keys();
    assert!(names.filter(|name| name.eq_ignore_ascii_case("method")).count() < 2);
});

/// The same message, as the network may bring it.
fn in_parts(body: &[u8]) -> Result<Message, Reason> {
    let mut scan = MessageScan::new();
    for part in body.chunks(size_of_parts(body)) {
        scan.push(part)?;
    }
    scan.finish()
}

/// Something that the input decides, and that does not need a byte of it.
fn size_of_parts(body: &[u8]) -> usize {
    1 + body.iter().fold(body.len(), |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte)) % 13
}
