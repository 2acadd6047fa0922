//! Bounds in time and number before a real Envoy: how long old keys and lists are used, how many requests
//! wait, and that each waits for its own.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Front, Gate, RESOURCE, Setup, call, good_keys, policy, token, with_page};
use countersign_e2e::{Answer, Clock, Places, Stub};
use countersign_testkit::{
    status::{TestList, reference},
    token::Token,
};
use serde_json::json;

/// Asks eight times, half of them each of two workers, with these tokens; each time this status comes.
#[track_caller]
fn all_are(front: &Front, status: u16, token: impl Fn(usize) -> String) {
    assert_eq!(front.at_once(|number| call(&token(number), "read_file")), [status; 8]);
}

/// The ceiling for keys, tokens that are remembered included.
#[test]
fn old_keys_are_used_for_so_long_and_no_longer() {
    let up = Arc::new(AtomicBool::new(true));
    let is_up = Arc::clone(&up);
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "fresh": 100, "stale": 1000, "cooldown": 1 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        if is_up.load(Ordering::SeqCst) { good_keys() } else { Answer::status(500) }
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
    let front = setup.config(|config| config.with_workers(2).with_clock(&clock)).start();
    let known = token().sign();
    assert!(front.settles(200, |_| call(&known, "read_file")));
    up.store(false, Ordering::SeqCst);
    // One that is remembered, and new ones.
    let at = |seconds: i64| {
        let known = known.clone();
        move |number| match number % 3 {
            0 => known.clone(),
            _ => token().claim("jti", format!("t{seconds}-{number}")).sign(),
        }
    };
    // The test itself has a minute and a half for what came before.
    clock.set(900).unwrap();
    all_are(&front, 200, at(900));
    front.upstream.take();
    clock.set(1001).unwrap();
    all_are(&front, 503, at(1001));
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
                    Answer::json(list.claim("ttl", 1).claim("exp", now + 500).sign())
                }
                "/status/1" => Answer::status(500),
                _ => good_keys(),
            }
        });
        let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
        let front = setup.config(|config| config.with_workers(2).with_clock(&clock)).start();
        let of = |place| token().claim("status", reference(LIST, place)).sign();
        assert!(front.settles(200, |_| call(&of(3), "read_file")), "{status}");
        let expected = if ends { 401 } else { 200 };
        assert_eq!(front.send(&call(&of(7), "read_file")).status(), expected);
        up.store(false, Ordering::SeqCst);
        clock.set(400).unwrap();
        all_are(&front, 200, |_| of(3));
        all_are(&front, expected, |_| of(7));
        front.upstream.take();
        clock.set(501).unwrap();
        let expected = if ends { 503 } else { 200 };
        all_are(&front, expected, |_| of(3));
        all_are(&front, expected, |_| of(7));
        assert_eq!(front.seen(), if ends { 0 } else { 16 });
    }
}

/// An Envoy whose fetches are given up after twenty seconds, not five: on a busy machine a test may have to
/// begin anew all the same.
fn slower(setup: Setup) -> Front {
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap().slower(4);
    setup.config(|config| config.with_clock(&clock)).start()
}

fn attempts(test: impl Fn(Gate) -> Result<(), String>) {
    let tried: Vec<String> = (0..4).map_while(|_| test(Gate::default()).err()).collect();
    assert!(tried.len() < 4, "{tried:?}");
}

fn until(start: Instant, holds: impl Fn() -> bool) -> Result<(), String> {
    while !holds() {
        if start.elapsed() > Duration::from_secs(16) {
            return Err(format!("not in time: {:?}", start.elapsed()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn waiting(front: &Front) -> u64 {
    front.held()[1]
}

/// More than may wait: the rest is told at once to come again, and nobody is lost.
#[test]
fn so_many_requests_wait_and_no_more() {
    attempts(|gate| {
        let closed = gate.clone();
        let policy = with_page(policy(true));
        let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
            closed.pass();
            good_keys()
        });
        let front = slower(setup);
        let start = Instant::now();
        let request = call(&token().sign(), "read_file").to_bytes();
        let connect = |_| {
            let mut client = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            client.write_all(&request).unwrap();
            client
        };
        let mut clients: Vec<TcpStream> = (0..1100).map(connect).collect();
        let refused = || front.envoy.stat("wasmcustom.countersign.deny.keys_unavailable");
        until(start, || waiting(&front) == 1024 && refused() == 76)?;
        assert_eq!(front.seen(), 0);
        gate.open();
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
        let closed = gate.clone();
        let mut policy = policy(true);
        let mut other = policy["issuers"][0].clone();
        other["issuer"] = SLOW.into();
        other["jwks_uri"] = format!("{SLOW}/keys").into();
        policy["issuers"].as_array_mut().unwrap().push(other);
        let policy = with_page(policy);
        let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |request| {
            if request.headers.get("host").as_deref() == Some("slow.example.com") {
                closed.pass();
            }
            good_keys()
        });
        let front = slower(setup);
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
        gate.open();
        let statuses: Vec<u16> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
        let passed = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(front.seen(), passed);
        if passed == 20 { Ok(()) } else { Err(format!("{statuses:?}")) }
    });
}
