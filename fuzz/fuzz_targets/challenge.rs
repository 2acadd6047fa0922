//! Challenges: whatever goes in comes out of the client's parser as the same parameters, and as no
//! others; and what that parser takes of a stranger says the same when it is written again.
//! The input is the metadata URL, the description and the scopes, one a line.
#![no_main]

use countersign_core::{
    ChallengeError,
    jose::alg::Algorithm,
    oauth::{challenge::Challenge, scope::ScopeSet, www_authenticate::ReceivedChallenge},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    received(text);
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

/// As the client's own parser has it.
fn read(text: &str) -> Option<Read> {
    let challenges = ReceivedChallenge::parse_all(text.as_bytes()).ok()?;
    Some(challenges.into_iter().map(|challenge| (challenge.scheme, challenge.parameters)).collect())
}

/// Any text that the parser takes can be written out again, and says the same then.
fn received(text: &str) {
    let Ok(challenges) = ReceivedChallenge::parse_all(text.as_bytes()) else { return };
    let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let written = challenges.iter().map(|challenge| {
        let named = challenge.parameters.iter();
        let parameters: Vec<String> =
            named.map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        let token = challenge.token68.clone();
        assert!(token.is_none() || parameters.is_empty());
        format!("{} {}", challenge.scheme, token.unwrap_or_else(|| parameters.join(", ")))
    });
    let written = written.collect::<Vec<_>>().join(", ");
    assert_eq!(ReceivedChallenge::parse_all(written.as_bytes()), Ok(challenges), "{written}");
}
