//! Which revision a server speaks (2026-07-28, versioning, backward compatibility; Streamable HTTP,
//! backward compatibility), and the handshake of the older ones (2025-11-25, lifecycle).

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::{
    Connection, Revision,
    exchange::{Reply, Run, Stop},
    headers::{PROTOCOL_VERSION, SESSION_ID, standard},
    message::{
        CAPABILITY_MISSING, HEADER_MISMATCH, RpcError, VERSION_UNSUPPORTED, notification, request,
    },
};
use crate::{Error, text::shown};

/// The revision that is asked for first, and the one that a handshake begins with.
const CURRENT: Revision = Revision::V20260728;
const LAST_WITH_SESSIONS: Revision = Revision::V20251125;

/// How a server is spoken to.
#[derive(Debug, Default)]
pub(super) enum Era {
    #[default]
    Unknown,
    /// By revision 2026-07-28: each request stands for itself.
    Stateless,
    /// By an older one, after its handshake.
    Session {
        revision: Revision,
        /// What the server calls the session, if it has one.
        id: Option<HeaderValue>,
        /// Whether the server knows that the handshake is over.
        is_announced: bool,
    },
}

/// What a server's answer to the first question says.
enum Verdict {
    Stateless(Map<String, Value>),
    /// It takes revision 2026-07-28, although it did not take this request.
    Again,
    WithSessions,
}

impl Era {
    pub(super) const fn revision(&self) -> Option<Revision> {
        match self {
            Self::Unknown => None,
            Self::Stateless => Some(CURRENT),
            Self::Session { revision, .. } => Some(*revision),
        }
    }

    /// The headers of every request from now on.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(revision) = self.revision() {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        if let Self::Session { id: Some(id), .. } = self {
            headers.insert(SESSION_ID, id.clone());
        }
        headers
    }
}

impl Connection {
    /// Finds out how the server is spoken to, if that is not known, and brings the handshake to its end.
    pub(super) async fn ready(&mut self, run: &mut Run<'_>) -> Result<(), Stop> {
        if matches!(self.era, Era::Unknown) {
            self.negotiate(run).await?;
        }
        if matches!(self.era, Era::Session { is_announced: false, .. }) {
            let message = notification("notifications/initialized", None);
            self.exchange(&self.era, run).tell(&message).await?;
            if let Era::Session { is_announced, .. } = &mut self.era {
                *is_announced = true;
            }
        }
        Ok(())
    }

    async fn negotiate(&mut self, run: &mut Run<'_>) -> Result<(), Stop> {
        for _ in 0..2 {
            match self.discover(run).await? {
                Verdict::Stateless(about) => {
                    self.era = Era::Stateless;
                    self.about = Some(Value::Object(about));
                    return Ok(());
                }
                Verdict::WithSessions => return self.initialize(run).await,
                Verdict::Again => {}
            }
        }
        let why = "it refuses revision 2026-07-28, and names it as one that it takes".to_owned();
        Err(Error::Answer { url: self.url.clone(), why }.into())
    }

    /// Asks a question that only servers without sessions can answer. Any other request would do, if
    /// there were no older servers that do what they are asked for without a handshake.
    async fn discover(&mut self, run: &mut Run<'_>) -> Result<Verdict, Stop> {
        const METHOD: &str = "server/discover";
        let id = self.next_id();
        let params = self.with_meta(METHOD, &Map::new(), id, CURRENT);
        let mirrored = standard(METHOD, &params)?;
        let message = request(id, METHOD, &params);
        let reply = self.exchange(&Era::Stateless, run).send(id, &message, mirrored).await?;
        match reply {
            Reply::Result(about) => match about.get("supportedVersions") {
                Some(versions) => Ok(match self.choose(versions)? {
                    Verdict::Again => Verdict::Stateless(about),
                    verdict => verdict,
                }),
                // An older server that has something to say to every method.
                None => Ok(Verdict::WithSessions),
            },
            Reply::Error { error: RpcError { code: VERSION_UNSUPPORTED, data, .. }, .. } => {
                self.choose(data.get("supported").unwrap_or_default()).map_err(Into::into)
            }
            // The server is none of the older ones, and something else is wrong.
            Reply::Error { error, .. }
                if matches!(error.code, HEADER_MISMATCH | CAPABILITY_MISSING) =>
            {
                Err(error.into())
            }
            Reply::Failed { status } if status >= 500 => Err(self.failed(status)),
            Reply::Error { .. } | Reply::Failed { .. } => Ok(Verdict::WithSessions),
        }
    }

