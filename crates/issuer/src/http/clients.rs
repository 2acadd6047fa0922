//! Which client a `client_id` means: one that is stored, or one whose `client_id` is the URL of its
//! document (draft-ietf-oauth-client-id-metadata-document-03).

use std::net::IpAddr;

use super::App;
use crate::{
    Error, client_document, clock,
    config::ClientDocuments,
    outbound::{FetchError, Fetched},
    store::{ClientRow, DocumentRow, FoundDocument},
};

/// Longest document, in bytes (draft §8.7 recommends 5 KB; ChatGPT's and others' with keys are longer).
const MAX_DOCUMENT: usize = 20 * 1024;

/// Bounds on how long a document is used before it is fetched again, in seconds: what it says about
/// itself counts in between.
const FRESH_AT_LEAST: u64 = 300;
const FRESH_AT_MOST: u64 = DAY.unsigned_abs();
const DAY: i64 = 86_400;

/// For so many seconds more it is used while its server cannot be reached.
const STALE: i64 = DAY;

/// Why nothing is fetched for somebody.
pub(super) const TOO_MANY: &str = "too much was asked for from this address";

/// What is known of a `client_id`.
pub(super) enum Found {
    Client(Box<ClientRow>),
    /// Nobody knows it, or its document cannot be used; the sentence is for the user.
    Unusable(String),
    /// Its document cannot be had at this moment.
    Unreachable(String),
}

impl App {
    /// Finds a client, and fetches its document where that is needed. Nobody is asked who it is
    /// before: whoever calls this for strangers counts them.
    pub(super) async fn find_client(&self, client_id: &str) -> Result<Found, Error> {
        if client_document::is_url(client_id) {
            return self.find_document(client_id).await;
        }
        self.stored(client_id).await
    }

    /// Finds a client that was here before, and looks at its document again where that is old, as often as
    /// its address may. Of others nothing is fetched and nothing is stored, whatever address they name.
    pub(super) async fn find_known_client(
        &self,
        client_id: &str,
        address: Option<IpAddr>,
    ) -> Result<Found, Error> {
        if !client_document::is_url(client_id) {
            return self.stored(client_id).await;
        }
        if self.is_stranger(client_id).await? {
            return Ok(unknown());
        }
        let held = self.store.document(client_id).await?;
        let is_good = held.as_ref().is_some_and(DocumentRow::is_good);
        if !is_good && self.beginnings.take(address, clock::milliseconds()).await.is_err() {
            return self.stale(client_id, held, TOO_MANY).await;
        }
        self.find_client(client_id).await
    }

    /// Whether a client comes for the first time with the URL of a document.
    pub(super) async fn is_stranger(&self, client_id: &str) -> Result<bool, Error> {
        Ok(client_document::is_url(client_id)
            && self.store.document(client_id).await?.is_none()
            && self.store.client(client_id).await?.is_none())
    }

    async fn stored(&self, client_id: &str) -> Result<Found, Error> {
        let row = self.store.client(client_id).await?.filter(|row| !row.client.is_disabled);
        Ok(row.map_or_else(unknown, |row| Found::Client(Box::new(row))))
    }

    async fn find_document(&self, client_id: &str) -> Result<Found, Error> {
        let unusable = |why: &str| {
            tracing::info!(reason = "client_document_refused", client = client_id, why, "not used");
            Ok(Found::Unusable(format!(
                "The application says that it is described at {client_id}. That cannot be used \
                 here: {why}."
            )))
        };
        let url = match client_document::check_url(client_id) {
            Ok(url) => url,
            Err(why) => return unusable(&format!("the address {why}")),
        };
        let mut held = self.store.document(client_id).await?;
        let is_pinned = held.as_ref().is_some_and(|held| held.pinned);
        if !is_pinned && !self.config.client_documents.allows(url.host_str().unwrap_or("")) {
            return unusable("the administrator has not allowed applications of this site");
        }
        if held.as_ref().is_some_and(DocumentRow::is_good) {
            return self.stored(client_id).await;
        }
        let turn = match self.fetches.turn(client_id).await {
            Ok(turn) => turn,
            Err(why) => return self.stale(client_id, held, why.why()).await,
        };
        // Whoever had the turn before may have fetched it.
        held = self.store.document(client_id).await?;
        if held.as_ref().is_some_and(DocumentRow::is_good) {
            return self.stored(client_id).await;
        }
        let etag = held.as_ref().and_then(|held| held.etag.as_deref());
        match self.fetcher.json(&url, etag, MAX_DOCUMENT).await {
            Ok(Fetched::Document { body, etag, max_age }) => {
                let metadata = match client_document::read(client_id, &body) {
                    Ok(metadata) => metadata,
                    Err(why) => {
                        turn.was_in_vain();
                        return unusable(&why);
                    }
                };
                let found = FoundDocument {
                    url: client_id,
                    etag: etag.as_deref(),
                    pinned: false,
                    fresh_until: fresh_until(max_age),
                };
                self.store.put_document(&found, &metadata).await?;
                self.stored(client_id).await
            }
            Ok(Fetched::NotModified { max_age }) => {
                self.store.keep_document(client_id, fresh_until(max_age)).await?;
                self.stored(client_id).await
            }
            Err(error) => {
                match error {
                    FetchError::Unreachable => turn.failed(),
                    _ => turn.was_in_vain(),
                }
                match error.is_passing() {
                    true => self.stale(client_id, held, &error.to_string()).await,
                    false => unusable(&error.to_string()),
                }
            }
        }
    }

    /// A document that was good not long ago, while there is no newer one to be had.
    async fn stale(
        &self,
        client_id: &str,
        held: Option<DocumentRow>,
        why: &str,
    ) -> Result<Found, Error> {
        tracing::warn!(reason = "client_document_unreachable", client = client_id, "{why}");
        let now = clock::now();
        if held.is_some_and(|held| (now - STALE + 1..=now + DAY).contains(&held.fresh_until)) {
            return self.stored(client_id).await;
        }
        Ok(Found::Unreachable(format!(
            "The application says that it is described at {client_id}. The description cannot be \
             had at this moment: {why}. Try again in a while; if it stays so, tell the \
             administrator of this server, who can supply the description."
        )))
    }
}

impl DocumentRow {
    /// Whether it is used without another look. None is fresh for longer than a day: a clock that
    /// leapt and came back wrote that.
    fn is_good(&self) -> bool {
        let now = clock::now();
        self.pinned || (now + 1..=now + DAY).contains(&self.fresh_until)
    }
}

fn unknown() -> Found {
    Found::Unusable(
        "The application is not known here. It may have been registered long ago: remove the \
         server from the application and add it again."
            .to_owned(),
    )
}

impl ClientDocuments {
    /// Whether documents on this host are used: one that is listed, or a name below it.
    pub(crate) fn allows(&self, host: &str) -> bool {
        match self {
            Self::Off => false,
            Self::Open => true,
            Self::Domains(domains) => domains.iter().any(|domain| {
                host == domain
                    || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }),
        }
    }
}

fn fresh_until(max_age: Option<u64>) -> i64 {
    let fresh = max_age.unwrap_or(0).clamp(FRESH_AT_LEAST, FRESH_AT_MOST);
    clock::now() + i64::try_from(fresh).unwrap_or(300)
}
