//! What the engine wants on the response to a request that it let through.

use countersign_core::guard::{Forward, Header, Pending, Response, SessionSeal};

use crate::{
    host::{self, HostError, Map},
    shared::warn,
};

const SESSION: &str = "mcp-session-id";

/// Headers to set and to add, and how a session that the server begins is bound to its caller.
#[derive(Debug, Default)]
pub(crate) struct Decoration {
    set: Vec<Header>,
    append: Vec<Header>,
    seal: Option<SessionSeal>,
}

impl Decoration {
    pub(crate) fn of(forward: &Forward) -> Self {
        let (set, append) = (forward.response_headers.clone(), forward.response_append.clone());
        Self { set, append, seal: forward.session_seal.clone() }
    }

    /// For a response that comes before the request was decided.
    pub(crate) fn early(pending: &Pending) -> Self {
        let (set, append) = pending.response_headers();
        let seal = pending.early_forward().and_then(|forward| forward.session_seal.clone());
        Self { set, append, seal }
    }

    /// All headers, for a response that has none of its own.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &Header> + Clone {
        self.set.iter().chain(&self.append)
    }

    /// Puts them on a response that takes the place of the server's.
    pub(crate) fn put_on(self, response: &mut Response) {
        response.headers.extend(self.set.into_iter().chain(self.append));
    }

    /// Puts them on the server's response.
    ///
    /// # Errors
    /// When its session cannot be bound: it must not go on then.
    pub(crate) fn apply(&self) -> Result<(), HostError> {
        let set = self.set.iter().map(|h| host::set_header(Map::Response, h.name(), h.value()));
        let add = self.append.iter().map(|h| host::add_header(Map::Response, h.name(), h.value()));
        for error in set.chain(add).filter_map(Result::err) {
            warn("setting a response header", error);
        }
        self.seal.as_ref().map_or(Ok(()), seal_session)
    }
}

/// The client gets the server's session id with a seal; or none, if it is not one.
fn seal_session(seal: &SessionSeal) -> Result<(), HostError> {
    let map = host::headers(Map::Response)?;
    let mut ids = map.iter().filter(|(name, _)| name.eq_ignore_ascii_case(SESSION.as_bytes()));
    let sealed = match (ids.next(), ids.next()) {
        (None, _) => return Ok(()),
        (Some((_, id)), None) => seal.seal(id),
        (Some(_), Some(_)) => None,
    };
    host::remove_header(Map::Response, SESSION)?;
    sealed.map_or(Ok(()), |sealed| host::set_header(Map::Response, SESSION, &sealed))
}
