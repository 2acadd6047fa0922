//! Requests put together at random, by somebody whose token may read and not write, through a real Envoy: none
//! of them makes the server write, whatever Envoy, the filter and the server each read into it, and nothing
//! falls over. `COUNTERSIGN_SEED` chooses others, `COUNTERSIGN_CASES` how many.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Front, HOST, Setup, call, comes, good_keys, policy, token, with_page};
use countersign_e2e::Stub;
use countersign_e2e::http::{Message, Request};
use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    /// The first most of the time: most requests must be nearly right to get far.
    fn mostly<'a>(&mut self, from: &[&'a str]) -> &'a str {
        if self.roll(5) > 0 { from[0] } else { self.pick(from) }
    }
}

const METHODS: [&str; 13] = [
    "POST", "post", "PUT", "PATCH", "OPTIONS", "TRACE", "POST\t", "QUERY", "X", "CONNECT", "GET",
    "HEAD", "DELETE",
];
const TARGETS: [&str; 20] = [
    "/mcp",
    "//mcp",
    "/mcp/",
    "/mcp?x=1",
    "/%6dcp",
    "/mcp/../mcp",
    "/./mcp",
    "/mcp%2f",
    "/mcp%00",
    "/MCP",
    "/mcp;x=1",
    "/mcp#x",
    "\\mcp",
    "http://mcp.example.com/mcp",
    "https://mcp.example.com:443/mcp",
    "/x/..%2fmcp",
    "/mcp/x",
    "/%2e/mcp",
    "/healthz/../mcp",
    "/.well-known/../mcp",
];
const HOSTS: [&str; 8] = [
    "host: mcp.example.com\r\n",
    "Host: MCP.example.com\r\n",
    "host: mcp.example.com:443\r\n",
    "host: mcp.example.com.\r\n",
    "host: mcp.example.com\r\nhost: evil.example\r\n",
    "host: evil.example\r\n",
    "",
    "host: mcp.example.com\r\nx-forwarded-host: evil.example\r\n",
];
const TYPES: [&str; 12] = [
    "content-type: application/json\r\n",
    "Content-Type: Application/JSON;charset=UTF-8\r\n",
    "content-type: text/plain\r\n",
    "content-type: application/json; charset=utf-16\r\n",
    "",
    "content-type: application/json\r\ncontent-type: text/plain\r\n",
    "content-type: application/json, text/plain\r\n",
    "content-type: application/json\r\ncontent-encoding: gzip\r\n",
    "content-type: application/json\r\ncontent-encoding: identity\r\n",
    "content-type: multipart/form-data; boundary=x\r\n",
    "content-type:\tapplication/json\t\r\n",
    "content-type: application/x-www-form-urlencoded\r\n",
];
const MIRRORS: [&str; 9] = [
    "",
    "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: write_file\r\n",
    "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: read_file\r\n",
    "mcp-protocol-version: 2025-11-25\r\nmcp-method: tools/list\r\n",
    "mcp-method: ping\r\n",
    "mcp-name: =?base64?cmVhZF9maWxl?=\r\n",
    "mcp-protocol-version: 2026-07-28\r\nmcp-protocol-version: 2025-03-26\r\n",
    "mcp-session-id: x\r\nx-http-method-override: POST\r\n",
    "x-mcp-subject: admin\r\nx_mcp_scope: files:write\r\nX-MCP-Client: admin\r\n",
];
const BODIES: [&str; 26] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"}}"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file"}}]"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file"},"params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","Name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"write_file"}}"#,
    "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"write_file\"}}",
    r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"write_file"}}"#,
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"write_file\"}}",
    r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"write\u005ffile"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file\u0000"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u0077rite_file","x":[[[[1]]]]}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\u0061me":"write_file"}}"#,
    r#"{"id":1,"method":"tools/call","params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["write_file"]}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file"},}"#,
    r#"{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'write_file'}}"#,
    r#"{"jsonrpc":"2.0","id":1,"result":{},"method":"tools/call","params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"write_file"}}"#,
    r#"/**/{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file"}}"#,
    r#"{"jsonrpc":"2.0","id":NaN,"method":"tools/call","params":{"name":"write_file"}}"#,
    "",
];

