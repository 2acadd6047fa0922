//! The client against a server of the test's own, which answers as the test says.

mod answers;
mod calls;
mod negotiation;
mod sessions;

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::json;

use super::*;
use crate::{
    Http,
    tests::stub::{Page, Seen, Stub},
};

/// Bounds that a test can wait for.
const SHORT: Limits =
    Limits { silence: Duration::from_millis(300), total: Duration::from_secs(3), bytes: 10_000 };

/// A caller that has a token, and keeps what it is told.
#[derive(Debug, Default)]
struct Ear {
    token: Option<&'static str>,
    asked: Vec<String>,
    nonces: Vec<String>,
    told: Vec<String>,
}

impl Caller for Ear {
    fn headers(&mut self, method: &Method, url: &str) -> Result<HeaderMap, Error> {
        assert!(url.ends_with("/mcp"), "{url}");
        self.asked.push(method.to_string());
        let mut headers = HeaderMap::new();
        if let Some(token) = self.token {
            headers.insert("authorization", HeaderValue::from_static(token));
        }
        Ok(headers)
    }

    fn answered(&mut self, headers: &HeaderMap) {
        let nonce = headers.get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        self.nonces.extend(nonce);
    }

    fn notified(&mut self, notification: &Notification) {
        self.told.push(notification.method.clone());
    }
}

fn connection(stub: &Stub) -> Connection {
    Connection::new(Http::new().unwrap(), &stub.url).unwrap().with_limits(SHORT)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn done<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> T {
    match outcome {
        Ok(Outcome::Done(done)) => done,
        other => panic!("{other:?}"),
    }
}

/// A server of revision 2026-07-28, which has one tool and answers all else as the test says.
fn stateless(answer: impl Fn(&Seen) -> Page + Send + Sync + 'static) -> Stub {
    Stub::start(move |seen| match seen.method() {
        "server/discover" => seen.result(json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": {} },
        })),
        "tools/list" => seen.result(json!({ "tools": [{ "name": "t", "inputSchema": {} }] })),
        _ => answer(seen),
    })
}

/// A server of an older revision with a session, which answers all else as the test says.
fn with_sessions(
    revision: &'static str,
    answer: impl Fn(&Seen) -> Page + Send + Sync + 'static,
) -> Stub {
    Stub::start(move |seen| match seen.method() {
        "server/discover" => Page::status(400),
        "initialize" => seen
            .result(json!({ "protocolVersion": revision, "capabilities": {} }))
            .header("mcp-session-id", "s-1"),
        "notifications/initialized" => Page::status(202),
        _ => answer(seen),
    })
}
