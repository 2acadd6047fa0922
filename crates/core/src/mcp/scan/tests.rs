//! The scan against the parser of whole texts, in whatever parts the text comes.

use alloc::{
    format,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use countersign_testkit::json_suite;
use proptest::{collection, prelude::*, sample::select, string::string_regex};

use super::{
    Kind, MAX_NUMBER, Scan, Sink,
    names::{MAX_NAMES, MAX_NAMES_BYTES},
};
use crate::{
    Reason,
    jose::json::{self, MAX_DEPTH, Value},
};

/// Writes down everything that it is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    said: Vec<String>,
    /// Where values begin and end.
    spans: Vec<(usize, usize)>,
    /// Where those begin that have not ended.
    begun: Vec<usize>,
}

/// Strings longer than this are not kept.
const KEPT: usize = 12;

impl Sink for Record {
    const DEPTH: usize = MAX_DEPTH;

    fn name(&mut self, depth: usize, name: &str) -> Result<(), Reason> {
        self.said.push(format!("{depth} name {name:?}"));
        Ok(())
    }

    fn begin(&mut self, depth: usize, kind: Kind, at: usize) -> Result<Option<usize>, Reason> {
        self.said.push(format!("{depth} begin {kind:?} {at}"));
        self.begun.truncate(depth);
        self.begun.push(at);
        Ok(Some(KEPT))
    }

    fn text(&mut self, depth: usize, text: Option<&str>) -> Result<(), Reason> {
        self.said.push(format!("{depth} text {text:?}"));
        Ok(())
    }

    fn number(&mut self, depth: usize, text: &str) -> Result<(), Reason> {
        self.said.push(format!("{depth} number {text}"));
        Ok(())
    }

    fn end(&mut self, depth: usize, at: usize) -> Result<(), Reason> {
        self.said.push(format!("{depth} end {at}"));
        self.begun.truncate(depth + 1);
        self.spans.extend(self.begun.last().map(|begun| (*begun, at)));
        Ok(())
    }
}

/// What is told of a text that comes in these parts.
fn scan<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Record, Reason> {
    let mut scan = Scan::new(Record::default());
    for part in parts {
        scan.push(part)?;
    }
    scan.finish()
}

/// The text is cut at these places.
fn cut<'a>(text: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (text.len() + 1)).collect();
    places.sort_unstable();
    let starts = [0].into_iter().chain(places.iter().copied());
    let ends = places.iter().copied().chain([text.len()]);
    starts.zip(ends).map(|(start, end)| &text[start..end]).collect()
}

/// Byte by byte, by twos and threes, and as a whole: always the same.
fn scan_every_way(text: &[u8]) -> Result<Record, Reason> {
    let whole = scan([text]);
    for size in 1..=3 {
        assert_eq!(scan(text.chunks(size)), whole, "{}", String::from_utf8_lossy(text));
    }
    whole
}

/// JSONTestSuite, `test_parsing`: there is no text on which the two readers disagree. Which of them
/// are taken stands in `tests/jose/json_suite.rs`.
#[test]
fn json_test_suite() {
    let mut texts = 0;
    for (name, text) in json_suite::files() {
        assert_eq!(scan_every_way(&text).is_ok(), json::parse(&text).is_ok(), "{name}");
        texts += 1;
    }
    assert_eq!(texts, 318);
}

