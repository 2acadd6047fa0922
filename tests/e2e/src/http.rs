//! HTTP/1.1 by hand: tests send what no HTTP library would agree to send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::failure::{Failure, Outcome};

/// Long enough for a busy machine, short enough for a test.
const TIMEOUT: Duration = Duration::from_secs(60);
/// No message in a test is larger.
const LARGEST: u64 = 16 << 20;

/// Header fields in the order of the wire; names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The first value of a field, as text.
    pub fn get(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.0
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// A request or an answer, read from the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line, without its end.
    pub start: String,
    /// The header fields.
    pub headers: Headers,
    /// The body, with any transfer coding removed.
    pub body: Vec<u8>,
}

impl Message {
    /// The status code of an answer; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start.strip_prefix("HTTP/") {
            Some(rest) => rest.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0),
            None => 0,
        }
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request: path and query.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request in the making. `connection: close` is added when it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    /// `method target` for `host`.
    pub fn new(method: &str, target: &str, host: &str) -> Self {
        let head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
        Self { head: head.into_bytes(), body: Vec::new() }
    }

    /// Adds a field; the value may be any bytes.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    /// Sets the body, and its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", length)
    }

    /// The whole text, for a connection that stays open.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it to a port of this machine and reads the answer.
    pub fn send(&self, port: u16) -> Outcome<Message> {
        let mut bytes = self.head.clone();
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        send_raw(port, &bytes)
    }
}

/// GETs a path from a port of this machine.
pub fn get(port: u16, path: &str) -> Outcome<Message> {
    Request::new("GET", path, &format!("127.0.0.1:{port}")).send(port)
}

/// Does this path answer 200?
pub fn is_ok(port: u16, path: &str) -> bool {
    get(port, path).is_ok_and(|answer| answer.status() == 200)
}

/// Sends bytes as they are and reads one answer.
pub fn send_raw(port: u16, bytes: &[u8]) -> Outcome<Message> {
    let doing = format!("talking to port {port}");
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(Failure::during(&doing))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(Failure::during(&doing))?;
    // The server may answer and close before it has read everything: that is no error.
    let sent = stream.write_all(bytes);
    let mut reader = BufReader::new(stream);
    // RFC 9110 §9.3.2: whatever its headers say, an answer to HEAD has no body.
    let read = if bytes.starts_with(b"HEAD ") { read_head } else { read_message };
    match (read(&mut reader), sent) {
        (Ok(Some(answer)), _) => Ok(answer),
        (Ok(None), Ok(())) => Err(Failure::new(format!("{doing}: no answer"))),
        (Ok(None), Err(error)) => Err(Failure::new(format!("{doing}: {error}"))),
        (Err(failure), _) => Err(failure),
    }
}

/// Reads one message; `None` when the connection ends before it.
pub fn read_message<R: BufRead>(reader: &mut R) -> Outcome<Option<Message>> {
    let Some(mut message) = read_head(reader)? else {
        return Ok(None);
    };
    message.body = body(reader, &message)?;
    Ok(Some(message))
}

fn read_head<R: BufRead>(reader: &mut R) -> Outcome<Option<Message>> {
    let start = line(reader)?;
    if start.is_empty() {
        return Ok(None);
    }
    let mut message =
        Message { start: String::from_utf8_lossy(&start).into_owned(), ..Message::default() };
    loop {
        let field = line(reader)?;
        if field.is_empty() {
            break;
        }
        let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
        let (name, value) = field.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        message.headers.0.push((name, value.to_vec()));
    }
    Ok(Some(message))
}

fn body(reader: &mut impl BufRead, message: &Message) -> Outcome<Vec<u8>> {
    let bodiless = matches!(message.status(), 100..=199 | 204 | 304);
    if bodiless {
        return Ok(Vec::new());
    }
    let chunked = message.headers.all("transfer-encoding").any(|coding| coding == "chunked");
    if chunked {
        return chunks(reader);
    }
    match message.headers.get("content-length") {
        Some(length) => exactly(reader, length.parse().unwrap_or(0)),
        // An answer without a length goes on to the end of the connection; a request has no body.
        None if message.status() == 0 => Ok(Vec::new()),
        None => upto(reader, LARGEST),
    }
}

fn chunks(reader: &mut impl BufRead) -> Outcome<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let size = line(reader)?;
        let size = String::from_utf8_lossy(&size).into_owned();
        let digits = size.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(digits, 16)
            .map_err(Failure::during(format_args!("reading the chunk size {size:?}")))?;
        all.extend(exactly(reader, length)?);
        line(reader)?;
        if length == 0 || all.len() as u64 > LARGEST {
            return Ok(all);
        }
    }
}

fn exactly(reader: &mut impl BufRead, length: u64) -> Outcome<Vec<u8>> {
    upto(reader, length.min(LARGEST))
}

fn upto(reader: &mut impl BufRead, length: u64) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes).map_err(Failure::during("reading a body"))?;
    Ok(bytes)
}

/// One line without its end; empty at the end of the connection.
fn line(reader: &mut impl BufRead) -> Outcome<Vec<u8>> {
    let mut line = Vec::new();
    reader
        .take(LARGEST)
        .read_until(b'\n', &mut line)
        .map_err(Failure::during("reading a message's head"))?;
    Ok(line.trim_ascii_end().to_vec())
}

#[cfg(test)]
mod tests {
    use super::read_message;

    #[test]
    fn reads_requests_and_answers() {
        let mut bytes: &[u8] =
            b"POST /mcp HTTP/1.1\r\nX-A: 1\r\nx-a: \xff\r\nContent-Length: 2\r\n\r\nhiGET /";
        let request = read_message(&mut bytes).unwrap().unwrap();
        assert_eq!((request.method(), request.target(), request.status()), ("POST", "/mcp", 0));
        assert_eq!(request.headers.all("x-a").count(), 2);
        assert_eq!(request.text(), "hi");

        let mut bytes: &[u8] =
            b"HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let answer = read_message(&mut bytes).unwrap().unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (401, "abc"));

        let mut nothing: &[u8] = b"";
        assert!(read_message(&mut nothing).unwrap().is_none());
    }
}
