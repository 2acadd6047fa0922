use proptest::prelude::*;

use super::*;

fn read(parts: &[&[u8]]) -> Result<(Vec<Event>, Events), &'static str> {
    let (mut events, mut read) = (Events::default(), Vec::new());
    for part in parts {
        events.push(part, &mut read)?;
    }
    Ok((read, events))
}

fn datas(stream: &str) -> Vec<String> {
    let (events, _) = read(&[stream.as_bytes()]).unwrap();
    events.into_iter().map(|event| event.data).collect()
}

/// WHATWG HTML §9.2.6, with its own examples.
#[test]
fn lines_become_events() {
    assert_eq!(datas("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(
        datas(
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
        ),
        ["first event", "second event", " third event"]
    );
    // The third one has no blank line after it.
    assert_eq!(datas("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(datas("data:test\n\ndata: test\n\n"), ["test", "test"]);
}

#[test]
fn all_line_ends_are_line_ends() {
    for end in ["\n", "\r", "\r\n"] {
        assert_eq!(
            datas(&format!("data: a{end}data: b{end}{end}data: c{end}{end}")),
            ["a\nb", "c"]
        );
    }
    // A line feed after a carriage return ends no second line.
    assert_eq!(datas("data: a\r\ndata: b\r\n\r\n"), ["a\nb"]);
    assert_eq!(datas("\u{feff}data: a\n\n"), ["a"]);
    // Only at the beginning, and only once.
    assert!(datas("\u{feff}\u{feff}data: a\n\n").is_empty());
    assert!(datas("\n\u{feff}data: a\n\n").is_empty());
    // Not Unicode's line ends.
    assert_eq!(datas("data: a\u{2028}data: b\n\n"), ["a\u{2028}data: b"]);
}

#[test]
fn names_identifiers_and_waits() {
    let (events, state) =
        read(&[b"event: ping\nid: 7\nretry: 1500\ndata: x\n\nid: 8\n\nid: 9\ndata: y\n"]).unwrap();
    assert_eq!(events, [Event { name: "ping".to_owned(), data: "x".to_owned() }]);
    // The ninth has not ended; the eighth has, although without data.
    assert_eq!((state.last_id(), state.retry()), (Some("8"), Some(1500)));

    let (_, state) = read(&[b"id: 1\ndata: x\n\nid: a\0b\nretry: 1s\n\n"]).unwrap();
    assert_eq!((state.last_id(), state.retry()), (Some("1"), None));
    let (_, state) = read(&[b"retry: 5\nretry: 99999999999999999999999\n\n"]).unwrap();
    assert_eq!(state.retry(), Some(5));
}

#[test]
fn a_stream_goes_on_after_a_break() {
    let (_, mut state) = read(&[b"id: 4\nretry: 20\ndata: a\n\nid: 5\ndata: cut of"]).unwrap();
    state.reconnect();
    let mut events = Vec::new();
    state.push(b"\xef\xbb\xbfdata: b\n\n", &mut events).unwrap();
    assert_eq!(events, [Event { name: "message".to_owned(), data: "b".to_owned() }]);
    assert_eq!((state.last_id(), state.retry()), (Some("4"), Some(20)));
}

#[test]
fn what_is_not_utf8_is_refused() {
    assert!(read(&[b"data: \xff\n\n"]).is_err());
    assert!(read(&[b": \xc3\n"]).is_err());
}

proptest! {
    /// It makes no difference where the parts of a stream are cut.
    #[test]
    fn any_split_gives_the_same_events(
        stream in "(\u{feff}|)(data|data:|data: |id: |event: |retry: |:|a|ü|7|\0|\r|\n|\r\n|\n\n){0,40}",
        cuts in proptest::collection::vec(0_usize..200, 0..6),
    ) {
        let whole = read(&[stream.as_bytes()]).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> =
            cuts.windows(2).map(|cut| &stream.as_bytes()[cut[0]..cut[1]]).collect();
        let split = read(&parts).unwrap();
        prop_assert_eq!(split.0, whole.0);
        prop_assert_eq!(split.1.last_id(), whole.1.last_id());
        prop_assert_eq!(split.1.retry(), whole.1.retry());
    }

    /// Whatever comes, it is read or refused.
    #[test]
    fn garbage_does_no_harm(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&[&stream]);
    }
}
