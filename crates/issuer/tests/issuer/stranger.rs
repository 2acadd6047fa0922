//! Requests from nowhere, written by hand: whatever comes, the server answers the next one.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::{http::get, issuer::Issuer};

fn exchange(issuer: &Issuer, bytes: &[u8], seconds: u64) -> String {
    let address = issuer.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(seconds))).unwrap();
    // The server may hang up before everything is written or read.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Attack 58, below HTTP clients' manners.
#[test]
fn attack_58_garbage_is_survived() {
    let issuer = Issuer::start();
    let large = format!(
        "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1048576\r\n\r\n{}",
        "a=b&".repeat(262_144)
    );
    for (bytes, expected) in [
        (&b"\r\n\r\n"[..], ""),
        (b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /authorize?client_id=%ff%fe%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /authorize?client_id=x HTTP/1.1\r\nHost: x\r\nCookie: \xff=\xfe; ;;=\r\nConnection: close\r\n\r\n", "HTTP/1.1 400"),
        (b"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \xff\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 24\r\n\r\ngrant_type=refresh_token", "HTTP/1.1 401"),
        (b"POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 24\r\n\r\ngrant_type=refresh_token", "HTTP/1.1 401"),
        (b"POST /authorize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 415"),
        (large.as_bytes(), "HTTP/1.1 413"),
    ] {
        // Where nothing is to come, that is not waited for long.
        let answer = exchange(&issuer, bytes, if expected.is_empty() { 2 } else { 30 });
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert!(answer.starts_with(expected), "{head:?}: {answer}");
        assert!(!answer.contains("HTTP/1.1 5"), "{head:?}: {answer}");
        assert_eq!(get(&issuer.at("/readyz")).status, 200);
    }
}