/// Tokens that are cut in every place, and what is almost one.
#[test]
fn tokens_in_parts() {
    for text in [
        "true",
        "false",
        "null",
        "tru",
        "nul",
        "nulll",
        "truefalse",
        "[true,false,null]",
        "0",
        "-0",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".1",
        "1.5",
        "1e",
        "1e5",
        "1E+5",
        "1e-5",
        "1e+",
        "1.5e3",
        "--1",
        "1-1",
        "1e999",
        "-1e999",
        "1e-999",
        "18446744073709551616",
        "1.2.3",
        "0x1",
        "[1,2 ]",
        "[1 2]",
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u00e9\ud834\udd1e""#,
        r#""\ud834""#,
        r#""\ud834\n""#,
        r#""\ud834\ud834""#,
        r#""\udd1e""#,
        r#""\ud834\u0041""#,
        r#""\uD834\uDD1E""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\x41""#,
        "\"\u{1}\"",
        "\"\u{7f}é€𝄞\"",
        "\"a\nb\"",
        "\u{feff}1",
        "1\u{0}",
        "\u{a0}1",
        "\u{c}1",
        " \t\r\n1 \t\r\n",
        "{}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" : 1 , \"b\" : [ ] }",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "[,1]",
        "[1,]",
        "[}",
        "{]",
        "]",
        "}",
        "[1]]",
        "1 2",
        "",
        " ",
        "{\"a\":1,\"\\u0061\":2}",
        "/**/1",
        "{\"a\":{\"a\":{\"a\":1},\"b\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "[{\"b\":1,\"c\":1,\"b\":2}]",
        "{\"\":1,\"\":2}",
    ] {
        assert_eq!(
            scan_every_way(text.as_bytes()).is_ok(),
            json::parse(text.as_bytes()).is_ok(),
            "{text}"
        );
    }
}

/// Every sequence of two bytes within a string, and every beginning of one of four.
#[test]
fn utf_8_in_parts() {
    let compare = |inner: &[u8]| {
        let text = [b"\"", inner, b"\""].concat();
        assert_eq!(scan_every_way(&text).is_ok(), json::parse(&text).is_ok(), "{inner:x?}");
    };
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            compare(&[first, second]);
        }
    }
    for first in [0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5] {
        for second in [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0] {
            compare(&[first, second, 0x80]);
            compare(&[first, second, 0xbf, 0x80]);
            compare(&[first, second, 0x80, 0x41]);
        }
    }
}

