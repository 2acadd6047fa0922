//! `params.notifications` of `subscriptions/listen` (MCP 2026-07-28, `SubscriptionFilter`): the resources
//! whose changes a client wants to be told of.

use alloc::{string::String, vec::Vec};

use super::{MAX_NAME, is_lookalike};
use crate::{Reason, mcp::scan::Kind};

/// The most URIs in `resourceSubscriptions` that are read.
pub const MAX_SUBSCRIPTIONS: usize = 256;

/// The most bytes that they may have in all.
pub const MAX_SUBSCRIPTIONS_BYTES: usize = 65_536;

/// The member of the filter that has the URIs.
const SUBSCRIPTIONS: &str = "resourceSubscriptions";

/// What was found of the filter so far. Which method it belongs to may not be known yet.
#[derive(Debug, Default)]
pub(super) struct Listen {
    uris: Vec<String>,
    bytes: usize,
    /// The member that is being read is the one with the URIs.
    is_subscriptions: bool,
    mistake: Option<Reason>,
}

impl Listen {
    /// The filter itself begins.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.is_subscriptions = false;
        if kind != Kind::Object {
            self.mistaken(Reason::MessageMalformed);
        }
    }

    /// The name of one of the filter's members.
    pub(super) fn member(&mut self, name: &str) {
        self.is_subscriptions = name == SUBSCRIPTIONS;
        if is_lookalike(name, &[SUBSCRIPTIONS]) {
            self.mistaken(Reason::MessageMalformed);
        }
    }

    /// The value of a member begins.
    pub(super) fn begin_member(&mut self, kind: Kind) {
        if self.is_subscriptions && kind != Kind::Array {
            self.mistaken(Reason::MessageMalformed);
        }
    }

    /// A value within a member begins: how long a text may be to be kept.
    pub(super) fn begin_element(&mut self, kind: Kind) -> Option<usize> {
        if !self.is_subscriptions {
            return None;
        }
        if kind != Kind::String {
            self.mistaken(Reason::MessageMalformed);
        } else if self.uris.len() == MAX_SUBSCRIPTIONS {
            self.mistaken(Reason::MessageExcessive);
        }
        let limit = MAX_NAME.min(MAX_SUBSCRIPTIONS_BYTES - self.bytes);
        self.mistake.is_none().then_some(limit)
    }

    /// A URI that was asked for; `None` when it is longer.
    pub(super) fn uri(&mut self, uri: Option<&str>) {
        match uri {
            Some(uri) => {
                self.bytes += uri.len();
                self.uris.push(uri.into());
            }
            None => self.mistaken(Reason::MessageExcessive),
        }
    }

    /// Another member of `params` is one that some servers take for this.
    pub(super) fn mistaken(&mut self, reason: Reason) {
        self.mistake.get_or_insert(reason);
    }

    /// The URIs, if there is no mistake in the filter.
    pub(super) fn uris(self) -> Result<Vec<String>, Reason> {
        self.mistake.map_or(Ok(self.uris), Err)
    }
}
