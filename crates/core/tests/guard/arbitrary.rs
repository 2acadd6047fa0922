//! Whatever the bytes: no panic, and nothing is forwarded without a token that verifies.

use countersign_core::{
    guard::{Answer, Engine, Policy, RequestHead, Step},
    jose::{jwks::JwkSet, jws::CompactJws},
    jwt::claims::Claims,
    mcp::message::Message,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::support::{KEY_1, code, engine, inline, key_set, token, with_rules};

/// A change that damaged or hostile input may have.
#[derive(Clone, Debug)]
enum Mutation {
    Cut(usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Set(usize, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>();
    let fragments = select(vec![
        &b"\""[..],
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b".",
        b"\\u0000",
        b"\\ud800",
        b"1e999",
        b"-",
        b"null",
        b"\xff",
        b"\xef\xbb\xbf",
        b"=",
        b"\0",
        b"\r\n",
        b"%2e%2e",
        b"*",
    ]);
    prop_oneof![
        at.prop_map(Mutation::Cut),
        (at, fragments).prop_map(|(at, fragment)| Mutation::Insert(at, fragment.to_vec())),
        (at, vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at, 1..40_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (at, 1..40_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        (at, any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
    ]
}

fn mutated(valid: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for mutation in mutations {
        let at = |at: usize| at % (bytes.len() + 1);
        match mutation {
            Mutation::Cut(position) => bytes.truncate(at(*position)),
            Mutation::Insert(position, inserted) => {
                let position = at(*position);
                bytes.splice(position..position, inserted.iter().copied());
            }
            Mutation::Remove(position, length) => {
                let start = at(*position);
                bytes.drain(start..(start + length).min(bytes.len()));
            }
            Mutation::Repeat(position, length) => {
                let start = at(*position);
                let part = bytes[start..(start + length).min(bytes.len())].to_vec();
                bytes.splice(start..start, part);
            }
            Mutation::Set(position, byte) => {
                let position = at(*position);
                if let Some(found) = bytes.get_mut(position) {
                    *found = *byte;
                }
            }
        }
    }
    bytes
}

/// Bytes of any kind, or valid ones with some changes.
fn hostile(valid: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(mutation(), 0..4).prop_map(|mutations| mutated(valid, &mutations)),
    ]
}

fn leak(bytes: impl Into<Vec<u8>>) -> &'static [u8] {
    Vec::leak(bytes.into())
}

const MESSAGE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","arguments":{}}}"#;

/// Takes a request as far as it goes, as an honest host.
fn run(engine: &mut Engine, head: RequestHead<'_>, body: &[u8], now: u64) -> Step {
    let mut step = engine.begin(head, now);
    loop {
        step = match step {
            Step::NeedSignature(pending) => {
                let verified = engine.verify(&pending);
                engine.resume(pending, Answer::Signature(verified), now)
            }
            Step::NeedBody(pending) => {
                let (first, last) = body.split_at(body.len() / 2);
                match engine.resume(pending, Answer::BodyPart(first), now) {
                    Step::NeedBody(pending) => engine.resume(pending, Answer::Body(last), now),
                    step => step,
                }
            }
            Step::NeedKeys(pending) => engine.resume(pending, Answer::GiveUp, now),
            last => return last,
        };
    }
}

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

fn headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        select(vec![
            &b"authorization"[..],
            b"Authorization",
            b"content-type",
            b"content-encoding",
            b"origin",
            b"access-control-request-method",
            b"mcp-protocol-version",
            b"mcp-method",
            b"mcp-name",
            b"x-mcp-subject",
        ])
        .prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 0..20),
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..60),
        hostile(b"application/json; charset=utf-8"),
        hostile(b"=?base64?cmVhZF9maWxl?="),
        hostile(b"https://mcp.example.com"),
        hostile(b"2026-07-28"),
        hostile(leak(format!("Bearer {}", token().with_signature(&[7; 64])))),
    ];
    vec((name, value), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// No credentials among them verify, so nothing may be forwarded.
    #[test]
    fn nothing_unverified_is_forwarded(
        method in prop_oneof![hostile(b"POST"), hostile(b"GET"), hostile(b"OPTIONS")],
        authority in hostile(b"mcp.example.com:443"),
        path in prop_oneof![hostile(b"/mcp?x=1"), hostile(b"/.well-known/oauth-protected-resource/mcp")],
        headers in headers(),
        body in option::of(hostile(MESSAGE)),
        now in any::<u64>(),
        rules in any::<bool>(),
    ) {
        let policy = if rules { with_rules(inline()) } else { inline() };
        let mut engine = engine(&policy);
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let head = RequestHead {
            method: &method,
            authority: &authority,
            path: &path,
            headers: &headers,
            has_body: body.is_some(), client: None, certificate: None,
        };
        let step = run(&mut engine, head, body.as_deref().unwrap_or_default(), now);
        prop_assert!(matches!(step, Step::Respond(_)), "{}", code(&step));
        // Its record is one line of text, and its headers are headers.
        if let Step::Respond(response) = step {
            prop_assert!(!response.decision.to_string().contains(['\n', '\r', '\0']));
            for header in &response.headers {
                prop_assert!(!header.value().contains(['\n', '\r', '\0']));
            }
        }
    }

    /// A changed token is another token.
    #[test]
    fn a_changed_token_never_passes(mutations in vec(mutation(), 1..4)) {
        let good = token().sign();
        let changed = mutated(good.as_bytes(), &mutations);
        // Spaces around credentials are no part of them (RFC 9110 §5.5).
        prop_assume!(changed.trim_ascii() != good.as_bytes());
        let mut engine = engine(&inline());
        let credentials = [b"Bearer ", &changed[..]].concat();
        let headers: [(&[u8], &[u8]); 1] = [(b"authorization", &credentials)];
        let head = RequestHead {
            method: b"POST",
            authority: b"mcp.example.com",
            path: b"/mcp",
            headers: &headers,
            has_body: false, client: None, certificate: None,
        };
        let step = run(&mut engine, head, b"", 10);
        prop_assert!(matches!(step, Step::Respond(_)));
    }

    /// With good credentials, no message makes the engine fall over, nor passes without its scope.
    #[test]
    fn any_message(body in hostile(MESSAGE)) {
        let mut engine = engine(&with_rules(inline()));
        let credentials = format!("Bearer {}", token().claim("scope", "mcp:use").sign());
        let headers: [(&[u8], &[u8]); 2] =
            [(b"authorization", credentials.as_bytes()), (b"content-type", b"application/json")];
        let head = RequestHead {
            method: b"POST",
            authority: b"mcp.example.com",
            path: b"/mcp",
            headers: &headers,
            has_body: true, client: None, certificate: None,
        };
        let step = run(&mut engine, head, &body, 10);
        let calls = serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|message| {
            message["method"] == "tools/call" && message["params"]["name"] == "read_file"
        });
        prop_assert!(!calls || code(&step) != "allow");
    }

    #[test]
    fn parsers_take_anything(
        claims in hostile(br#"{"iss":"https://a.example","aud":["b"],"exp":1.5e9,"iat":1,"scope":"a b","cnf":{}}"#),
        message in hostile(MESSAGE),
        set in hostile(leak(key_set(&[(KEY_1, "es1")]))),
        jws in hostile(leak(token().sign())),
        policy in hostile(leak(with_rules(inline()).to_string())),
    ) {
        let _ = Claims::parse(&claims);
        let _ = Message::parse(&message);
        let _ = JwkSet::parse(&set, 64);
        let _ = CompactJws::parse(&String::from_utf8_lossy(&jws));
        if let Err(error) = Policy::parse(&policy) {
            prop_assert!(error.path.starts_with('$'));
        }
    }
}
