//! The operation that scope rules speak of.

use alloc::string::String;
use core::fmt;

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
    /// Any other method.
    Method(String),
}

impl Operation {
    /// The operation of a method and the name that goes with it.
    ///
    /// `None` when the method needs a name and there is none.
    #[must_use]
    pub fn new(method: &str, name: Option<&str>) -> Option<Self> {
        let name = || name.map(String::from);
        Some(match method {
            "tools/call" => Self::Tool(name()?),
            "prompts/get" => Self::Prompt(name()?),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Self::Resource { method: method.into(), uri: name()? }
            }
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
            Self::Resource { method, .. } | Self::Method(method) => Some(method),
        }
    }

    /// The name or URI that the method is applied to, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Tool(name) | Self::Prompt(name) => Some(name),
            Self::Resource { uri, .. } => Some(uri),
            Self::Transport | Self::Method(_) => None,
        }
    }

    /// Whether the operation is part of the protocol's own machinery: without it no client gets far
    /// enough to ask for anything. Such operations need the baseline scopes only, unless a rule
    /// names them.
    #[must_use]
    pub fn is_lifecycle(&self) -> bool {
        match self {
            Self::Transport => true,
            Self::Method(method) => {
                matches!(method.as_str(), "initialize" | "ping" | "server/discover")
                    || method.starts_with("notifications/")
            }
            _ => false,
        }
    }
}

/// Method and name, for logs.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.method().unwrap_or("transport").escape_debug())?;
        match self.name() {
            Some(name) => write!(f, " {name:?}"),
            None => Ok(()),
        }
    }
}
