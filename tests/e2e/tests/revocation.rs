//! Revocation at the edge, before a real Envoy: lists are there before anybody needs them, and a flipped
//! bit is enforced within ten seconds, with no change of configuration.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Setup, call, comes, good_keys, policy, token};
use countersign_e2e::{Answer, Stopwatch, Stub};
use countersign_testkit::status::{TestList, reference};
use serde_json::json;

const LIST: &str = "https://auth.example.com/status-lists/1";

#[test]
fn a_flipped_bit_is_enforced_within_ten_seconds() {
    let revoked: Arc<Mutex<Vec<usize>>> = Arc::default();
    let bits = Arc::clone(&revoked);
    let mut policy = policy(true);
    policy["issuers"][0]["status_aggregation"] = "https://auth.example.com/status-lists".into();
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |request| match request
        .target()
    {
        "/status-lists" => Answer::json(json!({ "status_lists": [LIST] }).to_string()),
        "/status-lists/1" => {
            let list = TestList::new(LIST, &bits.lock().unwrap()).claim("ttl", 2);
            Answer::json(list.sign())
        }
        _ => good_keys(),
    });
    let front = setup.config(|config| config.with_workers(2)).start();
    let of = |place| call(&token().claim("status", reference(LIST, place)).sign(), "read_file");
    let lists = || {
        let asked = front.issuer.take();
        asked.iter().filter(|request| request.target() == "/status-lists/1").count()
    };
    // Nobody has sent a token yet.
    assert!(comes(|| lists() > 0), "the list is fetched ahead of need");
    assert!(front.until(200, &of(7)));
    front.upstream.take();

    revoked.lock().unwrap().push(7);
    let mut flipped = Stopwatch::start();
    while front.send(&of(7)).status() != 401 {
        assert!(flipped.turn() < Duration::from_secs(10), "still accepted");
    }
    // By both workers, for good, and by nobody else's token.
    assert!(front.settles(401, |_| of(7)));
    front.upstream.take();
    for _ in 0..8 {
        assert_eq!(front.send(&of(7)).status(), 401);
    }
    assert_eq!(front.seen(), 0);
    assert_eq!(front.send(&of(8)).status(), 200);
    assert!(front.envoy.logs("token_revoked"));
}
