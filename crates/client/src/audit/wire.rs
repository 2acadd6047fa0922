//! The audit's requests: one after the other, counted, bounded, and to no other places than the audited
//! server and the authorization servers that it names.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, LOCATION},
};
use serde_json::Value;

use super::leaks;
use crate::{Error, Http, check_url, http::is_loopback};

/// Most requests of one audit, whatever the servers say.
const MAX_REQUESTS: u32 = 80;

/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For the first event of a stream.
const STREAM_TIMEOUT: Duration = Duration::from_secs(2);

/// So much of a body is looked at, in bytes.
const MAX_BODY: usize = 128 * 1024;

/// A request to be sent. It may have a token in it, and so is not to be printed.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
}

impl Call {
    pub(super) fn new(method: Method, url: &str) -> Self {
        Self { method, url: url.to_owned(), headers: Vec::new(), body: None }
    }

    pub(super) fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    /// A form to an endpoint of an authorization server.
    pub(super) fn form(url: &str, pairs: &[(&str, &str)]) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        Self::new(Method::POST, url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(&form.extend_pairs(pairs).finish())
    }

    /// Adds a header; one that is there already stays beside it.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// What must not come back in an answer.
    fn credentials(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.iter().filter(|(name, _)| *name == AUTHORIZATION.as_str());
        values.filter_map(|(_, value)| value.split(' ').nth(1))
    }
}

