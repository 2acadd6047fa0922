//! What can come over the wire, through a real Envoy: odd headers and bodies, HTTP/1.1 and HTTP/2, clients
//! that go away, floods.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Front, Gate, HOST, Setup, call, comes, good_keys, policy, post, token, with_page};
use countersign_e2e::http::{Request, send_raw};
use countersign_e2e::{Clock, Places, Stub, load};
use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"}}"#;

fn front(hold: bool, workers: u16) -> Front {
    let mut policy = policy(hold);
    policy["limits"] = json!({ "failures_per_minute": 0, "body_bytes": 1 << 20 });
    let setup = Setup::with(Stub::upstream().unwrap(), with_page(policy), hold, |_| good_keys());
    let large = |manager: &mut Value| manager["max_request_headers_kb"] = json!(1024);
    let front = setup.config(|config| config.with_workers(workers).manager(large)).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    front.seen();
    front
}

/// Whether the filter holds no request any more; the page is of the worker that answers.
fn none_held(front: &Front) -> bool {
    comes(|| front.held()[0] == 0)
}

#[test]
fn no_byte_in_a_header_does_harm() {
    let front = front(true, 1);
    let names = [
        "authorization",
        "content-type",
        "accept",
        "origin",
        "mcp-method",
        "mcp-name",
        "mcp-session-id",
        "mcp-protocol-version",
        "x-mcp-subject",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "user-agent",
        "cookie",
        "dpop",
        "te",
        "via",
        "forwarded",
        "x-anything",
    ];
    let values: [&[u8]; 5] = [
        b"\xff",
        b"\xff\xfe\x80 \xc0\xaf",
        b"Bearer \xff.\xff.\xff",
        b"\xed\xa0\x80",
        b"caf\xc3\xa9",
    ];
    for name in names {
        for value in values {
            let good = call(&token().sign(), "read_file").header(name, value);
            let status = front.send(&good).status();
            assert!(matches!(status, 200 | 400 | 401 | 403 | 415), "{name} {value:?}: {status}");
            let none = Request::new("POST", "/mcp", HOST).header(name, value).body(CALL);
            let status = front.send(&none).status();
            assert!(matches!(status, 400 | 401 | 403 | 415), "{name} {value:?}: {status}");
        }
    }
    for seen in front.upstream.take() {
        assert_eq!(seen.headers.get("x-mcp-subject").as_deref(), Some("user-1"));
    }
    assert_eq!(front.envoy.stat("wasm.countersign.vm_reload_success"), 0, "and none of it trapped");
}

#[test]
fn a_hundred_kilobytes_of_headers() {
    let front = front(true, 1);
    let large = "x".repeat(100_000);
    let good = call(&token().sign(), "read_file");
    assert_eq!(front.send(&good.clone().header("x-large", &large)).status(), 200);
    let many = (0..90).fold(good, |request, n| request.header(&format!("x-{n}"), "y".repeat(1100)));
    assert_eq!(front.send(&many).status(), 200);
    assert_eq!(front.seen(), 2);
    for request in [
        Request::new("POST", "/mcp", HOST).header("x-large", &large).body(CALL),
        post(&large).body(CALL),
        post(&format!("{}x", token().sign())).header("cookie", &large).body(CALL),
    ] {
        let status = front.send(&request).status();
        assert!(matches!(status, 400 | 401), "{status}");
    }
    assert_eq!(front.seen(), 0);
}

