//! One message and its answer, over HTTP: as JSON, or as a stream of events.

mod stream;

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

use super::{
    Caller, Limits, Refused, Revision,
    headers::SESSION_ID,
    message::{self, Incoming, RpcError},
};
use crate::{
    Error, Http,
    discovery::Challenge,
    http::{MAX_DOCUMENT, moved, read, unreachable},
    text::shown,
};

/// The media type of an answer.
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Most requests of a server that are answered on the way to its own answer.
const MAX_ANSWERS: usize = 100;

/// What came of a message.
#[derive(Debug)]
pub(super) enum Reply {
    /// JSON-RPC says what is wrong.
    Error {
        status: u16,
        error: RpcError,
    },
    /// HTTP says that something is wrong.
    Failed {
        status: u16,
    },
    Result(Map<String, Value>),
}

/// Why a request came to no end of its own.
#[derive(Debug)]
pub(super) enum Stop {
    Error(Error),
    Refused(Refused),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a caller asked for, and how much of its bounds is left: however many messages it takes.
pub(super) struct Run<'a> {
    caller: &'a mut dyn Caller,
    clock: Clock,
    limit: usize,
    bytes_left: usize,
    /// How many more requests of the server are answered.
    answers_left: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(limits: Limits, caller: &'a mut dyn Caller) -> Self {
        let Limits { silence, total, bytes } = limits;
        let clock = Clock { silence, total, deadline: Instant::now().checked_add(total) };
        Self { caller, clock, limit: bytes, bytes_left: bytes, answers_left: MAX_ANSWERS }
    }

    /// Asks the caller what the server wants to know.
    pub(super) fn asked(&mut self, requests: &Map<String, Value>) -> Option<Map<String, Value>> {
        self.caller.asked(requests)
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
struct Clock {
    silence: Duration,
    total: Duration,
    /// `None` when it is so far away that no clock knows it.
    deadline: Option<Instant>,
}

impl Clock {
    fn left(self) -> Duration {
        let now = Instant::now();
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now))
    }

    /// Waits for a server, but no longer than the bounds allow.
    async fn wait<T>(self, url: &str, future: impl Future<Output = T>) -> Result<T, Error> {
        let waited = timeout(self.left().min(self.silence), future).await;
        waited.map_err(|_| {
            let why = if self.left().is_zero() {
                format!("no answer within {} seconds", self.total.as_secs())
            } else {
                format!("it said nothing for {} seconds", self.silence.as_secs())
            };
            Error::Unreachable { url: url.to_owned(), why }
        })
    }
}

/// The way of messages to a server.
pub(super) struct Exchange<'a, 'run> {
    pub(super) http: &'a Http,
    pub(super) url: &'a str,
    pub(super) revision: Revision,
    /// The revision and the session.
    pub(super) headers: HeaderMap,
    pub(super) run: &'a mut Run<'run>,
    /// The session that the last answer is of.
    pub(super) session: Option<HeaderValue>,
}

impl Exchange<'_, '_> {
    /// Sends a request, and reads until its answer is there.
    pub(super) async fn send(
        &mut self,
        id: u64,
        message: &Value,
        mirrored: HeaderMap,
    ) -> Result<Reply, Stop> {
        let response = self.post(message, mirrored).await?;
        if !response.status().is_success() {
            return Ok(failed(self.url, self.run.clock, response, id).await?);
        }
        self.session = response.headers().get(SESSION_ID).cloned();
        match media_type(&response).as_str() {
            JSON => self.document(response, id).await,
            EVENTS => self.stream(response, id).await,
            other => {
                let kind = if other.is_empty() { "no media type".to_owned() } else { shown(other) };
                let status = response.status().as_u16();
                Err(self.wrong(format!(
                    "status {status} and {kind}: that is no answer of an MCP server"
                )))
            }
        }
    }

