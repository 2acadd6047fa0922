use serde_json::json;

use super::*;

fn listed(properties: &Value) -> Tools {
    schema(&json!({ "type": "object", "properties": properties }))
}

fn schema(schema: &Value) -> Tools {
    let mut tools = Tools::default();
    tools.add(&json!([{ "name": "t", "inputSchema": schema }]), true).unwrap();
    tools
}

fn headers(tools: &Tools, arguments: &Value) -> Result<Vec<String>, Error> {
    let params = json!({ "name": "t", "arguments": arguments });
    let headers = tools.headers(params.as_object().unwrap())?;
    let line = |(name, value): (&HeaderName, &reqwest::header::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    Ok(headers.iter().map(line).collect())
}

/// 2026-07-28, custom headers from tool parameters.
#[test]
fn annotated_arguments_are_mirrored() {
    let tools = listed(&json!({
        "region": { "type": "string", "x-mcp-header": "Region" },
        "priority": { "type": "integer", "x-mcp-header": "Priority" },
        "dry": { "type": "boolean", "x-mcp-header": "Dry" },
        "place": {
            "type": "object",
            "properties": { "zone": { "type": "string", "x-mcp-header": "Zone" } },
        },
        "query": { "type": "string" },
    }));
    let arguments = json!({
        "region": "Süd", "priority": -7, "dry": false, "place": { "zone": "a" }, "query": "q",
    });
    let mut found = headers(&tools, &arguments).unwrap();
    found.sort();
    assert_eq!(
        found,
        [
            "mcp-param-dry: false",
            "mcp-param-priority: -7",
            "mcp-param-region: =?base64?U8O8ZA==?=",
            "mcp-param-zone: a",
        ]
    );
    // What is null or not there has no header, and an empty text has an empty one.
    assert_eq!(
        headers(&tools, &json!({ "dry": null, "region": "" })).unwrap(),
        ["mcp-param-region: "]
    );
    assert!(headers(&tools, &json!({ "place": "a" })).unwrap().is_empty());
    assert!(headers(&tools, &json!({})).unwrap().is_empty());
}

#[test]
fn numbers_are_integers_in_the_safe_range() {
    let tools = listed(&json!({ "n": { "type": "integer", "x-mcp-header": "N" } }));
    for (argument, text) in [
        ("42", "42"),
        ("42.0", "42"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("9007199254740991", "9007199254740991"),
        ("-9007199254740991", "-9007199254740991"),
    ] {
        let argument: Value = serde_json::from_str(argument).unwrap();
        let found = headers(&tools, &json!({ "n": argument })).unwrap();
        assert_eq!(found, [format!("mcp-param-n: {text}")]);
    }
    for argument in
        ["9007199254740992", "-9007199254740992", "18446744073709551615", "0.5", "[]", "{}"]
    {
        let argument: Value = serde_json::from_str(argument).unwrap();
        let found = headers(&tools, &json!({ "n": argument }));
        assert!(matches!(found, Err(Error::Request(_))), "{argument}");
    }
}

/// 2026-07-28, constraints on `x-mcp-header` values: such tools must not be used.
#[test]
fn tools_with_wrong_annotations_are_left_out() {
    let string =
        |annotation: Value| json!({ "a": { "type": "string", "x-mcp-header": annotation } });
    for properties in [
        string(json!("")),
        string(json!("My Region")),
        string(json!("Region:Primary")),
        string(json!("Région")),
        string(json!("Region\t1")),
        string(json!("a\r\nb")),
        string(json!(7)),
        string(json!(null)),
        json!({ "a": { "type": "number", "x-mcp-header": "A" } }),
        json!({ "a": { "type": "object", "x-mcp-header": "A" } }),
        json!({ "a": { "type": "array", "x-mcp-header": "A" } }),
        json!({ "a": { "type": "null", "x-mcp-header": "A" } }),
        json!({ "a": { "type": ["string", "null"], "x-mcp-header": "A" } }),
        json!({ "a": { "x-mcp-header": "A" } }),
        json!({
            "a": { "type": "string", "x-mcp-header": "Field" },
            "b": { "type": "string", "x-mcp-header": "field" },
        }),
        json!({ "a": { "type": "array", "items": { "type": "string", "x-mcp-header": "A" } } }),
        json!({ "a": { "anyOf": [{ "type": "string", "x-mcp-header": "A" }] } }),
        json!({ "a": { "not": { "properties": { "b": { "x-mcp-header": "A" } } } } }),
        json!({ "a": { "futureKeyword": [{ "x-mcp-header": "A" }] } }),
    ] {
        let tools = listed(&properties);
        assert!(tools.tools.is_empty() && tools.excluded.len() == 1, "{properties}");
        let refused = headers(&tools, &json!({}));
        assert!(matches!(refused, Err(Error::ToolExcluded { name, .. }) if name == "t"));
    }
    let elsewhere = json!({
        "type": "object",
        "$defs": { "d": { "type": "string", "x-mcp-header": "A" } },
        "properties": { "a": { "$ref": "#/$defs/d" } },
    });
    assert_eq!(schema(&elsewhere).excluded.len(), 1);
    assert_eq!(schema(&json!({ "type": "string", "x-mcp-header": "A" })).excluded.len(), 1);
}

#[test]
fn words_that_are_no_annotations_do_no_harm() {
    let tools = listed(&json!({
        "x-mcp-header": { "type": "number" },
        "a": { "type": "object", "default": { "x-mcp-header": "A" } },
        "b": { "items": { "properties": { "x-mcp-header": { "type": "string" } } } },
    }));
    assert_eq!((tools.tools.len(), tools.excluded.len()), (1, 0));
}

/// One tool that is wrong takes no other with it; and before 2026-07-28 nothing is wrong with it.
#[test]
fn other_tools_stay() {
    let page = json!([
        { "name": "bad", "inputSchema": { "x-mcp-header": "A" } },
        { "name": "good", "inputSchema": { "type": "object" } },
        { "name": "bare" },
    ]);
    let mut tools = Tools::default();
    tools.add(&page, true).unwrap();
    assert_eq!((tools.tools.len(), tools.excluded.len()), (2, 1));
    let mut tools = Tools::default();
    tools.add(&page, false).unwrap();
    assert_eq!((tools.tools.len(), tools.excluded.len()), (3, 0));

    for wrong in [json!(null), json!({}), json!([7]), json!([{}]), json!([{ "name": 7 }])] {
        assert!(Tools::default().add(&wrong, true).is_err(), "{wrong}");
    }
}
