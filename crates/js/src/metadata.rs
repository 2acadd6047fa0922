//! Challenges and metadata documents, written and read by the engine's own code.

use countersign_core::{
    ChallengeError,
    jose::{
        alg::Algorithm,
        json::{self, Object, Value},
    },
    oauth::{
        challenge::Challenge,
        metadata::{
            self, AuthorizationServerMetadata, ProtectedResource, ProtectedResourceMetadata,
        },
        resource::ResourceId,
        scope::{Scope, ScopeSet},
        www_authenticate::ReceivedChallenge,
    },
};
use js_sys::TypeError;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::json::Json;

/// The members of an authorization server's metadata that are URLs, texts in an array, and flags.
const URLS: [&str; 7] = [
    "authorization_endpoint",
    "introspection_endpoint",
    "jwks_uri",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "token_endpoint",
];
const TEXTS: [&str; 6] = [
    "code_challenge_methods_supported",
    "dpop_signing_alg_values_supported",
    "grant_types_supported",
    "response_types_supported",
    "scopes_supported",
    "token_endpoint_auth_methods_supported",
];
const FLAGS: [&str; 3] = [
    "authorization_response_iss_parameter_supported",
    "client_id_metadata_document_supported",
    "require_pushed_authorization_requests",
];

/// What a description has of one thing.
struct Described(Object);