#[test]
fn bodies_of_every_kind() {
    for hold in [true, false] {
        let front = front(hold, 1);
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: \
             application/json\r\n",
            token().sign()
        );
        let status = |rest: &str| {
            send_raw(front.envoy.port(), format!("{head}{rest}").as_bytes()).unwrap().status()
        };
        assert_eq!(status("content-length: 0\r\n\r\n"), 400, "no bytes");
        assert_eq!(status("\r\n"), 400, "no body at all");
        assert_eq!(status("transfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 400, "no chunks");
        let length = CALL.len();
        let chunked =
            format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n{CALL}\r\n0\r\n\r\n");
        assert_eq!(status(&chunked), 200);
        let trailed = format!(
            "transfer-encoding: chunked\r\n\r\n{length:x}\r\n{CALL}\r\n0\r\nx-t: 1\r\n\r\n"
        );
        assert_eq!(status(&trailed), 200, "with trailers");
        assert_eq!(front.seen(), 2);
        // One that never ends: refused at the limit, however slowly it comes there.
        let mut stream = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
        let start = Instant::now();
        let mut answer = Vec::new();
        let mut sent = 0;
        while answer.is_empty() && start.elapsed() < Duration::from_secs(60) {
            let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
            if stream.write_all(chunk.as_bytes()).is_err() {
                break;
            }
            sent += 0x4000;
            if sent == 1 << 20 {
                // The answer is on its way.
                stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
            }
            let mut buffer = [0; 1000];
            let read = stream.read(&mut buffer).unwrap_or(0);
            answer.extend_from_slice(&buffer[..read]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 413") || answer.is_empty(), "{answer}");
        assert!((1 << 20..8 << 20).contains(&sent), "{sent} bytes");
        assert_eq!(front.seen(), 0, "hold_headers {hold}");
    }
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    for hold in [true, false] {
        let front = front(hold, 1);
        let before = front.envoy.stat("http.mcp.downstream_cx_total");
        for number in 0..100 {
            let mut stream = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
            let head = format!(
                "POST /mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: \
                 application/json\r\ncontent-length: {}\r\n\r\n{}",
                token().sign(),
                CALL.len(),
                &CALL[..CALL.len() / 2]
            );
            stream.write_all(&head.as_bytes()[..head.len() - number % 40]).unwrap();
            if number % 2 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Each of them came as far as Envoy: connections that it has not accepted it still will.
        let connections = || front.envoy.stat("http.mcp.downstream_cx_total");
        assert!(comes(|| connections() >= before + 100), "{} of {before} and 100", connections());
        assert!(none_held(&front), "hold_headers {hold}");
        assert_eq!(front.seen(), 0);
        assert_eq!(front.send(&call(&token().sign(), "read_file")).status(), 200);
    }
}

/// The statuses of these requests ([`h2.mjs`](../h2.mjs)), a line each.
fn over_http_2(port: u16, lines: &str) -> String {
    let mut node = Command::new("node")
        .arg(Places::of_checkout().path("tests/e2e/h2.mjs"))
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    String::from_utf8(node.wait_with_output().unwrap().stdout).unwrap()
}

/// Envoy holds headers back and the policy says that it does not. A request waits for keys, and all of its
/// body is there but for the end: with its headers all of it would go on, to a server that needs no end.
#[test]
fn a_body_that_came_while_a_request_waited_is_read_first() {
    let gate = Gate::default();
    let closed = gate.clone();
    let policy = with_page(policy(false));
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        closed.pass();
        good_keys()
    });
    // A fetch is given up after twenty seconds, not five.
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap().slower(4);
    let front = setup.config(|config| config.with_clock(&clock)).start();
    let request = |tool| {
        let body = CALL.replace("read_file", tool);
        let headers = json!({
            ":method": "POST", ":path": "/mcp", ":authority": HOST, "content-type": "application/json",
            "content-length": body.len(), "authorization": format!("Bearer {}", token().sign()),
        });
        format!("{}\n", json!({ "headers": headers, "body": body, "endAfter": 5000 }))
    };
    let (port, lines) = (front.envoy.port(), request("read_file") + &request("write_file"));
    let client = thread::spawn(move || over_http_2(port, &lines));
    assert!(comes(|| front.held()[1] == 2), "they wait");
    gate.open();
    assert_eq!(client.join().unwrap(), "200\n403\n");
    assert_eq!(front.seen(), 1, "the server has what was let through");
    assert!(front.envoy.logs("set \"hold_headers\": true in the policy"));
}

/// Many streams on one connection, also over two workers; some of them broken off.
#[test]
fn http_2_is_no_other_way_in() {
    for (hold, workers) in [(true, 1), (false, 2)] {
        let front = front(hold, workers);
        let headers = |token: Option<&str>| {
            let mut headers = json!({
                ":method": "POST", ":path": "/mcp", ":authority": HOST, "content-type": "application/json",
            });
            if let Some(token) = token {
                headers["authorization"] = json!(format!("Bearer {token}"));
            }
            headers
        };
        let (good, forged) = (token().sign(), token().key(TestKey::Es256(9), "es1").sign());
        let write = CALL.replace("read_file", "write_file");
        let mut lines = String::new();
        let mut expected = Vec::new();
        for _ in 0..10 {
            for (request, status) in [
                (json!({ "headers": headers(Some(&good)), "body": CALL }), 200),
                (json!({ "headers": headers(Some(&good)), "body": write }), 403),
                (json!({ "headers": headers(Some(&forged)), "body": CALL }), 401),
                (json!({ "headers": headers(None), "body": CALL }), 401),
                (json!({ "headers": headers(Some(&good)), "body": &CALL[..20], "abort": true }), 0),
                (json!({ "headers": headers(Some(&good)), "body": format!("{CALL}{CALL}") }), 400),
            ] {
                lines += &format!("{request}\n");
                expected.push(status.to_string());
            }
        }
        let statuses = over_http_2(front.envoy.port(), &lines);
        assert_eq!(statuses.lines().collect::<Vec<_>>(), expected, "hold_headers {hold}");
        assert_eq!(front.seen(), 10);
        assert!(none_held(&front));
    }
}

/// Each bad token is another one, and each is looked at: failures are not counted here.
#[test]
fn ten_thousand_bad_tokens_take_no_memory() {
    let front = front(true, 2);
    let unsigned: Vec<String> =
        (0..50).map(|n| token().claim("jti", format!("t{n}")).signing_input()).collect();
    let bad = |number: usize| {
        let mut signature = [7_u8; 64];
        signature[..8].copy_from_slice(&number.to_be_bytes());
        let token = token().with_signature(&signature);
        let signature = token.rsplit('.').next().unwrap();
        post(&format!("{}.{signature}", unsigned[number % 50])).body(CALL).to_bytes()
    };
    let flood = |from: usize, count: usize| {
        let run = load::send(front.envoy.port(), 4, count, |number| bad(from + number)).unwrap();
        assert_eq!(run.count(401), count, "{:?}", run.statuses);
    };
    flood(0, 2_000);
    let before = front.envoy.written().unwrap();
    flood(2_000, 10_000);
    let after = front.envoy.written().unwrap();
    let growth = after.saturating_sub(before);
    println!("{before} KiB before, {after} KiB after 10000 bad tokens");
    assert!(growth < 8 * 1024, "{growth} KiB more");
    assert_eq!(front.seen(), 0);
    assert!(none_held(&front));
    assert!(front.envoy.stat("wasmcustom.countersign.deny.signature_invalid") >= 12_000);
    assert_eq!(front.send(&call(&token().sign(), "read_file")).status(), 200);
}
