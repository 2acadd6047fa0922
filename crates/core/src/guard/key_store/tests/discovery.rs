//! Key sets that are found by their issuer's metadata, and found again when they move.

use super::*;
use crate::oauth::metadata::MetadataError;

/// RFC 8414 §3, then OpenID Connect Discovery, as MCP orders them.
#[test]
fn discovery_tries_every_place() {
    let mut store = store("");
    let first = only(&mut store, 0);
    assert_eq!(first.url, "https://a.example/.well-known/oauth-authorization-server");
    assert_eq!(store.fetched(first.id, Some((404, b"")), 0), Some(FetchError::Status(404)));
    let second = only(&mut store, 0);
    assert_eq!(second.url, "https://a.example/.well-known/openid-configuration");
    let foreign = br#"{"issuer":"https://a.example/","jwks_uri":"https://a.example/keys"}"#;
    assert_eq!(
        store.fetched(second.id, Some((200, foreign)), 0),
        Some(FetchError::Metadata(MetadataError::Other("issuer")))
    );
    assert!(store.due(0).is_empty(), "rests");
    let again = only(&mut store, 1);
    assert_eq!(again.url, first.url);
    let metadata = br#"{"issuer":"https://a.example","jwks_uri":"https://k.example/keys"}"#;
    assert_eq!(store.fetched(again.id, Some((200, metadata)), 1), None);
    assert_eq!(look(&mut store, "a", 1), "wait");
    let keys = only(&mut store, 1);
    assert_eq!(keys.url, "https://k.example/keys");
    store.fetched(keys.id, Some((200, set(&[FIRST]).as_bytes())), 1);
    assert_eq!(look(&mut store, "a", 1), "found");
    // The key set moves: discovery starts over.
    let refresh = only(&mut store, 301);
    assert_eq!(refresh.url, "https://k.example/keys");
    store.fetched(refresh.id, Some((404, b"")), 301);
    assert_eq!(only(&mut store, 302).url, first.url);
}

const PLACES: [&str; 2] = [
    "https://a.example/.well-known/oauth-authorization-server",
    "https://a.example/.well-known/openid-configuration",
];

