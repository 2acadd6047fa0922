//! Connections that become something else (WebSocket) where Envoy's configuration lets them: authenticated like
//! any GET, and then left alone; but refused where rules depend on what is asked for on them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Front, HOST, Setup, call, good_keys, policy, token};
use countersign_e2e::Stub;
use countersign_testkit::keys::TestKey;
use serde_json::json;

/// A server that switches protocols and gives back what it gets; the heads that reached it, and tokens in them.
fn echo() -> (u16, Arc<[AtomicUsize; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = Arc::clone(&seen);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let counted = Arc::clone(&counted);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).unwrap_or(0);
                let head = String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase();
                counted[0].fetch_add(1, Ordering::SeqCst);
                counted[1]
                    .fetch_add(usize::from(head.contains("authorization:")), Ordering::SeqCst);
                if !head.contains("upgrade: websocket") {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                    );
                    return;
                }
                let answer = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
                while let Ok(read) = stream.read(&mut buffer) {
                    if read == 0 || stream.write_all(&buffer[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, seen)
}

fn before(port: u16, hold: bool, upgrades: bool, rules: bool) -> Front {
    let mut policy = policy(hold);
    if !rules {
        policy["resources"][0]["scopes"] = json!({ "baseline": ["mcp:use"] });
    }
    let setup = Setup::with(Stub::upstream().unwrap(), policy, hold, |_| good_keys());
    let config = |config: countersign_e2e::EnvoyConfig| {
        let config = config.edit(|document| {
            document["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]
                ["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] =
                json!(port);
        });
        config.manager(|manager| {
            if upgrades {
                manager["upgrade_configs"] = json!([{ "upgrade_type": "websocket" }]);
            }
        })
    };
    let front = setup.config(config).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    front
}

/// The status of a handshake, and what comes back of some bytes.
fn shake(front: &Front, credentials: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "GET /mcp HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{credentials}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).unwrap();
    let answer = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    if status != 101 {
        return (status, String::new());
    }
    stream.write_all(b"\x81\x02hi{\"not\":\"json").unwrap();
    let mut text = answer.split_once("\r\n\r\n").map(|(_, rest)| rest.to_owned()).unwrap();
    while !text.ends_with("json") {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "{text:?}");
        text += &String::from_utf8_lossy(&buffer[..read]);
    }
    (status, text)
}

#[test]
fn a_handshake_is_authenticated_and_the_rest_untouched() {
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let good = bearer(&token().sign());
    let forged = bearer(&token().key(TestKey::Es256(9), "es1").sign());
    for hold in [true, false] {
        let (port, seen) = echo();
        let front = before(port, hold, true, false);
        let before = seen[0].load(Ordering::SeqCst);
        for credentials in ["", &forged, "authorization: Basic eDp5\r\n"] {
            assert_eq!(shake(&front, credentials).0, 401, "{credentials}");
        }
        assert_eq!(seen[0].load(Ordering::SeqCst), before, "nobody without a token gets there");
        let (status, text) = shake(&front, &good);
        assert_eq!(status, 101, "hold_headers {hold}");
        assert!(text.ends_with("hi{\"not\":\"json"), "{text:?}");
        assert_eq!(seen[1].load(Ordering::SeqCst), 0, "the token reaches the server");
    }
    // Unless it is configured, Envoy refuses.
    let (port, _seen) = echo();
    let front = before(port, true, false, false);
    assert_eq!(shake(&front, &good).0, 403);
}

/// What comes after a handshake no rule for operations sees.
#[test]
fn where_rules_depend_on_operations_no_handshake_gets_through() {
    let good = format!("authorization: Bearer {}\r\n", token().sign());
    for hold in [true, false] {
        let (port, seen) = echo();
        let front = before(port, hold, true, true);
        let before = seen[0].load(Ordering::SeqCst);
        assert_eq!(shake(&front, "").0, 401);
        assert_eq!(shake(&front, &good).0, 403, "hold_headers {hold}");
        assert_eq!(seen[0].load(Ordering::SeqCst), before, "the server saw a handshake");
    }
}
