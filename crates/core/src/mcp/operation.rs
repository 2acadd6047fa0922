//! The operation that scope rules speak of.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// Opens the stream of notifications (MCP 2026-07-28), in the place of GET and `resources/subscribe`.
pub(crate) const LISTEN: &str = "subscriptions/listen";

/// What a request asks the MCP server to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A GET or DELETE leg of the transport, or a client's answer to the server: no method.
    Transport,
    /// `tools/call` of this tool.
    Tool(String),
    /// `prompts/get` of this prompt.
    Prompt(String),
    /// `resources/read`, `resources/subscribe` or `resources/unsubscribe` of this URI.
    Resource {
        /// The method.
        method: String,
        /// The resource's URI.
        uri: String,
    },
    /// `subscriptions/listen`, with the URIs of the resources whose changes are to be told, if any.
    Listen(Vec<String>),
    /// Any other method.
    Method(String),
}

impl Operation {
    /// The operation of a method and the name that goes with it.
    ///
    /// `None` when the method needs a name and there is none. That of `subscriptions/listen` is a
    /// resource's URI.
    #[must_use]
    pub fn new(method: &str, name: Option<&str>) -> Option<Self> {
        let name = || name.map(String::from);
        Some(match method {
            "tools/call" => Self::Tool(name()?),
            "prompts/get" => Self::Prompt(name()?),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Self::Resource { method: method.into(), uri: name()? }
            }
            LISTEN => Self::Listen(name().into_iter().collect()),
            _ => Self::Method(method.into()),
        })
    }

    /// The JSON-RPC method, if there is one.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Transport => None,
            Self::Tool(_) => Some("tools/call"),
            Self::Prompt(_) => Some("prompts/get"),
            Self::Listen(_) => Some(LISTEN),
            Self::Resource { method, .. } | Self::Method(method) => Some(method),
        }
    }

    /// The one name or URI that the method is applied to, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Tool(name) | Self::Prompt(name) => Some(name),
            Self::Resource { uri, .. } => Some(uri),
            Self::Transport | Self::Listen(_) | Self::Method(_) => None,
        }
    }

    /// Whether the operation is part of the protocol's own machinery: without it no client gets far
    /// enough to ask for anything. Such operations need the baseline scopes only, unless a rule
    /// names them.
    #[must_use]
    pub fn is_lifecycle(&self) -> bool {
        match self {
            Self::Transport => true,
            Self::Listen(uris) => uris.is_empty(),
            Self::Method(method) => {
                matches!(method.as_str(), "initialize" | "ping" | "server/discover")
                    || method.starts_with("notifications/")
            }
            _ => false,
        }
    }
}

/// Method and name, for logs; of several names the first.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.method().unwrap_or("transport").escape_debug())?;
        match self {
            // As many as a log can bear.
            Self::Listen(uris) => match uris.as_slice() {
                [] => Ok(()),
                [only] => write!(f, " {only:?}"),
                [first, others @ ..] => write!(f, " {first:?} and {} more", others.len()),
            },
            _ => self.name().map_or(Ok(()), |name| write!(f, " {name:?}")),
        }
    }
}
