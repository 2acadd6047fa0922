//! `filter_lists`: the server's lists show what their caller may use, and nothing else.
//!
//! A hidden tool is no secret kept: calling it is refused, with or without this. What cannot be read
//! strictly is answered with an error, never passed on.

use alloc::{borrow::ToOwned as _, boxed::Box, string::ToString as _, sync::Arc, vec::Vec};

use super::{
    answer::Refusal,
    decision::{Decision, Header, HeaderName, Response, Verdict},
    identity::Identity,
    inspect::{self, Media},
    policy::{Mode, Policy},
    step::Forward,
};
use crate::{
    Reason,
    jose::json::Value,
    mcp::{
        events::{Event, Events},
        extent::{self, Extent},
        list::{self, List, Unreadable},
        operation::Operation,
    },
};

/// What is to be done with the server's response to a forwarded request. Its lists may have entries
/// that the caller may not use.
#[derive(Clone, Debug)]
pub struct ListFilter {
    caller: Caller,
    /// The list that was asked for; `None` on the transport's other legs, which repeat answers.
    list: Option<List>,
    /// The request's `id`.
    id: Value,
    /// What a refusal is recorded as.
    record: Decision,
}

/// Who calls, and what they may do.
#[derive(Clone, Debug)]
struct Caller {
    policy: Arc<Policy>,
    resource: usize,
    identity: Arc<Identity>,
}

/// The head of the server's response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Names and values, as they are.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Whether anything follows the head.
    pub has_body: bool,
}

/// What becomes of a response.
#[derive(Debug)]
pub enum FilterStep {
    /// It has no list: it goes on as it is.
    Pass,
    /// Its head goes on without [`FilteredBody::remove`], and its body as this says.
    Filter(Box<FilteredBody>),
    /// It is replaced by this, with [`Forward::response_headers`] and [`Forward::response_append`] as
    /// always, and its body is not read.
    Respond(Box<Response>),
}

/// A response's body that is being filtered.
#[derive(Debug)]
pub struct FilteredBody {
    filter: ListFilter,
    form: Form,
    refused: Option<Decision>,
    has_refused: bool,
}

#[derive(Debug)]
enum Form {
    Events(Events),
    /// All of the message so far.
    Message(Extent, Vec<u8>),
    /// The message has ended, or is longer than allowed: nothing more goes on.
    Ended,
}

impl ListFilter {
    /// Asks the server for a body that can be read. For hosts that send the head on before the
    /// operation is known.
    pub(super) fn prepare(policy: &Policy, resource: usize, forward: &mut Forward) {
        if enforces(policy, resource) {
            forward.set.push(plain_coding());
        }
    }

    /// The operation is known: puts the filter on, or takes back what was prepared for it.
    pub(super) fn settle(
        policy: &Arc<Policy>,
        resource: usize,
        operation: &Operation,
        id: Option<&Value>,
        forward: &mut Forward,
    ) {
        forward.set.retain(|header| *header != plain_coding());
        let list = operation.method().and_then(List::of_method);
        let Some(identity) = &forward.identity else { return };
        if !enforces(policy, resource) || (list.is_none() && *operation != Operation::Transport) {
            return;
        }
        let mut record = forward.decision.clone();
        record.verdict = Verdict::Deny;
        record.reason = Some(Reason::ListUnreadable);
        record.operation = Some(operation.to_string());
        let caller =
            Caller { policy: Arc::clone(policy), resource, identity: Arc::clone(identity) };
        forward.set.push(plain_coding());
        forward.response_filter =
            Some(Box::new(Self { caller, list, id: id.cloned().unwrap_or(Value::Null), record }));
    }

    /// Begins to read the response.
    #[must_use]
    pub fn begin(self, head: ResponseHead<'_>) -> FilterStep {
        if !head.has_body {
            return FilterStep::Pass;
        }
        // RFC 9110 §15.3.7: a part of a stream, begun anywhere, is no stream.
        if head.status == 206 {
            return self.refuse("it is a part of something (206)");
        }
        let limit = self.caller.policy.limits.body_bytes;
        let form = match inspect::media(head.headers) {
            Media::Json => Form::Message(Extent::default(), Vec::new()),
            Media::Events => Form::Events(Events::new(limit)),
            // Pages of errors and the like are no answers to clients of MCP.
            Media::Other if !(200..300).contains(&head.status) => return FilterStep::Pass,
            Media::Other if self.list.is_none() && !inspect::looks_like_messages(head.headers) => {
                return FilterStep::Pass;
            }
            Media::Other => return self.refuse("its content type is neither JSON nor events"),
            Media::Unreadable => return self.refuse("its body is encoded, or declared twice"),
        };
        let body = FilteredBody { filter: self, form, refused: None, has_refused: false };
        FilterStep::Filter(Box::new(body))
    }

    fn refuse(self, detail: &'static str) -> FilterStep {
        let decision = self.decision(detail);
        let refusal = Refusal { id: Some(&self.id), ..Refusal::default() };
        FilterStep::Respond(Box::new(refusal.response(decision, Reason::ListUnreadable, &[])))
    }

    fn decision(&self, detail: &str) -> Decision {
        Decision { detail: Some(detail.to_owned()), ..self.record.clone() }
    }

    /// The JSON-RPC error that stands for what cannot be read.
    fn error(&self) -> Vec<u8> {
        let refusal = Refusal { id: Some(&self.id), ..Refusal::default() };
        refusal.body(Reason::ListUnreadable).to_string().into_bytes()
    }
}

