//! Answers as streams of events, and what is left of them after a break.

use std::time::Duration;

use reqwest::{
    Method, Response,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use tokio::time::sleep;

use super::{EVENTS, Exchange, Reply, Stop, media_type};
use crate::{Error, mcp::events::Events};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long to wait before a stream is taken up again when the server does not say it, and at least.
const WAIT: Duration = Duration::from_secs(1);
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Most breaks one after another without an event between them.
const MAX_BREAKS: u32 = 5;

/// How a stream ended without the answer.
struct Break {
    why: Error,
    was_heard: bool,
}

impl Exchange<'_, '_> {
    /// Follows a stream to the answer, and over breaks where the revision has them (2025-11-25,
    /// resumability and redelivery; since 2026-07-28 the end of the stream is the request's end).
    pub(super) async fn stream(&mut self, response: Response, id: u64) -> Result<Reply, Stop> {
        let mut events = Events::default();
        let mut next = Ok(response);
        let mut breaks = 0;
        loop {
            let ended = match next {
                Ok(response) => match self.follow(response, &mut events, id).await? {
                    Ok(reply) => return Ok(reply),
                    Err(ended) => ended,
                },
                Err(why) => Break { why, was_heard: false },
            };
            breaks = if ended.was_heard { 1 } else { breaks + 1 };
            if !self.revision.has_sessions() || breaks > MAX_BREAKS {
                return Err(ended.why.into());
            }
            next = self.resume(&mut events, ended.why).await?;
        }
    }

    /// Reads a stream until the answer or its end.
    async fn follow(
        &mut self,
        mut response: Response,
        events: &mut Events,
        id: u64,
    ) -> Result<Result<Reply, Break>, Stop> {
        let (mut ended, mut was_heard) = (Vec::new(), false);
        loop {
            let part = match self.part(&mut response).await? {
                Ok(Some(part)) => part,
                Ok(None) => {
                    let why = "the stream ended before the answer".to_owned();
                    let why = Error::Answer { url: self.url.to_owned(), why };
                    return Ok(Err(Break { why, was_heard }));
                }
                Err(why) => return Ok(Err(Break { why, was_heard })),
            };
            events.push(&part, &mut ended).map_err(|why| self.wrong(why.to_owned()))?;
            for event in ended.drain(..) {
                was_heard = true;
                // An event without data gives the identifier to go on from.
                if event.name != "message" || event.data.is_empty() {
                    continue;
                }
                if let Some(reply) = self.take(event.data.as_bytes(), id).await? {
                    return Ok(Ok(reply));
                }
            }
        }
    }

    /// Asks for what comes after the last event, as late as the server wants it. The inner error is one
    /// of the connection.
    async fn resume(
        &mut self,
        events: &mut Events,
        why: Error,
    ) -> Result<Result<Response, Error>, Stop> {
        let Some(Ok(last)) = events.last_id().map(HeaderValue::from_str) else {
            return Err(why.into());
        };
        events.reconnect();
        let wait = events.retry().map_or(WAIT, Duration::from_millis).max(SHORTEST_WAIT);
        if wait >= self.run.clock.left() {
            return Err(why.into());
        }
        sleep(wait).await;
        let request = self.request(Method::GET)?.header(ACCEPT, EVENTS).header(LAST_EVENT_ID, last);
        // A refusal is no outcome here: the server has begun what it was asked for, and a second
        // request would do it again.
        let status = match self.head(request).await {
            Ok(response) if response.status() == 200 && media_type(&response) == EVENTS => {
                return Ok(Ok(response));
            }
            Ok(response) => response.status().as_u16(),
            Err(Stop::Refused(refused)) => refused.status,
            Err(Stop::Error(error @ Error::Unreachable { .. })) => return Ok(Err(error)),
            Err(stop) => return Err(stop),
        };
        Err(self.wrong(format!(
            "the stream ended before the answer, and cannot be taken up again (status {status}); the \
             server may have done what it was asked for"
        )))
    }
}
