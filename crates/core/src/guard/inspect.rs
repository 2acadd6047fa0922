//! Reading what a request asks for: from its head, and from its body.

use alloc::{borrow::ToOwned as _, format, string::String};

use super::{
    media_type::is_json,
    policy::ScopeRules,
    request::{RequestHead, Single},
    step::{Context, Method, Mirror, Mirrored, Upgrade},
};
use crate::{
    Reason, UnixSeconds,
    jwt::{claims::Claims, preset::Preset},
    mcp::{
        headers::{decode_value, must_mirror},
        message::Message,
        operation::{LISTEN, Operation},
    },
};

/// What comes after the caller is known.
#[derive(Debug)]
pub(super) enum Next {
    Decide(Operation),
    ReadBody,
}

pub(super) fn method(head: &RequestHead<'_>) -> Method {
    match head.method {
        b"POST" => Method::Post,
        b"DELETE" | b"GET" | b"HEAD" => Method::Leg,
        _ => Method::Other,
    }
}

/// Whether a body comes with a method that has none in MCP. Some frameworks make a stream of every DELETE:
/// there the headers tell.
pub(super) fn has_stray_body(head: &RequestHead<'_>) -> bool {
    let is_announced = || {
        head.values("transfer-encoding").next().is_some()
            || head.values("content-length").any(|length| length != b"0")
    };
    head.has_body && (is_announced() || head.method != b"DELETE")
}

/// Whether the connection is to become another protocol (RFC 9110 §7.8).
pub(super) fn upgrade(head: &RequestHead<'_>) -> Upgrade {
    let mut protocols = head.values("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
    match head.values("upgrade").next() {
        None => Upgrade::None,
        Some(_) if protocols.all(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c")) => {
            Upgrade::H2c
        }
        Some(_) => Upgrade::Other,
    }
}

/// A preflight is told by its header (Fetch standard); any other OPTIONS is a request like others.
pub(super) fn is_preflight(head: &RequestHead<'_>) -> bool {
    head.method == b"OPTIONS"
        && head.values("origin").next().is_some()
        && head.values("access-control-request-method").next().is_some()
}

pub(super) fn mirror(head: &RequestHead<'_>) -> Mirror {
    let read = |name, decode: fn(&[u8]) -> Option<String>| match head.single(name) {
        Single::Absent => Mirrored::Absent,
        Single::Repeated => Mirrored::Invalid,
        Single::Value(value) => decode(value).map_or(Mirrored::Invalid, Mirrored::Value),
    };
    let plain = |value: &[u8]| {
        core::str::from_utf8(value).ok().map(|text| text.trim_matches([' ', '\t']).to_owned())
    };
    let version = read("mcp-protocol-version", plain);
    Mirror {
        required: must_mirror(mirrored_text(&version).map(str::as_bytes)),
        version,
        method: read("mcp-method", decode_value),
        name: read("mcp-name", decode_value),
    }
}

/// Whether the body is declared as `application/json` without content coding: in any other form
/// the server could read something else than we do.
pub(super) fn body_is_json(head: &RequestHead<'_>) -> bool {
    let Single::Value(media_type) = head.single("content-type") else {
        return false;
    };
    let identity =
        head.values("content-encoding").all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    is_json(media_type) && identity
}

/// What a response's body is declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Events,
    Json,
    Other,
    /// Declared twice, perhaps in a character set that JSON has not, or with a content coding.
    Unreadable,
}

pub(super) fn media(headers: &[(&[u8], &[u8])]) -> Media {
    let mut types = values(headers, b"content-type");
    let (Some(value), None) = (types.next(), types.next()) else {
        let is_absent = values(headers, b"content-type").next().is_none();
        return if is_absent { Media::Other } else { Media::Unreadable };
    };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let media = if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Media::Events
    } else if essence.eq_ignore_ascii_case(b"application/json") {
        Media::Json
    } else {
        return Media::Other;
    };
    let mut codings = values(headers, b"content-encoding");
    let is_plain = codings.all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    if is_plain && (media == Media::Events || is_json(value)) { media } else { Media::Unreadable }
}