/// A body and what says how long it is.
fn framed(dice: &mut Dice, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let with = |head: String, rest: Vec<u8>| [head.into_bytes(), rest].concat();
    let chunks = |dice: &mut Dice, end: &str| {
        let mut text = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(1 + dice.roll(rest.len()));
            let extension = dice.mostly(&["", ";x=1", ";x=\"\\\"\""]);
            text.extend(format!("{:x}{extension}\r\n", part.len()).into_bytes());
            text.extend(part);
            text.extend(b"\r\n");
            rest = after;
        }
        text.extend(end.as_bytes());
        text
    };
    match dice.roll(12) {
        0..=4 => with(format!("content-length: {length}\r\n\r\n"), body.to_vec()),
        5..=7 => with("transfer-encoding: chunked\r\n\r\n".into(), chunks(dice, "0\r\n\r\n")),
        8 => with(
            "transfer-encoding: chunked\r\ntrailer: x\r\n\r\n".into(),
            chunks(dice, "0\r\nx: 1\r\nauthorization: Bearer x\r\n\r\n"),
        ),
        9 => with(
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n"),
            chunks(dice, "0\r\n\r\n"),
        ),
        10 => with(
            format!("content-length: {length}\r\ncontent-length: {}\r\n\r\n", length + 1),
            body.to_vec(),
        ),
        _ => with(format!("content-length: {}\r\n\r\n", dice.roll(length + 2)), body.to_vec()),
    }
}

/// A request and what follows it on its connection.
fn request(dice: &mut Dice, tokens: &[String]) -> Vec<u8> {
    let credentials = match dice.roll(12) {
        0..=7 => format!("authorization: Bearer {}\r\n", tokens[0]),
        8 => format!("authorization: bearer\t{}\r\n", tokens[0]),
        9 => format!("authorization: Bearer {}\r\n", tokens[1 + dice.roll(tokens.len() - 1)]),
        10 => format!("authorization: Bearer {0}\r\nauthorization: Bearer {0}\r\n", tokens[0]),
        _ => String::new(),
    };
    let mut body = dice.pick(&BODIES).as_bytes().to_vec();
    match dice.roll(10) {
        0 => body = [" ".repeat(dice.roll(70_000)).into_bytes(), body].concat(),
        1 if !body.is_empty() => {
            let at = dice.roll(body.len());
            body[at] = u8::try_from(dice.roll(256)).unwrap();
        }
        2 => body.extend(b"\0\n \xff"),
        _ => {}
    }
    let head = [
        format!(
            "{} {} {}\r\n",
            dice.mostly(&METHODS),
            dice.mostly(&TARGETS),
            dice.mostly(&["HTTP/1.1", "HTTP/1.0", "HTTP/1.1 "])
        ),
        dice.mostly(&HOSTS).to_owned(),
        dice.mostly(&TYPES).to_owned(),
        dice.pick(&MIRRORS).to_owned(),
        credentials,
    ];
    [head.concat().into_bytes(), framed(dice, &body)].concat()
}

/// For how long to wait for an answer: many of these requests get none. Five times the slowest of twenty good
/// ones, so that on a busy machine too most are answered; a tenth of a second at most, since they are many.
fn patience(front: &Front, good: &Request) -> Duration {
    let times = (0..20).map(|_| {
        let start = Instant::now();
        assert_eq!(front.send(good).status(), 200);
        start.elapsed()
    });
    let slowest = times.max().unwrap_or_default();
    (5 * slowest).clamp(Duration::from_millis(5), Duration::from_millis(100))
}

/// Sends it in two pieces, ends, and reads what comes until the end.
fn send(front: &Front, bytes: &[u8], cut: usize, patience: Duration) {
    let mut stream = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.set_nodelay(true).unwrap();
    let (first, rest) = bytes.split_at(cut.min(bytes.len()));
    let _ = stream.write_all(first);
    let _ = stream.write_all(rest);
    let mut buffer = [0; 4096];
    // The first of the answer is enough: what was decided was decided.
    let _ = stream.read(&mut buffer);
}

/// The texts in what may be JSON, however lenient its reader.
fn texts(body: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = body.chars();
    while let Some(quote) = rest.find(|c| matches!(c, '"' | '\'')) {
        let mut text = String::new();
        while let Some(next) = rest.next().filter(|next| *next != quote) {
            match (next, (next == '\\').then(|| rest.next()).flatten()) {
                (_, Some('u')) => {
                    let digits: String = rest.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).unwrap_or_default();
                    text.extend(char::from_u32(code));
                }
                (_, Some(escaped)) => text.push(escaped),
                (plain, None) => text.push(plain),
            }
        }
        found.push(text.to_lowercase());
    }
    found
}

