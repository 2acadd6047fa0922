//! Metadata documents: what is taken from one is what a lax reader finds in it, for the identifier that
//! was asked for and no other, and every URL may be called. The input is the identifier and, from the
//! second line on, the document.
#![no_main]

use countersign_core::oauth::{
    metadata::{AuthorizationServerMetadata, ProtectedResourceMetadata},
    resource::ResourceId,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let (expected, document) = text.split_once('\n').unwrap_or((text, ""));
    let theirs: Value = serde_json::from_str(document).unwrap_or_default();
    if let Ok(metadata) = ProtectedResourceMetadata::parse(document.as_bytes(), expected) {
        assert_eq!(metadata.resource, expected);
        assert_eq!(theirs["resource"], expected);
        assert_eq!(
            Value::from(metadata.authorization_servers.clone()),
            list(&theirs, "authorization_servers")
        );
        metadata.authorization_servers.iter().for_each(|issuer| callable(issuer, expected));
        assert_eq!(Value::from(metadata.bearer_methods), list(&theirs, "bearer_methods_supported"));
        assert_eq!(metadata.dpop_required, theirs["dpop_bound_access_tokens_required"] == true);
    }
    if let Ok(metadata) = AuthorizationServerMetadata::parse(document.as_bytes(), expected) {
        assert_eq!(theirs["issuer"], expected);
        for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            if let Ok(Some(url)) = metadata.url(name) {
                assert_eq!(theirs[name], url);
                callable(url, expected);
            }
        }
        let name = "code_challenge_methods_supported";
        if let Ok(texts) = metadata.texts(name) {
            assert_eq!(Value::from(texts), list(&theirs, name));
        }
        let name = "client_id_metadata_document_supported";
        if let Ok(flag) = metadata.flag(name) {
            assert_eq!(flag, theirs[name] == true);
        }
    }
});

/// Absent and empty are the same.
fn list(document: &Value, name: &str) -> Value {
    document.get(name).cloned().unwrap_or_else(|| Value::Array(Vec::new()))
}

fn callable(url: &str, origin: &str) {
    assert!(ResourceId::parse(url).is_ok(), "{url}");
    let plain = |url: &str| url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    assert!(!plain(url) || plain(origin), "{url} from {origin}");
}
