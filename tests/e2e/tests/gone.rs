//! Clients that go away in the middle: of a request that waits for its keys, of a body in chunks, of events
//! that the server is sending. The server sees it, nothing stays behind in the filter, and memory stays flat.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Front, Gate, HOST, Setup, call, comes, good_keys, policy, token, with_page};
use countersign_e2e::http::get;
use countersign_e2e::{Clock, Places, Stub};
use serde_json::{Value, json};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"}}"#;
const EVENT: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"x\"}}\n\n";

/// A server that answers with events until somebody goes, and counts what it saw.
#[derive(Clone, Default)]
struct Server {
    /// Bodies that came to their end.
    whole: Arc<AtomicUsize>,
    /// Connections that were ended by the other side.
    left: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> (Self, u16) {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = serving.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        (server, port)
    }

    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut text = Vec::new();
        let mut answering = false;
        loop {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => text.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => {}
                Err(_) => break,
            }
            let seen = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = seen.split_once("\r\n\r\n")
                && !answering
                && self.count(head, body)
            {
                answering = true;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                            transfer-encoding: chunked\r\n\r\n";
                if stream.write_all(head.as_bytes()).is_err() {
                    break;
                }
            }
            let chunk = format!("{:x}\r\n{EVENT}\r\n", EVENT.len());
            if answering && stream.write_all(chunk.as_bytes()).is_err() {
                break;
            }
        }
        if !text.is_empty() {
            self.left.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether the whole request is there.
    fn count(&self, head: &str, body: &str) -> bool {
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1);
        let length: Option<usize> = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let ended = match length {
            Some(length) => body.len() == length,
            None => !chunked || body.ends_with("0\r\n\r\n"),
        };
        if ended {
            self.whole.fetch_add(1, Ordering::SeqCst);
        }
        ended
    }

    fn seen(&self) -> [usize; 2] {
        [&self.whole, &self.left].map(|count| count.load(Ordering::SeqCst))
    }
}

fn document(hold: bool, filter_lists: bool) -> Value {
    let mut policy = policy(hold);
    policy["resources"][0]["scopes"]["filter_lists"] = json!(filter_lists);
    policy["limits"] = json!({ "failures_per_minute": 0 });
    with_page(policy)
}

