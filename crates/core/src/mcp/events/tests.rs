//! Events in any parts.

use alloc::{format, string::String, vec, vec::Vec};

use proptest::{collection, prelude::*, sample::select};

use super::{Event, Events};
use crate::mcp::list::Unreadable;

/// What goes on of a stream when all events go on as they are, and the data of each.
fn read<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> (Vec<u8>, Vec<Result<Option<String>, Unreadable>>) {
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    let mut edit = |event: Result<&Event<'_>, Unreadable>, out: &mut Vec<u8>| {
        seen.push(event.map(|event| {
            out.extend_from_slice(event.raw());
            event.data().map(|data| String::from_utf8_lossy(&data).into_owned())
        }));
    };
    let mut events = Events::new(limit);
    for part in parts {
        events.push(part, &mut out, &mut edit);
        assert!(events.event.len() <= limit);
    }
    events.finish(&mut out, &mut edit);
    (out, seen)
}

#[test]
fn fields() {
    let data = |text: &str| read([text.as_bytes()], 100).1;
    let some = |text: &str| vec![Ok(Some(String::from(text)))];
    assert_eq!(data("data:a\n\n"), some("a"));
    assert_eq!(data("data: a\n\n"), some("a"));
    assert_eq!(data("data:  a\n\n"), some(" a"));
    assert_eq!(data("data\n\n"), some(""));
    assert_eq!(data("data:a\nid:1\ndata:b\n\n"), some("a\nb"));
    assert_eq!(data("data:a\rdata:b\r\ndata:c\n\n"), some("a\nb\nc"));
    assert_eq!(data("data:a"), some("a"));
    assert_eq!(data("data:a\n"), some("a"));
    assert_eq!(data("\u{feff}data:a\n\n"), some("a"));
    assert_eq!(data(":data:a\n\n"), vec![Ok(None)]);
    assert_eq!(data("id:data\n\n"), vec![Ok(None)]);
    assert_eq!(data("data:a\n\ndata:b\r\r"), [some("a"), some("b")].concat());
    for almost in [
        "Data:a\n\n",
        " data:a\n\n",
        "data :a\n\n",
        "id:1\n\u{feff}data:a\n\n",
        "d\0ata:a\n\n",
        // Two lines to Python's `splitlines`.
        ":\u{b}data:a\n\n",
        "id:1\u{2028}data: a\n\n",
        "event: x\u{85}Data\u{c}\n\n",
    ] {
        assert!(data(almost)[0].is_err(), "{almost:?}");
    }
    assert_eq!(
        data(": a\u{2028}data, not a field\ndata:a\u{2028}b\n\n"),
        [some("a\u{2028}b")].concat()
    );
}

#[test]
fn an_event_beyond_the_limit_is_dropped_and_the_next_is_read() {
    let long = format!("data:{}\n\n", "x".repeat(100));
    for (limit, is_read) in [(107, true), (106, false)] {
        let text = format!("{long}data:b\n\n");
        for size in [1, 2, 50, 1000] {
            let (out, seen) = read(text.as_bytes().chunks(size), limit);
            assert_eq!(seen[0].is_ok(), is_read, "{limit}");
            assert_eq!(seen[1], Ok(Some("b".into())));
            assert!(out.ends_with(b"data:b\n\n") && (out.len() > 50) == is_read);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    /// Whatever the parts: the same events, and nothing is lost but what is refused.
    #[test]
    fn any_parts(
        pieces in collection::vec(select(vec![
            "data:", "data: ", "a", "{}", "\n", "\n", "\r", "\r\n", "\n\n", "id: 1", ":", "event:x", "\u{feff}", "é",
        ]), 0..30),
        places in collection::vec(any::<usize>(), 0..8),
        limit in prop_oneof![Just(10_usize), Just(1000)],
    ) {
        let text = pieces.concat().into_bytes();
        let whole = read([&text[..]], limit);
        for size in [1, 2, 3] {
            prop_assert_eq!(&read(text.chunks(size), limit), &whole);
        }
        let mut places: Vec<usize> = places.iter().map(|at| at % (text.len() + 1)).collect();
        places.sort_unstable();
        let starts = [0].into_iter().chain(places.iter().copied());
        let ends = places.iter().copied().chain([text.len()]);
        let parts = starts.zip(ends).map(|(start, end)| &text[start..end]);
        prop_assert_eq!(&read(parts, limit), &whole);
        if whole.1.iter().all(Result::is_ok) {
            prop_assert_eq!(whole.0, text);
        }
    }
}