    /// Sends a message that has no answer.
    pub(super) async fn tell(&mut self, message: &Value) -> Result<(), Stop> {
        let response = self.post(message, HeaderMap::new()).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(self.wrong(format!("a notification is answered with status {status}"))),
        }
    }

    /// Ends the session (2025-11-25, session management). Servers need not let clients do so.
    pub(super) async fn end_session(&mut self) -> Result<(), Stop> {
        let request = self.request(Method::DELETE)?;
        self.head(request).await.map(drop)
    }

    async fn post(&mut self, message: &Value, mirrored: HeaderMap) -> Result<Response, Stop> {
        let request = self
            .request(Method::POST)?
            .headers(mirrored)
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, JSON)
            .body(message.to_string());
        self.head(request).await
    }

    fn request(&mut self, method: Method) -> Result<RequestBuilder, Error> {
        let authorization = self.run.caller.headers(&method, self.url)?;
        let request = self.http.request(method, self.url)?;
        Ok(request.headers(self.headers.clone()).headers(authorization))
    }

    /// Sends, and looks at the head of the answer.
    async fn head(&mut self, request: RequestBuilder) -> Result<Response, Stop> {
        let response = self.run.clock.wait(self.url, self.http.stream(request)).await??;
        self.run.caller.answered(response.headers());
        let status = response.status().as_u16();
        match status {
            401 | 403 => {
                let challenge = Challenge::of(response.headers());
                Err(Stop::Refused(Refused { status, challenge }))
            }
            429 | 503 => {
                let after = response.headers().get(RETRY_AFTER);
                let retry_after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
                Err(Error::Unavailable { url: self.url.to_owned(), status, retry_after }.into())
            }
            _ => moved(self.url, &response).map_or(Ok(response), |error| Err(error.into())),
        }
    }

    async fn document(&mut self, mut response: Response, id: u64) -> Result<Reply, Stop> {
        let mut body = Vec::new();
        while let Some(part) = self.part(&mut response).await?? {
            body.extend_from_slice(&part);
        }
        match self.take(&body, id).await? {
            Some(reply) => Ok(reply),
            None => Err(self.wrong("its answer is none to the request".to_owned())),
        }
    }

    /// Reads the next part of an answer, within the bounds. The inner error is one of the connection.
    async fn part(
        &mut self,
        response: &mut Response,
    ) -> Result<Result<Option<Vec<u8>>, Error>, Error> {
        let part = match self.run.clock.wait(self.url, response.chunk()).await? {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(unreachable(self.url, &error))),
        };
        let left = self.run.bytes_left.checked_sub(part.len());
        let (url, limit) = (self.url, self.run.limit);
        self.run.bytes_left = left.ok_or_else(|| Error::TooLong { url: url.to_owned(), limit })?;
        Ok(Ok(Some(part.to_vec())))
    }

    /// Goes through the messages that came, and gives back the answer if it is there.
    async fn take(&mut self, text: &[u8], id: u64) -> Result<Option<Reply>, Stop> {
        let messages = message::read(text, self.revision == Revision::V20250326);
        let mut reply = None;
        for message in messages.map_err(|why| self.wrong(why))? {
            let answers = message.answers(id);
            match message {
                Incoming::Result { result, .. } if answers => reply = Some(Reply::Result(result)),
                Incoming::Error { error, .. } if answers => {
                    reply = Some(Reply::Error { status: 200, error });
                }
                Incoming::Notification(notification) => self.run.caller.notified(&notification),
                Incoming::Request { id, method } if self.revision.has_sessions() => {
                    let left = self.run.answers_left.checked_sub(1);
                    let left = left.ok_or_else(|| self.wrong("it asks too much".to_owned()))?;
                    self.run.answers_left = left;
                    // If it does not arrive, the server does without; ours goes on.
                    let answer = message::answer_to(&id, &method);
                    let _ = self.post(&answer, HeaderMap::new()).await;
                }
                Incoming::Request { .. } => {
                    let why = "a request on the stream of an answer, which MCP forbids";
                    return Err(self.wrong(why.to_owned()));
                }
                Incoming::Result { .. } | Incoming::Error { .. } => {
                    return Err(self.wrong("it answers a request that was not made".to_owned()));
                }
            }
        }
        Ok(reply)
    }

    fn wrong(&self, why: String) -> Stop {
        Error::Answer { url: self.url.to_owned(), why }.into()
    }
}

/// The media type of an answer without its parameters; empty when there is none.
fn media_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// An answer that HTTP calls a failure. Where it is an error of JSON-RPC too, that says more.
async fn failed(url: &str, clock: Clock, response: Response, id: u64) -> Result<Reply, Error> {
    let status = response.status().as_u16();
    let body = match clock.wait(url, read(response, MAX_DOCUMENT)).await? {
        Ok(answer) => answer.body,
        Err(Error::TooLong { .. }) => return Ok(Reply::Failed { status }),
        Err(error) => return Err(error),
    };
    let message = message::read(&body, false).ok().and_then(|mut messages| messages.pop());
    Ok(match message {
        Some(Incoming::Error { id: of, error }) if of.as_ref().is_none_or(|of| *of == id) => {
            Reply::Error { status, error }
        }
        _ => Reply::Failed { status },
    })
}