/// An answer, as far as it was read.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An answer, or why there is none.
pub(super) type Answered = Result<Seen, String>;

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its media type in lower case, without parameters.
    pub(super) fn media_type(&self) -> String {
        let value = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    pub(super) fn is_json(&self) -> bool {
        let kind = self.media_type();
        kind == "application/json" || kind.ends_with("+json")
    }

    pub(super) fn is_page(&self) -> bool {
        matches!(self.media_type().as_str(), "text/html" | "application/xhtml+xml")
    }

    pub(super) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Where it redirects to.
    pub(super) fn redirect(&self) -> Option<&str> {
        (300..400).contains(&self.status).then(|| self.header(LOCATION.as_str())).flatten()
    }

    /// The body's JSON object, or that of the first event of a stream.
    pub(super) fn object(&self) -> Option<serde_json::Map<String, Value>> {
        let text = str::from_utf8(&self.body).ok()?;
        let data = |line: &str| line.strip_prefix("data:").map(|data| data.trim().to_owned());
        let text = match self.media_type() == "text/event-stream" {
            true => text.lines().filter_map(data).find(|data| !data.is_empty())?,
            false => text.to_owned(),
        };
        match serde_json::from_str(&text).ok()? {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Whether it is the answer to somebody who may: a success that is neither a page for people nor an
    /// error of JSON-RPC.
    pub(super) fn lets_in(&self) -> bool {
        let is_error = self.object().is_some_and(|members| {
            members.contains_key("error") && !members.contains_key("result")
        });
        self.is_success() && !self.is_page() && !is_error
    }

    /// Status and media type, for people.
    pub(super) fn summary(&self) -> String {
        let error = self.object().and_then(|members| Some(members.get("error")?.is_object()));
        match error {
            Some(true) if self.is_success() => {
                format!("status {} with a JSON-RPC error", self.status)
            }
            _ if self.is_success() && !self.media_type().is_empty() => {
                format!("status {} with {}", self.status, self.media_type())
            }
            _ => format!("status {}", self.status),
        }
    }
}

/// How an audit tells how far it is: the number of the request, and what it is for.
pub type Progress<'a> = &'a (dyn Fn(u32, &str) + Sync);

/// Sends the requests.
pub(super) struct Wire<'a> {
    http: &'a Http,
    progress: Option<Progress<'a>>,
    /// The audited server is on this machine: so may be what it names.
    is_local: bool,
    sent: u32,
    /// What answers showed that they should not.
    pub(super) leaks: Vec<leaks::Leak>,
    /// Sessions that servers began, with the credentials that they were begun with.
    sessions: Vec<(String, Option<String>)>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(http: &'a Http, url: &str, progress: Option<Progress<'a>>) -> Self {
        let is_local = Url::parse(url).is_ok_and(|url| is_loopback(&url));
        Self { http, progress, is_local, sent: 0, leaks: Vec::new(), sessions: Vec::new() }
    }

    /// How many requests there were.
    pub(super) const fn sent(&self) -> u32 {
        self.sent
    }

    /// Whether a URL may be called that a server named: https, and to this machine only where the audited
    /// server is on it.
    pub(super) fn check(&self, url: &str) -> Result<(), String> {
        match check_url(url) {
            Err(Error::Url { why, .. }) => Err(format!("{url}: {why}")),
            Err(other) => Err(other.to_string()),
            Ok(url) if is_loopback(&url) && !self.is_local => {
                Err(format!("{url} leads to this machine, and the server is not on it"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Sends a request. Without an answer there is a text that says why.
    pub(super) async fn ask(&mut self, purpose: &str, call: Call) -> Answered {
        self.check(&call.url)?;
        let request =
            self.http.request(call.method.clone(), &call.url).map_err(|error| error.to_string())?;
        self.send(purpose, request, &call).await
    }

    /// The same by plain http to wherever: for a request with nothing in it that is secret.
    pub(super) async fn ask_plainly(&mut self, purpose: &str, call: Call) -> Answered {
        let request = self
            .http
            .unchecked(call.method.clone(), &call.url)
            .map_err(|error| error.to_string())?;
        self.send(purpose, request, &call).await
    }

    async fn send(&mut self, purpose: &str, request: RequestBuilder, call: &Call) -> Answered {
        if self.sent == MAX_REQUESTS {
            return Err(format!("not sent: {MAX_REQUESTS} requests are the bound of an audit"));
        }
        self.sent += 1;
        if let Some(progress) = self.progress {
            progress(self.sent, purpose);
        }
        // A connection each: servers that refuse without reading the body take it for the next request.
        let mut request = request.timeout(TIMEOUT).header(CONNECTION, "close");
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let response = self.http.stream(request).await.map_err(|error| match error {
            Error::Unreachable { why, .. } => why,
            other => other.to_string(),
        })?;
        let seen = read(response).await;
        self.leaks.extend(leaks::find(&seen, call.credentials()));
        self.remember_session(&seen, call);
        Ok(seen)
    }

    fn remember_session(&mut self, seen: &Seen, call: &Call) {
        let Some(id) = seen.header("mcp-session-id").filter(|_| seen.is_success()) else { return };
        let authorization = call.headers.iter().find(|(name, _)| *name == "authorization");
        let authorization = authorization.map(|(_, value)| value.clone());
        if !self.sessions.iter().any(|(known, _)| known == id) {
            self.sessions.push((id.to_owned(), authorization));
        }
    }

    /// Ends the sessions that servers began for this audit's requests.
    pub(super) async fn end_sessions(&mut self, url: &str) {
        for (id, authorization) in std::mem::take(&mut self.sessions) {
            let mut call = Call::new(Method::DELETE, url).header("mcp-session-id", id);
            if let Some(authorization) = authorization {
                call = call.header("authorization", authorization);
            }
            // Where that fails, the server ends it by itself one day.
            let _ = self.ask("ending a session", call).await;
        }
    }
}

/// Reads what is to be had of a body: all of it up to a bound, or a stream's first event.
async fn read(mut response: Response) -> Seen {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut seen = Seen { status, headers, body: Vec::new() };
    let is_stream = seen.media_type() == "text/event-stream";
    let all = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_BODY - seen.body.len();
            seen.body.extend(chunk.iter().take(room));
            if seen.body.len() == MAX_BODY || (is_stream && has_event(&seen.body)) {
                break;
            }
        }
    };
    if is_stream {
        // One that stays silent is an answer too.
        let _ = tokio::time::timeout(STREAM_TIMEOUT, all).await;
    } else {
        all.await;
    }
    seen
}

/// Whether a stream has shown an event with data to its end.
fn has_event(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    text.split_inclusive("\n\n").any(|event| {
        event.ends_with("\n\n")
            && event
                .lines()
                .any(|line| line.strip_prefix("data:").is_some_and(|data| !data.trim().is_empty()))
    })
}
