//! Filtered lists: what the engine lets through of a server's response, and lenient readers of that.

use countersign_core::guard::{FilterStep, ListFilter, ResponseHead};
use serde_json::Value;

use crate::guard::{Outcome, Request, VECTORS, World};

/// The filter of a caller who has the baseline scope alone, under the policy `lists` of the shared
/// vectors: no `read_file` and `write_*`, no `summary`, of files those under `/public/` only.
pub fn filter() -> ListFilter {
    let vectors: Value = serde_json::from_slice(VECTORS).expect("vectors");
    let cases = vectors["cases"].as_array().expect("cases");
    let case = cases.iter().find(|case| case["name"] == "list-without-scopes").expect("a case");
    let request = &case["request"];
    let mut text = format!("lists {}\nPOST lists.example.com /mcp\n", vectors["now"]);
    for header in request["headers"].as_array().expect("headers") {
        let part = |at: usize| header[at].as_str().expect("a text");
        text += &format!("{}: {}\n", part(0), part(1));
    }
    text += &format!("\n{}", request["body"].as_str().expect("a body"));
    let request = Request::read(text.as_bytes()).expect("a request");
    let world = World::load();
    let mut engine = world.engine(&request).expect("a policy");
    match world.run(&mut engine, &request, 0) {
        Outcome::Forward(forward) => *forward.response_filter.expect("a list is asked for"),
        Outcome::Respond(response) => panic!("{}", response.decision),
    }
}

/// What goes on of a body that comes in parts of this many bytes, and whether any of it was refused.
pub fn filtered(filter: &ListFilter, media: &[u8], body: &[u8], size: usize) -> (Vec<u8>, bool) {
    let headers: [(&[u8], &[u8]); 1] = [(b"content-type", media)];
    let head = ResponseHead { status: 200, headers: &headers, has_body: true };
    let FilterStep::Filter(mut filtered) = filter.clone().begin(head) else {
        panic!("it is filtered")
    };
    let mut out = Vec::new();
    let mut refused = false;
    for part in body.chunks(size) {
        out.extend(filtered.push(part));
        refused |= filtered.take_refused().is_some();
    }
    out.extend(filtered.finish());
    (out, refused || filtered.take_refused().is_some())
}

/// Something that the input decides, and that does not need a byte of it.
pub fn size_of_parts(body: &[u8]) -> usize {
    1 + body.iter().fold(body.len(), |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte)) % 13
}

/// Whether the caller may use an entry, by what a lenient reader finds in it.
fn may_use(list: &str, entry: &Value) -> bool {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    match list {
        "tools" => text("name") != "read_file" && !text("name").starts_with("write_"),
        "prompts" => text("name") != "summary",
        // Other spellings of these are for the engine's own tests.
        "resources" => {
            let uri = text("uri");
            !uri.starts_with("file:///") || uri.starts_with("file:///public/")
        }
        _ => true,
    }
}

const LISTS: [&str; 4] = ["prompts", "resourceTemplates", "resources", "tools"];

/// Nothing is left in an answer, or in several, that the caller may not use, and whatever has a list
/// is for this caller only.
pub fn check(answer: &Value) {
    for answer in answer.as_array().into_iter().flatten() {
        check(answer);
    }
    for list in LISTS {
        let Some(entries) = answer.get("result").and_then(|result| result.get(list)) else {
            continue;
        };
        for entry in entries.as_array().into_iter().flatten() {
            assert!(may_use(list, entry), "{list}: {entry}");
        }
        if entries.is_array() {
            assert_eq!(answer["result"]["cacheScope"], "private");
        }
    }
}

/// The answer without what the caller may not use, as the engine should have it.
pub fn expected(mut answer: Value) -> Value {
    let Some(result) = answer.get_mut("result").and_then(Value::as_object_mut) else {
        return answer;
    };
    for list in LISTS {
        if let Some(entries) = result.get_mut(list).and_then(Value::as_array_mut) {
            entries.retain(|entry| may_use(list, entry));
        }
    }
    if LISTS.iter().any(|list| result.get(*list).is_some_and(Value::is_array)) {
        result.insert("cacheScope".to_owned(), "private".into());
    }
    answer
}

/// The data of each event, by a reader for whom lines end where the standard says, or, like Python's
/// `splitlines`, at every line end of Unicode too. An event that does not end counts.
pub fn events(text: &[u8], unicode: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let others = "\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}";
    let mut events = Vec::new();
    let mut data: Vec<&str> = Vec::new();
    for line in text.split(|c| c == '\n' || (unicode && others.contains(c))).chain([""]) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if line.is_empty() && !data.is_empty() {
            events.push(data.join("\n"));
            data.clear();
        } else if field == "data" {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    events
}
