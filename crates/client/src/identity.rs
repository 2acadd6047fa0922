//! An organisation's identity provider vouches for the user: an identity assertion in place of a browser
//! (draft-ietf-oauth-identity-assertion-authz-grant; MCP's enterprise-managed authorization).

use reqwest::Method;
use serde_json::Value;

use crate::{
    Error, Http, Refusal, Secret,
    discovery::{self, Server},
    registration::{GivenClient, Ways},
    token::{authenticated, now},
};

/// The kind of token that is asked for.
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// Somebody who is logged in at an identity provider.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The provider's identifier.
    pub provider: String,
    /// The client that the ID token was given to, there.
    pub client: GivenClient,
    /// The ID token.
    pub id_token: Secret,
}

/// Trades the ID token for an assertion that is meant for one authorization server and one resource (RFC
/// 8693 §2.1).
pub(crate) async fn assertion(
    http: &Http,
    identity: &Identity,
    server: &Server,
    resource: &str,
    scope: &str,
) -> Result<Secret, Error> {
    let provider = discovery::server(http, &identity.provider).await?;
    let ways = Ways { given: Some(identity.client.clone()), ..Ways::default() };
    let missing = || Error::ClientUnknown { issuer: provider.issuer.clone() };
    let client = ways.without_request(&provider, now())?.ok_or_else(missing)?;
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", ID_JAG),
        ("audience", server.issuer.as_str()),
        ("resource", resource),
        ("subject_token", identity.id_token.expose()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
    ];
    if !scope.is_empty() {
        form.push(("scope", scope));
    }
    let request = http.request(Method::POST, provider.endpoint("token_endpoint")?)?;
    let request = authenticated(request, &client, &provider.issuer, &form, now())?;
    let answer = http.send(request).await?;
    if answer.status != 200 {
        return Err(Error::TokenRefused(Refusal::of(&answer)));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // Whatever else it gave is not what was asked for, and is shown to nobody (RFC 8693 §2.2.1).
    let assertion = body["access_token"].as_str().filter(|_| body["issued_token_type"] == ID_JAG);
    let why = "the identity provider gave no identity assertion (ID-JAG)".to_owned();
    assertion.map(Secret::new).ok_or(Error::Answer { url: answer.url, why })
}
