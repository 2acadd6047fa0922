//! One connection that stays open, with a browser's cookies and a client's refresh token.

use std::{
    collections::BTreeMap,
    io::{BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
};

use countersign_e2e::http::{Message, Request, read_message};
use serde_json::Value;

use crate::peers::{ACCOUNT, CALLBACK, PASSWORD, Peer, RESOURCE};

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct Visitor {
    port: u16,
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    cookies: BTreeMap<String, String>,
    jwks: String,
    authorize: String,
    client_id: String,
    basic: String,
    introspect: String,
    introspected: String,
    refresh_token: String,
    /// The client's own, for introspection.
    access_token: String,
}

impl Visitor {
    /// Logs in, consents, and has a refresh token.
    pub(crate) fn arrive(peer: &Peer) -> Self {
        let (stream, reader) = connect(peer.port);
        let authorize = format!(
            "{}?response_type=code&client_id={}&redirect_uri={}&code_challenge={CHALLENGE}\
             &code_challenge_method=S256&scope=read&resource={}",
            peer.authorize,
            peer.client_id,
            escaped(CALLBACK),
            escaped(RESOURCE),
        );
        let (id, secret) = &peer.service;
        let basic = base64(format!("{}:{}", escaped(id), escaped(secret)).as_bytes());
        let mut visitor = Self {
            port: peer.port,
            stream,
            reader,
            cookies: BTreeMap::new(),
            jwks: peer.jwks.to_owned(),
            authorize,
            client_id: peer.client_id.clone(),
            basic: format!("Basic {basic}"),
            introspect: peer.introspect.to_owned(),
            introspected: peer.introspected.to_owned(),
            refresh_token: String::new(),
            access_token: String::new(),
        };
        visitor.code_flow();
        visitor
    }

    pub(crate) fn key_set(&mut self) {
        let request = self.request("GET", &self.jwks.clone());
        assert_eq!(self.exchange(&request).status(), 200);
    }

    pub(crate) fn client_credentials(&mut self) {
        self.by_credentials(RESOURCE);
    }

    /// Gets a token for that: oidc-provider's memory has room for so many, and forgets the oldest.
    pub(crate) fn prepare_introspection(&mut self) {
        self.access_token = self.own_token(&self.introspected.clone());
    }

    /// The same token again and again, as the servers of a resource ask for it.
    pub(crate) fn introspect(&mut self) {
        let body = format!("token={}", self.access_token);
        let request = self.form(&self.introspect, &body);
        let answer = self.exchange(&request.header("authorization", self.basic.clone()));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.text().contains("\"active\":true"), "{}", answer.text());
    }

    fn own_token(&mut self, resource: &str) -> String {
        let answer: Value = serde_json::from_slice(&self.by_credentials(resource).body).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn by_credentials(&mut self, resource: &str) -> Message {
        let body =
            format!("grant_type=client_credentials&scope=read&resource={}", escaped(resource));
        let request = self.form("/token", &body).header("authorization", self.basic.clone());
        let answer = self.exchange(&request);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer
    }

    pub(crate) fn refresh(&mut self) {
        let body = format!(
            "grant_type=refresh_token&client_id={}&refresh_token={}",
            self.client_id, self.refresh_token
        );
        self.take_tokens(&body);
    }

    pub(crate) fn code_flow(&mut self) {
        let code = self.code();
        let body = format!(
            "grant_type=authorization_code&client_id={}&code={code}&code_verifier={VERIFIER}\
             &redirect_uri={}",
            self.client_id,
            escaped(CALLBACK)
        );
        self.take_tokens(&body);
    }

    fn take_tokens(&mut self, body: &str) {
        let answer = self.exchange(&self.form("/token", body));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let tokens: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(tokens["access_token"].as_str().unwrap().matches('.').count() == 2, "a JWT");
        self.refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
    }

    /// The first time through the pages for login and consent, later by one redirect.
    fn code(&mut self) -> String {
        let mut answer = self.visit(&self.authorize.clone());
        for _ in 0..12 {
            if (300..400).contains(&answer.status()) {
                let location = answer.headers.get("location").unwrap();
                if let Some(query) = location.strip_prefix(&format!("{CALLBACK}?")) {
                    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
                    return code.unwrap_or_else(|| panic!("{location}")).to_owned();
                }
                let origin = format!("http://127.0.0.1:{}", self.port);
                answer = self.visit(location.strip_prefix(&origin).unwrap_or(&location));
                continue;
            }
            let page = answer.text();
            let action = if page.contains("type=\"password\"") { "login" } else { "allow" };
            let body = format!(
                "interaction={}&csrf={}&action={action}&username={ACCOUNT}&password={}",
                field(&page, "interaction"),
                field(&page, "csrf"),
                PASSWORD.replace(' ', "+"),
            );
            let path = self.authorize.split('?').next().unwrap().to_owned();
            let request = self.form(&path, &body).header("cookie", self.cookie());
            answer = self.exchange(&request);
        }
        panic!("no code: {}", answer.text());
    }

    fn visit(&mut self, target: &str) -> Message {
        let request = self.request("GET", target).header("cookie", self.cookie());
        self.exchange(&request.header("sec-fetch-site", "none"))
    }

    fn cookie(&self) -> String {
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, target, &format!("127.0.0.1:{}", self.port))
    }

    fn form(&self, target: &str, body: &str) -> Request {
        self.request("POST", target)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    fn exchange(&mut self, request: &Request) -> Message {
        self.stream.write_all(&request.to_bytes()).unwrap();
        let answer = match read_message(&mut self.reader) {
            Ok(Some(answer)) => answer,
            // It had closed the connection meanwhile, as HTTP allows.
            Ok(None) | Err(_) => {
                (self.stream, self.reader) = connect(self.port);
                self.stream.write_all(&request.to_bytes()).unwrap();
                read_message(&mut self.reader).unwrap().expect("an answer")
            }
        };
        for cookie in answer.headers.all("set-cookie") {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if answer.headers.get("connection").as_deref() == Some("close") {
            (self.stream, self.reader) = connect(self.port);
        }
        answer
    }
}

fn connect(port: u16) -> (TcpStream, BufReader<TcpStream>) {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let copy = stream.try_clone().unwrap();
    (stream, BufReader::new(copy))
}

fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// For `application/x-www-form-urlencoded`.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for index in 0..4_usize {
            let six = (number >> (18 - 6 * index)) & 63;
            text.push(if index <= chunk.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    text
}
