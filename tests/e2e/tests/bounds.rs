//! Bounds in time and number before a real Envoy: how long old keys and lists are used, how many requests
//! wait, and that each waits for its own.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Front, RESOURCE, Setup, call, good_keys, policy, token};
use countersign_e2e::{Answer, Stub};
use countersign_testkit::{
    status::{TestList, reference},
    token::Token,
};
use serde_json::json;

/// Asks every 100 ms until that second for what an issuer out of reach leaves; the last second at which the
/// answer was 200.
fn last_allowed(front: &Front, seconds: u64, token: impl Fn(usize) -> String) -> Duration {
    let start = Instant::now();
    let (mut last, mut number) = (Duration::ZERO, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        number += 1;
        let asked = start.elapsed();
        match front.send(&call(&token(number), "read_file")).status() {
            200 => last = asked,
            503 => {}
            status => panic!("{status}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
    last
}

/// The ceiling for keys, tokens that are remembered included.
#[test]
fn old_keys_are_used_for_so_long_and_no_longer() {
    let up = Arc::new(AtomicBool::new(true));
    let is_up = Arc::clone(&up);
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "fresh": 1, "stale": 5, "cooldown": 1 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        if is_up.load(Ordering::SeqCst) { good_keys() } else { Answer::status(500) }
    });
    let front = setup.config(|config| config.with_workers(2)).start();
    let known = token().sign();
    assert!(front.until(200, &call(&known, "read_file")));
    up.store(false, Ordering::SeqCst);
    // One that is remembered, and new ones.
    let last = last_allowed(&front, 9, |number| match number % 2 {
        0 => known.clone(),
        _ => token().claim("jti", format!("t{number}")).sign(),
    });
    println!("keys were used for {last:?}");
    assert!((2..7).contains(&last.as_secs()), "{last:?}");
    front.upstream.take();
    assert_eq!(front.send(&call(&known, "read_file")).status(), 503);
    assert_eq!(front.seen(), 0);
    up.store(true, Ordering::SeqCst);
    assert!(front.until(200, &call(&known, "read_file")));
}

const LIST: &str = "https://auth.example.com/status/1";

/// A list that is over and cannot be had: nobody knows who was revoked. Unless the policy does not ask.
#[test]
fn a_list_is_used_until_it_expires_and_no_longer() {
    for (status, ends) in [("if_present", true), ("ignore", false)] {
        let up = Arc::new(AtomicBool::new(true));
        let is_up = Arc::clone(&up);
        let mut policy = policy(true);
        policy["issuers"][0]["status"] = status.into();
        let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |request| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            match request.target() {
                "/status/1" if is_up.load(Ordering::SeqCst) => {
                    let list = TestList::new(LIST, &[7]).claim("iat", now);
                    Answer::json(list.claim("ttl", 1).claim("exp", now + 4).sign())
                }
                "/status/1" => Answer::status(500),
                _ => good_keys(),
            }
        });
        let front = setup.config(|config| config.with_workers(2)).start();
        let of = |place| token().claim("status", reference(LIST, place)).sign();
        assert!(front.until(200, &call(&of(3), "read_file")), "{status}");
        let expected = if ends { 401 } else { 200 };
        assert_eq!(front.send(&call(&of(7), "read_file")).status(), expected);
        up.store(false, Ordering::SeqCst);
        let good = of(3);
        let last = last_allowed(&front, 8, |_| good.clone());
        println!("{status}: used for {last:?}");
        assert_eq!(last.as_secs() < 6, ends, "{last:?}");
        front.upstream.take();
        assert_eq!(front.send(&call(&of(7), "read_file")).status(), if ends { 503 } else { 200 });
        assert_eq!(front.seen(), usize::from(!ends));
    }
}

/// An issuer that keeps others waiting while this is held; a fetch is given up after five seconds, so that on
/// a busy machine a test may have to begin anew.
type Gate = Arc<Mutex<()>>;

fn attempts(test: impl Fn(Gate) -> Result<(), String>) {
    let tried: Vec<String> = (0..4).map_while(|_| test(Gate::default()).err()).collect();
    assert!(tried.len() < 4, "{tried:?}");
}

fn until(start: Instant, holds: impl Fn() -> bool) -> Result<(), String> {
    while !holds() {
        if start.elapsed() > Duration::from_secs(4) {
            return Err(format!("not in time: {:?}", start.elapsed()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn waiting(front: &Front) -> u64 {
    front.envoy.stat("wasmcustom.countersign.requests.waiting")
}

/// More than may wait: the rest is told at once to come again, and nobody is lost.
#[test]
fn so_many_requests_wait_and_no_more() {
    attempts(|gate| {
        let (held, lock) = (Arc::clone(&gate), gate.lock().unwrap());
        let setup = Setup::new(move || {
            drop(held.lock());
            good_keys()
        });
        let front = setup.start();
        let start = Instant::now();
        let request = call(&token().sign(), "read_file").to_bytes();
        let connect = |_| {
            let mut client = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.write_all(&request).unwrap();
            client
        };
        let mut clients: Vec<TcpStream> = (0..1100).map(connect).collect();
        let refused = || front.envoy.stat("wasmcustom.countersign.deny.keys_unavailable");
        until(start, || waiting(&front) == 1024 && refused() == 76)?;
        assert_eq!(front.seen(), 0);
        drop(lock);
        let mut statuses = [0, 0];
        for client in &mut clients {
            let mut head = [0; 12];
            client.read_exact(&mut head).unwrap();
            match &head[9..] {
                b"200" => statuses[0] += 1,
                b"503" => statuses[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(front.seen(), statuses[0], "who was let in");
        if statuses == [1024, 76] { Ok(()) } else { Err(format!("{statuses:?}")) }
    });
}

/// Requests for an issuer that answers do not wait for one that does not, nor wake those that wait for it.
#[test]
fn each_waits_for_its_own_issuer() {
    const SLOW: &str = "https://slow.example.com";
    attempts(|gate| {
        let (held, lock) = (Arc::clone(&gate), gate.lock().unwrap());
        let mut policy = policy(true);
        let mut other = policy["issuers"][0].clone();
        other["issuer"] = SLOW.into();
        other["jwks_uri"] = format!("{SLOW}/keys").into();
        policy["issuers"].as_array_mut().unwrap().push(other);
        let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |request| {
            if request.headers.get("host").as_deref() == Some("slow.example.com") {
                drop(held.lock());
            }
            good_keys()
        });
        let front = setup.start();
        let (start, port) = (Instant::now(), front.envoy.port());
        let ask = |number| {
            let token = Token::new(SLOW, RESOURCE).claim("jti", format!("s{number}")).sign();
            thread::spawn(move || call(&token, "read_file").send(port).unwrap().status())
        };
        let asked: Vec<_> = (0..20).map(ask).collect();
        until(start, || waiting(&front) == 20)?;
        until(start, || front.send(&call(&token().sign(), "read_file")).status() == 200)?;
        if waiting(&front) != 20 {
            return Err("the slow one was given up".to_owned());
        }
        assert_eq!(front.seen(), 1);
        drop(lock);
        let statuses: Vec<u16> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
        let passed = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(front.seen(), passed);
        if passed == 20 { Ok(()) } else { Err(format!("{statuses:?}")) }
    });
}
