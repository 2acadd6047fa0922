//! Challenges: whatever goes in comes out of a parser as the same parameters, and as no others.
//! The input is the metadata URL, the description and the scopes, one a line.
#![no_main]

use countersign_core::{
    ChallengeError,
    jose::alg::Algorithm,
    oauth::{challenge::Challenge, scope::ScopeSet},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [url, description, scopes] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let mut expected = vec![
        ("resource_metadata", shown(url)),
        ("error", "invalid_token".to_owned()),
        ("error_description", shown(description)),
    ];
    let error = ChallengeError::InvalidToken;
    let mut bearer = Challenge::bearer(url).with_error(error, description);
    if let Ok(scopes) = ScopeSet::parse(scopes) {
        assert_eq!(ScopeSet::parse(&scopes.to_string()).as_ref(), Ok(&scopes));
        if !scopes.is_empty() {
            expected.push(("scope", scopes.to_string()));
        }
        bearer = bearer.with_scope(&scopes);
    }
    let dpop = Challenge::dpop(url).with_algorithms(&[Algorithm::Es256, Algorithm::EdDsa]);
    let both = bearer.clone().and(&dpop);
    assert!(both.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    let owned = |expected: &[(&str, String)]| -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let bearer_read = ("Bearer".to_owned(), owned(&expected));
    let dpop_params = [("resource_metadata", shown(url)), ("algs", "ES256 EdDSA".to_owned())];
    let dpop_read = ("DPoP".to_owned(), owned(&dpop_params));
    assert_eq!(read(bearer.as_str()), Some(vec![bearer_read.clone()]));
    assert_eq!(read(both.as_str()), Some(vec![bearer_read, dpop_read]));
});

/// What a header can carry of a text.
fn shown(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

type Read = Vec<(String, Vec<(String, String)>)>;

/// A parser of `WWW-Authenticate` (RFC 9110 §11.6.1): challenges of a scheme and parameters.
fn read(mut text: &str) -> Option<Read> {
    let mut challenges: Read = Vec::new();
    loop {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (word, rest) = text.split_at(end);
        if let Some(rest) = rest.strip_prefix(' ') {
            challenges.push((word.to_owned(), Vec::new()));
            text = rest;
            continue;
        }
        let (value, rest) = quoted(rest.strip_prefix('=')?)?;
        challenges.last_mut()?.1.push((word.to_owned(), value));
        match rest.strip_prefix(", ") {
            Some(rest) => text = rest,
            None => return rest.is_empty().then_some(challenges),
        }
    }
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.strip_prefix('"')?.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 2..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}