impl FilteredBody {
    /// The server's headers that are not true of what goes on: all of this name.
    #[must_use]
    pub fn remove(&self) -> Vec<HeaderName> {
        [
            "content-length",
            "etag",
            "content-digest",
            "repr-digest",
            "digest",
            "content-md5",
            "accept-ranges",
        ]
        .map(HeaderName::fixed)
        .into()
    }

    /// Whether the body is one message, and no stream of events.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        !matches!(self.form, Form::Events(_))
    }

    /// Reads the next part of the body, of any length: what goes on of it. A message goes on when its
    /// last bracket is there, since what ends a body may bring nothing that could be replaced.
    #[must_use]
    pub fn push(&mut self, part: &[u8]) -> Vec<u8> {
        let (extent, message) = match &mut self.form {
            Form::Events(_) => return self.events(Some(part)),
            Form::Message(extent, message) => (extent, message),
            Form::Ended => {
                self.leave_out(part);
                return Vec::new();
            }
        };
        let end = extent.end(part);
        let (own, rest) = end.and_then(|end| part.split_at_checked(end)).unwrap_or((part, &[]));
        if own.len() > self.filter.caller.policy.limits.body_bytes - message.len() {
            self.form = Form::Ended;
            return self.unreadable(Unreadable("it is longer than limits.body_bytes"));
        }
        message.extend_from_slice(own);
        if end.is_none() {
            return Vec::new();
        }
        let out = self.finish();
        self.leave_out(rest);
        out
    }

    /// The body has ended: what goes on last.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let message = match core::mem::replace(&mut self.form, Form::Ended) {
            Form::Message(_, message) if !message.is_empty() => message,
            Form::Message(..) | Form::Ended => return Vec::new(),
            form @ Form::Events(_) => {
                self.form = form;
                return self.events(None);
            }
        };
        match self.filter.caller.edit(&message) {
            Ok(edited) => edited.unwrap_or(message),
            Err(unreadable) => self.unreadable(unreadable),
        }
    }

    /// What is behind a message: a second one is not shown to those who would read it.
    fn leave_out(&mut self, rest: &[u8]) {
        if !rest.iter().all(|byte| extent::is_space(*byte)) {
            self.refuse(Unreadable("something is behind its message, and was left out"));
        }
    }

    /// What was refused since this was last asked, for the log: once for a body.
    #[must_use]
    pub const fn take_refused(&mut self) -> Option<Decision> {
        self.refused.take()
    }

    fn events(&mut self, part: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut refused = None;
        let Form::Events(events) = &mut self.form else { return out };
        let filter = &self.filter;
        let mut edit = |event: Result<&Event<'_>, Unreadable>, out: &mut Vec<u8>| {
            if let Err(unreadable) = filter.event(event, out) {
                refused.get_or_insert(unreadable);
            }
        };
        match part {
            Some(part) => events.push(part, &mut out, &mut edit),
            None => events.finish(&mut out, &mut edit),
        }
        if let Some(unreadable) = refused {
            self.refuse(unreadable);
        }
        out
    }

    fn unreadable(&mut self, unreadable: Unreadable) -> Vec<u8> {
        self.refuse(unreadable);
        self.filter.error()
    }

    fn refuse(&mut self, Unreadable(detail): Unreadable) {
        if !core::mem::replace(&mut self.has_refused, true) {
            self.refused = Some(self.filter.decision(detail));
        }
    }
}

impl ListFilter {
    /// What becomes of an event.
    fn event(
        &self,
        event: Result<&Event<'_>, Unreadable>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let event = match event {
            Ok(event) => event,
            Err(unreadable) => {
                out.extend_from_slice(&[b"data: ", &self.error()[..], b"\n\n"].concat());
                return Err(unreadable);
            }
        };
        // Pings, and the first event of the old transport, which is an address. No list is without a
        // brace.
        let Some(data) = event.data().filter(|data| data.contains(&b'{')) else {
            out.extend_from_slice(event.raw());
            return Ok(());
        };
        match self.caller.edit(&data) {
            Ok(None) => out.extend_from_slice(event.raw()),
            Ok(Some(edited)) => event.write_with(&edited, out),
            Err(unreadable) => {
                event.write_with(&self.error(), out);
                return Err(unreadable);
            }
        }
        Ok(())
    }
}

impl Caller {
    fn edit(&self, message: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
        list::edit(message, |list, name| self.may_use(list, name))
    }

    fn may_use(&self, list: List, name: &str) -> bool {
        let Some(resource) = self.policy.resources.get(self.resource) else { return false };
        let (rules, granted) = (&resource.scopes, &self.identity.scope);
        let operation = match list {
            List::Prompts => Operation::Prompt(name.to_owned()),
            List::Resources => {
                Operation::Resource { method: "resources/read".to_owned(), uri: name.to_owned() }
            }
            List::Templates => return rules.permits_template(granted, name),
            List::Tools => Operation::Tool(name.to_owned()),
        };
        rules.permits(granted, &operation)
    }
}

/// As far as it says what is done with a response; nothing of that has been read yet.
impl PartialEq for ListFilter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.caller.policy, &other.caller.policy)
            && self.caller.resource == other.caller.resource
            && self.caller.identity == other.caller.identity
            && (self.list, &self.id) == (other.list, &other.id)
    }
}

fn enforces(policy: &Policy, resource: usize) -> bool {
    policy
        .resources
        .get(resource)
        .is_some_and(|resource| resource.scopes.filter_lists() && resource.mode == Mode::Enforce)
}

fn plain_coding() -> Header {
    Header::fixed("accept-encoding", "identity")
}