#[test]
fn bounds() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scan_every_way(nested(MAX_DEPTH).as_bytes()).is_ok());
    let deeper = nested(MAX_DEPTH + 1);
    assert_eq!(scan_every_way(deeper.as_bytes()), Err(Reason::MessageMalformed));

    let number = |length: usize| format!("0.{}", "1".repeat(length - 2));
    assert!(scan_every_way(number(MAX_NUMBER).as_bytes()).is_ok());
    let longer = number(MAX_NUMBER + 1);
    assert_eq!(scan_every_way(longer.as_bytes()), Err(Reason::MessageExcessive));

    let object = |names: usize| {
        let members: Vec<String> = (0..names).map(|number| format!("\"{number}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(scan([object(MAX_NAMES).as_bytes()]).is_ok());
    assert_eq!(scan([object(MAX_NAMES + 1).as_bytes()]), Err(Reason::MessageExcessive));
    // Those of objects that have ended do not count.
    assert!(scan([format!("[{0},{0}]", object(MAX_NAMES)).as_bytes()]).is_ok());
    let around = format!("{{\"a\":{}}}", object(MAX_NAMES));
    assert_eq!(scan([around.as_bytes()]), Err(Reason::MessageExcessive));

    let named = |length: usize| format!("{{\"{}\":0}}", "n".repeat(length));
    assert!(scan(named(MAX_NAMES_BYTES).as_bytes().chunks(1000)).is_ok());
    let longer = named(MAX_NAMES_BYTES + 1);
    assert_eq!(scan(longer.as_bytes().chunks(1000)), Err(Reason::MessageExcessive));
}

/// Nothing is kept of what nobody asked for, and no more than was asked for.
#[test]
fn nothing_is_kept() {
    let mut scan = Scan::new(Record::default());
    scan.push(b"[").unwrap();
    for _ in 0..1000 {
        scan.push(b"{\"some name\":\"").unwrap();
        scan.push(&[b'x'; 1000]).unwrap();
        scan.push(b"\",\"n\":12345.678},\"\",").unwrap();
        scan.sink = Record::default();
    }
    assert!(scan.kept.capacity() < 100, "{}", scan.kept.capacity());
    assert!(scan.names.buffer().capacity() <= 512);
    scan.push(b"0]").unwrap();
    assert!(scan.finish().is_ok());
}

/// Strict JSON, as a text with insignificant white space and escapes.
fn valid() -> impl Strategy<Value = String> {
    let space = || string_regex("[ \t\r\n]{0,2}").unwrap();
    let text = || {
        let character = prop_oneof![
            4 => any::<char>().prop_map(|c| Value::from(c.to_string().as_str()).to_string()),
            1 => any::<char>().prop_map(|c| {
                let mut units = [0; 2];
                let escaped = c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}"));
                format!("\"{}\"", escaped.collect::<String>())
            }),
            1 => select(vec!["\"\\/\"", "\"\\b\"", "\"\\f\"", "\"abcdefgh\""]).prop_map(Into::into),
        ];
        let joined = |parts: Vec<String>| {
            let inner = parts.iter().map(|part| &part[1..part.len() - 1]);
            format!("\"{}\"", inner.collect::<String>())
        };
        collection::vec(character, 0..6).prop_map(joined)
    };
    let leaf = prop_oneof![
        select(vec!["true", "false", "null", "-0", "1e5", "1E-07"]).prop_map(String::from),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|number| format!("{number:e}")),
        text(),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let padded =
            (space(), inner, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}")).boxed();
        let member = (text(), space(), padded.clone())
            .prop_map(|(name, space, value)| (json::parse(name.as_bytes()), name, space, value));
        prop_oneof![
            collection::vec(padded, 0..5).prop_map(|values| format!("[{}]", values.join(","))),
            collection::vec(member, 0..5).prop_map(|mut members| {
                let mut seen: Vec<Value> = Vec::new();
                members.retain(|(name, ..)| {
                    let name = name.clone().expect("a string");
                    let is_new = !seen.contains(&name);
                    seen.push(name);
                    is_new
                });
                let members: Vec<String> = members
                    .iter()
                    .map(|(_, name, space, value)| format!("{space}{name}{space}:{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// The same with some bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let fragments = select(vec![
        &b"\""[..],
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"0",
        b"-",
        b".",
        b"e",
        b"\\u",
        b"\\ud834",
        b"\xff",
        b"\xe2\x82",
        b"\xef\xbb\xbf",
        b"null",
        b"{\"a\":1,\"a\":2}",
        b" ",
        b"\0",
    ]);
    let change = (any::<usize>(), 0..3_usize, fragments);
    (valid(), collection::vec(change, 0..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, removed, inserted) in changes {
            let at = at % (bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted.iter().copied());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    /// Valid texts are read, and where values begin and end is right: each is that value by itself.
    #[test]
    fn valid_texts(text in valid(), places in collection::vec(any::<usize>(), 0..8)) {
        prop_assert!(json::parse(text.as_bytes()).is_ok());
        let record = scan(cut(text.as_bytes(), &places)).expect("it is valid");
        for (start, end) in record.spans {
            let value = &text[start..end];
            prop_assert!(json::parse(value.as_bytes()).is_ok(), "{value:?}");
            prop_assert_eq!(value, value.trim());
        }
    }

    /// What is taken does not depend on the parts, and is what the parser takes.
    #[test]
    fn any_parts(text in damaged(), places in collection::vec(any::<usize>(), 0..8)) {
        let whole = scan([&text[..]]);
        prop_assert_eq!(scan(cut(&text, &places)), whole);
        prop_assert_eq!(scan(text.chunks(1)).is_ok(), json::parse(&text).is_ok());
    }

    #[test]
    fn any_bytes(text in collection::vec(any::<u8>(), 0..40), places in collection::vec(any::<usize>(), 0..8)) {
        let whole = scan([&text[..]]);
        prop_assert_eq!(whole.is_ok(), json::parse(&text).is_ok());
        prop_assert_eq!(scan(cut(&text, &places)), whole);
    }
}
