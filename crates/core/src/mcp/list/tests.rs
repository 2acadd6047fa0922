//! Lists against a model that builds up the whole message.

use alloc::{
    format,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use proptest::{collection, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{List, Unreadable, edit};

/// Nothing that begins with "no" may be used.
fn permits(_: List, name: &str) -> bool {
    !name.starts_with("no")
}

fn edited(text: &str) -> Result<Option<String>, Unreadable> {
    edit(text.as_bytes(), permits)
        .map(|edited| edited.map(|edited| String::from_utf8(edited).expect("text")))
}

#[test]
fn several_lists_in_one_result() {
    let text = r#"{"result":{"tools":[{"name":"no"}],"x":[{"name":"no"}],"prompts":[{"name":"a"},{"name":"no"}]}}"#;
    let expected = r#"{"result":{"cacheScope":"private","tools":[],"x":[{"name":"no"}],"prompts":[{"name":"a"}]}}"#;
    assert_eq!(edited(text), Ok(Some(expected.into())));
}

#[test]
fn a_name_that_is_too_long_is_nobodys() {
    let text = format!(r#"{{"result":{{"tools":[{{"name":"{}"}}]}}}}"#, "x".repeat(8193));
    let expected = r#"{"result":{"cacheScope":"private","tools":[]}}"#;
    assert_eq!(edited(&text), Ok(Some(expected.into())));
}

#[test]
fn each_list_has_its_own_key() {
    for (list, key, other) in [
        ("tools", "name", "uri"),
        ("prompts", "name", "uri"),
        ("resources", "uri", "name"),
        ("resourceTemplates", "uriTemplate", "uri"),
    ] {
        let with = |key: &str, value: &str| {
            format!(r#"{{"result":{{"{list}":[{{"{key}":"{value}"}}]}}}}"#)
        };
        let empty = format!(r#"{{"result":{{"cacheScope":"private","{list}":[]}}}}"#);
        assert_eq!(edited(&with(key, "no")), Ok(Some(empty)));
        assert!(edited(&with(key, "yes")).unwrap().unwrap().contains("yes"));
        assert!(edited(&with(other, "yes")).is_err());
    }
}

/// The list as its readers see it afterwards.
fn model(mut message: Value) -> Option<Value> {
    let result = message.get_mut("result")?.as_object_mut()?;
    let mut has_list = false;
    for list in ["tools", "prompts"] {
        if let Some(entries) = result.get_mut(list).and_then(Value::as_array_mut) {
            has_list = true;
            entries.retain(|entry| !entry["name"].as_str().unwrap().starts_with("no"));
        }
    }
    if has_list {
        result.insert("cacheScope".to_string(), json!("private"));
    }
    has_list.then_some(message)
}

fn message() -> impl Strategy<Value = Value> {
    let name = select(vec!["a", "b\"\\\u{e9}\n", "no", "no-\u{1d11e}", "", "nothing"]);
    let extra =
        select(vec![json!(null), json!([{ "name": "no" }]), json!({ "tools": [{}], "name": 1 })]);
    let entry =
        (name, extra).prop_map(|(name, extra)| json!({ "name": name, "inputSchema": extra }));
    let entries = collection::vec(entry, 0..6).prop_map(Value::from);
    let member = prop_oneof![
        3 => (select(vec!["tools", "prompts"]), entries.clone()),
        1 => (select(vec!["cacheScope"]), Just(json!("public"))),
        1 => (select(vec!["nextCursor", "x"]), entries),
    ];
    collection::vec(member, 0..4).prop_map(|members| {
        let result: serde_json::Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        json!({ "jsonrpc": "2.0", "id": 1, "result": result, "tools": [{ "name": "no" }] })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    #[test]
    fn what_is_left_is_what_the_model_leaves(message in message(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&message).unwrap()
        } else {
            message.to_string()
        };
        let found = edited(&text).expect("it is in order");
        let found: Option<Value> = found.map(|text| serde_json::from_str(&text).expect("JSON"));
        prop_assert_eq!(found, model(message));
    }

    /// Whatever the text: an error, nothing to do, or strict JSON without what is not permitted.
    #[test]
    fn damaged_lists_are_never_left(
        message in message(),
        changes in collection::vec((any::<usize>(), 0..3_usize, select(vec![
            "", "\"", "{", "}", "[", "]", ",", ":", "\"tools\":[{\"name\":\"no\"}]", "\"Tools\":[]", "null",
            "\\u0074", "\"name\":\"no\",", "{\"name\":\"no\"},",
        ])), 1..4),
    ) {
        let mut text = message.to_string();
        for (at, removed, inserted) in changes {
            let mut at = at % (text.len() + 1);
            while !text.is_char_boundary(at) { at -= 1; }
            let mut end = (at + removed).min(text.len());
            while !text.is_char_boundary(end) { end += 1; }
            text.replace_range(at..end, inserted);
        }
        let Ok(found) = edited(&text) else { return Ok(()) };
        let after = found.unwrap_or_else(|| text.clone());
        let value: Value = serde_json::from_str(&after).expect("strict JSON");
        for list in ["tools", "prompts"] {
            let entries: Vec<&str> = value["result"][list]
                .as_array()
                .into_iter()
                .flatten()
                .map(|entry| entry["name"].as_str().expect("a name"))
                .collect();
            prop_assert!(entries.iter().all(|name| !name.starts_with("no")), "{after}");
        }
    }
}
