//! The least scopes for what a client means to do, by the engine's own rules.

use countersign_core::{
    guard::{Policy, PolicyError, minimal_scopes as least, policy::ResourcePolicy},
    mcp::operation::Operation,
    oauth::scope::Scope,
};
use js_sys::Array;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::engine::policy_error;

/// The least scopes that `resource` asks for `operations`: method and name in turn, the name
/// `undefined` where the method has none. Without `resource` the policy's only one is meant.
///
/// # Errors
/// An `Error` with the `path` of the mistake beside its message, as for policies; the operations'
/// paths are like `operations[0]`.
#[wasm_bindgen]
pub fn minimal_scopes(
    policy: &str,
    #[wasm_bindgen(unchecked_param_type = "(string | undefined)[]")] operations: &Array,
    resource: Option<String>,
) -> Result<Vec<String>, JsValue> {
    let policy = Policy::parse(policy.as_bytes()).map_err(|error| policy_error(&error))?;
    let texts: Vec<Option<String>> = operations.iter().map(|text| text.as_string()).collect();
    scopes(&policy, &texts, resource.as_deref()).map_err(|error| policy_error(&error))
}

fn scopes(
    policy: &Policy,
    texts: &[Option<String>],
    resource: Option<&str>,
) -> Result<Vec<String>, PolicyError> {
    let resource = find(policy, resource).map_err(|message| mistake("resource", message))?;
    let (pairs, _) = texts.as_chunks();
    let operations = pairs.iter().enumerate().map(|(position, [method, name])| {
        let method = method.as_deref().unwrap_or_default();
        Operation::new(method, name.as_deref()).ok_or_else(|| {
            mistake(&format!("operations[{position}]"), &format!("{method} needs a name"))
        })
    });
    let operations = operations.collect::<Result<Vec<_>, _>>()?;
    let found = least(resource, &operations).map_err(|error| {
        let position = operations.iter().position(|one| *one == error.operation).unwrap_or(0);
        mistake(&format!("operations[{position}]"), &error.to_string())
    })?;
    Ok(found.iter().map(Scope::as_str).map(str::to_owned).collect())
}

fn find<'a>(policy: &'a Policy, named: Option<&str>) -> Result<&'a ResourcePolicy, &'static str> {
    match (named, policy.resources.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err("the policy has several resources: name one"),
        (Some(named), all) => all
            .iter()
            .find(|resource| resource.audience.resource.matches(named))
            .ok_or("the policy has no such resource"),
    }
}

fn mistake(path: &str, message: &str) -> PolicyError {
    PolicyError { path: path.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::parse(
            br#"{
                "issuers": [{ "issuer": "https://auth.example.com" }],
                "resources": [
                    { "resource": "https://a.example/mcp",
                      "scopes": { "baseline": ["use"], "unlisted": "deny",
                                  "implies": { "write": ["read"] },
                                  "tools": { "read": ["read"], "write": ["write"] } } },
                    { "resource": "https://b.example/mcp" }
                ]
            }"#,
        )
        .unwrap()
    }

    fn ask(texts: &[&str], resource: Option<&str>) -> Result<Vec<String>, String> {
        let texts: Vec<_> =
            texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect();
        scopes(&policy(), &texts, resource).map_err(|error| error.path)
    }

    #[test]
    fn by_resource_and_operation() {
        let a = Some("https://A.example:443/mcp");
        let both = ["tools/call", "read", "tools/call", "write"];
        assert_eq!(ask(&both, a).unwrap(), ["use", "write"]);
        assert_eq!(ask(&["initialize", ""], a).unwrap(), ["use"]);
        assert_eq!(ask(&both, Some("https://b.example/mcp")).unwrap(), [""; 0]);
    }

    #[test]
    fn mistakes_have_a_path() {
        let a = Some("https://a.example/mcp");
        assert_eq!(ask(&[], None).unwrap_err(), "resource");
        assert_eq!(ask(&[], Some("https://c.example/mcp")).unwrap_err(), "resource");
        assert_eq!(ask(&["ping", "", "tools/call", ""], a).unwrap_err(), "operations[1]");
        assert_eq!(ask(&["ping", "", "tools/call", "x"], a).unwrap_err(), "operations[1]");
    }
}
