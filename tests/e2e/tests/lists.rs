//! Filtered lists through a real Envoy: none is ever shown whole, however the response comes about.
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{Gate, HOST, ISSUER, RESOURCE, comes, good_keys, held_at, post, token, with_page};
use countersign_e2e::http::send_raw;
use countersign_e2e::{Answer, Clock, Envoy, EnvoyConfig, Places, Scratch, Stub, free_ports};
use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

/// A policy under which lists are filtered, with an issuer whose keys come from there.
fn policy(keys: Value, hold: bool) -> Value {
    let mut issuer = json!({ "issuer": ISSUER, "max_lifetime": 3_155_760_000_u64 });
    issuer.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({
        "issuers": [issuer],
        "resources": [{ "resource": RESOURCE, "scopes": {
            "baseline": ["mcp:use"], "tools": { "read_file": ["files:read"], "write_file": ["files:write"] },
            "filter_lists": true,
        } }],
        "limits": { "body_bytes": 4 << 20 },
        "hold_headers": hold,
    })
}

/// An Envoy before a server whose lists are filtered, up to 4 MiB of them. `buffer`: the bytes that
/// Envoy buffers for a client, where it is not 1 MiB.
fn before(upstream: u16, hold: bool, buffer: Option<u32>) -> (Envoy, Scratch) {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port] = free_ports().unwrap();
    let policy = policy(json!({ "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] } }), hold);
    let config =
        EnvoyConfig::new(&places, port, &policy.to_string(), hold, upstream, &[]).edit(|config| {
            if let Some(bytes) = buffer {
                config["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] =
                    json!(bytes);
            }
        });
    let envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
    (envoy, scratch)
}

/// The names in a filtered list.
fn names(text: &str) -> Vec<String> {
    let message: Value = serde_json::from_str(text).expect(text);
    assert_eq!(message["result"]["cacheScope"], "private", "{text}");
    let tools = message["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

const LIST: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_file"},{"name":"read_file"}]}}"#;

/// Envoy answers from its routes, also a request that waited for keys: with its lists filtered and its
/// CORS headers set, or, where headers are not held back and the body was not seen, not at all.
#[test]
fn what_envoy_answers_itself_is_filtered() {
    for hold in [true, false] {
        let places = Places::of_checkout();
        let scratch = Scratch::new().unwrap();
        let gate = Gate::default();
        let closed = gate.clone();
        let issuer = Stub::start(move |_| {
            closed.pass();
            good_keys()
        })
        .unwrap();
        let keys = json!({ "jwks_uri": "https://auth.example.com/keys", "cluster": "auth" });
        let [port] = free_ports().unwrap();
        let clusters = [("auth", issuer.port())];
        let policy = with_page(policy(keys, hold)).to_string();
        // The fetch is given up after twenty seconds, not five.
        let clock = Clock::new(&places, scratch.path(), 1).unwrap().slower(4);
        let config = EnvoyConfig::new(&places, port, &policy, hold, port, &clusters)
            .answering("application/json", LIST)
            .with_clock(&clock);
        let envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
        let token = token().claim("scope", "mcp:use files:read").sign();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
        let request = post(&token).header("origin", "https://mcp.example.com").body(body);
        for round in ["after a wait", "at once"] {
            let request = request.clone();
            let sent = thread::spawn(move || request.send(port).unwrap());
            if round == "after a wait" {
                assert!(comes(|| held_at(port)[1] == 1), "it waits");
                gate.open();
            }
            let answer = sent.join().unwrap();
            let origin = answer.headers.get("access-control-allow-origin");
            assert_eq!(origin.as_deref(), Some("https://mcp.example.com"), "{round} {hold}");
            if hold {
                assert_eq!(names(&answer.text()), ["read_file"], "{round}");
            } else {
                assert_eq!((answer.status(), answer.text().as_str()), (502, ""), "{round}");
            }
        }
        let replaced = envoy.stat("wasmcustom.countersign.failed.answered_early");
        assert_eq!(replaced, if hold { 0 } else { 2 });
    }
}

/// Headers that are not held back reach the server before it is known what is asked for.
#[test]
fn what_a_server_answers_before_the_request_is_decided_is_not_shown() {
    for (status, media, shown) in
        [(200, "application/json", 502), (200, "text/event-stream", 502), (413, "text/plain", 413)]
    {
        let text = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n{LIST}",
            LIST.len()
        );
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = upstream.local_addr().unwrap().port();
        // It reads the head alone, and goes on: the body never comes.
        thread::spawn(move || {
            for mut stream in upstream.incoming().map_while(Result::ok).take(1) {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(text.as_bytes());
                thread::sleep(Duration::from_secs(2));
            }
        });
        let (envoy, _scratch) = before(port, false, None);
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: \
             application/json\r\nmcp-method: tools/list\r\ntransfer-encoding: chunked\r\n\r\n\
             1\r\n{{\r\n",
            token().sign()
        );
        let answer = send_raw(envoy.port(), head.as_bytes()).unwrap();
        assert_eq!(answer.status(), shown, "{status} {media}");
        assert_eq!(answer.text().contains("write_file"), status == 413, "{status} {media}");
    }
}

/// Lists through a real Envoy in pieces of any size, with trailers, and longer than its own buffers:
/// they are as small as Envoy's guide for edges advises, too, so that each read is more than they hold.
#[test]
fn lists_in_pieces_are_filtered() {
    let tool = |name: &str, pad: usize| json!({ "name": name, "description": "x".repeat(pad) });
    let list = |pad: usize| {
        let tools = [tool("write_file", pad), tool("read_file", pad), tool("other", 1)];
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools } }).to_string()
    };
    // The server hangs up behind each: Envoy must not think that it may ask again there.
    let chunked = |media: &str, body: &str, size: usize, end: &str| {
        let mut text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media}\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        for part in body.as_bytes().chunks(size) {
            let part = String::from_utf8_lossy(part);
            text += &format!("{:x}\r\n{part}\r\n", part.len());
        }
        text + "0\r\n" + end + "\r\n"
    };
    let response = Arc::new(Mutex::new(String::new()));
    let served = Arc::clone(&response);
    let upstream = Stub::start(move |_| Answer::raw(served.lock().unwrap().clone())).unwrap();
    let small = Some(32 << 10);
    for (hold, buffer) in [(true, None), (false, None), (true, small), (false, small)] {
        let (envoy, _scratch) = before(upstream.port(), hold, buffer);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
        let request = post(&token().claim("scope", "mcp:use files:read").sign()).body(body);
        for (pad, size, end) in [
            (1, 1, ""),
            (1, 7, "x-trailer: 1\r\n"),
            (200_000, 50_000, ""),
            (900_000, 60_000, "x-trailer: 1\r\n"),
        ] {
            *response.lock().unwrap() = chunked("application/json", &list(pad), size, end);
            let answer = request.send(envoy.port()).unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(names(&answer.text()), ["read_file", "other"], "{pad} by {size} {hold}");

            let events = format!(": ping\n\ndata: {}\n\nid: 1\ndata:\n\n", list(pad));
            *response.lock().unwrap() = chunked("text/event-stream", &events, size, end);
            let text = request.send(envoy.port()).unwrap().text();
            let text = text.strip_prefix(": ping\n\ndata: ").expect(&text);
            let text = text.strip_suffix("\n\nid: 1\ndata:\n\n").expect(text);
            assert_eq!(names(text), ["read_file", "other"], "{pad} by {size} {hold}");
        }
        // One that breaks off, with trailers, for which Envoy has no buffer: it breaks off here too.
        *response.lock().unwrap() =
            chunked("application/json", &list(1)[..60], 7, "x-trailer: 1\r\n");
        let answer = request.send(envoy.port());
        assert!(answer.is_err(), "{answer:?}");
        // Beyond the limit: an error in its place, and Envoy goes on.
        *response.lock().unwrap() = chunked("application/json", &list(3 << 20), 60_000, "");
        let answer = request.send(envoy.port()).unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().contains("-32603"), "{}", answer.text());
        assert!(envoy.reasons().iter().any(|reason| reason == "list_unreadable"));
    }
}

/// A message that is read for its operation has to fit into Envoy's buffer, as a list need not.
#[test]
fn messages_that_are_read_fit_into_envoys_buffer() {
    for hold in [true, false] {
        let upstream = Stub::upstream().unwrap();
        let (envoy, _scratch) = before(upstream.port(), hold, Some(32 << 10));
        let token = token().claim("scope", "mcp:use files:read").sign();
        for (pad, status) in [(20_000, 200), (200_000, 413), (20_000, 200)] {
            let params = json!({ "name": "read_file", "arguments": { "x": "x".repeat(pad) } });
            let body =
                json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
            let body = body.to_string();
            let answer = post(&token).body(body.clone()).send(envoy.port()).unwrap();
            assert_eq!(answer.status(), status, "{pad} {hold}");
            // Headers that are not held back may be there, and nothing behind them.
            let seen = upstream.take().iter().filter(|request| request.text() == body).count();
            assert_eq!(seen, usize::from(status == 200), "{pad} {hold}");
        }
    }
}
