//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document-03, and what MCP asks of
//! them): a client whose `client_id` is the URL of a document about it.

use countersign_core::jose::json::Value;
use url::Url;

use crate::{
    client_metadata::{ClientMetadata, Refusal, object},
    grant_types::OF_STRANGERS,
};

/// Longest `client_id` that is a URL.
const MAX_URL: usize = 512;

/// Whether a `client_id` is meant as a URL. Those that this server gives out never look so.
pub(crate) fn is_url(client_id: &str) -> bool {
    client_id.starts_with("https://")
}

/// The site that vouches for a client: the host of its `client_id`, if that is a URL.
pub(crate) fn site(client_id: &str) -> Option<&str> {
    client_id.strip_prefix("https://")?.split('/').next()
}

/// The URL of a document (draft §3).
///
/// Only the spelling that URL parsers give back is taken: no two client identifiers may lead to one
/// document, and nothing in it may mean something else to another reader (dot segments, other forms of
/// addresses, default ports, upper case in the host).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_url(client_id: &str) -> Result<Url, &'static str> {
    if client_id.len() > MAX_URL {
        return Err("is too long");
    }
    let url = Url::parse(client_id).map_err(|_| "is not a URL")?;
    if url.scheme() != "https" {
        return Err("is not https");
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("has a fragment or user information");
    }
    if url.as_str() != client_id {
        return Err("is not written as URL parsers write it");
    }
    if url.path() == "/" {
        return Err("has no path");
    }
    Ok(url)
}

/// Reads a document that was found at this URL.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(client_id: &str, body: &[u8]) -> Result<ClientMetadata, String> {
    let sentence = |(_, text): Refusal| text;
    let members = object(body).map_err(sentence)?;
    if members.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err("its client_id is not the URL where it was found".to_owned());
    }
    // Whoever can read the document could use the secret (draft §4.1).
    if ["client_secret", "client_secret_expires_at"].iter().any(|name| members.contains_key(*name))
    {
        return Err("it has a client_secret".to_owned());
    }
    if members.get("client_name").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("client_name is missing".to_owned());
    }
    // A document speaks to all servers at once: what it leaves out it may use, as far as it is sent.
    let mut members = members;
    if matches!(members.get("grant_types"), None | Some(Value::Null)) {
        members.insert("grant_types".to_owned(), Value::from(OF_STRANGERS.to_vec()));
    }
    let metadata = ClientMetadata::read(&members, &OF_STRANGERS).map_err(sentence)?;
    if !matches!(metadata.auth_method.as_str(), "none" | "private_key_jwt") {
        return Err("its token_endpoint_auth_method is one with a shared secret".to_owned());
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example.com/client.json";

    #[test]
    fn urls() {
        for good in [
            URL,
            "https://app.example.com:8443/client",
            "https://app.example.com/client?v=1",
            "https://claude.ai/oauth/claude-code-client-metadata",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com?x=1",
            "http://app.example.com/client.json",
            "https://App.example.com/client.json",
            "HTTPS://app.example.com/client.json",
            "https://app.example.com:443/client.json",
            "https://app.example.com/a/../client.json",
            "https://app.example.com/./client.json",
            "https://app.example.com/a/%2e%2e/client.json",
            "https://app.example.com/a/%2E./client.json",
            "https://app.example.com\\client.json",
            "https://app.example.com/cl ient.json",
            "https://app.example.com/client.json#x",
            "https://app.example.com/client.json#",
            "https://user@app.example.com/client.json",
            "https://user:secret@app.example.com/client.json",
            "https://0x7f.1/client.json",
            "https://2130706433/client.json",
            "https://[::0001]/client.json",
            "https:app.example.com/client.json",
            "https:///client.json",
            "ftp://app.example.com/client.json",
            "",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        assert!(check_url(&format!("{URL}{}", "x".repeat(512))).is_err());
    }

    #[test]
    fn documents() {
        let good = r#"{"client_id":"https://app.example.com/client.json","client_name":"App","redirect_uris":["http://localhost/callback"],"unknown":1}"#;
        let read = |text: &str| read(URL, text.as_bytes());
        let metadata = read(good).unwrap();
        assert_eq!((metadata.name.as_str(), metadata.auth_method.as_str()), ("App", "none"));
        assert_eq!(metadata.grant_types, OF_STRANGERS);
        let key = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let with = |more: &str| good.replace(r#""unknown":1"#, more);
        let asserting = |rest: &str| with(&format!(r#"{rest},"jwks":{{"keys":[{key}]}}"#));
        for (text, method) in [
            (asserting(r#""token_endpoint_auth_method":"private_key_jwt""#), "private_key_jwt"),
            (
                asserting(r#""token_endpoint_auth_methods_supported":["none","private_key_jwt"]"#),
                "private_key_jwt",
            ),
            (with(r#""token_endpoint_auth_methods_supported":["none","private_key_jwt"]"#), "none"),
        ] {
            assert_eq!(read(&text).unwrap().auth_method, method, "{text}");
        }
        for bad in [
            String::new(),
            "[]".to_owned(),
            good.replace("client.json", "other.json"),
            good.replace(r#""client_name":"App","#, ""),
            good.replace(r#""client_name":"App""#, r#""client_name":"""#),
            good.replace(r#""redirect_uris":["http://localhost/callback"],"#, ""),
            good.replace(r#"["http://localhost/callback"]"#, "[]"),
            good.replace("http://localhost/callback", "javascript:alert(1)"),
            with(r#""client_name":"Another""#),
            with(r#""client_secret":"x""#),
            with(r#""client_secret":null"#),
            with(r#""client_secret_expires_at":0"#),
            with(r#""token_endpoint_auth_method":"client_secret_basic""#),
            with(r#""token_endpoint_auth_method":"client_secret_jwt""#),
            with(r#""token_endpoint_auth_method":"private_key_jwt""#),
            with(r#""grant_types":["client_credentials"]"#),
            with(r#""response_types":["token"]"#),
            asserting(r#""jwks_uri":"https://app.example.com/jwks""#),
            with(r#""jwks_uri":"https://127.0.0.1/jwks""#),
            with(r#""jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
