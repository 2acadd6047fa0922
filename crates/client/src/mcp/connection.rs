//! A connection to one MCP server.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    Caller, Limits, Outcome, Revision, Tools,
    exchange::{Exchange, Reply, Run, Stop},
    headers::standard,
    message::{HEADER_MISMATCH, RpcError, notification, request},
    negotiate::Era,
};
use crate::{Error, Http, check_url};

/// Most pages of a list.
const MAX_PAGES: usize = 100;

/// Most rounds of a request that the server wants to be asked again.
const MAX_ROUNDS: usize = 10;

/// How long each message of a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// An MCP server that is spoken to.
///
/// It finds out with the first request which revision the server speaks. It is a value of one process:
/// nothing of it needs to be kept. A future of it that is dropped ends the request; for servers with
/// sessions, [`Connection::close`] then says so.
#[derive(Debug)]
pub struct Connection {
    pub(super) http: Http,
    pub(super) url: String,
    /// What the client says it can.
    pub(super) capabilities: Map<String, Value>,
    pub(super) era: Era,
    pub(super) about: Option<Value>,
    limits: Limits,
    last_id: u64,
    /// The request that may still be under way at the server.
    pending: Option<u64>,
    /// The tools as they were listed last.
    tools: Option<Tools>,
}

impl Connection {
    /// For the server at a URL. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(http: Http, url: &str) -> Result<Self, Error> {
        check_url(url)?;
        Ok(Self {
            http,
            url: url.to_owned(),
            capabilities: Map::new(),
            era: Era::default(),
            about: None,
            limits: Limits::default(),
            last_id: 0,
            pending: None,
            tools: None,
        })
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
        let extensions = self.capabilities.entry("extensions").or_insert_with(|| json!({}));
        if let Some(extensions) = extensions.as_object_mut() {
            extensions.insert(id.to_owned(), json!({}));
        }
        self
    }

    /// With a capability that the client says it has, like `elicitation`: the caller is then
    /// [asked](Caller::asked). Servers with sessions are not told of it, since they ask in another way,
    /// which is not supported.
    #[must_use]
    pub fn with_capability(mut self, name: &str, settings: Value) -> Self {
        self.capabilities.insert(name.to_owned(), settings);
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
        self.era.revision()
    }

    /// What the server said of itself: the result of `server/discover`, or that of `initialize`.
    #[must_use]
    pub const fn about(&self) -> Option<&Value> {
        self.about.as_ref()
    }

    /// Finds out which revision the server speaks, and begins a session if it is one with sessions.
    /// Every request does so by itself.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn connect(&mut self, caller: &mut dyn Caller) -> Result<Outcome<()>, Error> {
        outcome(self.ready(&mut Run::new(self.limits, caller)).await)
    }

    /// Sends a request, and reads its result: an object.
    ///
    /// # Errors
    /// [`Error::Mcp`] for what the server says is wrong; [`Error::Answer`], [`Error::TooLong`],
    /// [`Error::Unavailable`], [`Error::Unreachable`] and [`Error::RevisionUnknown`] for what is wrong
    /// with the server; [`Error::InputRequired`], [`Error::Request`] and [`Error::ToolExcluded`] for
    /// what cannot be done with it. [`Error::Url`] and those of the caller.
    pub async fn request(
        &mut self,
        method: &str,
        params: Map<String, Value>,
        caller: &mut dyn Caller,
    ) -> Result<Outcome<Value>, Error> {
        let mut run = Run::new(self.limits, caller);
        outcome(self.perform(method, params, &mut run).await.map(Value::Object))
    }

    /// All tools of the server.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn list_tools(&mut self, caller: &mut dyn Caller) -> Result<Outcome<Tools>, Error> {
        let mut run = Run::new(self.limits, caller);
        let listed = async {
            self.ready(&mut run).await?;
            self.list(&mut run).await
        };
        outcome(listed.await)
    }

    /// Calls a tool. A result with `isError` is a result.
    ///
    /// Since revision 2026-07-28 a client must know a tool's description to call it, for the arguments
    /// that it mirrors in headers: the tools are listed first, where they have not been.
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

    /// Says goodbye: cancels a request whose future was dropped or that took too long, and ends the
    /// session, where there is one. What the server answers makes no difference.
    pub async fn close(&mut self, caller: &mut dyn Caller) {
        let era = std::mem::take(&mut self.era);
        let pending = self.pending.take();
        // Since revision 2026-07-28 the end of the stream has said it already.
        let Era::Session { id, .. } = &era else { return };
        let limits = Limits { silence: GOODBYE, total: 2 * GOODBYE, ..self.limits };
        let mut run = Run::new(limits, caller);
        if let Some(pending) = pending {
            let params = json!({ "requestId": pending, "reason": "the user stopped it" });
            let message = notification("notifications/cancelled", Some(params));
            let _ = self.exchange(&era, &mut run).tell(&message).await;
        }
        if id.is_some() {
            let _ = self.exchange(&era, &mut run).end_session().await;
        }
    }

    async fn perform(
        &mut self,
        method: &str,
        params: Map<String, Value>,
        run: &mut Run<'_>,
    ) -> Result<Map<String, Value>, Stop> {
        self.ready(run).await?;
        let mirrors = method == "tools/call" && matches!(self.era, Era::Stateless);
        if !mirrors {
            return self.ask(method, &params, &HeaderMap::new(), run).await;
        }
        if let Some(tools) = &self.tools {
            let headers = tools.headers(&params)?;
            match self.ask(method, &params, &headers, run).await {
                // The tool may have changed since it was listed (2026-07-28, client behaviour).
                Err(Stop::Error(Error::Mcp { code: HEADER_MISMATCH, .. })) => {}
                result => return result,
            }
        }
        let headers = self.list(run).await?.headers(&params)?;
        self.ask(method, &params, &headers, run).await
    }

    /// All pages of the list of tools (server utilities, pagination), which share one bound in bytes.
    async fn list(&mut self, run: &mut Run<'_>) -> Result<Tools, Stop> {
        let mut tools = Tools::default();
        let mut params = Map::new();
        for _ in 0..MAX_PAGES {
            let mut page = self.ask("tools/list", &params, &HeaderMap::new(), run).await?;
            let has_mirrors = matches!(self.era, Era::Stateless);
            tools
                .add(page.get("tools").unwrap_or_default(), has_mirrors)
                .map_err(|why| self.wrong(why))?;
            match page.remove("nextCursor") {
                Some(cursor @ Value::String(_)) => params.insert("cursor".to_owned(), cursor),
                None | Some(Value::Null) => {
                    self.tools = Some(tools.clone());
                    return Ok(tools);
                }
                Some(_) => return Err(self.wrong("a cursor that is no text")),
            };
        }
        Err(self.wrong("its list of tools has no end"))
    }

    /// Sends one request until it has a result: again in a new session where the old one is gone
    /// (2025-11-25, session management), and again with what the server wants to have before it goes on
    /// (2026-07-28, multi round-trip requests).
    async fn ask(
        &mut self,
        method: &str,
        first: &Map<String, Value>,
        mirrored: &HeaderMap,
        run: &mut Run<'_>,
    ) -> Result<Map<String, Value>, Stop> {
        let mut params = first.clone();
        let mut has_renewed = false;
        for _ in 0..MAX_ROUNDS {
            let gone = match self.send(method, &params, mirrored, run).await? {
                Reply::Result(result) => match self.continuation(method, &result, run)? {
                    None => return Ok(result),
                    Some(more) => {
                        params.clone_from(first);
                        params.extend(more);
                        continue;
                    }
                },
                Reply::Error { status: 404, error } => error.into(),
                Reply::Failed { status: 404 } => self.failed(404),
                Reply::Error { error, .. } => return Err(error.into()),
                Reply::Failed { status } => return Err(self.failed(status)),
            };
            if has_renewed || !matches!(self.era, Era::Session { id: Some(_), .. }) {
                return Err(gone);
            }
            has_renewed = true;
            self.initialize(run).await?;
            self.ready(run).await?;
        }
        Err(self.wrong("it wants to be asked again and again"))
    }

    async fn send(
        &mut self,
        method: &str,
        params: &Map<String, Value>,
        mirrored: &HeaderMap,
        run: &mut Run<'_>,
    ) -> Result<Reply, Stop> {
        let id = self.next_id();
        let revision = self.era.revision().unwrap_or(Revision::V20260728);
        let params = self.with_meta(method, params, id, revision);
        let mut headers = mirrored.clone();
        if !revision.has_sessions() {
            headers.extend(standard(method, &params)?);
        }
        self.pending = Some(id);
        let message = request(id, method, &params);
        let reply = self.exchange(&self.era, run).send(id, &message, headers).await;
        // After an error of ours the server may still be at it.
        if !matches!(reply, Err(Stop::Error(_))) {
            self.pending = None;
        }
        reply
    }

    /// What the request has to be made with once more; `None` when its result is complete (2026-07-28,
    /// result type).
    fn continuation(
        &self,
        method: &str,
        result: &Map<String, Value>,
        run: &mut Run<'_>,
    ) -> Result<Option<Map<String, Value>>, Stop> {
        if !matches!(self.era, Era::Stateless) {
            return Ok(None);
        }
        match result.get("resultType").map(|kind| kind.as_str().unwrap_or_default()) {
            None | Some("complete") => return Ok(None),
            Some("input_required")
                if matches!(method, "tools/call" | "prompts/get" | "resources/read") => {}
            Some(_) => return Err(self.wrong("a result of a type that this client does not know")),
        }
        let mut more = Map::new();
        match result.get("inputRequests") {
            Some(Value::Object(requests)) => {
                let responses = run.asked(requests).ok_or(Error::InputRequired)?;
                more.insert("inputResponses".to_owned(), Value::Object(responses));
            }
            Some(_) => return Err(self.wrong("it asks for input without saying which")),
            None => {}
        }
        match result.get("requestState") {
            Some(state @ Value::String(_)) => {
                more.insert("requestState".to_owned(), state.clone());
            }
            Some(_) => return Err(self.wrong("a state that is no text")),
            None if more.is_empty() => return Err(self.wrong("it asks for input, and for none")),
            None => {}
        }
        Ok(Some(more))
    }

    pub(super) fn exchange<'a, 'run>(
        &'a self,
        era: &Era,
        run: &'a mut Run<'run>,
    ) -> Exchange<'a, 'run> {
        Exchange {
            http: &self.http,
            url: &self.url,
            // Before the handshake, servers may do what the last one with it allows.
            revision: era.revision().unwrap_or(Revision::V20251125),
            headers: era.headers(),
            run,
            session: None,
        }
    }

    pub(super) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn failed(&self, status: u16) -> Stop {
        Error::Answer { url: self.url.clone(), why: format!("status {status}") }.into()
    }

    fn wrong(&self, why: &str) -> Stop {
        Error::Answer { url: self.url.clone(), why: why.to_owned() }.into()
    }
}

impl From<RpcError> for Stop {
    fn from(RpcError { code, message, .. }: RpcError) -> Self {
        Error::Mcp { code, message }.into()
    }
}

fn outcome<T>(result: Result<T, Stop>) -> Result<Outcome<T>, Error> {
    match result {
        Ok(done) => Ok(Outcome::Done(done)),
        Err(Stop::Refused(refused)) => Ok(Outcome::Refused(refused)),
        Err(Stop::Error(error)) => Err(error),
    }
}
