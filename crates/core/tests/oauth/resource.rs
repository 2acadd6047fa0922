//! Resource identifiers (RFC 8707): two spellings match if and only if they are made of the same parts.

use countersign_core::oauth::resource::ResourceId;
use proptest::prelude::*;

/// What an identifier is made of. Two with equal parts name the same resource, whatever the spelling.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    scheme: &'static str,
    host: &'static str,
    /// The effective port; 0 where the scheme has none and none is written.
    port: u16,
    /// From the first slash, with the query; the empty path is `/`.
    rest: String,
}

/// How the parts are written, as far as that makes no difference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelling {
    /// A bit for each letter of scheme and host: upper case.
    upper: u64,
    /// Whether a default port is written.
    port_written: bool,
    port_zeros: usize,
    /// Whether a path that is only a slash is left out.
    slash_left_out: bool,
}

impl Parts {
    pub(crate) fn written(&self, spelling: Spelling) -> String {
        let default = match self.scheme {
            "https" => 443,
            "http" => 80,
            _ => 0,
        };
        let mut text = format!("{}://{}", self.scheme, self.host)
            .chars()
            .enumerate()
            .map(|(at, letter)| match spelling.upper >> (at % 64) & 1 {
                1 => letter.to_ascii_uppercase(),
                _ => letter,
            })
            .collect::<String>();
        if self.port != default || (spelling.port_written && default != 0) {
            text += &format!(":{}{}", "0".repeat(spelling.port_zeros), self.port);
        }
        match (self.rest.strip_prefix('/'), spelling.slash_left_out) {
            (Some(rest), true) if rest.is_empty() || rest.starts_with('?') => text + rest,
            _ => text + &self.rest,
        }
    }
}

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let scheme = prop::sample::select(vec!["https", "http", "mcp", "h2+x.y-z"]);
    let hosts = vec!["h", "h.example", "h.example.evil.test", "[2001:db8::1]", "127.0.0.1", "x%41"];
    let port = prop_oneof![3 => Just(None), 2 => prop::sample::select(vec![1, 80, 443, 8443]).prop_map(Some)];
    let path =
        prop::sample::select(vec!["", "mcp", "mcp/", "MCP", "a%2Fb", "a/b", ".", "//", "%61", "a"]);
    let query = prop::sample::select(vec!["", "?", "?x=1", "?x=1&y", "?/"]);
    (scheme, prop::sample::select(hosts), port, path, query).prop_map(
        |(scheme, host, port, path, query)| {
            let default = match scheme {
                "https" => 443,
                "http" => 80,
                _ => 0,
            };
            let port = port.unwrap_or(default);
            Parts { scheme, host, port, rest: format!("/{path}{query}") }
        },
    )
}

pub(crate) fn spelling() -> impl Strategy<Value = Spelling> {
    (any::<u64>(), any::<bool>(), 0..3_usize, any::<bool>()).prop_map(
        |(upper, port_written, port_zeros, slash_left_out)| Spelling {
            upper,
            port_written,
            port_zeros,
            slash_left_out,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn spellings_of_the_same_parts_match(parts in parts(), a in spelling(), b in spelling()) {
        let (a, b) = (parts.written(a), parts.written(b));
        let id = ResourceId::parse(&a).unwrap();
        prop_assert!(id.matches(&b), "{a} {b}");
        prop_assert_eq!(&id, &ResourceId::parse(&b).unwrap());
        prop_assert_eq!(id.as_str(), a);
    }

    #[test]
    fn and_of_other_parts_do_not(a in parts(), b in parts(), x in spelling(), y in spelling()) {
        let (written, other) = (a.written(x), b.written(y));
        let id = ResourceId::parse(&written).unwrap();
        prop_assert_eq!(id.matches(&other), a == b, "{} {}", written, other);
    }

    /// One part changed: near misses, which two random ones seldom are.
    #[test]
    fn nor_with_one_part_changed(
        a in parts(), other in parts(), part in 0..4_u8, x in spelling(), y in spelling(),
    ) {
        let mut b = a.clone();
        match part {
            0 => b.scheme = other.scheme,
            1 => b.host = other.host,
            2 => b.port = other.port.max(1),
            _ => b.rest = other.rest,
        }
        let id = ResourceId::parse(&a.written(x)).unwrap();
        prop_assert_eq!(id.matches(&b.written(y)), a == b, "{} {}", a.written(x), b.written(y));
    }

    /// A text appended, cut off or put in between never matches by accident: no prefix, no substring.
    #[test]
    fn never_by_substring(parts in parts(), x in spelling(), more in "[a-z/.?]{1,3}", at in any::<prop::sample::Index>()) {
        let text = parts.written(Spelling { port_written: false, ..x });
        let id = ResourceId::parse(&text).unwrap();
        let longer = format!("{text}{more}");
        let (cut, at) = (&text[..at.index(text.len())], at.index(text.len() + 1));
        let between = format!("{}{more}{}", &text[..at], &text[at..]);
        for other in [longer.as_str(), cut, between.as_str()] {
            // Only the slash of the empty path can be added or taken away.
            let same = |a: &str, b: &str| a.replacen("?", "/?", 1) == b || format!("{a}/") == b;
            let ours = id.matches(other);
            prop_assert!(!ours || same(&text, other) || same(other, &text), "{text} {other}");
        }
    }

    /// RFC 8707 §2 and RFC 3986: what has a fragment, user information, or characters of no URI is
    /// none, wherever they stand.
    #[test]
    fn what_is_none(parts in parts(), x in spelling(), at in any::<prop::sample::Index>(), bad in "[# \"<>\\\\^`{|}\u{0}-\u{1f}\u{7f}ä]") {
        let text = parts.written(x);
        let at = at.index(text.len() + 1);
        let text = format!("{}{bad}{}", &text[..at], &text[at..]);
        prop_assert!(ResourceId::parse(&text).is_err(), "{text:?}");
        let user = parts.written(x).replacen("://", "://user@", 1);
        prop_assert!(ResourceId::parse(&user).is_err());
    }
}
