//! A user with a browser and a client: cookies, a refresh token, and one connection for both.

use std::collections::BTreeMap;

use crate::connection::Connection;
use crate::peers::{ACCOUNT, CALLBACK, PASSWORD, Peer, RESOURCE};

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct Visitor {
    connection: Connection,
    origin: String,
    /// The first header of each request.
    host: String,
    cookies: BTreeMap<String, String>,
    refresh_token: String,
    introspect: String,
    introspected: String,
    basic: String,
    client_id: String,
    authorize_path: String,
    // Requests that are the same each time, whole.
    authorize: String,
    jwks: Vec<u8>,
    client_credentials: Vec<u8>,
    introspection: Vec<u8>,
}

impl Visitor {
    /// Logs in, consents, and has a refresh token.
    pub(crate) async fn arrive(peer: &Peer) -> Self {
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
        let host = format!("host: 127.0.0.1:{}\r\n", peer.port);
        let mut visitor = Self {
            connection: Connection::open(peer.port).await,
            origin: format!("http://127.0.0.1:{}", peer.port),
            cookies: BTreeMap::new(),
            refresh_token: String::new(),
            introspect: peer.introspect.to_owned(),
            introspected: peer.introspected.to_owned(),
            basic: format!("{host}authorization: Basic {basic}\r\n"),
            client_id: peer.client_id.clone(),
            authorize_path: peer.authorize.to_owned(),
            authorize,
            jwks: get(peer.jwks, &host),
            client_credentials: Vec::new(),
            introspection: Vec::new(),
            host,
        };
        visitor.client_credentials = visitor.own_token_request(RESOURCE);
        visitor.code_flow().await;
        visitor
    }

    pub(crate) async fn key_set(&mut self) {
        self.connection.exchange(&self.jwks).await;
        assert_eq!(self.connection.status(), 200);
    }

    pub(crate) async fn client_credentials(&mut self) {
        self.connection.exchange(&self.client_credentials).await;
        self.check_tokens();
    }

    /// Gets a token for that: oidc-provider's memory has room for so many, and forgets the oldest.
    pub(crate) async fn prepare_introspection(&mut self) {
        let request = self.own_token_request(&self.introspected);
        self.connection.exchange(&request).await;
        assert_eq!(self.connection.status(), 200, "{}", self.connection.text());
        let body = format!("token={}", self.connection.member("access_token"));
        self.introspection = post(&self.introspect, &self.basic, &body);
    }

    /// The same token again and again, as the servers of a resource ask for it.
    pub(crate) async fn introspect(&mut self) {
        self.connection.exchange(&self.introspection).await;
        let (answer, body) = (&self.connection, self.connection.body());
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(body.contains("\"active\":true"), "{body}");
    }

    fn own_token_request(&self, resource: &str) -> Vec<u8> {
        let resource = escaped(resource);
        let body = format!("grant_type=client_credentials&scope=read&resource={resource}");
        post("/token", &self.basic, &body)
    }

    pub(crate) async fn refresh(&mut self) {
        let body = format!(
            "grant_type=refresh_token&client_id={}&refresh_token={}",
            self.client_id, self.refresh_token
        );
        self.take_tokens(&body).await;
    }

    pub(crate) async fn code_flow(&mut self) {
        let code = self.code().await;
        let body = format!(
            "grant_type=authorization_code&client_id={}&code={code}&code_verifier={VERIFIER}\
             &redirect_uri={}",
            self.client_id,
            escaped(CALLBACK)
        );
        self.take_tokens(&body).await;
    }

    async fn take_tokens(&mut self, body: &str) {
        self.connection.exchange(&post("/token", &self.host, body)).await;
        self.check_tokens();
        self.connection.member("refresh_token").clone_into(&mut self.refresh_token);
    }

    fn check_tokens(&self) {
        let answer = &self.connection;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let dots = answer.member("access_token").bytes().filter(|byte| *byte == b'.');
        assert_eq!(dots.count(), 2, "a JWT");
    }

    /// The first time through the pages for login and consent, later by one redirect.
    async fn code(&mut self) -> String {
        self.visit(&get(&self.authorize, &self.cookie("none"))).await;
        for _ in 0..12 {
            let answer = &self.connection;
            let request = if (300..400).contains(&answer.status()) {
                let location = answer.header("location").unwrap();
                if let Some((callback, query)) = location.split_once('?')
                    && callback == CALLBACK
                {
                    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
                    return code.unwrap_or_else(|| panic!("{location}")).to_owned();
                }
                get(location.strip_prefix(&self.origin).unwrap_or(location), &self.cookie("none"))
            } else {
                let page = answer.body();
                let action = if page.contains("type=\"password\"") { "login" } else { "allow" };
                let body = format!(
                    "interaction={}&csrf={}&action={action}&username={ACCOUNT}&password={}",
                    field(page, "interaction"),
                    field(page, "csrf"),
                    PASSWORD.replace(' ', "+"),
                );
                post(&self.authorize_path, &self.cookie("same-origin"), &body)
            };
            self.visit(&request).await;
        }
        panic!("no code: {}", self.connection.text());
    }

    /// As a browser, with cookies.
    async fn visit(&mut self, request: &[u8]) {
        self.connection.exchange(request).await;
        for cookie in self.connection.headers("set-cookie") {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A browser's headers, for a page that its user opened (`none`) or that another page leads to.
    fn cookie(&self, site: &str) -> String {
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}sec-fetch-site: {site}\r\ncookie: {}\r\n", self.host, pairs.join("; "))
    }
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{headers}\r\n").into_bytes()
}

fn post(target: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let form = "application/x-www-form-urlencoded";
    format!(
        "POST {target} HTTP/1.1\r\n{headers}content-type: {form}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
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