/// An Envoy before this server.
fn before(port: u16, hold: bool, filter_lists: bool) -> Front {
    let setup =
        Setup::with(Stub::upstream().unwrap(), document(hold, filter_lists), hold, |_| good_keys());
    let config = |config: countersign_e2e::EnvoyConfig| {
        config.edit(|document| {
            document["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]
                ["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] =
                json!(port);
        })
    };
    setup.config(config).start()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    assert!(comes(holds), "{what}");
}

/// Nothing is left: not in the filter, nor in Envoy.
fn nothing_stays(front: &Front) {
    until("requests are held", || front.held() == [0, 0]);
    until("the gauge", || front.envoy.stat("wasmcustom.countersign.requests.waiting") == 0);
    until("Envoy's requests", || front.envoy.stat("http.mcp.downstream_rq_active") <= 1);
    until("the server's requests", || front.envoy.stat("cluster.upstream.upstream_rq_active") == 0);
    assert_eq!(front.envoy.stat("wasm.countersign.vm_reload_success"), 0);
}

fn connect(front: &Front) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn head(method: &str, more: &str) -> String {
    format!(
        "{method} /mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: \
         application/json\r\naccept: application/json, text/event-stream\r\n{more}\r\n",
        token().sign()
    )
}

/// Memory before and after as many rounds again, in KiB.
fn growth(front: &Front, mut round: impl FnMut()) -> u64 {
    for _ in 0..100 {
        round();
    }
    let before = front.envoy.written().unwrap();
    for _ in 0..400 {
        round();
    }
    front.envoy.written().unwrap().saturating_sub(before)
}

#[test]
fn while_the_keys_are_being_fetched() {
    for hold in [true, false] {
        let gate = Gate::default();
        let held_back = gate.clone();
        let setup =
            Setup::with(Stub::upstream().unwrap(), document(hold, false), hold, move |_| {
                held_back.pass();
                good_keys()
            });
        // The fetch is given up after twenty seconds, not five.
        let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap().slower(4);
        let front = setup.config(|config| config.with_clock(&clock)).start();
        let whole = head("POST", &format!("content-length: {}\r\n", CALL.len()));
        let clients: Vec<TcpStream> = (0..40)
            .map(|number| {
                let mut client = connect(&front);
                // Some with all of their body, some with a part of it, some with none.
                let body = &CALL[..[CALL.len(), CALL.len() / 2, 0][number % 3]];
                client.write_all(format!("{whole}{body}").as_bytes()).unwrap();
                client
            })
            .collect();
        until("they wait", || front.held()[1] >= 40);
        until("the gauge tells", || {
            front.envoy.stat("wasmcustom.countersign.requests.waiting") >= 40
        });
        drop(clients);
        // Before the keys are there.
        until("they are forgotten", || front.held() == [0, 0]);
        gate.open();
        assert!(front.until(200, &call(&token().sign(), "read_file")), "hold_headers {hold}");
        assert_eq!(front.seen(), 1, "nobody else's request went on");
        nothing_stays(&front);
    }
}

#[test]
fn in_the_middle_of_a_body_in_chunks() {
    for hold in [true, false] {
        let (server, port) = Server::start();
        let front = before(port, hold, false);
        until("keys", || get(front.envoy.admin(), "/ready").is_ok() && events(&front, "GET"));
        nothing_stays(&front);
        until("the server sees the first ones go", || server.seen()[0] == server.seen()[1]);
        let before = server.seen();
        let chunked = head("POST", "transfer-encoding: chunked\r\n");
        let accepted = || front.envoy.stat("http.mcp.downstream_cx_total");
        let mut connections = accepted();
        let round = || {
            let mut client = connect(&front);
            let half = &CALL[..CALL.len() / 2];
            client
                .write_all(format!("{chunked}{:x}\r\n{half}\r\n", half.len()).as_bytes())
                .unwrap();
            // Until Envoy has it; the end of the connection may overtake nothing.
            connections += 1;
            until("it is accepted", || accepted() >= connections);
        };
        let growth = growth(&front, round);
        nothing_stays(&front);
        println!("hold_headers {hold}: {growth} KiB more after 400 clients");
        assert!(growth < 8 * 1024, "{growth} KiB");
        let [whole, left] = server.seen();
        assert_eq!(whole, before[0], "no request came to its end");
        // Where headers go on, the server saw the beginnings, and that nobody is there any more.
        until("the server sees them go", || {
            let [_, left] = server.seen();
            hold || left > before[1]
        });
        assert!(!hold || left == before[1], "the server saw a beginning");
    }
}

/// Whether events come, one by one, while the server goes on sending; then the client leaves.
fn events(front: &Front, method: &str) -> bool {
    let mut client = connect(front);
    let (more, body) = match method {
        "GET" => (String::new(), ""),
        _ => (format!("content-length: {}\r\n", CALL.len()), CALL),
    };
    client.write_all(format!("{}{body}", head(method, &more)).as_bytes()).unwrap();
    let mut text = String::new();
    while text.matches("notifications/message").count() < 2 {
        let mut buffer = [0; 4096];
        match client.read(&mut buffer) {
            Ok(read) if read > 0 => text += &String::from_utf8_lossy(&buffer[..read]),
            _ => return false,
        }
        if !text.starts_with("HTTP/1.1 200") {
            return false;
        }
    }
    true
}

#[test]
fn in_the_middle_of_events() {
    for (hold, filter_lists) in [(true, false), (true, true), (false, false), (false, true)] {
        let (server, port) = Server::start();
        let front = before(port, hold, filter_lists);
        until("keys", || events(&front, "GET"));
        let mut number = 0;
        let round = || {
            number += 1;
            // Both legs: the stream that the client opens, and the answer to a call.
            let method = if number % 2 == 0 { "GET" } else { "POST" };
            assert!(events(&front, method), "{method} {hold} {filter_lists}");
        };
        let mut round = round;
        for _ in 0..20 {
            round();
        }
        let before = front.envoy.written().unwrap();
        for _ in 0..80 {
            round();
        }
        let growth = front.envoy.written().unwrap().saturating_sub(before);
        nothing_stays(&front);
        println!("hold_headers {hold}, filter_lists {filter_lists}: {growth} KiB more");
        assert!(growth < 8 * 1024, "{growth} KiB");
        until("the server sees them go", || {
            let [whole, left] = server.seen();
            whole >= 101 && left == whole
        });
    }
}

/// A client that leaves after its request, before the server has answered: the server sees that too.
#[test]
fn while_the_server_thinks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let [arrived, gone] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let counted = [Arc::clone(&arrived), Arc::clone(&gone)];
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let [arrived, gone] = counted.clone();
            thread::spawn(move || {
                // It reads, and answers nothing.
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
                    gone.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let front = before(port, true, false);
    let whole = head("POST", &format!("content-length: {}\r\n{}", CALL.len(), ""));
    until("keys", || {
        let mut client = connect(&front);
        client.write_all(format!("{whole}{CALL}").as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(100));
        arrived.load(Ordering::SeqCst) > 0
    });
    for _ in 0..20 {
        let before = arrived.load(Ordering::SeqCst);
        let mut client = connect(&front);
        client.write_all(format!("{whole}{CALL}").as_bytes()).unwrap();
        until("it arrives", || arrived.load(Ordering::SeqCst) > before);
    }
    let arrived = arrived.load(Ordering::SeqCst);
    assert!(arrived > 20, "{arrived}");
    until("the server sees them go", || gone.load(Ordering::SeqCst) >= arrived);
    nothing_stays(&front);
}
