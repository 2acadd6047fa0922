//! `openapi.json` says of the methods and answers what the server does. That its schema is right, and
//! that the server keeps to it under odd requests, is for `tests/e2e/tests/openapi.rs`.

use std::collections::BTreeSet;

use countersign_issuer::OPENAPI;
use serde_json::Value;

use crate::{http::send, issuer::Issuer};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// All members named `name` below a value.
fn all<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == name => vec![text.as_str()],
                value => all(value, name),
            })
            .collect(),
        Value::Array(elements) => elements.iter().flat_map(|element| all(element, name)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn references_lead_somewhere_and_names_are_unique() {
    let document = document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let references: BTreeSet<&str> = all(&document, "$ref").into_iter().collect();
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for kind in ["headers", "parameters", "responses", "schemas"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(reference.as_str()), "{reference} is not used");
        }
    }
    let paths = document["paths"].as_object().unwrap().values();
    let operations: Vec<&Value> = paths
        .flat_map(|path| path.as_object().unwrap().values())
        .filter(|operation| operation.is_object())
        .map(|operation| &operation["operationId"])
        .collect();
    let names: BTreeSet<&str> = operations.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
}

/// Exactly the methods that are described are answered; others are 405, and `Allow` says which.
#[test]
fn methods_are_those_described() {
    let issuer = Issuer::start();
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let url = issuer.at(&path.replace(['{', '}'], ""));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = send(method, &url, &[], None);
            let described = item.get(method.to_lowercase()).is_some();
            assert_eq!(answer.status != 405, described, "{method} {path}");
            if described {
                let responses = &item[method.to_lowercase()]["responses"];
                assert!(responses[answer.status.to_string()].is_object(), "{method} {path}");
                continue;
            }
            let allowed = answer.header("allow").to_owned();
            let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).collect();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let described = item.get(method.to_lowercase()).is_some();
                assert_eq!(allowed.contains(method), described, "Allow of {path}: {allowed:?}");
            }
        }
    }
}

/// A path that is no text is answered as one that leads nowhere.
#[test]
fn paths_that_are_no_text() {
    let issuer = Issuer::start();
    let answer = send("GET", &issuer.at("/status-lists/%ff"), &[], None);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("not_found")));
    for method in ["GET", "PUT", "DELETE"] {
        let answer = send(method, &issuer.at("/register/%ff"), &[], None);
        answer.assert_error(401, "invalid_token");
    }
}
