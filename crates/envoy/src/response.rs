//! The response to a request: its headers are set, and its lists filtered.

use countersign_core::guard::{FilterStep, ListFilter, Response, ResponseHead};

use crate::{
    decoration::Decoration,
    host::{self, Buffer, HeaderMap, HostError, Level, Map},
    metrics::Counter,
    shared::{Flow, Request, Shared, warn},
};

impl Shared {
    /// The head of a response is there: the server's, or one of Envoy's own.
    pub(crate) fn on_response(&mut self, id: u32, has_body: bool) -> Flow {
        if let Some(pending) = self.undecided(id) {
            let is_enforced = pending.is_enforced(self.engine.policy());
            let decoration = Decoration::early(pending);
            return self.on_early_answer(id, &decoration, is_enforced);
        }
        match self.requests.get_mut(&id) {
            Some(Request::Forwarded(decoration, filter)) => {
                let (decoration, filter) = (core::mem::take(decoration), filter.take());
                self.on_answer(id, decoration, filter, has_body)
            }
            // Answered by the filter, or nothing is to be done.
            _ => Flow::Continue,
        }
    }

    /// Puts on the response what the engine said when it let the request through.
    fn on_answer(
        &mut self,
        id: u32,
        decoration: Decoration,
        filter: Option<Box<ListFilter>>,
        has_body: bool,
    ) -> Flow {
        if let Some(filter) = filter {
            match self.begin_filter(id, filter, has_body) {
                Ok(None) => {}
                Ok(Some(mut response)) => {
                    decoration.put_on(&mut response);
                    return self.respond(id, &response);
                }
                Err(error) => return self.fail(id, "reading a response's headers", error),
            }
        }
        self.decorate(id, &decoration)
    }

    /// A response to a request that was not let through yet. Where headers are not held back, the
    /// server has those, and a route of Envoy's may need no more; but what was asked for, and
    /// whether it may be, is in the body. Errors go on: Envoy's own, and those of servers that want
    /// no such body.
    fn on_early_answer(&mut self, id: u32, decoration: &Decoration, is_enforced: bool) -> Flow {
        if !is_enforced {
            return self.decorate(id, decoration);
        }
        let status = host::headers(Map::Response).ok().and_then(|map| status(&map));
        self.parked.remove(&id);
        self.requests.insert(id, Request::Answered);
        if status.is_some_and(|status| status >= 400) {
            return self.decorate(id, decoration);
        }
        host::log(
            Level::Warn,
            "countersign: a response came before the request was decided, and was replaced by 502",
        );
        self.audit.metrics.add_one(Counter::AnsweredEarly);
        let headers = decoration.headers().map(|header| (header.name(), header.value()));
        if let Err(error) = host::respond(502, "countersign_answered_early", headers, b"") {
            warn("answering a request", error);
        }
        Flow::Pause
    }

    fn decorate(&mut self, id: u32, decoration: &Decoration) -> Flow {
        match decoration.apply() {
            Ok(()) => Flow::Continue,
            Err(error) => self.fail(id, "changing a response", error),
        }
    }

    /// Begins to filter the server's response, or gives what takes its place.
    fn begin_filter(
        &mut self,
        id: u32,
        filter: Box<ListFilter>,
        has_body: bool,
    ) -> Result<Option<Response>, HostError> {
        let map = host::headers(Map::Response)?;
        let headers: Vec<(&[u8], &[u8])> = map.iter().collect();
        // Without a status: one that is filtered.
        let head =
            ResponseHead { status: status(&map).unwrap_or(200), headers: &headers, has_body };
        match filter.begin(head) {
            FilterStep::Pass => Ok(None),
            FilterStep::Respond(response) => Ok(Some(*response)),
            FilterStep::Filter(body) => {
                for name in body.remove() {
                    host::remove_header(Map::Response, name.as_str())?;
                }
                self.requests.insert(id, Request::Filtered(body));
                Ok(None)
            }
        }
    }

    /// A part of the server's response is there, in Envoy's buffer: what goes on of it takes its
    /// place.
    pub(crate) fn on_response_body(&mut self, id: u32, size: usize, ended: bool) -> Flow {
        let Some(Request::Filtered(body)) = self.requests.get_mut(&id) else {
            return Flow::Continue;
        };
        // Trailers end a body too, with no buffer that could be read.
        let part =
            if size == 0 { Ok(Vec::new()) } else { host::buffer(Buffer::ResponseBody, 0, size) };
        let filtered = part.and_then(|part| {
            let mut out = body.push(&part);
            if ended {
                out.extend(body.finish());
            }
            if size == 0 && out.is_empty() {
                return Ok(());
            }
            host::set_buffer(Buffer::ResponseBody, size, &out)
        });
        let is_message = body.is_message();
        if let Some(decision) = body.take_refused() {
            self.audit.answered(&decision);
        }
        match filtered {
            // What cannot be replaced must not go on, nor a piece of a message be nothing. With its head
            // sent, the response breaks off.
            Err(error) if size > 0 || is_message => {
                return self.fail(id, "filtering a response", error);
            }
            // Only an event that had not ended is lost, as it is to browsers.
            Err(error) => warn("filtering the end of a response", error),
            Ok(()) => {}
        }
        // Never held back in Envoy's buffer: a part that is larger than that would break the response
        // off before it is seen here.
        Flow::Continue
    }
}

fn status(map: &HeaderMap) -> Option<u16> {
    core::str::from_utf8(map.get(":status")?).ok()?.parse().ok()
}
