//! URIs: resource identifiers against a model of RFC 8707's comparison, and the comparable form of
//! MCP resources. The input is two URIs, one a line.
#![no_main]

use countersign_core::{
    fuzzing::{ambiguous_path, comparable_uri},
    oauth::{
        metadata::{authorization_server_urls, protected_resource_url},
        resource::ResourceId,
    },
};
use countersign_fuzz::model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (a, b) = text.split_once('\n').unwrap_or((text, ""));
    comparable(a);
    let Ok(first) = ResourceId::parse(a) else { return };
    assert_eq!(first.as_str(), a);
    assert!(first.matches(a));
    let (scheme, authority, rest) = first.parts();
    assert_eq!(format!("{scheme}://{authority}{rest}"), a);
    let canonical = model::canonical(a).expect("an identifier");
    assert_eq!(model::canonical(&canonical).as_ref(), Some(&canonical));
    assert!(ResourceId::parse(&canonical).expect("an identifier").matches(a));
    assert!(first.matches(&canonical));
    let same = ResourceId::parse(b).is_ok() && model::canonical(b).as_ref() == Some(&canonical);
    assert_eq!(first.matches(b), same, "{a} {b}");
    if let Ok(second) = ResourceId::parse(b) {
        assert_eq!(second.matches(a), same);
        assert_eq!(first == second, same);
    }
    // Metadata stands on the same host, whatever the path is.
    for url in authorization_server_urls(a).into_iter().chain([protected_resource_url(&first)]) {
        let url = ResourceId::parse(&url).expect("a URL");
        assert_eq!((url.parts().0, url.parts().1), (scheme, authority));
    }
});

/// One form for one resource: comparing again changes nothing, and no server finds a way up in it.
fn comparable(uri: &str) {
    let Some(form) = comparable_uri(uri) else { return };
    assert_eq!(comparable_uri(&form).as_ref(), Some(&form), "{uri}");
    let path = form.split(['?', '#']).next().unwrap_or_default();
    // Behind the authority, where there is one: `.` is a host like any other.
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or_default().1,
        None => path,
    };
    assert!(path.split(['/', '\\']).all(|segment| segment != ".." && segment != "."), "{form}");
    if !ambiguous_path(uri) {
        assert!(!uri.contains('\\') && !uri.contains("//"));
    }
}
