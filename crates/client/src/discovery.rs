//! From the URL of an MCP server to its authorization server (MCP authorization, discovery; RFC 9728,
//! RFC 8414).

#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_core::{
    jose::json::{self, Value},
    oauth::{
        metadata::{
            AuthorizationServerMetadata, MetadataError, PROTECTED_RESOURCE_PATH,
            ProtectedResourceMetadata, authorization_server_urls, is_callable,
            protected_resource_url,
        },
        resource::ResourceId,
        scope::ScopeSet,
        www_authenticate::ReceivedChallenge,
    },
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Map;

use crate::{
    Answer, Error, Http, check_url,
    mcp::{Connection, Limits, Outcome, Refused},
};

/// What a server may take before it says whether it wants a token.
const PROBE: Limits = Limits {
    silence: Duration::from_secs(20),
    total: Duration::from_secs(40),
    bytes: 16 * 1024 * 1024,
};

/// What a server asks for when it refuses a request (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Tokens have to be bound to a key, and sent with a proof (RFC 9449 §7.1).
    pub is_dpop: bool,
    /// Where the resource's metadata stand.
    pub resource_metadata: Option<String>,
    /// The scopes that the request needs.
    pub scope: Option<ScopeSet>,
    /// Why, like `invalid_token`.
    pub error: Option<String>,
}

impl Challenge {
    /// The challenge in an answer's headers, by `Bearer` if there is one, else by `DPoP`.
    ///
    /// `None` when there is none, or none that can be read: discovery goes on without it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(WWW_AUTHENTICATE);
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let challenges = ReceivedChallenge::parse_all(&lines.join(&b", "[..])).ok()?;
        let by = |scheme| challenges.iter().find(|challenge| challenge.is(scheme));
        let is_dpop = by("bearer").is_none();
        let challenge = by("bearer").or_else(|| by("dpop"))?;
        let parameter = |name| challenge.parameter(name).map(str::to_owned);
        Some(Self {
            is_dpop,
            resource_metadata: parameter("resource_metadata"),
            scope: challenge.parameter("scope").and_then(|scope| ScopeSet::parse(scope).ok()),
            error: parameter("error"),
        })
    }
}

/// An MCP server, as far as it says who gives tokens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its identifier, as it writes it: the `resource` of every request for a token (RFC 8707).
    pub id: String,
    /// Its authorization servers, at least one.
    pub issuers: Vec<String>,
    /// The scopes to ask for at first: the challenge's, else all that the metadata list, else none
    /// (MCP authorization, scope selection strategy).
    pub scope: ScopeSet,
    /// Tokens have to be bound to a key.
    pub is_dpop: bool,
    /// Its metadata; `None` for a server of before revision 2025-06-18, which has none.
    pub metadata: Option<ProtectedResourceMetadata>,
}

/// Finds out what an MCP server asks of its clients.
///
/// # Errors
/// [`Error::NotProtected`], [`Error::ResourceMetadata`], [`Error::ResourceMismatch`], and those of
/// requests.
pub async fn resource(http: &Http, url: &str) -> Result<Resource, Error> {
    let refused = probe(http, url).await;
    let challenge = refused.as_ref().ok().and_then(|refused| refused.as_ref()?.challenge.clone());
    let challenge = challenge.unwrap_or_default();
    if let Err(error @ (Error::Unreachable { .. } | Error::Redirected { .. })) = refused {
        return Err(error);
    }
    if let Some(metadata) = metadata(http, url, challenge.resource_metadata.as_deref()).await? {
        return Ok(described(metadata, challenge));
    }
    match refused? {
        // Revision 2025-03-26: the server's origin is its authorization server.
        Some(Refused { status: 401, .. }) => Ok(Resource {
            id: url.to_owned(),
            issuers: vec![check_url(url)?.origin().ascii_serialization()],
            scope: challenge.scope.unwrap_or_default(),
            is_dpop: challenge.is_dpop,
            metadata: None,
        }),
        _ => Err(Error::NotProtected { url: url.to_owned() }),
    }
}