/// Whether a server could take this for a call of `write_file`. Where the text is one JSON value with each
/// member once, there is one way to read it, but for the case of names; else the words are enough, wherever
/// they stand.
fn writes(request: &Message) -> bool {
    let texts = texts(&request.text());
    let once = |name: &str| texts.iter().filter(|text| *text == name).count() < 2;
    let value = serde_json::from_slice::<Value>(&request.body).ok();
    if let Some(message) = value.filter(|_| once("method") && once("params")) {
        let is = |object: &Value, name: &str, value: &str| {
            let members = object.as_object().into_iter().flatten();
            members.filter(|(found, _)| found.eq_ignore_ascii_case(name)).any(|(_, v)| v == value)
        };
        let params = |object: &Value| -> Vec<Value> {
            let members = object.as_object().into_iter().flatten();
            let found = members.filter(|(name, _)| name.eq_ignore_ascii_case("params"));
            found.map(|(_, value)| value.clone()).collect()
        };
        let named = |object: &Value| params(object).iter().any(|v| is(v, "name", "write_file"));
        return is(&message, "method", "tools/call") && named(&message);
    }
    let has = |name: &str, value: &str| texts.windows(2).any(|pair| pair == [name, value]);
    has("method", "tools/call") && has("name", "write_file")
}

#[test]
fn nobody_writes_without_the_right_to() {
    let number = |name: &str, default: u64| {
        env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, cases) = (number("COUNTERSIGN_SEED", 1), number("COUNTERSIGN_CASES", 3000));
    for hold in [true, false] {
        let mut policy = policy(hold);
        policy["limits"] = json!({ "failures_per_minute": 0 });
        let document = with_page(policy);
        let setup = Setup::with(Stub::upstream().unwrap(), document, hold, |_| good_keys());
        let front = setup.start();
        let read = call(&token().sign(), "read_file");
        assert!(front.until(200, &read));
        let patience = patience(&front, &read);
        front.upstream.take();
        let tokens = [
            token().sign(),
            token().key(TestKey::Es256(9), "es1").sign(),
            token().claim("scope", "mcp:use files:write").claim("exp", 1).sign(),
            token()
                .claim("scope", "mcp:use files:write")
                .claim("aud", format!("https://{HOST}"))
                .sign(),
            token().claim("scope", "mcp:use files:write").with_signature(&[0; 64]),
            "x".to_owned(),
        ];
        let mut dice = Dice(seed.max(1));
        let (mut passed, mut beheaded) = (0, 0);
        for case in 0..cases {
            let bytes = request(&mut dice, &tokens);
            let cut = dice.roll(bytes.len() + 1);
            send(&front, &bytes, cut, patience);
            // Those that were late come with a later one; all that come are looked at.
            let last = case + 1 == cases;
            assert!(!last || comes(|| front.held() == [0, 0]), "requests are held");
            for seen in front.upstream.take() {
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                let whole = seen.headers.get("content-length").and_then(|text| text.parse().ok());
                let whole = whole.is_none_or(|length: usize| length == seen.body.len());
                assert_eq!(seen.headers.get("authorization"), None, "{seed} {case}: {shown}");
                let subjects: Vec<String> = seen.headers.all("x-mcp-subject").collect();
                assert_eq!(subjects, ["user-1"], "{seed} {case}: {shown}");
                assert_eq!(seen.headers.get("x_mcp_scope"), None, "{seed} {case}: {shown}");
                if whole {
                    passed += 1;
                    assert!(!writes(&seen), "{seed} {case}: {shown}\n{}", seen.text());
                } else {
                    beheaded += 1;
                }
            }
        }
        println!("hold_headers {hold}: {passed} of {cases} passed, of {beheaded} a beginning");
        assert!(passed > usize::try_from(cases).unwrap() / 100, "{passed}");
        assert!(!hold || beheaded == 0, "{beheaded} beginnings");
        // It would have told.
        let may = token().claim("scope", "mcp:use files:write").sign();
        assert_eq!(front.send(&call(&may, "write_file")).status(), 200);
        assert!(front.upstream.take().iter().any(writes));
        assert_eq!(front.send(&read).status(), 200);
        assert_eq!(front.envoy.stat("wasm.countersign.vm_reload_success"), 0);
        assert!(comes(|| front.held() == [0, 0]), "requests are held");
    }
}
