//! One JSON-RPC message (MCP, base protocol), read in parts, so that no other reader can see another
//! operation in it.

mod listen;
#[cfg(test)]
mod tests;

use alloc::string::String;

use self::listen::Listen;
pub use self::listen::{MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_BYTES};
use super::{
    operation::{self, Operation},
    scan::{Kind, Scan, Sink},
};
use crate::{
    Reason,
    jose::json::{self, Number, Value},
};

/// The longest method that is read, in bytes. MCP's own have less than 50.
pub const MAX_METHOD: usize = 1024;

/// The longest `params.name` and `params.uri` that an operation may have, in bytes.
pub const MAX_NAME: usize = 8192;

/// The longest `id` that is read, in bytes.
pub const MAX_ID: usize = 1024;

/// The member of `params._meta` that repeats `MCP-Protocol-Version` (MCP 2026-07-28).
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// The longest version in it that is read, in bytes.
const MAX_VERSION: usize = 64;

/// What the engine needs to know of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it asks for.
    pub operation: Operation,
    /// Its `id`, to be repeated in an error; null for notifications and responses.
    pub id: Value,
    /// The revision that a request says it is of, since 2026-07-28.
    pub version: Option<String>,
}

impl Message {
    /// Reads a request body that is there as a whole.
    ///
    /// # Errors
    /// As [`MessageScan`].
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let mut scan = MessageScan::new();
        scan.push(body)?;
        scan.finish()
    }
}

/// A message of which some parts were read. It keeps none of them: its size is bounded, however long
/// the message is and whatever stands in it. The answer is the same whatever the parts are.
///
/// What it refuses, as soon as it is seen where that is possible:
/// - [`Reason::MessageMalformed`]: not strict JSON ([`json::parse`]), not JSON-RPC 2.0, or a member
///   that differs from a known one in case only, which some servers read all the same.
/// - [`Reason::BatchUnsupported`]: an array.
/// - [`Reason::MessageExcessive`]: a method longer than [`MAX_METHOD`], an `id` longer than
///   [`MAX_ID`], a name or URI that the operation needs longer than [`MAX_NAME`], subscriptions to more
///   resources than [`MAX_SUBSCRIPTIONS`] or [`MAX_SUBSCRIPTIONS_BYTES`], a version of more than 64
///   bytes, a number of more than 1024, or objects within each other of more than 16384 member names or
///   256 KiB of them.
#[derive(Debug)]
pub struct MessageScan(Scan<Reader>);

impl MessageScan {
    /// Before the first part.
    #[must_use]
    pub fn new() -> Self {
        Self(Scan::new(Reader::default()))
    }

    /// Reads the next part, of any length.
    ///
    /// # Errors
    /// What the message is refused for. Then no more must be read: the scan is of no use any longer.
    pub fn push(&mut self, part: &[u8]) -> Result<(), Reason> {
        self.0.push(part)
    }

    /// The message after its last part.
    ///
    /// # Errors
    /// What the message is refused for.
    pub fn finish(self) -> Result<Message, Reason> {
        self.0.finish()?.message()
    }
}

impl Default for MessageScan {
    fn default() -> Self {
        Self::new()
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Reader {
    /// The member of the message that is being read.
    member: Member,
    /// The member of its `params` that is being read.
    param: Param,
    is_json_rpc: bool,
    answers: bool,
    id: Option<Value>,
    method: Option<String>,
    params: Option<Kind>,
    params_have_lookalikes: bool,
    name: Found,
    uri: Found,
    listen: Listen,
    /// The member of `params._meta` that is being read is the version.
    meta_is_version: bool,
    version: Found,
}

/// The members of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    /// `result` or `error`.
    Answer,
    Id,
    JsonRpc,
    Method,
    #[default]
    Other,
    Params,
}

/// The members of `params`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Param {
    Meta,
    Name,
    Notifications,
    #[default]
    Other,
    Uri,
}

/// A text that is of interest for some operations.
#[derive(Debug, Default)]
enum Found {
    #[default]
    Absent,
    /// It is no string.
    Other,
    Text(String),
    TooLong,
}

impl Reader {
    fn message(self) -> Result<Message, Reason> {
        if !self.is_json_rpc {
            return Err(Reason::MessageMalformed);
        }
        let id = self.id.unwrap_or(Value::Null);
        let Some(method) = self.method else {
            // A client's answer to a request of the server.
            let answer = Message { operation: Operation::Transport, id, version: None };
            return if self.answers { Ok(answer) } else { Err(Reason::MessageMalformed) };
        };
        let params_fit = matches!(self.params, None | Some(Kind::Object));
        if self.answers || !params_fit || self.params_have_lookalikes {
            return Err(Reason::MessageMalformed);
        }
        let found = if method.starts_with("resources/") { self.uri } else { self.name };
        let operation = match &found {
            _ if method == operation::LISTEN => Some(Operation::Listen(self.listen.uris()?)),
            // Most methods need none. If this one does, its name is not the empty one.
            Found::TooLong => match Operation::new(&method, None) {
                None => return Err(Reason::MessageExcessive),
                operation => operation,
            },
            Found::Text(name) => Operation::new(&method, Some(name)),
            Found::Absent | Found::Other => Operation::new(&method, None),
        };
        let version = match self.version {
            Found::Absent => None,
            Found::Text(version) => Some(version),
            Found::Other => return Err(Reason::MessageMalformed),
            Found::TooLong => return Err(Reason::MessageExcessive),
        };
        Ok(Message { operation: operation.ok_or(Reason::MessageMalformed)?, id, version })
    }