fn metadata(members: &str) -> String {
    format!(r#"{{"issuer":"https://a.example",{members}}}"#)
}

/// Carries out what is due, by what an issuer has at which URL; gives the URLs.
fn carry_out(
    store: &mut Store,
    now: u64,
    issuer: impl Fn(&str) -> Option<(u16, String)>,
) -> Vec<String> {
    let mut urls = Vec::new();
    loop {
        let due = store.due(now);
        if due.is_empty() {
            return urls;
        }
        for fetch in due {
            let answer = issuer(&fetch.url);
            let answer = answer.as_ref().map(|(status, body)| (*status, body.as_bytes()));
            store.fetched(fetch.id, answer, now);
            urls.push(fetch.url);
        }
        assert!(urls.len() < 10, "{urls:?}");
    }
}

/// One that publishes its keys at the one place, and still has what it had at the other.
fn at(place: &'static str, key: &'static str) -> impl Fn(&str) -> Option<(u16, String)> {
    move |url| match url {
        url if url == PLACES[0] => {
            Some((200, metadata(&format!(r#""jwks_uri":"https://a.example/{place}""#))))
        }
        url if url.ends_with(place) => Some((200, set(&[key]))),
        "https://a.example/old" => Some((200, set(&[FIRST]))),
        _ => Some((404, String::new())),
    }
}

/// RFC 8414 §2: `jwks_uri` is metadata, and metadata change. The old place may go on answering.
#[test]
fn a_key_set_that_moved_is_found_by_the_first_unknown_key() {
    let mut store = store("");
    let urls = carry_out(&mut store, 0, at("old", FIRST));
    assert_eq!(urls, [PLACES[0], "https://a.example/old"]);
    assert_eq!(look(&mut store, "b", 29), "key_unknown", "the cool-down holds");
    assert_eq!(look(&mut store, "b", 30), "wait");
    assert_eq!(look(&mut store, "a", 30), "found", "the old set stays meanwhile");
    let urls = carry_out(&mut store, 30, at("new", SECOND));
    assert_eq!(urls, [PLACES[0], "https://a.example/new"]);
    assert_eq!(look(&mut store, "b", 30), "found");
    // A flood of unknown names reads both once in a cool-down.
    let mut fetches = 0;
    for now in 31..=90 {
        look(&mut store, "c", now);
        fetches += carry_out(&mut store, now, at("new", SECOND)).len();
    }
    assert_eq!(fetches, 4);
}

#[test]
fn metadata_are_read_anew_each_hour() {
    let mut store = store(r#","jwks_cache":{"fresh":1000,"stale":86400,"cooldown":30}"#);
    carry_out(&mut store, 0, at("old", FIRST));
    assert_eq!(store.keys.aggregation(0), None);
    assert_eq!(carry_out(&mut store, 3500, at("old", FIRST)), ["https://a.example/old"]);
    assert!(carry_out(&mut store, 3599, at("old", FIRST)).is_empty());
    let lists = r#""jwks_uri":"https://a.example/old","status_list_aggregation_endpoint":"https://a.example/l""#;
    let urls = carry_out(&mut store, 3600, |url| {
        if url == PLACES[0] { Some((200, metadata(lists))) } else { at("old", FIRST)(url) }
    });
    assert_eq!(urls, [PLACES[0], "https://a.example/old"]);
    assert_eq!(store.keys.aggregation(0), Some("https://a.example/l"));
    assert!(carry_out(&mut store, 3600, at("old", FIRST)).is_empty());
    // The clock is set back: nobody knows how old they are.
    assert_eq!(carry_out(&mut store, 0, at("old", FIRST))[0], PLACES[0]);
}

/// While keys can be had, what is wrong with the metadata changes nothing.
#[test]
fn metadata_that_cannot_be_read_anew() {
    let foreign = (200, r#"{"issuer":"https://b.example"}"#);
    for (answer, places) in
        [(None, 1), (Some((503, "")), 1), (Some((404, "")), 2), (Some(foreign), 2)]
    {
        let mut store = store("");
        carry_out(&mut store, 0, at("old", FIRST));
        let without = |url: &str| match answer {
            answer if PLACES.contains(&url) => {
                answer.map(|(status, body)| (status, body.to_string()))
            }
            _ => at("old", FIRST)(url),
        };
        let mut expected = PLACES[..places].to_vec();
        expected.push("https://a.example/old");
        assert_eq!(carry_out(&mut store, 3600, without), expected);
        assert_eq!(look(&mut store, "a", 3600), "found");
        assert_eq!(store.keys.issuers[0].failures, 0);
        assert!(carry_out(&mut store, 3601, without).is_empty(), "not at once again");
        assert_eq!(carry_out(&mut store, 3900, without), expected);
        // An unknown key is unknown, not our fault.
        assert_eq!(look(&mut store, "b", 3930), "wait");
        assert_eq!(carry_out(&mut store, 3930, without), expected);
        assert_eq!(look(&mut store, "b", 3930), "key_unknown");
        assert_eq!(look(&mut store, "a", 3930), "found");
        // And when all is away and only the keys come back, they are used.
        carry_out(&mut store, 4300, |_| None);
        assert!(store.keys.issuers[0].failures > 0);
        carry_out(&mut store, 4400, without);
        assert_eq!(store.keys.issuers[0].failures, 0);
    }
}

/// They are read where they were, whatever the places before it say; the others are tried when they are not
/// there any more, and all from the first on when no key set came.
#[test]
fn metadata_at_a_later_place() {
    const OLD: &str = "https://a.example/old";
    const NEW: &str = "https://a.example/new";
    // At the `document`th place, and with what the other one says.
    let issuer = |document: usize, other: Option<u16>, keys: &'static str| {
        move |url: &str| match url {
            url if url == PLACES[document] => {
                Some((200, metadata(&format!(r#""jwks_uri":"{keys}""#))))
            }
            url if PLACES.contains(&url) => other.map(|status| (status, String::new())),
            url if url == keys => Some((200, set(&[FIRST]))),
            _ => Some((404, String::new())),
        }
    };
    for other in [None, Some(503), Some(404)] {
        let mut store = store("");
        let urls = carry_out(&mut store, 0, issuer(1, other, OLD));
        assert_eq!(urls, [PLACES[0], PLACES[1], OLD]);
        assert_eq!(carry_out(&mut store, 3600, issuer(1, other, NEW)), [PLACES[1], NEW]);
        // It does not answer: the set is fetched where it was, and the document read again later.
        let silent = |url: &str| match url {
            NEW => Some((200, set(&[FIRST]))),
            _ => Some((503, String::new())),
        };
        assert_eq!(carry_out(&mut store, 7200, silent), [PLACES[1], NEW]);
        assert_eq!(carry_out(&mut store, 7500, issuer(1, other, OLD)), [PLACES[1], OLD]);
        // It is elsewhere now, and stays there.
        let urls = carry_out(&mut store, 11_100, issuer(0, Some(404), NEW));
        assert_eq!(urls, [PLACES[1], PLACES[0], NEW]);
        assert_eq!(carry_out(&mut store, 14_700, issuer(0, other, NEW)), [PLACES[0], NEW]);
        // The key set is gone, and with it the document: nobody knows where it is.
        let gone = |_: &str| Some((503, String::new()));
        carry_out(&mut store, 18_300, gone);
        assert!(store.keys.issuers[0].failures > 0);
        let urls = carry_out(&mut store, 18_400, issuer(1, other, OLD));
        assert_eq!(urls, [PLACES[0], PLACES[1], OLD]);
        assert_eq!(store.keys.issuers[0].failures, 0);
    }
}

/// Nobody has to wait for a host that lost an answer.
#[test]
fn a_lost_answer_about_metadata() {
    let mut store = store("");
    carry_out(&mut store, 0, at("old", FIRST));
    assert_eq!(look(&mut store, "b", 40), "wait");
    assert_eq!(only(&mut store, 40).url, PLACES[0]);
    assert_eq!(look(&mut store, "a", 45), "found");
    assert_eq!(only(&mut store, 50).url, "https://a.example/old");
}
