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
    /// The place that gave the document last; nobody knows it when no key set came since.
    home: Option<usize>,
    /// How many places were tried in vain on this way.
    tried: usize,
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
            home: None,
            tried: 0,
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
        let place = if self.is_reading { self.places.get(self.place()) } else { None };
        place.or(self.jwks_uri.as_ref()).cloned()
    }

    /// Where metadata are read next: first where they were, then in the order of the places.
    const fn place(&self) -> usize {
        match self.home {
            Some(home) if self.tried == 0 => home,
            Some(home) if self.tried <= home => self.tried - 1,
            Some(_) | None => self.tried,
        }
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
        (self.home, self.tried, self.was_read) = (Some(self.place()), 0, true);
        Ok(())
    }

    /// A fetch failed: whether something else can be fetched at once. The next place, when the document is not
    /// where it was, or nobody knows where it is; the key set where it was before, when the document's place did
    /// not answer or no place is left.
    pub(super) fn goes_on(&mut self, error: &FetchError, now: UnixSeconds) -> bool {
        if !self.is_reading {
            return false;
        }
        let is_silent = matches!(error, FetchError::NoAnswer | FetchError::Status(500..));
        if self.tried + 1 < self.places.len() && (self.home.is_none() || !is_silent) {
            self.tried += 1;
            return true;
        }
        if self.jwks_uri.is_none() {
            return false;
        }
        (self.tried, self.was_read) = (0, true);
        self.next_reading = now.saturating_add(REST);
        true
    }

    /// A key set came: the way there is over.
    pub(super) const fn arrived(&mut self) {
        (self.tried, self.was_read) = (0, false);
    }

    /// No key set came: the issuer may have moved it, and its metadata too, so these are looked for anew.
    pub(super) const fn start_over(&mut self) {
        self.arrived();
        (self.home, self.next_reading) = (None, 0);
    }
}
