//! Reading a request's body part by part, as far as it takes to decide.

use alloc::{boxed::Box, sync::Arc};

use super::{
    inspect,
    policy::Policy,
    step::{Context, Forward, Pending, Stage, Step},
    verdict::{Asked, decide, refuse},
};
use crate::{
    Reason, UnixSeconds,
    mcp::message::{Message, MessageScan},
};

/// A body of which some parts were read. None of them is kept.
#[derive(Debug)]
pub(super) struct Reading {
    /// What becomes of the request if the message is found in order.
    pub(super) forward: Forward,
    scan: MessageScan,
    length: usize,
}

impl Reading {
    pub(super) fn new(forward: Forward) -> Self {
        Self { forward, scan: MessageScan::new(), length: 0 }
    }
}

/// Reads the next part. What is refused is refused at once; a request is never let through before its
/// body's end, but in shadow mode, where it is let through whatever it is.
pub(super) fn read(
    policy: &Arc<Policy>,
    context: Context,
    mut reading: Box<Reading>,
    (part, is_last): (&[u8], bool),
    now: UnixSeconds,
) -> Step {
    reading.length = reading.length.saturating_add(part.len());
    let read = if is_over(&reading.forward, policy.leeway, now) {
        // The body took longer than the token lives.
        Err(Reason::TokenExpired)
    } else if reading.length > policy.limits.body_bytes {
        Err(Reason::BodyTooLarge)
    } else {
        reading.scan.push(part)
    };
    if read.is_ok() && !is_last {
        return Step::NeedBody(Pending { context, stage: Stage::Body(reading) });
    }
    let Reading { forward, scan, .. } = *reading;
    match read.and_then(|()| scan.finish()) {
        Ok(message) => decide_message(policy, &context, forward, message),
        Err(reason) => refuse(policy, &context, reason.into(), forward.identity, &Asked::default()),
    }
}

fn decide_message(
    policy: &Arc<Policy>,
    context: &Context,
    forward: Forward,
    message: Message,
) -> Step {
    let agrees = inspect::agrees(&context.mirror, &message);
    let Message { operation, id, .. } = message;
    if agrees {
        let asked = Asked::of(&operation, Some(id));
        return decide(policy, context, forward, &operation, asked);
    }
    let asked = Asked { id: Some(id), ..Asked::default() };
    refuse(policy, context, Reason::HeaderMismatch.into(), forward.identity, &asked)
}

/// Whether the caller's token is no longer valid.
fn is_over(forward: &Forward, leeway: u64, now: UnixSeconds) -> bool {
    let identity = forward.identity.as_ref();
    identity.is_some_and(|identity| now >= identity.expires_at.saturating_add(leeway))
}
