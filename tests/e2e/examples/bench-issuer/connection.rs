//! One connection that stays open: a request is written in one go, an answer read into one buffer and
//! searched, not parsed. What the load generator does takes away from the servers, which share its
//! machine.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// No answer is longer.
const LARGEST: usize = 1 << 16;

pub(crate) struct Connection {
    port: u16,
    stream: TcpStream,
    read: Vec<u8>,
    /// How much of it is the last answer.
    length: usize,
    /// Where its body begins.
    body: usize,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Self {
        Self { port, stream: connect(port).await, read: vec![0; LARGEST], length: 0, body: 0 }
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) {
        if self.try_exchange(request).await.is_none() {
            // It had closed the connection meanwhile, as HTTP allows.
            self.stream = connect(self.port).await;
            self.try_exchange(request).await.expect("an answer");
        }
        if self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = connect(self.port).await;
        }
    }

    async fn try_exchange(&mut self, request: &[u8]) -> Option<()> {
        self.stream.write_all(request).await.ok()?;
        (self.length, self.body) = (0, 0);
        let mut end = None;
        while end.is_none_or(|end| self.length < end) {
            let count = self.stream.read(&mut self.read[self.length..]).await.ok()?;
            if count == 0 {
                return None;
            }
            self.length += count;
            if end.is_none() {
                end = self.end();
            }
        }
        Some(())
    }

    /// Where the answer ends, once its head is there.
    fn end(&mut self) -> Option<usize> {
        let head = self.read[..self.length].windows(4).position(|four| four == b"\r\n\r\n")?;
        self.body = head + 4;
        let length = self.header("content-length").expect("an answer with its length");
        let end = self.body + length.parse::<usize>().unwrap();
        assert!(end <= LARGEST, "a long answer");
        Some(end)
    }

    pub(crate) fn status(&self) -> u16 {
        self.text()[9..12].parse().unwrap()
    }

    /// The first value of a header field.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.headers(name).next()
    }

    /// Every value of a header field.
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.text()[..self.body].split("\r\n").filter_map(move |line| {
            let is_it = line.as_bytes().get(name.len()) == Some(&b':')
                && line[..name.len()].eq_ignore_ascii_case(name);
            is_it.then(|| line[name.len() + 1..].trim())
        })
    }

    /// A member of a JSON object whose values need no escapes.
    pub(crate) fn member(&self, name: &str) -> &str {
        let (_, rest) = self.body().split_once(&format!("\"{name}\":\"")).expect(name);
        rest.split('"').next().unwrap()
    }

    pub(crate) fn body(&self) -> &str {
        &self.text()[self.body..]
    }

    /// The whole answer.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.read[..self.length]).unwrap()
    }
}

async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
