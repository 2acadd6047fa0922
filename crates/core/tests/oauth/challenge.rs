//! Challenges: what is written is read again as the same and nothing else; and the grammar of RFC 9110
//! §11.6.1, example by example.

use countersign_core::{
    ChallengeError,
    jose::alg::Algorithm,
    oauth::{
        challenge::Challenge,
        scope::{Scope, ScopeSet},
        www_authenticate::{ChallengeSyntaxError, MAX_BYTES, MAX_ITEMS, ReceivedChallenge},
    },
};
use proptest::prelude::*;

fn read(value: &str) -> Result<Vec<ReceivedChallenge>, ChallengeSyntaxError> {
    ReceivedChallenge::parse_all(value.as_bytes())
}

/// As text that the tables below can be compared with: `scheme|token68|name=value|…`.
fn shown(value: &str) -> String {
    let one = |challenge: &ReceivedChallenge| {
        let mut text = challenge.scheme.clone();
        if let Some(token) = &challenge.token68 {
            text += &format!("|{token}");
        }
        for (name, value) in &challenge.parameters {
            text += &format!("|{name}={value}");
        }
        text
    };
    match read(value) {
        Ok(challenges) => challenges.iter().map(one).collect::<Vec<_>>().join(" ; "),
        Err(error) => panic!("{value}: {error}"),
    }
}