    /// The best of the revisions that a server names.
    fn choose(&self, versions: &Value) -> Result<Verdict, Error> {
        let versions = versions.as_array().map(Vec::as_slice).unwrap_or_default();
        let known = versions.iter().filter_map(|version| Revision::parse(version.as_str()?));
        match known.max() {
            Some(CURRENT) => Ok(Verdict::Again),
            Some(_) => Ok(Verdict::WithSessions),
            None => {
                let listed = versions.iter().take(8).filter_map(Value::as_str).map(shown);
                Err(Error::RevisionUnknown { url: self.url.clone(), listed: listed.collect() })
            }
        }
    }

    /// Begins a session: the first half of the handshake.
    pub(super) async fn initialize(&mut self, run: &mut Run<'_>) -> Result<(), Stop> {
        self.era = Era::Unknown;
        // Servers with sessions ask with requests of their own, of which this client answers none.
        let mut capabilities = self.capabilities.clone();
        capabilities.retain(|name, _| name == "extensions");
        let params = json!({
            "protocolVersion": LAST_WITH_SESSIONS.as_str(),
            "capabilities": capabilities,
            "clientInfo": client_info(),
        });
        let id = self.next_id();
        let message = request(id, "initialize", &params);
        let mut exchange = self.exchange(&Era::Unknown, run);
        let reply = exchange.send(id, &message, HeaderMap::new()).await?;
        let session = exchange.session.take();
        let about = match reply {
            Reply::Result(about) => about,
            Reply::Error { error, .. } => return Err(error.into()),
            Reply::Failed { status: status @ (400 | 404 | 405) } => {
                let why = format!(
                    "status {status}: there is no MCP server at this URL, or one of before revision \
                     2025-03-26 (HTTP+SSE), which this client does not speak"
                );
                return Err(Error::Answer { url: self.url.clone(), why }.into());
            }
            Reply::Failed { status } => return Err(self.failed(status)),
        };
        let version = about.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let Some(revision) = Revision::parse(version).filter(|known| known.has_sessions()) else {
            let (url, listed) = (self.url.clone(), vec![shown(version)]);
            return Err(Error::RevisionUnknown { url, listed }.into());
        };
        let id = session.map(|id| self.session_id(id)).transpose()?;
        self.about = Some(Value::Object(about));
        self.era = Era::Session { revision, id, is_announced: false };
        Ok(())
    }

    /// A session's identifier, which is visible ASCII (2025-11-25, session management).
    fn session_id(&self, mut id: HeaderValue) -> Result<HeaderValue, Error> {
        if id.is_empty() || !id.as_bytes().iter().all(u8::is_ascii_graphic) {
            let why = "a session identifier that is not visible ASCII".to_owned();
            return Err(Error::Answer { url: self.url.clone(), why });
        }
        id.set_sensitive(true);
        Ok(id)
    }

    /// The parameters with what a request without a session says of itself (2026-07-28, `_meta`), and
    /// with a sign that a tool may tell how it gets on.
    pub(super) fn with_meta(
        &self,
        method: &str,
        params: &Map<String, Value>,
        id: u64,
        revision: Revision,
    ) -> Map<String, Value> {
        let mut params = params.clone();
        let mut meta = match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            _ => Map::new(),
        };
        if method == "tools/call" {
            meta.entry("progressToken").or_insert_with(|| id.into());
        }
        if !revision.has_sessions() {
            let own = |name: &str| format!("io.modelcontextprotocol/{name}");
            meta.insert(own("protocolVersion"), revision.as_str().into());
            meta.insert(own("clientInfo"), client_info());
            meta.insert(own("clientCapabilities"), Value::Object(self.capabilities.clone()));
        }
        if !meta.is_empty() {
            params.insert("_meta".to_owned(), Value::Object(meta));
        }
        params
    }
}

fn client_info() -> Value {
    json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") })
}