fn described(metadata: ProtectedResourceMetadata, challenge: Challenge) -> Resource {
    let scope = challenge.scope.unwrap_or_else(|| metadata.scopes_supported.clone());
    Resource {
        id: metadata.resource.clone(),
        issuers: metadata.authorization_servers.clone(),
        scope,
        is_dpop: challenge.is_dpop || metadata.dpop_required,
        metadata: Some(metadata),
    }
}

/// Asks without a token, for what a client asks for next: some servers let anybody say hello, and want a
/// token from there on.
async fn probe(http: &Http, url: &str) -> Result<Option<Refused>, Error> {
    let mut connection = Connection::new(http.clone(), url)?.with_limits(PROBE);
    let listed = connection.request("tools/list", Map::new(), &mut ()).await;
    connection.close(&mut ()).await;
    match listed? {
        Outcome::Refused(refused) => Ok(Some(refused)),
        Outcome::Done(_) => Ok(None),
    }
}

/// The resource's metadata: from where the challenge says, else from the well-known path with the
/// server's path, else from the one at the root, in this order (MCP authorization, protected resource
/// metadata discovery requirements).
async fn metadata(
    http: &Http,
    url: &str,
    named: Option<&str>,
) -> Result<Option<ProtectedResourceMetadata>, Error> {
    if let Some(named) = named {
        if !is_callable(named, url) {
            let why = "the challenge's resource_metadata is not a URL that can be called";
            return Err(Error::Url { url: named.to_owned(), why });
        }
        let answer = http.get(named).await?;
        return match document(&answer) {
            Some(document) => checked(document, url, &answer.url).map(Some),
            None => Err(Error::Answer {
                url: named.to_owned(),
                why: format!("status {}, not the metadata that the challenge names", answer.status),
            }),
        };
    }
    for place in metadata_urls(url)? {
        let answer = http.get(&place).await?;
        check_present(&answer)?;
        if let Some(document) = document(&answer) {
            return checked(document, url, &place).map(Some);
        }
    }
    Ok(None)
}

/// Where a resource's metadata may stand when no challenge says it.
///
/// # Errors
/// [`Error::Url`].
pub fn metadata_urls(url: &str) -> Result<Vec<String>, Error> {
    let why = "not an absolute URL";
    let id = ResourceId::parse(url).map_err(|_| Error::Url { url: url.to_owned(), why })?;
    let (scheme, authority, path) = id.parts();
    let mut urls = vec![protected_resource_url(&id)];
    if !matches!(path, "" | "/") {
        urls.push(format!("{scheme}://{authority}{PROTECTED_RESOURCE_PATH}"));
    }
    Ok(urls)
}

/// A server that cannot answer now has not said that there are no metadata: nothing is made of their
/// absence, neither another place nor what older revisions did without them.
fn check_present(answer: &Answer) -> Result<(), Error> {
    let (url, status) = (answer.url.clone(), answer.status);
    let retry_after =
        answer.header(RETRY_AFTER.as_str()).and_then(|after| after.trim().parse().ok());
    match status {
        429 | 503 => Err(Error::Unavailable { url, status, retry_after }),
        500.. => Err(Error::Answer { url, why: format!("status {status} in place of metadata") }),
        _ => Ok(()),
    }
}

/// The body of an answer that is a JSON document. Pages that stand for all that is not there are none.
fn document(answer: &Answer) -> Option<&[u8]> {
    let is_json = answer.header(CONTENT_TYPE.as_str()).is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    });
    (answer.status == 200 && is_json).then_some(&answer.body)
}

/// The metadata, if they are this server's: its own, or those of its whole origin.
fn checked(document: &[u8], url: &str, place: &str) -> Result<ProtectedResourceMetadata, Error> {
    let invalid = |error| Error::ResourceMetadata { url: place.to_owned(), error };
    let members = json::parse(document).map_err(|error| invalid(MetadataError::Json(error)))?;
    let resource = match &members {
        Value::Object(members) => members.get("resource").and_then(Value::as_str),
        _ => None,
    };
    let resource = resource.ok_or_else(|| invalid(MetadataError::Missing("resource")))?;
    if !speaks_for(resource, url) {
        let (url, resource) = (url.to_owned(), resource.to_owned());
        return Err(Error::ResourceMismatch { url, resource });
    }
    let metadata = ProtectedResourceMetadata::parse(document, resource).map_err(invalid)?;
    if metadata.authorization_servers.is_empty() {
        return Err(invalid(MetadataError::Missing("authorization_servers")));
    }
    Ok(metadata)
}