#[test]
fn what_is_allowed() {
    for (value, expected) in [
        ("", ""),
        (" , ,", ""),
        ("Bearer", "Bearer"),
        ("Bearer ", "Bearer"),
        ("Bearer , Basic", "Bearer ; Basic"),
        // RFC 9110 §11.6.1.
        (
            r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
            r#"Basic|realm=simple ; Newauth|realm=apps|type=1|title=Login to "apps""#,
        ),
        // RFC 6750 §3.
        (
            r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#,
            "Bearer|realm=example|error=invalid_token|error_description=The access token expired",
        ),
        // RFC 9449 §7.1 and §7.2.
        (r#"DPoP algs="ES256 PS256", Bearer error=x"#, "DPoP|algs=ES256 PS256 ; Bearer|error=x"),
        // RFC 4559 §4.1; two schemes with nothing but their names.
        ("Negotiate, NTLM", "Negotiate ; NTLM"),
        ("Negotiate oYG2MIGzoAMK+/.~_-==", "Negotiate|oYG2MIGzoAMK+/.~_-=="),
        ("Negotiate YII= , Bearer realm=x", "Negotiate|YII= ; Bearer|realm=x"),
        ("Negotiate abc", "Negotiate|abc"),
        // Not a parameter without value: the grammar knows none.
        ("Negotiate abc=", "Negotiate|abc="),
        // Bad white space around `=`, case, empty elements.
        ("bearer Realm \t= \"x\"\t,, SCOPE =y", "bearer|realm=x|scope=y"),
        ("Bearer   realm=x", "Bearer|realm=x"),
        ("Bearer , realm=x", "Bearer|realm=x"),
        (r#"Bearer a="",b="\\\"\,",c=",;=""#, r#"Bearer|a=|b=\",|c=,;="#),
        ("Bearer a=\"\t\u{e4}\"", "Bearer|a=\t\u{e4}"),
        (r#"A x="1", B x="2""#, "A|x=1 ; B|x=2"),
        ("!#$%&'*+-.^_`|~a x=y", "!#$%&'*+-.^_`|~a|x=y"),
    ] {
        assert_eq!(shown(value), expected, "{value}");
    }
}

#[test]
fn what_is_not() {
    use ChallengeSyntaxError::{DuplicateParameter, Malformed, NotText, TooLong, Unterminated};
    for (value, expected) in [
        ("realm=x", Malformed(0)),
        ("=", Malformed(0)),
        ("\"Bearer\"", Malformed(0)),
        ("Bearer realm=x realm2=y", Malformed(15)),
        ("Bearer realm=x; scope=y", Malformed(14)),
        ("Bearer realm=\"x\"y", Malformed(16)),
        ("Bearer a=b=c", Malformed(10)),
        ("Bearer realm=\u{e4}", Malformed(13)),
        ("Bearer\trealm=x", Malformed(7)),
        ("Bearer realm x=y", Malformed(7)),
        ("Negotiate abc=, x=y", Malformed(16)),
        ("Negotiate a==b", Malformed(12)),
        ("Bearer \"x\"", Malformed(7)),
        ("Bearer realm=\"a\r\nSet-Cookie: x\"", Malformed(15)),
        ("Bearer realm=\"a\\\nb\"", Malformed(15)),
        ("Bearer realm=\"a\u{7f}\"", Malformed(15)),
        ("Bearer realm=\"a\0\"", Malformed(15)),
        ("Bearer\r\n", Malformed(6)),
        ("Bearer realm=\"x", Unterminated),
        ("Bearer realm=\"x\\\"", Unterminated),
        ("Bearer realm=\"x\\", Unterminated),
        ("Bearer realm=x, scope=y, REALM=z", DuplicateParameter),
        ("Bearer realm=x, realm=x", DuplicateParameter),
    ] {
        assert_eq!(read(value), Err(expected), "{value:?}");
    }
    assert_eq!(ReceivedChallenge::parse_all(b"Bearer a=\"\xff\""), Err(NotText));
    let long = |bytes: usize| format!("Bearer {}", "a".repeat(bytes - 7));
    assert!(read(&long(MAX_BYTES)).is_ok());
    assert_eq!(read(&long(MAX_BYTES + 1)), Err(TooLong));
    let many = |count: usize| vec!["A"; count].join(",");
    assert_eq!(read(&many(MAX_ITEMS)).unwrap().len(), MAX_ITEMS);
    assert_eq!(read(&many(MAX_ITEMS + 1)), Err(TooLong));
    let names = |count: usize| (0..count).map(|n| format!("n{n}=v")).collect::<Vec<_>>().join(",");
    assert!(read(&format!("A {}", names(MAX_ITEMS))).is_ok());
    assert_eq!(read(&format!("A {}", names(MAX_ITEMS + 1))), Err(TooLong));
}

/// A lone name is a token68, and a name with nothing behind its `=` as well.
#[test]
fn lone_names_are_token68() {
    assert_eq!(shown("Bearer realm"), "Bearer|realm");
    assert_eq!(shown("Bearer realm=,"), "Bearer|realm=");
}

/// What a header can carry of a text.
fn carried(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

fn scopes() -> impl Strategy<Value = ScopeSet> {
    prop::collection::vec("[!#-\\[\\]-~]{1,6}", 0..4)
        .prop_map(|texts| texts.iter().map(|text| Scope::parse(text).unwrap()).collect())
}

/// A parameter as a server may write it: name, value, whether it is quoted, and white space.
fn parameters() -> impl Strategy<Value = Vec<(String, String, bool, String)>> {
    let one = ("[a-zA-Z]{1,4}", "[ -~\tä]{0,6}", any::<bool>(), "[ \t]{0,2}");
    prop::collection::vec(one, 0..5).prop_map(|mut all| {
        let mut seen = Vec::new();
        all.retain(|(name, ..)| {
            let lower = name.to_ascii_lowercase();
            let new = !seen.contains(&lower);
            seen.push(lower);
            new
        });
        all
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever goes into a challenge, it is one line of printable ASCII, and is read as these
    /// parameters and no others.
    #[test]
    fn written_and_read_again(
        url in any::<String>(), description in "(\\PC|[\0-\u{1f}\"\\\\,=]){0,20}",
        scopes in scopes(), algorithms in prop::sample::subsequence(Algorithm::ALL.to_vec(), 1..4),
    ) {
        let bearer = Challenge::bearer(&url)
            .with_error(ChallengeError::InsufficientScope, &description)
            .with_scope(&scopes);
        let dpop = Challenge::dpop(&url).with_algorithms(&algorithms);
        let text = bearer.and(&dpop);
        prop_assert!(text.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let owned = |name: &str, value: String| (name.to_owned(), value);
        let mut expected = vec![
            owned("resource_metadata", carried(&url)),
            owned("error", "insufficient_scope".to_owned()),
            owned("error_description", carried(&description)),
        ];
        if !scopes.is_empty() {
            expected.push(owned("scope", scopes.to_string()));
        }
        let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let bound = vec![owned("resource_metadata", carried(&url)), owned("algs", names.join(" "))];
        // Only lengths that a client would read.
        prop_assume!(text.as_str().len() <= MAX_BYTES);
        let read = read(text.as_str()).unwrap();
        prop_assert_eq!(read.len(), 2);
        prop_assert!(read[0].is("Bearer") && read[1].is("DPoP"));
        prop_assert_eq!(&read[0].parameters, &expected);
        prop_assert_eq!(&read[1].parameters, &bound);
        if !scopes.is_empty() {
            prop_assert_eq!(ScopeSet::parse(read[0].parameter("scope").unwrap()), Ok(scopes));
        }
    }

    /// Any list of challenges, in any of the ways in which the grammar lets a server write it.
    #[test]
    fn every_spelling_is_read(
        challenges in prop::collection::vec(("[A-Z][a-z0-9-]{0,5}", parameters()), 0..4),
        commas in "[ \t]{0,2},[ \t,]{0,3}",
    ) {
        let mut elements: Vec<String> = Vec::new();
        let mut expected = Vec::new();
        for (scheme, parameters) in &challenges {
            let mut scheme_written = format!("{scheme} ");
            for (name, value, quoted, space) in parameters {
                let written = if *quoted || !is_token(value) {
                    let escape = |c: char| match c {
                        '"' | '\\' => format!("\\{c}"),
                        // A needless escape says the same.
                        'a' => "\\a".to_owned(),
                        other => other.to_string(),
                    };
                    format!("\"{}\"", value.chars().map(escape).collect::<String>())
                } else {
                    value.clone()
                };
                elements.push(format!("{scheme_written}{name}{space}={space}{written}"));
                scheme_written.clear();
            }
            if parameters.is_empty() {
                elements.push(scheme.clone());
            }
            expected.push(ReceivedChallenge {
                scheme: scheme.clone(),
                token68: None,
                parameters: parameters
                    .iter()
                    .map(|(name, value, ..)| (name.to_ascii_lowercase(), value.clone()))
                    .collect(),
            });
        }
        let text = elements.join(&commas);
        prop_assert_eq!(read(&text), Ok(expected), "{}", text);
    }

    /// No bytes make it panic, and what it accepts is bounded and clean.
    #[test]
    fn anything(value in prop::collection::vec(prop_oneof![
        3 => prop::sample::select(b" ,=\"\\\tAb1/~".to_vec()), 1 => any::<u8>(),
    ], 0..64)) {
        for challenge in ReceivedChallenge::parse_all(&value).unwrap_or_default() {
            prop_assert!(is_token(&challenge.scheme));
            prop_assert!(challenge.token68.is_none() || challenge.parameters.is_empty());
            for (name, value) in &challenge.parameters {
                prop_assert!(is_token(name) && *name == name.to_ascii_lowercase());
                prop_assert!(!value.chars().any(|c| c.is_ascii_control() && c != '\t'));
            }
        }
    }
}