/// Whether lenient clients may read messages in a body of another type: without one, or with one that
/// only has the right words in it.
pub(super) fn looks_like_messages(headers: &[(&[u8], &[u8])]) -> bool {
    let mut types = values(headers, b"content-type").map(<[u8]>::to_ascii_lowercase).peekable();
    let has = |value: &[u8], word: &[u8]| value.windows(word.len()).any(|part| part == word);
    types.peek().is_none()
        || types.any(|value| has(&value, b"json") || has(&value, b"event-stream"))
}

fn values<'a>(
    headers: &'a [(&'a [u8], &'a [u8])],
    name: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    let named = move |(found, _): &&(&[u8], &[u8])| found.eq_ignore_ascii_case(name);
    headers.iter().filter(named).map(|(_, value)| value.trim_ascii())
}

/// Decides what can be decided before the body is read.
pub(super) fn before_body(context: &Context, rules: &ScopeRules) -> Result<Next, Reason> {
    if context.upgrade == Upgrade::Other {
        return Err(Reason::OperationDenied);
    }
    match context.method {
        // Nobody reads it here; a server that reads bodies whatever the method would (RFC 9110 §9.3.1: it
        // may be refused).
        Method::Leg if context.has_stray_body => return Err(Reason::MessageMalformed),
        Method::Leg => return Ok(Next::Decide(Operation::Transport)),
        Method::Other => return Err(Reason::MethodNotAllowed),
        Method::Post => {}
    }
    if !context.body_is_json {
        return Err(Reason::ContentTypeUnsupported);
    }
    if !context.has_body {
        return Err(Reason::MessageMalformed);
    }
    let mirror = &context.mirror;
    if mirror.method == Mirrored::Invalid
        || mirror.name == Mirrored::Invalid
        || (mirror.required && mirror.method == Mirrored::Absent)
    {
        return Err(Reason::HeaderMismatch);
    }
    // What the policy denies to everybody is refused without reading on. Headers alone never allow.
    if let (true, Some(operation)) = (mirror.required, mirrored_operation(mirror))
        && let Err(reason) = rules.needed(&operation)
    {
        return Err(reason);
    }
    Ok(Next::ReadBody)
}

/// What the headers say that the message asks for, as far as they say it.
pub(super) fn mirrored_operation(mirror: &Mirror) -> Option<Operation> {
    let method = mirrored_text(&mirror.method)?;
    // `subscriptions/listen` has no name: its URIs stand in the body alone.
    let name = mirrored_text(&mirror.name).filter(|_| method != LISTEN);
    Operation::new(method, name)
}

/// Whether a message says what the headers say that mirror it (MCP 2026-07-28, server validation).
pub(super) fn agrees(mirror: &Mirror, message: &Message) -> bool {
    let method_agrees = match &mirror.method {
        Mirrored::Absent => !mirror.required,
        Mirrored::Invalid => false,
        Mirrored::Value(method) => message.operation.method() == Some(method),
    };
    let name_agrees = match &mirror.name {
        Mirrored::Absent => !mirror.required || message.operation.name().is_none(),
        Mirrored::Invalid => false,
        // Other methods may define names of their own, which no rule depends on.
        Mirrored::Value(name) => message.operation.name().is_none_or(|operation| operation == name),
    };
    let version_agrees = match &message.version {
        None => true,
        Some(version) => mirrored_text(&mirror.version) == Some(version),
    };
    method_agrees && name_agrees && version_agrees
}

/// What an operator wants to see when a verified token is refused.
pub(super) fn claims_detail(
    reason: Reason,
    preset: &Preset,
    claims: &Claims,
    now: UnixSeconds,
) -> Option<String> {
    match reason {
        Reason::TokenTypeUnsupported => {
            preset.missing_mark(claims).map(|name| format!("no access token by its claim {name}"))
        }
        Reason::AudienceMismatch => Some(format!("aud={:?}", claims.audience)),
        Reason::TokenExpired => Some(format!("exp={:?} now={now}", claims.expires_at?)),
        Reason::TokenNotYetValid => {
            Some(format!("iat={:?} nbf={:?} now={now}", claims.issued_at, claims.not_before))
        }
        Reason::TokenLifetimeExcessive => {
            Some(format!("lifetime={}", claims.expires_at?.saturating_sub(claims.issued_at?)))
        }
        _ => None,
    }
}

fn mirrored_text(mirrored: &Mirrored) -> Option<&str> {
    match mirrored {
        Mirrored::Value(text) => Some(text),
        Mirrored::Absent | Mirrored::Invalid => None,
    }
}
