//! Where an issuer's key set is, as its metadata says: read anew as time goes on, since issuers move.

use alloc::{string::String, vec::Vec};

use crate::{
    UnixSeconds,
    guard::fetch::FetchError,
    oauth::metadata::{AuthorizationServerMetadata, MetadataError, authorization_server_urls},
};

/// How long metadata is used without being read anew, in seconds.
const PERIOD: u64 = 3600;

/// Metadata that could not be read anew is left alone for so many seconds.
const REST: u64 = 300;

/// What is known of an issuer by its metadata, and what is being fetched for it: metadata first where they are
/// wanted, then the key set.
#[derive(Debug)]
pub(super) struct Discovery {
    places: Vec<String>,
    next: usize,
    jwks_uri: Option<String>,
    /// Where the issuer says which status lists there are.
    pub(super) aggregation: Option<String>,
    /// When metadata that were read are to be read anew.
    next_reading: UnixSeconds,
    /// What is being fetched is metadata.
    is_reading: bool,
    /// They were read, or not to be had, on the way to the key set that is fetched now.
    was_read: bool,
}

impl Discovery {
    pub(super) fn new(issuer: &str) -> Self {
        Self {
            places: authorization_server_urls(issuer),
            next: 0,
            jwks_uri: None,
            aggregation: None,
            next_reading: 0,
            is_reading: false,
            was_read: false,
        }
    }

    /// Whether metadata that were read are old.
    pub(super) fn is_old(&self, now: UnixSeconds) -> bool {
        // Further ahead it was the clock that was set back.
        let is_resting =
            (now.saturating_add(1)..=now.saturating_add(PERIOD)).contains(&self.next_reading);
        self.jwks_uri.is_some() && !is_resting
    }

    /// The URL to fetch: of metadata, where none were read, they are old, or the key set that they led to lacks
    /// something; else of the key set.
    pub(super) fn url(&mut self, is_lacking: bool, now: UnixSeconds) -> Option<String> {
        self.is_reading =
            self.jwks_uri.is_none() || (!self.was_read && (is_lacking || self.is_old(now)));
        if self.is_reading { self.places.get(self.next).cloned() } else { self.jwks_uri.clone() }
    }

    /// Takes metadata, if that is what was fetched. The key set is to be fetched next.
    pub(super) fn take(
        &mut self,
        body: &[u8],
        issuer: &str,
        now: UnixSeconds,
    ) -> Option<Result<(), FetchError>> {
        self.is_reading.then(|| self.read(body, issuer, now).map_err(FetchError::Metadata))
    }

    fn read(&mut self, body: &[u8], issuer: &str, now: UnixSeconds) -> Result<(), MetadataError> {
        let metadata = AuthorizationServerMetadata::parse(body, issuer)?;
        self.jwks_uri = Some(String::from(metadata.required_url("jwks_uri")?));
        // Nothing depends on it: what is wrong with it is no reason to do without keys.
        let endpoint = metadata.url("status_list_aggregation_endpoint");
        self.aggregation = endpoint.ok().flatten().map(String::from);
        self.next_reading = now.saturating_add(PERIOD);
        self.was_read = true;
        Ok(())
    }

    /// A fetch failed: whether something else can be fetched at once. The next place, when the document was
    /// not at this one; the key set where it was before, when nobody answered or no place is left.
    pub(super) fn goes_on(&mut self, error: &FetchError, now: UnixSeconds) -> bool {
        if !self.is_reading {
            return false;
        }
        let is_first = self.jwks_uri.is_none();
        let is_silent = matches!(error, FetchError::NoAnswer | FetchError::Status(500..));
        if self.next + 1 < self.places.len() && (is_first || !is_silent) {
            self.next += 1;
            return true;
        }
        if is_first {
            return false;
        }
        (self.next, self.was_read) = (0, true);
        self.next_reading = now.saturating_add(REST);
        true
    }

    /// A key set came: the way there is over.
    pub(super) const fn arrived(&mut self) {
        (self.next, self.was_read) = (0, false);
    }

    /// No key set came: the issuer may have moved it, so its metadata are read first.
    pub(super) const fn start_over(&mut self) {
        self.arrived();
        self.next_reading = 0;
    }
}
