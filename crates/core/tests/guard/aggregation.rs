//! Status lists fetched ahead of need (Token Status List §9).

use countersign_core::guard::{Engine, Fetch};
use countersign_testkit::status::{TestList, reference};
use serde_json::{Value, json};

use super::support::{KEY_1, ask, engine, fetched, inline, key_set, token};

const AGGREGATION: &str = "https://auth.example.com/status-lists";
const LIST: &str = "https://auth.example.com/status-lists/1";

fn policy() -> Value {
    let mut policy = inline();
    policy["issuers"][0]["status_aggregation"] = AGGREGATION.into();
    policy
}

fn list(revoked: &[usize], iat: u64) -> Vec<u8> {
    let list = TestList::new(LIST, revoked).claim("iat", iat).claim("exp", iat + 50);
    list.claim("ttl", 5).sign().into_bytes()
}

/// Carries out what is due, by what the issuer answers now; the URLs that were asked for.
fn carry_out(
    engine: &mut Engine,
    now: u64,
    answer: impl Fn(&str) -> Option<Vec<u8>>,
) -> Vec<String> {
    let mut urls = Vec::new();
    for _ in 0..5 {
        for Fetch { id, url, .. } in engine.due(now) {
            let body = answer(&url);
            let _ = engine.fetched(id, body.as_deref().map(|body| (200, body)), now);
            urls.push(url);
        }
    }
    urls
}

fn aggregated(uris: &[&str]) -> Option<Vec<u8>> {
    Some(json!({ "status_lists": uris }).to_string().into_bytes())
}

fn with_status(index: u64) -> String {
    token().claim("status", reference(LIST, index)).sign()
}

#[test]
fn no_request_waits_for_a_list() {
    let mut engine = engine(&policy());
    let issuer = |revoked: &'static [usize], iat| {
        move |url: &str| {
            if url == AGGREGATION { aggregated(&[LIST]) } else { Some(list(revoked, iat)) }
        }
    };
    assert_eq!(carry_out(&mut engine, 100, issuer(&[3], 100)), [AGGREGATION, LIST]);
    assert_eq!(ask(&mut engine, &with_status(2), 100), "allow");
    assert_eq!(ask(&mut engine, &with_status(3), 100), "token_revoked");
    // A revocation is seen after the list's ttl, whether tokens are used meanwhile or not.
    assert_eq!(carry_out(&mut engine, 104, issuer(&[2], 104)), [""; 0]);
    assert_eq!(carry_out(&mut engine, 105, issuer(&[2], 105)), [LIST]);
    assert_eq!(ask(&mut engine, &with_status(2), 105), "token_revoked");
    // For hours.
    for now in (110..10_000).step_by(5) {
        let urls = carry_out(&mut engine, now, issuer(&[], now));
        let lists = urls.iter().filter(|url| *url == LIST).count();
        let asked = urls.len() - lists;
        assert_eq!((lists, asked), (1, usize::from(now % 60 == 100 % 60)), "{now}");
    }
    assert_eq!(ask(&mut engine, &with_status(2), 9_999), "allow");
}

/// Which lists there are is no reason to refuse, or to ask anybody else.
#[test]
fn what_the_endpoint_cannot_do() {
    for answer in [None, Some(b"<html>".to_vec()), aggregated(&["https://evil.example/1", "x"])] {
        let mut engine = engine(&policy());
        let issuer = |url: &str| if url == AGGREGATION { answer.clone() } else { None };
        let urls = carry_out(&mut engine, 100, issuer);
        assert!(urls.iter().all(|url| url == AGGREGATION), "{urls:?}");
        assert_eq!(ask(&mut engine, &token().sign(), 100), "allow");
        assert_eq!(ask(&mut engine, &with_status(2), 100), "(status)");
    }
}

/// Failures rest longer and longer; nothing is asked twice at once.
#[test]
fn an_endpoint_that_is_down_is_not_hammered() {
    let mut engine = engine(&policy());
    let mut asked = 0;
    for now in 100..200 {
        asked += carry_out(&mut engine, now, |_| None).len();
    }
    assert!((5..=8).contains(&asked), "{asked}");
    let due = engine.due(300);
    assert_eq!((due.len(), engine.due(301).len()), (1, 0), "one question at a time");
    assert_eq!(engine.due(310).len(), 0, "it was lost");
    assert_eq!(engine.due(350).len(), 1);
}

/// More lists than are held ahead of need: the first ones. The others are there for those who need one.
#[test]
fn the_number_is_bounded() {
    let mut engine = engine(&policy());
    let uris: Vec<String> = (0..1000).map(|number| format!("{AGGREGATION}/{number}")).collect();
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    let issuer = |url: &str| if url == AGGREGATION { aggregated(&uris) } else { None };
    let urls = carry_out(&mut engine, 100, issuer);
    assert_eq!(urls.len(), 1 + 128);
    let needed = format!("{AGGREGATION}/999");
    let token = token().claim("status", reference(&needed, 2)).sign();
    assert_eq!(ask(&mut engine, &token, 101), "(status)");
    assert_eq!(carry_out(&mut engine, 101, |url| (url == needed).then(Vec::new)), [needed]);
}

/// Token Status List §9.1: the issuer's metadata says where; and where statuses are ignored, nobody asks.
#[test]
fn found_by_metadata() {
    let mut policy = fetched();
    policy["issuers"][0].as_object_mut().expect("an object").remove("jwks_uri");
    let issuer = |url: &str| match url {
        "https://auth.example.com/.well-known/oauth-authorization-server" => {
            let metadata = json!({
                "issuer": "https://auth.example.com",
                "jwks_uri": "https://auth.example.com/jwks",
                "status_list_aggregation_endpoint": AGGREGATION,
            });
            Some(metadata.to_string().into_bytes())
        }
        "https://auth.example.com/jwks" => Some(key_set(&[(KEY_1, "es1")])),
        AGGREGATION => aggregated(&[LIST]),
        LIST => Some(list(&[], 100)),
        _ => None,
    };
    let urls = carry_out(&mut engine(&policy), 100, issuer);
    assert_eq!(urls[1..], ["https://auth.example.com/jwks", AGGREGATION, LIST]);
    policy["issuers"][0]["status"] = "ignore".into();
    assert_eq!(carry_out(&mut engine(&policy), 100, issuer).len(), 2);
}

/// Issuers begin new lists as time goes on. Those that are over leave room.
#[test]
fn lists_that_are_over_give_way() {
    let mut engine = engine(&policy());
    for number in 0..300_u64 {
        let now = 100 + number * 3600;
        let uri = format!("https://auth.example.com/status-lists/{number}");
        let urls = carry_out(&mut engine, now, |url| {
            if url == AGGREGATION {
                return aggregated(&[&uri]);
            }
            let list = TestList::new(url, &[]).claim("iat", now).claim("exp", now + 50);
            Some(list.sign().into_bytes())
        });
        assert!(urls.contains(&uri), "{number}");
    }
}
