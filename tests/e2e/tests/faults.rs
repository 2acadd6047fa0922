//! Faults around a real Envoy: nothing unauthenticated passes, and everything recovers by itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::thread;

use common::{
    Front, Gate, HOST, Setup, call, comes, good_keys, held_at, jwks, policy, post, token, with_page,
};
use countersign_e2e::http::{Request, send_raw};
use countersign_e2e::{Answer, Clock, Places, Stub};
use countersign_testkit::keys::TestKey;

#[test]
fn keys_that_are_down_at_the_start_mean_503_until_they_are_back() {
    for hold in [true, false] {
        let up = Arc::new(AtomicBool::new(false));
        let is_up = Arc::clone(&up);
        let front = Front::start(hold, move || {
            if is_up.load(Ordering::SeqCst) { good_keys() } else { Answer::status(500) }
        });
        let request = call(&token().sign(), "read_file");
        let refused = front.send(&request);
        assert_eq!(refused.status(), 503);
        let seconds: u32 = refused.headers.get("retry-after").unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
        assert!(refused.headers.get("www-authenticate").is_none(), "our fault is no challenge");
        // Whoever has no token is told so all the same.
        assert_eq!(front.send(&Request::new("GET", "/mcp", HOST)).status(), 401);
        assert_eq!(front.seen(), 0);
        up.store(true, Ordering::SeqCst);
        assert!(front.until(200, &request), "it recovers by itself");
        assert_eq!(front.seen(), 1);
    }
}

/// An Envoy whose issuer answers when this is open; what the policy says of holding headers back, and what
/// Envoy does, may differ. A fetch is given up after twenty seconds, not five.
fn slow(hold: bool, envoy_holds: bool, gate: &Gate) -> Front {
    let (upstream, closed) = (Stub::upstream().unwrap(), gate.clone());
    let setup = Setup::with(upstream, with_page(policy(hold)), envoy_holds, move |_| {
        closed.pass();
        good_keys()
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap().slower(4);
    setup.config(|config| config.with_clock(&clock)).start()
}

#[test]
fn requests_wait_for_keys_that_are_slow() {
    for hold in [true, false] {
        let gate = Gate::default();
        let front = slow(hold, hold, &gate);
        let good = call(&token().sign(), "read_file");
        let bad = call(&token().sign(), "write_file");
        let forged = call(&token().key(TestKey::Es256(2), "es1").sign(), "read_file");
        let port = front.envoy.port();
        let waiting: Vec<_> = [(good.clone(), 200), (bad, 403), (forged, 401), (good, 200)]
            .into_iter()
            .map(|(request, status)| {
                thread::spawn(move || (request.send(port).unwrap().status(), status))
            })
            .collect();
        assert!(comes(|| held_at(port)[1] == 4), "all wait");
        gate.open();
        for thread in waiting {
            let (found, expected) = thread.join().unwrap();
            assert_eq!(found, expected, "hold_headers {hold}");
        }
        assert_eq!(front.seen(), 2);
    }
}

#[test]
fn a_rotated_key_is_found_and_the_old_one_is_dropped() {
    let keys = Arc::new(Mutex::new(good_keys()));
    let served = Arc::clone(&keys);
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let front = Front::start(true, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        served.lock().unwrap().clone()
    });
    let old = call(&token().sign(), "read_file");
    let new = call(&token().key(TestKey::Es256(2), "es2").sign(), "read_file");
    assert!(front.until(200, &old));
    *keys.lock().unwrap() = jwks(&[(TestKey::Es256(2), "es2")]);
    assert!(front.until(200, &new), "an unknown name causes a fetch");
    assert_eq!(front.send(&old).status(), 401, "remembered tokens go with their key");

    let before = fetches.load(Ordering::SeqCst);
    for number in 0..200 {
        let unknown = token().key(TestKey::Es256(3), &format!("unknown-{number}")).sign();
        assert!(matches!(front.send(&call(&unknown, "read_file")).status(), 401 | 429 | 503));
    }
    let flood = fetches.load(Ordering::SeqCst) - before;
    assert!(flood <= 20, "{flood} fetches for 200 unknown names");
    assert_eq!(front.send(&new).status(), 200);
}

#[test]
fn bodies_in_pieces_are_read_whole() {
    for hold in [true, false] {
        let front = Front::start(hold, good_keys);
        assert!(front.until(200, &call(&token().sign(), "read_file")));
        front.seen();
        for (tool, status) in [("read_file", 200), ("write_file", 403)] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{{"text":"{}"}},"name":"{tool}"}}}}"#,
                "x".repeat(200_000)
            );
            let mut bytes = format!(
                "POST /mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: \
                 application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
                token().sign()
            )
            .into_bytes();
            for piece in body.as_bytes().chunks(1000) {
                bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            let answer = send_raw(front.envoy.port(), &bytes).unwrap();
            assert_eq!(answer.status(), status, "hold_headers {hold}");
            if status == 200 {
                assert_eq!(
                    front.upstream.take()[0].text(),
                    body,
                    "what was checked is what arrives"
                );
            }
        }
    }
}

