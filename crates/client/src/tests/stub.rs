//! A server that says what it is told to say.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// A request that came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) verb: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body, if that is JSON.
    pub(crate) body: Value,
    /// Its body as it came.
    pub(crate) text: String,
    /// How many came before it.
    pub(crate) number: usize,
}

impl Seen {
    /// The method of its message; its verb where it has none.
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or(&self.verb)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Verb and path.
    pub(crate) fn route(&self) -> String {
        format!("{} {}", self.verb, self.target.split('?').next().unwrap_or_default())
    }

    /// The origin that it was sent to.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.header("host"))
    }

    /// A field of its form; empty when it is not there.
    pub(crate) fn field(&self, name: &str) -> String {
        let mut fields = form_urlencoded::parse(self.text.as_bytes());
        fields
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    /// The message with its result.
    pub(crate) fn message(&self, result: Value) -> String {
        json!({ "jsonrpc": "2.0", "id": self.body["id"], "result": result }).to_string()
    }

    pub(crate) fn result(&self, result: Value) -> Page {
        Page::json(self.message(result))
    }

    pub(crate) fn error(&self, status: u16, code: i64, data: Value) -> Page {
        let error = json!({ "code": code, "message": "no", "data": data });
        let id = &self.body["id"];
        Page::json(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()).with(status)
    }
}

/// What is answered. Its body ends with the connection.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    status: u16,
    headers: Vec<(&'static str, String)>,
    parts: Vec<(Duration, Vec<u8>)>,
    repeats: bool,
}

impl Page {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), parts: Vec::new(), repeats: false }
    }

    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).header("content-type", "application/json; charset=utf-8").then(0, body)
    }

    /// A stream of events.
    pub(crate) fn events(events: &str) -> Self {
        Self::status(200).header("content-type", "text/event-stream").then(0, events)
    }

    pub(crate) const fn with(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// More of the body, so many milliseconds later.
    pub(crate) fn then(mut self, wait: u64, body: impl Into<Vec<u8>>) -> Self {
        self.parts.push((Duration::from_millis(wait), body.into()));
        self
    }

    /// The body begins again where it ends.
    pub(crate) const fn forever(mut self) -> Self {
        self.repeats = true;
        self
    }
}

type Answer = dyn Fn(&Seen) -> Page + Send + Sync;

/// Ends with the value.
pub(crate) struct Stub {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections whose other end is gone before the answer was out.
    pub(crate) left: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Page + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let listener = TcpListener::from_std(listener).unwrap();
        let (seen, left) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<usize>>::default());
        let answer: Arc<Answer> = Arc::new(answer);
        let task = tokio::spawn({
            let (seen, left) = (Arc::clone(&seen), Arc::clone(&left));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (seen, left) = (Arc::clone(&seen), Arc::clone(&left));
                    let answer = Arc::clone(&answer);
                    tokio::spawn(async move {
                        if serve(stream, &seen, answer.as_ref()).await.is_err() {
                            *left.lock().unwrap() += 1;
                        }
                    });
                }
            }
        });
        Self { url, seen, left, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Its URL without the path.
    pub(crate) fn origin(&self) -> String {
        self.url.trim_end_matches("/mcp").to_owned()
    }

    /// The requests to one path.
    pub(crate) fn to(&self, route: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.route() == route).collect()
    }

    /// The methods of the messages that came, and the verbs of other requests.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.method().to_owned()).collect()
    }
}

async fn serve(stream: TcpStream, seen: &Mutex<Vec<Seen>>, answer: &Answer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = Seen::default();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) => {
                request.headers.insert(name.to_owned(), value.to_owned());
            }
            None => {
                let mut words = line.split(' ').map(str::to_owned);
                request.verb = words.next().unwrap_or_default();
                request.target = words.next().unwrap_or_default();
            }
        }
    }
    let mut body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    request.body = serde_json::from_slice(&body).unwrap_or_default();
    request.text = String::from_utf8_lossy(&body).into_owned();
    {
        let mut seen = seen.lock().unwrap();
        request.number = seen.len();
        seen.push(request.clone());
    }
    let Page { status, headers, parts, repeats } = answer(&request);
    let mut head = format!("HTTP/1.1 {status} Stub\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    loop {
        for (wait, part) in &parts {
            sleep(*wait).await;
            stream.write_all(part).await?;
            stream.flush().await?;
        }
        if !repeats {
            return Ok(());
        }
    }
}
