//! A filter that runs out of memory: nothing unfiltered is shown, and a new one takes its place.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{HOST, Setup, call, good_keys, policy, token};
use countersign_e2e::Stub;
use countersign_e2e::http::Request;
use serde_json::json;

/// Servers whose lists never end, while the policy allows 64 MiB for each: more of them at once than there
/// is memory for (Envoy gives a module 1 GiB).
#[test]
fn a_filter_without_memory_shows_nothing() {
    let endless = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = endless.local_addr().unwrap().port();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let begin =
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_file","description":""#;
    let chunk = Arc::new(format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
    thread::spawn(move || {
        for mut stream in endless.incoming().map_while(Result::ok) {
            let chunk = Arc::clone(&chunk);
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 8192]);
                let text = format!("{head}{:x}\r\n{begin}\r\n", begin.len());
                let mut sent = stream.write_all(text.as_bytes());
                let mut bytes = 0;
                while sent.is_ok() && bytes < 62 << 20 {
                    sent = stream.write_all(chunk.as_bytes());
                    bytes += 0x10000;
                }
                // What came so far is held, until everybody is there.
                thread::sleep(Duration::from_secs(60));
            });
        }
    });
    let mut policy = policy(true);
    policy["resources"][0]["scopes"]["filter_lists"] = json!(true);
    policy["limits"] = json!({ "body_bytes": 67_108_864 });
    policy["resources"].as_array_mut().unwrap().push(json!({
        "resource": "https://mcp.example.com/small", "scopes": { "baseline": ["mcp:use"] },
    }));
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, |_| good_keys());
    let front = setup
        .config(|config| {
            config.edit(|document| {
                let clusters = document["static_resources"]["clusters"].as_array_mut().unwrap();
                let mut cluster = clusters[0].clone();
                cluster["name"] = json!("endless");
                cluster["load_assignment"]["cluster_name"] = json!("endless");
                cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                    ["socket_address"]["port_value"] = json!(port);
                clusters.push(cluster);
            })
            .manager(|manager| {
                manager["stream_idle_timeout"] = json!("15s");
                let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
                let route = json!({ "match": { "prefix": "/mcp", "headers": [{
                        "name": "x-endless", "present_match": true }] },
                    "route": { "cluster": "endless", "timeout": "0s" } });
                routes.as_array_mut().unwrap().insert(0, route);
            })
        })
        .start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let request = Request::new("POST", "/mcp", HOST)
        .header("authorization", format!("Bearer {}", token().sign()))
        .header("content-type", "application/json")
        .header("x-endless", "1")
        .body(list)
        .to_bytes();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let (request, port) = (request.clone(), front.envoy.port());
            thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                stream.write_all(&request).unwrap();
                let mut seen = Vec::new();
                let mut part = [0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut part) {
                    seen.extend_from_slice(&part[..count]);
                }
                String::from_utf8_lossy(&seen).into_owned()
            })
        })
        .collect();
    let reloads = || front.envoy.stat("wasm.countersign.vm_reload_success");
    let start = Instant::now();
    let mut statuses = Vec::new();
    while start.elapsed() < Duration::from_secs(120)
        && (reloads() == 0 || statuses.last() != Some(&200))
    {
        // Each other answer comes from the filter that is there then.
        statuses.push(front.send(&call(&token().sign(), "read_file")).status());
        assert!(matches!(statuses.last(), Some(200 | 503)), "{statuses:?}");
        thread::sleep(Duration::from_millis(100));
    }
    println!("{} reloads after {:?}", reloads(), start.elapsed());
    for client in clients {
        let seen = client.join().unwrap();
        assert!(!seen.contains("write_file"), "a list that was not filtered");
    }
    let memory = front.envoy.written().unwrap();
    println!("{memory} KiB; {statuses:?}");
    assert!(reloads() > 0, "{}", front.envoy.output());
    assert!(front.envoy.logs("Function: proxy_on_response_body failed"), "it was not the list");
    assert!(front.until(200, &call(&token().sign(), "read_file")));
}