/// Whether a resource's tokens are for this URL: it is that resource, or the resource is all of its
/// origin. Many servers in the field call themselves by their origin.
fn speaks_for(resource: &str, url: &str) -> bool {
    let (Ok(resource), Ok(id)) = (ResourceId::parse(resource), ResourceId::parse(url)) else {
        return false;
    };
    let (scheme, authority, _) = id.parts();
    resource.matches(url) || resource.matches(&format!("{scheme}://{authority}"))
}

/// An authorization server that can be used: it says who it is, and does PKCE with S256.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its identifier.
    pub issuer: String,
    /// Its metadata.
    pub metadata: AuthorizationServerMetadata,
}

impl Server {
    /// An endpoint or another URL of the metadata that has to be there.
    ///
    /// # Errors
    /// [`Error::IssuerMetadata`].
    pub fn endpoint(&self, name: &'static str) -> Result<&str, Error> {
        self.metadata.required_url(name).map_err(|error| self.invalid(error))
    }

    /// One that may be missing.
    ///
    /// # Errors
    /// [`Error::IssuerMetadata`].
    pub fn optional(&self, name: &'static str) -> Result<Option<&str>, Error> {
        self.metadata.url(name).map_err(|error| self.invalid(error))
    }

    /// An array of texts; empty when it is not there.
    ///
    /// # Errors
    /// [`Error::IssuerMetadata`].
    pub fn texts(&self, name: &'static str) -> Result<Vec<&str>, Error> {
        self.metadata.texts(name).map_err(|error| self.invalid(error))
    }

    /// A flag; `false` when it is not there.
    ///
    /// # Errors
    /// [`Error::IssuerMetadata`].
    pub fn flag(&self, name: &'static str) -> Result<bool, Error> {
        self.metadata.flag(name).map_err(|error| self.invalid(error))
    }

    /// Refuses a server that does not do PKCE with S256.
    ///
    /// # Errors
    /// [`Error::PkceMissing`], [`Error::IssuerMetadata`].
    pub fn check_pkce(&self) -> Result<(), Error> {
        match self.texts("code_challenge_methods_supported")?.contains(&"S256") {
            true => Ok(()),
            false => Err(Error::PkceMissing { issuer: self.issuer.clone() }),
        }
    }

    fn invalid(&self, error: MetadataError) -> Error {
        Error::IssuerMetadata { url: self.issuer.clone(), error }
    }
}

/// Reads an authorization server's metadata, from the places and in the order of MCP.
///
/// # Errors
/// [`Error::IssuerMismatch`], [`Error::IssuerMetadata`], [`Error::IssuerMetadataMissing`], and those of
/// requests.
pub async fn server(http: &Http, issuer: &str) -> Result<Server, Error> {
    check_url(issuer)?;
    for place in authorization_server_urls(issuer) {
        let answer = http.get(&place).await?;
        check_present(&answer)?;
        let Some(document) = document(&answer) else { continue };
        let metadata = match AuthorizationServerMetadata::parse(document, issuer) {
            Ok(metadata) => metadata,
            Err(MetadataError::Other("issuer")) => {
                return Err(Error::IssuerMismatch { issuer: issuer.to_owned(), url: place });
            }
            Err(error) => return Err(Error::IssuerMetadata { url: place, error }),
        };
        return Ok(Server { issuer: issuer.to_owned(), metadata });
    }
    Err(Error::IssuerMetadataMissing { issuer: issuer.to_owned() })
}

/// The endpoints that servers of revision 2025-03-26 have when they have no metadata.
///
/// # Errors
/// [`Error::IssuerMetadata`].
pub fn default_server(origin: &str) -> Result<Server, Error> {
    let document = serde_json::json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "code_challenge_methods_supported": ["S256"],
    });
    let metadata = AuthorizationServerMetadata::parse(document.to_string().as_bytes(), origin)
        .map_err(|error| Error::IssuerMetadata { url: origin.to_owned(), error })?;
    Ok(Server { issuer: origin.to_owned(), metadata })
}