    /// The member of the message that has this name, if it is in order.
    fn member(name: &str) -> Result<Member, Reason> {
        const KNOWN: [&str; 6] = ["jsonrpc", "method", "params", "id", "result", "error"];
        Ok(match name {
            "jsonrpc" => Member::JsonRpc,
            "method" => Member::Method,
            "params" => Member::Params,
            "id" => Member::Id,
            "result" | "error" => Member::Answer,
            name if is_lookalike(name, &KNOWN) => return Err(Reason::MessageMalformed),
            _ => Member::Other,
        })
    }

    /// A member of the message has a value of this kind.
    fn begin_member(&mut self, kind: Kind) -> Result<Option<usize>, Reason> {
        match (self.member, kind) {
            (Member::JsonRpc, Kind::String) => Ok(Some("2.0".len())),
            (Member::Method, Kind::String) => Ok(Some(MAX_METHOD)),
            (Member::Id, Kind::String) => Ok(Some(MAX_ID)),
            (Member::Id, Kind::Number) | (Member::Other, _) => Ok(None),
            (Member::Answer, _) => {
                self.answers = true;
                Ok(None)
            }
            (Member::Params, kind) => {
                self.params = Some(kind);
                Ok(None)
            }
            (Member::JsonRpc | Member::Method | Member::Id, _) => Err(Reason::MessageMalformed),
        }
    }
}

impl Sink for Reader {
    const DEPTH: usize = 3;

    fn name(&mut self, depth: usize, name: &str) -> Result<(), Reason> {
        match (depth, self.member) {
            (1, _) => self.member = Self::member(name)?,
            (2, Member::Params) => {
                self.meta_is_version = false;
                self.param = match name {
                    "_meta" => Param::Meta,
                    "name" => Param::Name,
                    "notifications" => Param::Notifications,
                    "uri" => Param::Uri,
                    _ => Param::Other,
                };
                // What this means is not known before the method is.
                self.params_have_lookalikes |= is_lookalike(name, &["name", "uri"]);
                if is_lookalike(name, &["notifications"]) {
                    self.listen.mistaken(Reason::MessageMalformed);
                }
            }
            (3, Member::Params) if self.param == Param::Meta => {
                self.meta_is_version = name == VERSION_KEY;
            }
            (3, Member::Params) if self.param == Param::Notifications => self.listen.member(name),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, depth: usize, kind: Kind, _: usize) -> Result<Option<usize>, Reason> {
        match (depth, kind) {
            (0, Kind::Object) => Ok(None),
            (0, Kind::Array) => Err(Reason::BatchUnsupported),
            (0, _) => Err(Reason::MessageMalformed),
            (1, kind) => self.begin_member(kind),
            (2.., kind) if self.member == Member::Params && self.param == Param::Notifications => {
                match depth {
                    2 => self.listen.begin(kind),
                    3 => self.listen.begin_member(kind),
                    4 => return Ok(self.listen.begin_element(kind)),
                    _ => {}
                }
                Ok(None)
            }
            (2 | 3, kind) if self.member == Member::Params => {
                let (found, limit) = match (depth, self.param) {
                    (2, Param::Name) => (&mut self.name, MAX_NAME),
                    (2, Param::Uri) => (&mut self.uri, MAX_NAME),
                    (3, Param::Meta) if self.meta_is_version => (&mut self.version, MAX_VERSION),
                    _ => return Ok(None),
                };
                *found = Found::Other;
                Ok((kind == Kind::String).then_some(limit))
            }
            _ => Ok(None),
        }
    }

    fn text(&mut self, depth: usize, text: Option<&str>) -> Result<(), Reason> {
        match (depth, self.member, self.param) {
            (1, Member::JsonRpc, _) if text == Some("2.0") => self.is_json_rpc = true,
            (1, Member::JsonRpc, _) => return Err(Reason::MessageMalformed),
            (1, Member::Method, _) => {
                self.method = Some(text.ok_or(Reason::MessageExcessive)?.into());
            }
            (1, Member::Id, _) => self.id = Some(text.ok_or(Reason::MessageExcessive)?.into()),
            (2, Member::Params, Param::Name) => self.name = Found::new(text),
            (2, Member::Params, Param::Uri) => self.uri = Found::new(text),
            (3, Member::Params, Param::Meta) => self.version = Found::new(text),
            (4, Member::Params, Param::Notifications) => self.listen.uri(text),
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self, depth: usize, text: &str) -> Result<(), Reason> {
        if depth == 1 && self.member == Member::Id {
            let id = json::parse(text.as_bytes()).map_err(|_| Reason::MessageMalformed)?;
            // JSON-RPC 2.0 §4: no fractional parts; and what is not exact cannot be repeated.
            if !matches!(id, Value::Number(Number::Unsigned(_) | Number::Negative(_))) {
                return Err(Reason::MessageMalformed);
            }
            self.id = Some(id);
        }
        Ok(())
    }

    fn end(&mut self, _: usize, _: usize) -> Result<(), Reason> {
        Ok(())
    }
}

impl Found {
    fn new(text: Option<&str>) -> Self {
        text.map_or(Self::TooLong, |text| Self::Text(text.into()))
    }
}

/// `{"Method": …}` is the same as `{"method": …}` to some JSON libraries, and `{"resource_templates": …}` as
/// `{"resourceTemplates": …}` to others.
pub(super) fn is_lookalike(member: &str, known: &[&str]) -> bool {
    known.iter().any(|name| member != *name && letters(member).eq(letters(name)))
        // Letters that case folding maps to ASCII: ſ (to s) and the Kelvin sign (to k).
        || member.contains(['\u{17f}', '\u{212a}'])
}

/// What is left of a name without case and underscores.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase())
}
