//! An MCP server and its authorization server at one address, right in everything but one fault.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use countersign_testkit::token::Token;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{authorization_server, resource_server};

/// A client that the authorization server knows.
pub(crate) const CLIENT: &str = "known-client";

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status).with("content-type", "application/json").body(&body.to_string())
    }

    pub(crate) fn page(status: u16) -> Self {
        Self::new(status).with("content-type", "text/html; charset=utf-8").body("<h1>Hello</h1>")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }
}

/// What the two servers know.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) origin: String,
    pub(crate) fault: &'static str,
    pub(crate) token: String,
    pub(crate) count: AtomicU32,
    pub(crate) seen: Mutex<Vec<Request>>,
}

impl State {
    pub(crate) fn is(&self, fault: &str) -> bool {
        self.fault == fault
    }

    pub(crate) fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) struct Site(Arc<State>);

impl Site {
    pub(crate) async fn start(fault: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let token = token(&origin, fault);
        let (count, seen) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let state = Arc::new(State { origin, fault, token, count, seen });
        let shared = state.clone();
        // It ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self(state)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.0.origin)
    }

    pub(crate) fn token(&self) -> String {
        self.0.token.clone()
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.0.seen.lock().unwrap().clone()
    }
}

/// The token that is accepted, with what the fault has in it.
fn token(origin: &str, fault: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let resource = format!("{origin}/mcp");
    let token = Token::new(origin, &resource).claim("iat", now).claim("exp", now + 600);
    let token = match fault {
        "untyped" => token.header("typ", "JWT"),
        "no_jti" => token.claim("jti", json!(null)),
        "other_audience" => token.claim("aud", "https://other.example"),
        "two_audiences" => token.claim("aud", json!([resource, "https://other.example"])),
        "other_iss" => token.claim("iss", format!("{origin}/")),
        "long" => token.claim("exp", now + 7200),
        "all_scopes" => token.claim("scope", "mcp:*"),
        "expired" | "expired_accepted" => token.claim("iat", now - 700).claim("exp", now - 100),
        _ => token,
    };
    token.sign()
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let Some(request) = read(&mut stream).await else { return };
    state.seen.lock().unwrap().push(request.clone());
    if state.is("slow") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = answer(&state, &request);
    let mut head = format!("HTTP/1.1 {} Test\r\nconnection: close\r\n", answer.status);
    if answer.status != 204 {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = if request.method == "HEAD" { "" } else { answer.body.as_str() };
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
}

fn answer(state: &State, request: &Request) -> Answer {
    match request.path() {
        "/mcp" => resource_server::mcp(state, request),
        "/.well-known/oauth-protected-resource" if state.is("root_page") => Answer::page(200),
        "/.well-known/oauth-protected-resource" if state.is("root_broken") => {
            Answer::new(200).with("content-type", "application/json").body("{")
        }
        "/.well-known/oauth-protected-resource" if !state.is("metadata_elsewhere") => {
            Answer::json(404, &json!({}))
        }
        "/.well-known/oauth-protected-resource/mcp" | "/.well-known/oauth-protected-resource" => {
            resource_server::metadata(state, request)
        }
        _ => {
            authorization_server::answer(state, request).unwrap_or_else(|| match state.is("page") {
                true => Answer::page(200),
                false => Answer::json(404, &json!({ "error": "not_found" })),
            })
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<(String, String)> = lines.map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, target, headers, body })
}
