//! JSON-RPC messages (MCP, base protocol): those that are sent, and those that come.

#[cfg(test)]
mod tests;

use countersign_core::jose::json;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Notification;
use crate::text::shown;

/// What JSON-RPC answers to a method that is not there.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// A header does not match the body, or is missing (2026-07-28).
pub(super) const HEADER_MISMATCH: i64 = -32020;

/// The client lacks a capability that the request needs (2026-07-28).
pub(super) const CAPABILITY_MISSING: i64 = -32021;

/// The server does not speak the request's revision (2026-07-28).
pub(super) const VERSION_UNSUPPORTED: i64 = -32022;

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    /// The server's words, fit to be shown.
    pub(super) message: String,
    pub(super) data: Value,
}

/// A message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// An error; without an identifier where the server could not read the request's.
    Error {
        id: Option<Value>,
        error: RpcError,
    },
    Notification(Notification),
    Request {
        id: Value,
        method: String,
    },
    Result {
        id: Value,
        result: Map<String, Value>,
    },
}

impl Incoming {
    /// Whether it answers the request with this identifier.
    pub(super) fn answers(&self, request: u64) -> bool {
        match self {
            Self::Error { id, .. } => id.as_ref().is_none_or(|id| *id == request),
            Self::Result { id, .. } => *id == request,
            Self::Notification(_) | Self::Request { .. } => false,
        }
    }
}

/// Reads what came: one message, or where batches are allowed (2025-03-26) an array of them.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &[u8], allow_batch: bool) -> Result<Vec<Incoming>, String> {
    let value = json::parse(text).map_err(|error| format!("not strict JSON: {error}"))?;
    let value = serde_json::to_value(value).map_err(|_| "not JSON".to_owned())?;
    match value {
        Value::Array(batch) if allow_batch => batch.into_iter().map(one).collect(),
        Value::Array(_) => Err("a batch, which this revision of MCP does not have".to_owned()),
        value => Ok(vec![one(value)?]),
    }
}

fn one(message: Value) -> Result<Incoming, String> {
    match message {
        Value::Object(members) => known(members).ok_or_else(|| "not a JSON-RPC message".to_owned()),
        _ => Err("not a JSON-RPC message".to_owned()),
    }
}

/// `None` when it is not of JSON-RPC 2.0 as MCP has it.
fn known(mut members: Map<String, Value>) -> Option<Incoming> {
    if members.get("jsonrpc")? != "2.0" {
        return None;
    }
    let id = match members.remove("id") {
        Some(id) if id.is_string() || id.is_i64() || id.is_u64() => Some(id),
        None | Some(Value::Null) => None,
        Some(_) => return None,
    };
    match (members.remove("method"), members.remove("result"), members.remove("error")) {
        (Some(Value::String(method)), None, None) => Some(match id {
            Some(id) => Incoming::Request { id, method },
            None => Incoming::Notification(Notification {
                method,
                params: members.remove("params").unwrap_or_default(),
            }),
        }),
        (None, Some(Value::Object(result)), None) => Some(Incoming::Result { id: id?, result }),
        (None, None, Some(Value::Object(mut error))) => {
            let code = error.get("code")?.as_i64()?;
            let message = shown(error.get("message")?.as_str()?);
            let data = error.remove("data").unwrap_or_default();
            Some(Incoming::Error { id, error: RpcError { code, message, data } })
        }
        _ => None,
    }
}

/// A request.
pub(super) fn request(id: u64, method: &str, params: &impl Serialize) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A notification.
pub(super) fn notification(method: &str, params: Option<Value>) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "method": method });
    if let (Some(members), Some(params)) = (message.as_object_mut(), params) {
        members.insert("params".to_owned(), params);
    }
    message
}

/// The answer to a request of the server (before 2026-07-28): this client has nothing for servers but
/// the sign that it is there.
pub(super) fn answer_to(id: &Value, method: &str) -> Value {
    if method == "ping" {
        return json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    }
    let error = json!({ "code": METHOD_NOT_FOUND, "message": "this client has no such method" });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}