/// The client is still sending: what cannot become right is refused all the same.
#[test]
fn bodies_are_refused_as_soon_as_they_are_wrong() {
    for hold in [true, false] {
        let front = Front::start(hold, good_keys);
        assert!(front.until(200, &call(&token().sign(), "read_file")));
        front.seen();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: \
             application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n  [{{}}\r\n",
            token().sign()
        );
        let answer = send_raw(front.envoy.port(), head.as_bytes()).unwrap();
        assert_eq!(answer.status(), 400, "hold_headers {hold}");
        assert!(answer.text().contains("-32600"), "{}", answer.text());
        assert_eq!(front.seen(), 0);
    }
}

/// A policy that says less than Envoy does: the body came while its request waited for keys, and the
/// headers are still to be changed.
#[test]
fn a_request_that_waited_with_its_body_is_stripped_all_the_same() {
    let gate = Gate::default();
    let front = slow(false, true, &gate);
    let port = front.envoy.port();
    let waiting = thread::spawn(move || call(&token().sign(), "read_file").send(port).unwrap());
    assert!(comes(|| held_at(port)[1] == 1), "it waits");
    gate.open();
    assert_eq!(waiting.join().unwrap().status(), 200);
    let seen = front.upstream.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers.get("authorization"), None, "the token reaches the server");
}

#[test]
fn bodies_without_end_are_refused() {
    for hold in [true, false] {
        let front = Front::start(hold, good_keys);
        assert!(front.until(200, &call(&token().sign(), "read_file")));
        front.seen();
        let large =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":"{}"}}"#, "x".repeat(3 << 20));
        let answer = front.send(&post(&token().sign()).body(large));
        assert_eq!(answer.status(), 413, "hold_headers {hold}");
        assert_eq!(front.seen(), 0);
        assert_eq!(front.send(&call(&token().sign(), "read_file")).status(), 200, "and it goes on");
    }
}

#[test]
fn a_flood_of_bad_tokens_reaches_nobody_and_stops_nobody() {
    let front = Front::start(true, good_keys);
    let good = call(&token().sign(), "read_file");
    assert!(front.until(200, &good));
    front.seen();
    let mut unread = 0;
    for number in 0..500 {
        let bad = match number % 5 {
            0 => token().claim("jti", number).sign(),
            1 => token().key(TestKey::Es256(2), "es1").claim("jti", format!("t{number}")).sign(),
            2 => format!("{}x", token().sign()),
            3 => token().claim("aud", format!("https://h/{number}")).sign(),
            _ => "\u{ff}".repeat(number),
        };
        let answer = front.send(&call(&bad, "read_file"));
        assert!(matches!(answer.status(), 400 | 401 | 429), "{}", answer.status());
        if answer.status() == 429 {
            unread += 1;
            assert!(answer.headers.get("retry-after").is_some());
        }
    }
    assert!(unread > 200, "only {unread} were not looked at");
    assert_eq!(front.seen(), 0);
    // Known tokens pass during the flood, new ones as soon as it has ended.
    assert_eq!(front.send(&good).status(), 200);
    let new = call(&token().claim("jti", "new").sign(), "read_file");
    assert!(front.until(200, &new));
}

/// A page's response gets the guard's CORS headers, and keeps what the server said itself.
#[test]
fn the_servers_own_headers_stay() {
    let upstream = Stub::start(|_| {
        let mut answer = Answer::json("{}");
        let mut add = |name: &str, value: &str| answer.headers.push((name.into(), value.into()));
        add("vary", "Accept-Encoding");
        add("access-control-expose-headers", "X-Own");
        add("access-control-allow-origin", "*");
        answer
    })
    .unwrap();
    let front = Front::before(upstream, true, good_keys);
    let request = call(&token().sign(), "read_file").header("origin", "https://mcp.example.com");
    assert!(front.until(200, &request));
    let answer = front.send(&request);
    // One field or several, with spaces or without: all the same list (RFC 9110 §5.3).
    let all = |name: &str| {
        let fields: Vec<String> = answer.headers.all(name).collect();
        fields.join(",").split(',').map(str::trim).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(all("vary"), "Accept-Encoding, Origin");
    assert_eq!(all("access-control-allow-origin"), "https://mcp.example.com");
    let exposed = "X-Own, WWW-Authenticate, Mcp-Session-Id";
    assert_eq!(all("access-control-expose-headers"), exposed);
}