impl Described {
    fn read(description: &str) -> Result<Self, String> {
        match json::parse(description.as_bytes()) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err("expected an object".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Refuses what has another name: a mistyped one must not be taken for one that is left out.
    fn knows(&self, names: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(format!("{name}: unknown; known are {}", names.join(", "))),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, String> {
        let expected = || format!("{name}: expected a string");
        self.0.get(name).map(|value| value.as_str().ok_or_else(expected)).transpose()
    }

    fn required(&self, name: &str) -> Result<&str, String> {
        self.text(name)?.ok_or_else(|| format!("{name}: missing"))
    }

    fn texts(&self, name: &str) -> Result<Vec<&str>, String> {
        let Some(value) = self.0.get(name) else { return Ok(Vec::new()) };
        let texts: Option<Vec<&str>> =
            value.as_array().and_then(|elements| elements.iter().map(Value::as_str).collect());
        texts.ok_or_else(|| format!("{name}: expected an array of strings"))
    }

    fn scopes(&self, name: &str) -> Result<ScopeSet, String> {
        let parsed = self.texts(name)?.into_iter().map(Scope::parse);
        parsed.collect::<Result<_, _>>().map_err(|error| format!("{name}: {error}"))
    }

    fn algorithms(&self, name: &str) -> Result<Vec<Algorithm>, String> {
        let known = |text: &str| {
            let found = Algorithm::from_name(text).filter(|found| !found.is_symmetric());
            found.ok_or_else(|| format!("{name}: {text:?} is not supported"))
        };
        self.texts(name)?.into_iter().map(known).collect()
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{name}: expected true or false")),
        }
    }

    fn resource(&self, name: &str) -> Result<ResourceId, String> {
        ResourceId::parse(self.required(name)?).map_err(|error| format!("{name}: {error}"))
    }
}

fn thrown(message: impl ToString) -> JsValue {
    TypeError::new(&message.to_string()).into()
}

/// The value of `WWW-Authenticate` for a challenge that is described in JSON.
///
/// # Errors
/// A `TypeError` that says what is wrong with the description.
#[wasm_bindgen]
pub fn build_challenge(description: &str) -> Result<String, JsValue> {
    challenge(description).map_err(thrown)
}

fn challenge(description: &str) -> Result<String, String> {
    let described = Described::read(description)?;
    described.knows(&[
        "algorithms",
        "error",
        "errorDescription",
        "resourceMetadata",
        "scheme",
        "scope",
    ])?;
    let metadata = described.required("resourceMetadata")?;
    let mut challenge = match described.text("scheme")?.unwrap_or("Bearer") {
        "Bearer" => Challenge::bearer(metadata),
        "DPoP" => Challenge::dpop(metadata),
        _ => return Err("scheme: expected \"Bearer\" or \"DPoP\"".to_owned()),
    };
    if let Some(code) = described.text("error")? {
        let errors = [
            ChallengeError::InsufficientScope,
            ChallengeError::InvalidDpopProof,
            ChallengeError::InvalidRequest,
            ChallengeError::InvalidToken,
            ChallengeError::UseDpopNonce,
        ];
        let error = errors.into_iter().find(|error| error.code() == code);
        let error = error.ok_or_else(|| {
            let known: Vec<&str> = errors.iter().map(|error| error.code()).collect();
            format!("error: expected one of {}", known.join(", "))
        })?;
        challenge = challenge.with_error(error, described.required("errorDescription")?);
    }
    challenge = challenge.with_scope(&described.scopes("scope")?);
    let algorithms = described.algorithms("algorithms")?;
    if !algorithms.is_empty() {
        challenge = challenge.with_algorithms(&algorithms);
    }
    Ok(challenge.as_str().to_owned())
}

/// The challenges of a `WWW-Authenticate` value, as JSON.
///
/// # Errors
/// A `TypeError` for a value that is wrong anywhere.
#[wasm_bindgen]
pub fn parse_challenges(value: &str) -> Result<String, JsValue> {
    let challenges = ReceivedChallenge::parse_all(value.as_bytes()).map_err(thrown)?;
    Ok(Json::array_of(&challenges, |json, challenge| {
        json.members(|json| {
            json.name("scheme").text(&challenge.scheme);
            json.name("token68").optional(challenge.token68.as_deref());
            json.name("parameters").members(|json| {
                for (name, value) in &challenge.parameters {
                    json.name(name).text(value);
                }
            });
        });
    }))
}

/// Where a resource's metadata stands (RFC 9728 §3.1).
///
/// # Errors
/// A `TypeError` for what is no resource identifier.
#[wasm_bindgen]
pub fn protected_resource_metadata_url(resource: &str) -> Result<String, JsValue> {
    let resource = ResourceId::parse(resource).map_err(thrown)?;
    Ok(metadata::protected_resource_url(&resource))
}

/// Where an issuer's metadata may stand, in the order in which to look (RFC 8414 §3.1, MCP). None for what is
/// no URL.
#[must_use]
#[wasm_bindgen]
pub fn authorization_server_metadata_urls(issuer: &str) -> Vec<String> {
    metadata::authorization_server_urls(issuer)
}

/// The metadata document of a resource that is described in JSON (RFC 9728 §2).
///
/// # Errors
/// A `TypeError` that says what is wrong with the description.
#[wasm_bindgen]
pub fn build_protected_resource_metadata(description: &str) -> Result<String, JsValue> {
    document(description).map_err(thrown)
}

fn document(description: &str) -> Result<String, String> {
    let described = Described::read(description)?;
    described.knows(&[
        "authorizationServers",
        "documentation",
        "dpopAlgorithms",
        "dpopRequired",
        "name",
        "resource",
        "scopesSupported",
    ])?;
    let servers = described.texts("authorizationServers")?;
    if servers.is_empty() {
        return Err("authorizationServers: at least one is needed".to_owned());
    }
    let resource = described.resource("resource")?;
    let documentation = described.text("documentation")?;
    // What its readers would refuse, or leave out.
    if !servers.iter().all(|url| metadata::is_callable(url, resource.as_str())) {
        return Err("authorizationServers: expected an https URL".to_owned());
    }
    if documentation.is_some_and(|page| !metadata::is_page(page)) {
        return Err(
            "documentation: expected the URL of a page, http or https, without user information"
                .to_owned(),
        );
    }
    let document = ProtectedResource {
        resource: &resource,
        authorization_servers: &servers,
        scopes_supported: &described.scopes("scopesSupported")?,
        name: described.text("name")?,
        documentation,
        dpop_algorithms: &described.algorithms("dpopAlgorithms")?,
        dpop_required: described.flag("dpopRequired")?,
    };
    Ok(document.document())
}

/// What a resource's metadata document says, as JSON.
///
/// # Errors
/// A `TypeError` for a document that must not be used.
#[wasm_bindgen]
pub fn parse_protected_resource_metadata(
    document: &str,
    resource: &str,
) -> Result<String, JsValue> {
    let read = ProtectedResourceMetadata::parse(document.as_bytes(), resource).map_err(thrown)?;
    let texts = |json: &mut Json, texts: &[String]| json.array(texts, |json, one| json.text(one));
    Ok(Json::object(|json| {
        json.name("resource").text(&read.resource);
        texts(json.name("authorizationServers"), &read.authorization_servers);
        let scopes = read.scopes_supported.iter();
        json.name("scopesSupported").array(scopes, |json, scope| json.text(scope.as_str()));
        texts(json.name("bearerMethods"), &read.bearer_methods);
        json.name("name").optional(read.name.as_deref());
        json.name("documentation").optional(read.documentation.as_deref());
        texts(json.name("dpopAlgorithms"), &read.dpop_algorithms);
        json.name("dpopRequired").value(&Value::Bool(read.dpop_required));
    }))
}

/// What an authorization server's metadata document says, as JSON, by the names of RFC 8414.
///
/// # Errors
/// A `TypeError` for a document that must not be used.
#[wasm_bindgen]
pub fn parse_authorization_server_metadata(
    document: &str,
    issuer: &str,
) -> Result<String, JsValue> {
    let read = AuthorizationServerMetadata::parse(document.as_bytes(), issuer).map_err(thrown)?;
    let mut members = Object::new();
    members.insert("issuer".into(), issuer.into());
    for name in URLS {
        if let Some(url) = read.url(name).map_err(thrown)? {
            members.insert(name.into(), url.into());
        }
    }
    for name in TEXTS {
        members.insert(name.into(), read.texts(name).map_err(thrown)?.into());
    }
    for name in FLAGS {
        members.insert(name.into(), Value::Bool(read.flag(name).map_err(thrown)?));
    }
    Ok(Json::object(|json| {
        for (name, value) in &members {
            json.name(name).value(value);
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = challenge(
            r#"{"resourceMetadata":"https://h/\"x","error":"insufficient_scope",
                "errorDescription":"more","scope":["a","b"],"scheme":"DPoP","algorithms":["ES256"]}"#,
        )
        .unwrap();
        let [read] = ReceivedChallenge::parse_all(text.as_bytes()).unwrap().try_into().unwrap();
        assert!(read.is("dpop"));
        assert_eq!(read.parameter("resource_metadata"), Some("https://h/\"x"));
        assert_eq!(read.parameter("scope"), Some("a b"));
        assert_eq!(read.parameter("algs"), Some("ES256"));
        let text = document(
            r#"{"resource":"https://h/mcp","authorizationServers":["https://a"],"dpopRequired":true}"#,
        )
        .unwrap();
        let read = ProtectedResourceMetadata::parse(text.as_bytes(), "https://h/mcp").unwrap();
        assert!(read.dpop_required && read.authorization_servers == ["https://a"]);
    }

    #[test]
    fn mistakes_name_the_member() {
        for (description, start) in [
            ("[]", "expected an object"),
            ("{", ""),
            ("{}", "resourceMetadata: missing"),
            (r#"{"resource_metadata":""}"#, "resource_metadata: unknown"),
            (r#"{"resourceMetadata":7}"#, "resourceMetadata: expected a string"),
            (r#"{"resourceMetadata":"","scheme":"Basic"}"#, "scheme: "),
            (r#"{"resourceMetadata":"","error":"no"}"#, "error: expected one of"),
            (r#"{"resourceMetadata":"","error":"invalid_token"}"#, "errorDescription: missing"),
            (r#"{"resourceMetadata":"","scope":"a"}"#, "scope: expected an array"),
            (r#"{"resourceMetadata":"","scope":["a b"]}"#, "scope: "),
            (r#"{"resourceMetadata":"","algorithms":["HS256"]}"#, "algorithms: "),
        ] {
            let error = challenge(description).unwrap_err();
            assert!(error.starts_with(start), "{description}: {error}");
        }
        for (description, start) in [
            (r#"{"resource":"https://h"}"#, "authorizationServers: at least one"),
            (r#"{"authorizationServers":["https://a"]}"#, "resource: missing"),
            (r#"{"resource":"h","authorizationServers":["https://a"]}"#, "resource: "),
            (r#"{"resource":"https://h","authorizationServers":[7]}"#, "authorizationServers: "),
            (
                r#"{"resource":"https://h","authorizationServers":["https://a","javascript:1"]}"#,
                "authorizationServers: expected an https URL",
            ),
            (
                r#"{"resource":"https://h","authorizationServers":["http://a"]}"#,
                "authorizationServers: expected an https URL",
            ),
            (
                r#"{"resource":"https://h","authorizationServers":["https://a"],"documentation":"javascript:1"}"#,
                "documentation: expected the URL of a page, http or https",
            ),
        ] {
            let error = document(description).unwrap_err();
            assert!(error.starts_with(start), "{description}: {error}");
        }
    }
}
