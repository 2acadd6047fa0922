//! Receiving the answer from the browser: a server on a loopback address for one login (RFC 8252 §7.3).

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    Error,
    authorization::{Code, Pending},
};

/// Where the answer arrives. Nothing else has this path.
const PATH: &str = "/callback";

/// A request to the loopback server has this long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that waits for one answer.
#[derive(Debug)]
pub struct Callback {
    listener: TcpListener,
    address: SocketAddr,
}

impl Callback {
    /// Listens on a port of 127.0.0.1: the wanted one if it is free, else any.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when there is none.
    pub async fn listen(port: Option<u16>) -> Result<Self, Error> {
        let wanted = match port {
            Some(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.ok(),
            None => None,
        };
        match wanted {
            Some(listener) => Self::at(listener),
            None => Self::listen_on(0).await,
        }
    }

    /// Listens on this port of 127.0.0.1 and no other: the authorization server may know it.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it is taken.
    pub async fn listen_on(port: u16) -> Result<Self, Error> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        Self::at(bound.map_err(|error| Error::Unreachable {
            url: format!("http://127.0.0.1:{port}"),
            why: format!("cannot be listened on for the browser's answer: {error}"),
        })?)
    }

    fn at(listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(|error| Error::Unreachable {
            url: "http://127.0.0.1".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self { listener, address })
    }

    /// The redirect URI that leads here, or to this port by another name of the machine.
    #[must_use]
    pub fn redirect_uri(&self, host: &str) -> String {
        format!("http://{host}:{}{PATH}", self.address.port())
    }

    /// Waits until the answer to this request arrives: from the browser, or as a line that somebody
    /// pasted, where the browser runs on another machine.
    ///
    /// Requests without this login's `state` are refused and change nothing: any page that is open in a
    /// browser can send some. A pasted line without it is told to whoever pasted it.
    ///
    /// # Errors
    /// [`Error::CallbackTimeout`], and those of [`Pending::finish`].
    pub async fn answer(
        self,
        pending: Pending,
        mut pasted: Option<mpsc::Receiver<String>>,
        patience: Duration,
        in_vain: &(dyn Fn() + Sync),
    ) -> Result<Code, Error> {
        let deadline = Instant::now() + patience;
        let (done, mut received) = oneshot::channel();
        let waiting = Arc::new(Mutex::new(Some(Waiting { pending, done })));
        let mut connections = tokio::task::JoinSet::new();
        let arrived = timeout_at(deadline, async {
            loop {
                tokio::select! {
                    code = &mut received => return code.unwrap_or(Err(Error::CallbackTimeout)),
                    Some(line) = next(&mut pasted) => {
                        if !line.trim().is_empty() && take_pasted(&waiting, &line).is_none() {
                            in_vain();
                        }
                    }
                    accepted = self.listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(serve(stream, Arc::clone(&waiting)));
                        }
                        // Connections that went away, or no files left for now: the next may be it.
                        Err(_) => sleep(PAUSE).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        let code = arrived.await.unwrap_or(Err(Error::CallbackTimeout));
        // The page that says so may still be on its way.
        let farewell = Duration::from_millis(500);
        let _ = tokio::time::timeout(farewell, async {
            while connections.join_next().await.is_some() {}
        })
        .await;
        code
    }
}

/// A request that is not answered yet.
struct Waiting {
    pending: Pending,
    done: oneshot::Sender<Result<Code, Error>>,
}

type Shared = Arc<Mutex<Option<Waiting>>>;

/// The next pasted line; never, where nobody pastes.
async fn next(pasted: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match pasted {
        Some(lines) => match lines.recv().await {
            Some(line) => Some(line),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// A whole URL, or its query alone. Whatever else was typed is no answer, and the waiting goes on.
fn take_pasted(waiting: &Shared, line: &str) -> Option<bool> {
    let line = line.trim();
    let query = line.split_once('?').map_or(line, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    take(waiting, query)
}

/// Gives the answer on, if it is one; `None` when it is not, else whether it lets in.
fn take(waiting: &Shared, query: &str) -> Option<bool> {
    let mut waiting = waiting.lock().ok()?;
    if !waiting.as_ref()?.pending.is_answered_by(query) {
        return None;
    }
    let Waiting { pending, done } = waiting.take()?;
    let code = pending.finish(query);
    let is_good = code.is_ok();
    // Nobody waits any more: then nobody is told.
    let _ = done.send(code);
    Some(is_good)
}

async fn serve(stream: TcpStream, waiting: Shared) {
    let service = service_fn(move |request: Request<Incoming>| {
        let page = answer(&request, &waiting);
        async move { Ok::<_, Infallible>(page) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT);
    // A browser that goes away is no news.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, waiting: &Shared) -> Response<String> {
    if request.method() != Method::GET || request.uri().path() != PATH {
        return page(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    match take(waiting, request.uri().query().unwrap_or_default()) {
        Some(true) => page(
            StatusCode::OK,
            "The answer has arrived: the command line goes on. You can close this window.",
        ),
        Some(false) => page(
            StatusCode::OK,
            "The login did not succeed: the command line says why. You can close this window.",
        ),
        None => page(StatusCode::BAD_REQUEST, "This is not the answer to a login that waits."),
    }
}

fn page(status: StatusCode, text: &str) -> Response<String> {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Countersign</title>\
         <body style=\"font-family: system-ui, sans-serif; margin: 4rem auto; max-width: 36rem\">\
         <h1>Countersign</h1><p>{text}</p></body></html>"
    );
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        // The code stands in the URL of this page: it goes nowhere from here.
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}
