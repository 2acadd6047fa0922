//! The claims of an access token (RFC 9068 §2.2), read with their types.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::ops::Range;

use super::{
    confirmation::Confirmation,
    numeric_date,
    preset::{AudienceSource, Preset, resource_servers},
};
use crate::{
    Reason, UnixSeconds,
    jose::json::{self, Object, Value},
    oauth::scope::{Scope, ScopeSet},
};

/// Claims with the types that RFC 7519 and RFC 9068 give them. Reading them trusts nothing: whether
/// they hold is for [`super::access_token`] to decide, after the signature.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The issuer, compared byte for byte.
    pub issuer: Option<String>,
    /// Who the token speaks for.
    pub subject: Option<String>,
    /// The audiences, whether sent as one string or as an array.
    pub audience: Vec<String>,
    /// The `resource` claim, where an issuer sends one.
    pub resource: Vec<String>,
    /// The client that the token was issued to.
    pub client_id: Option<String>,
    /// The token's own name.
    pub token_id: Option<String>,
    /// First second at which the token is no longer valid.
    pub expires_at: Option<UnixSeconds>,
    /// First second at which the token is valid.
    pub not_before: Option<UnixSeconds>,
    /// When the token was issued.
    pub issued_at: Option<UnixSeconds>,
    /// The granted scopes, whether sent as a string or as an array.
    pub scope: ScopeSet,
    /// The key that the token is bound to (`cnf`).
    pub confirmation: Confirmation,
    /// Everything, for forwarding.
    pub all: Object,
}

impl Claims {
    /// Reads a token's payload.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`] when it is not a strict JSON object, [`Reason::ClaimMalformed`]
    /// when one of the claims above has the wrong type. Never a silent "absent".
    pub fn parse(payload: &[u8]) -> Result<Self, Reason> {
        match json::parse(payload) {
            Ok(Value::Object(all)) => Self::from_members(all),
            _ => Err(Reason::TokenMalformed),
        }
    }

    /// The same from members that were read already.
    pub(crate) fn from_members(all: Object) -> Result<Self, Reason> {
        Ok(Self {
            issuer: text(&all, "iss")?,
            subject: text(&all, "sub")?,
            audience: texts(&all, "aud")?,
            resource: texts(&all, "resource")?,
            client_id: text(&all, "client_id")?,
            token_id: text(&all, "jti")?,
            expires_at: date(&all, "exp")?,
            not_before: date(&all, "nbf")?,
            issued_at: date(&all, "iat")?,
            scope: scope(all.get("scope"))?,
            confirmation: Confirmation::of(&all),
            all,
        })
    }

    /// Reads client, scope, token name and audience from where the issuer's preset has them.
    ///
    /// # Errors
    /// [`Reason::ClaimMalformed`] when one of them has the wrong type, or when claims that name the
    /// client contradict each other.
    pub fn read_as(&mut self, preset: &Preset) -> Result<(), Reason> {
        if preset.has_claims_of_rfc_9068() {
            return Ok(());
        }
        self.client_id = None;
        for name in preset.client {
            let found = text(&self.all, name)?;
            if self.client_id.is_some() && found.is_some() && found != self.client_id {
                return Err(Reason::ClaimMalformed);
            }
            self.client_id = self.client_id.take().or(found);
        }
        self.scope = scope(preset.scope.iter().find_map(|name| self.all.get(*name)))?;
        self.token_id = text(&self.all, preset.token_id)?;
        if preset.audience == AudienceSource::AudOrScopes && !self.all.contains_key("aud") {
            let servers = resource_servers(&self.scope);
            self.audience = servers.into_iter().map(ToString::to_string).collect();
        }
        Ok(())
    }

    /// The seconds at which `exp`, `iat` and `nbf` let the token be used (RFC 7519 §4.1.4 to §4.1.6), with
    /// `leeway` seconds for clocks that differ. Where one of them is not there it says nothing.
    #[must_use]
    pub fn usable(&self, leeway: u64) -> Range<UnixSeconds> {
        let start = self.issued_at.max(self.not_before).unwrap_or_default();
        let end = self.expires_at.unwrap_or(UnixSeconds::MAX);
        start.saturating_sub(leeway)..end.saturating_add(leeway)
    }

    /// Whether a claim is present and not empty. `client_id`, `jti` and `scope` are those that were
    /// read, whatever the issuer calls them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match name {
            "client_id" => return filled(&self.client_id),
            "jti" => return filled(&self.token_id),
            "scope" => return !self.scope.is_empty(),
            _ => {}
        }
        match self.all.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(elements)) => !elements.is_empty(),
            Some(_) => true,
        }
    }
}

fn text(all: &Object, name: &str) -> Result<Option<String>, Reason> {
    match all.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Reason::ClaimMalformed),
    }
}

fn texts(all: &Object, name: &str) -> Result<Vec<String>, Reason> {
    match all.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(Vec::from([text.clone()])),
        Some(Value::Array(elements)) => elements
            .iter()
            .map(|element| element.as_str().map(ToString::to_string).ok_or(Reason::ClaimMalformed))
            .collect(),
        Some(_) => Err(Reason::ClaimMalformed),
    }
}

fn date(all: &Object, name: &str) -> Result<Option<UnixSeconds>, Reason> {
    all.get(name)
        .map(|value| numeric_date::from_json(value).ok_or(Reason::ClaimMalformed))
        .transpose()
}

/// A string (RFC 9068 §2.2.3), or an array of strings as several issuers send it.
fn scope(claim: Option<&Value>) -> Result<ScopeSet, Reason> {
    match claim {
        None => Ok(ScopeSet::default()),
        Some(Value::String(text)) => ScopeSet::parse(text).map_err(|_| Reason::ClaimMalformed),
        Some(Value::Array(elements)) => elements
            .iter()
            .map(|element| element.as_str().and_then(|text| Scope::parse(text).ok()))
            .collect::<Option<ScopeSet>>()
            .ok_or(Reason::ClaimMalformed),
        Some(_) => Err(Reason::ClaimMalformed),
    }
}
