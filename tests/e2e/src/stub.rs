//! A stub HTTP server that records what reaches it: an upstream behind Envoy, or an issuer's key set.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::failure::{Failure, Outcome};
use crate::http::{Message, read_message};

/// What the stub answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Fields beside `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The whole answer as it goes over the wire, instead of all others.
    pub raw: Option<Vec<u8>>,
}

impl Answer {
    /// 200 with a JSON document.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status: 200, headers, body: body.into(), raw: None }
    }

    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), raw: None }
    }

    /// These bytes and no others.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::status(200) }
    }

    fn to_bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut bytes = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

type Handler = dyn Fn(&Message) -> Answer + Send + Sync;

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Message>>,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

/// A server on a free port of this machine; ends with the value.
pub struct Stub {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// Answers everything with an empty JSON object.
    pub fn upstream() -> Outcome<Self> {
        Self::start(|_| Answer::json("{}"))
    }

    /// Answers with what `handler` says.
    pub fn start(handler: impl Fn(&Message) -> Answer + Send + Sync + 'static) -> Outcome<Self> {
        Self::start_at(0, handler)
    }

    /// The same on a given port: where another one was before.
    pub fn start_at(
        port: u16,
        handler: impl Fn(&Message) -> Answer + Send + Sync + 'static,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(Failure::during("starting a stub server"))?;
        let port = listener.local_addr().map_err(Failure::during("reading a port"))?.port();
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let handler: Arc<Handler> = Arc::new(handler);
        let thread = thread::spawn(move || accept(&listener, &for_thread, &handler));
        Ok(Self { port, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The requests so far; the list starts anew.
    pub fn take(&self) -> Vec<Message> {
        core::mem::take(&mut *locked(&self.shared.seen))
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // A connection wakes the accepting thread; closed connections end the others.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        for stream in locked(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, handler: &Arc<Handler>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(copy) = stream.try_clone() {
            locked(&shared.open).push(copy);
        }
        let (shared, handler) = (Arc::clone(shared), Arc::clone(handler));
        thread::spawn(move || serve(stream, &shared, handler.as_ref()));
    }
}

/// Answers the requests of one connection until it ends.
fn serve(mut stream: TcpStream, shared: &Shared, handler: &Handler) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut reader = BufReader::new(copy);
    while let Ok(Some(request)) = read_message(&mut reader) {
        let answer = handler(&request).to_bytes();
        locked(&shared.seen).push(request);
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// The value, even if a thread that held the lock failed: these are only lists.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Stub};
    use crate::http::{Request, get};

    #[test]
    fn records_and_answers() {
        let stub = Stub::start(|request| match request.target() {
            "/jwks" => Answer::json("{\"keys\":[]}"),
            _ => Answer::status(404),
        })
        .unwrap();
        assert_eq!(get(stub.port(), "/jwks").unwrap().text(), "{\"keys\":[]}");
        let posted = Request::new("POST", "/mcp", "here").header("x-mcp-subject", "ada").body("{}");
        assert_eq!(posted.send(stub.port()).unwrap().status(), 404);
        let seen = stub.take();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].headers.get("x-mcp-subject").as_deref(), Some("ada"));
        assert_eq!(seen[1].text(), "{}");
        assert!(stub.take().is_empty());
    }
}
