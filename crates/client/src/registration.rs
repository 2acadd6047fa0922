//! Becoming a client of an authorization server: by a client that was given, by a Client ID Metadata
//! Document, or by dynamic registration, in this order (MCP authorization, client registration
//! approaches).

#[cfg(test)]
mod tests;

use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Answer, Error, Http, Refusal, Secret,
    client_auth::{AuthMethod, ClientKey},
    discovery::Server,
};

/// A client at one authorization server. What is registered there is of no use at another one, and is
/// never shown to it (MCP authorization, authorization server binding).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Its identifier.
    pub client_id: String,
    /// Its secret, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Its key, for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<ClientKey>,
    /// How it proves at the token endpoint who it is.
    pub auth_method: AuthMethod,
    /// The redirect URI that was registered. Its port is used again where it is free: not every server
    /// lets the port of loopback addresses differ, as RFC 8252 §7.3 asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Until when the secret is good, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// How it came to be.
    pub origin: Origin,
}

/// How a client came to be known to its authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was given: somebody registered it before.
    Given,
    /// It is a URL, at which its metadata stand.
    Document,
    /// It registered itself (RFC 7591).
    Registered,
}

/// A client that a user brings along.
#[derive(Clone, Debug)]
pub struct GivenClient {
    /// Its identifier.
    pub client_id: String,
    /// Its secret, if it has one.
    pub client_secret: Option<Secret>,
    /// Its key for `private_key_jwt`, if it has one.
    pub client_key: Option<ClientKey>,
}

impl GivenClient {
    /// Whether this is the client.
    pub(crate) fn is(&self, client: &Registration) -> bool {
        client.origin == Origin::Given && client.client_id == self.client_id
    }
}

/// The ways that are open to a user for becoming a client.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// A client that is registered already.
    pub given: Option<GivenClient>,
    /// The URL of a Client ID Metadata Document that the user hosts.
    pub document: Option<String>,
    /// What was registered at this server before.
    pub known: Option<Registration>,
}

impl Ways {
    /// The way by which a client came to be, to go it again. One that registered itself is found by the
    /// store.
    #[must_use]
    pub fn of(client: &Registration) -> Self {
        match client.origin {
            Origin::Given => {
                let Registration { client_id, client_secret, client_key, .. } = client.clone();
                let given = GivenClient { client_id, client_secret, client_key };
                Self { given: Some(given), ..Self::default() }
            }
            Origin::Document => {
                Self { document: Some(client.client_id.clone()), ..Self::default() }
            }
            Origin::Registered => Self::default(),
        }
    }

    /// The client that needs no request; `None` when one has to be registered.
    ///
    /// # Errors
    /// [`Error::IssuerMetadata`], [`Error::Url`].
    pub fn without_request(
        &self,
        server: &Server,
        now: u64,
    ) -> Result<Option<Registration>, Error> {
        if let Some(given) = &self.given {
            return given_client(given, server).map(Some);
        }
        if let Some(url) = &self.document
            && server.flag("client_id_metadata_document_supported")?
        {
            return document_client(url).map(Some);
        }
        let is_good = |client: &&Registration| client.expires_at.is_none_or(|until| now < until);
        Ok(self.known.as_ref().filter(is_good).cloned())
    }
}

fn given_client(given: &GivenClient, server: &Server) -> Result<Registration, Error> {
    let auth_method = match given {
        GivenClient { client_key: Some(_), .. } => AuthMethod::PrivateKeyJwt,
        GivenClient { client_secret: Some(_), .. } => {
            AuthMethod::for_secret(&server.texts("token_endpoint_auth_methods_supported")?)
        }
        _ => AuthMethod::None,
    };
    Ok(Registration {
        client_id: given.client_id.clone(),
        client_secret: given.client_secret.clone(),
        client_key: given.client_key.clone(),
        auth_method,
        redirect_uri: None,
        expires_at: None,
        origin: Origin::Given,
    })
}

/// The URL is the identifier (draft-ietf-oauth-client-id-metadata-document, §3).
fn document_client(url: &str) -> Result<Registration, Error> {
    let wrong = |why| Error::Url { url: url.to_owned(), why };
    let parsed = crate::check_url(url)?;
    if parsed.scheme() != "https" || parsed.path() == "/" {
        return Err(wrong("a client metadata document is an https URL with a path"));
    }
    Ok(Registration {
        client_id: url.to_owned(),
        client_secret: None,
        client_key: None,
        auth_method: AuthMethod::None,
        redirect_uri: None,
        expires_at: None,
        origin: Origin::Document,
    })
}

/// Registers a client (RFC 7591).
///
/// # Errors
/// [`Error::ClientUnknown`] when there is no endpoint for it, [`Error::RegistrationRefused`], and those
/// of requests.
pub async fn register(
    http: &Http,
    server: &Server,
    redirect_uri: &str,
) -> Result<Registration, Error> {
    let endpoint = server.optional("registration_endpoint")?;
    let endpoint =
        endpoint.ok_or_else(|| Error::ClientUnknown { issuer: server.issuer.clone() })?;
    let method = AuthMethod::to_register(&server.texts("token_endpoint_auth_methods_supported")?);
    // `native` is what a program on somebody's machine is (OpenID Connect Registration §2; MCP asks for
    // it since revision 2026-07-28).
    let metadata = json!({
        "client_name": "countersign",
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
    });
    let request = http
        .request(Method::POST, endpoint)?
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .body(metadata.to_string());
    let answer = http.send(request).await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(Error::RegistrationRefused(Refusal::of(&answer)));
    }
    registered(&answer, method, redirect_uri)
}

/// What the server made of the request: it may have changed anything (RFC 7591 §3.2.1).
fn registered(
    answer: &Answer,
    method: AuthMethod,
    redirect_uri: &str,
) -> Result<Registration, Error> {
    let wrong = |why: &str| Error::Answer { url: answer.url.clone(), why: why.to_owned() };
    let members: Map<String, Value> = serde_json::from_slice(&answer.body)
        .map_err(|_| wrong("the registration's answer is not a JSON object"))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let client_id = text("client_id").filter(|id| !id.is_empty());
    let client_id = client_id.ok_or_else(|| wrong("the registration's answer has no client_id"))?;
    let auth_method = match text("token_endpoint_auth_method") {
        // A client that registered itself has no key to sign with.
        Some(name) => AuthMethod::parse(name)
            .filter(|method| *method != AuthMethod::PrivateKeyJwt)
            .ok_or_else(|| {
                wrong("the server registered an authentication that this client did not ask for")
            })?,
        None => method,
    };
    let client_secret = text("client_secret").map(Secret::new);
    if auth_method.needs_secret() && client_secret.is_none() {
        return Err(wrong("the server registered a client with a secret, and gave none"));
    }
    // 0: for ever (RFC 7591 §3.2.1).
    let expires_at = members.get("client_secret_expires_at").and_then(Value::as_u64);
    Ok(Registration {
        client_id: client_id.to_owned(),
        client_secret,
        client_key: None,
        auth_method,
        redirect_uri: Some(redirect_uri.to_owned()),
        expires_at: expires_at.filter(|until| *until != 0),
        origin: Origin::Registered,
    })
}
