//! What a worker's engine takes, measured as the memory of a real Envoy: the bounds that `docs/envoy.md` names.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Front, Setup, call, comes, jwks, policy, token};
use countersign_e2e::{Stub, load};
use countersign_testkit::keys::TestKey;
use serde_json::json;

fn start(keys: Vec<(TestKey, String)>, workers: u16) -> Front {
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "max_keys": 64 });
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        let keys: Vec<_> = keys.iter().map(|(key, kid)| (*key, kid.as_str())).collect();
        jwks(&keys)
    });
    let front = setup.config(|config| config.with_workers(workers)).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    front
}

fn first() -> (TestKey, String) {
    (TestKey::Es256(1), "es1".to_owned())
}

/// In KiB, when everything that was sent has been answered.
fn memory(front: &Front) -> u64 {
    front.envoy.written().unwrap()
}

fn send(front: &Front, tokens: &[String], count: usize) {
    let requests: Vec<Vec<u8>> =
        tokens.iter().map(|token| call(token, "read_file").to_bytes()).collect();
    let request = |number: usize| &requests[number % requests.len()][..];
    let run = load::send(front.envoy.port(), 1, count, request).unwrap();
    assert_eq!(run.count(200), count, "{:?}", run.statuses);
}

/// Verified tokens: as many as the policy says, whatever comes.
#[test]
fn remembered_tokens() {
    let front = start(vec![first()], 1);
    let tokens = |from: usize, to: usize| -> Vec<String> {
        (from..to).map(|number| token().claim("jti", format!("t{number}")).sign()).collect()
    };
    send(&front, &tokens(0, 100), 1000);
    let before = memory(&front);
    send(&front, &tokens(100, 4196), 4096);
    let full = memory(&front).saturating_sub(before);
    send(&front, &tokens(4196, 8292), 4096);
    let after = memory(&front).saturating_sub(before);
    println!("4096 tokens: {full} KiB; as many others: {after} KiB in all");
    // Gauges are told each second.
    let cached = || front.envoy.stat("wasmcustom.countersign.tokens.cached");
    assert!(comes(|| cached() >= 2048), "{}", cached());
    assert!(cached() <= 4096, "{}", cached());
    assert!(full < 20 * 1024, "{full} KiB");
    assert!(after < full + 4 * 1024, "{after} KiB, {full} with the first");
}

/// Tables of keys, of both kinds, more of them than there is room for.
#[test]
fn tables_of_keys() {
    let kids = |kind: &str, numbers: core::ops::Range<u8>| -> Vec<(TestKey, String)> {
        let key =
            |number| if kind == "es" { TestKey::Es256(number) } else { TestKey::Ed25519(number) };
        numbers.map(|number| (key(number), format!("{kind}{number}"))).collect()
    };
    let mut all = vec![first()];
    all.extend(kids("es", 2..22));
    all.extend(kids("ed", 1..41));
    let front = start(all.clone(), 1);
    // Forged, so that no cache spares the arithmetic; a key has its table after its second, or fortieth, use.
    let forged = |(key, kid): &(TestKey, String), number: usize| {
        let token = token().key(*key, kid).claim("jti", format!("{kid}-{number}"));
        let mut signature = token.signature();
        signature[40] ^= 1;
        call(&token.with_signature(&signature), "read_file").to_bytes()
    };
    let flood = |keys: &[(TestKey, String)], uses: usize| {
        let requests: Vec<_> = keys.iter().map(|key| forged(key, uses)).collect();
        let count = keys.len() * uses;
        let request = |number: usize| &requests[number / uses][..];
        let run = load::send(front.envoy.port(), 1, count, request).unwrap();
        assert_eq!(run.count(401), count, "{:?}", run.statuses);
    };
    flood(&all[..1], 200);
    let before = memory(&front);
    flood(&all[1..], 90);
    let with_tables = memory(&front).saturating_sub(before);
    flood(&all, 90);
    let after = memory(&front).saturating_sub(before);
    println!("tables of 20 P-256 and 40 Ed25519 keys: {with_tables} KiB, then {after} KiB");
    assert!(after < 3 * 1024, "{after} KiB");
}

/// Another worker: its module and its engine.
#[test]
fn another_worker() {
    let [one, two] = [1, 2].map(|workers| {
        let front = start(vec![first()], workers);
        send(&front, &[token().sign()], 1000);
        memory(&front)
    });
    println!("{one} KiB with one worker, {two} KiB with two");
    assert!(two < one + 32 * 1024, "{one} KiB, {two} KiB");
}
