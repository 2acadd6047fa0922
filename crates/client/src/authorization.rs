//! The authorization request, and what comes back from the browser (OAuth 2.1 §4.1, RFC 9207, RFC 9126).

use countersign_core::oauth::{pkce::CodeVerifier, scope::ScopeSet};
use reqwest::Method;
use url::Url;

use crate::{
    Error, Http, Refusal, Secret, check_url, discovery::Server, random, registration::Registration,
    token,
};

/// What a user is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The authorization server.
    pub server: &'a Server,
    /// The client.
    pub client: &'a Registration,
    /// Where the answer goes.
    pub redirect_uri: &'a str,
    /// The resource that the token is for, as it writes itself (RFC 8707).
    pub resource: &'a str,
    /// The scopes; none are named if there are none.
    pub scope: &'a ScopeSet,
    /// The thumbprint of the key that the code will be redeemed with (RFC 9449 §10).
    pub dpop_jkt: Option<&'a str>,
}

/// A request that a browser was sent with, and all that the answer is checked by. It is fixed before the
/// browser leaves, so that nothing that comes back can change it.
#[derive(Debug)]
pub struct Pending {
    /// Where the browser is to go.
    pub url: Url,
    issuer: String,
    /// The server says that it names itself in its answers.
    names_itself: bool,
    state: String,
    verifier: CodeVerifier,
    redirect_uri: String,
}

/// What the token endpoint is to be asked with.
#[derive(Debug)]
pub struct Code {
    /// The authorization code.
    pub code: Secret,
    /// The verifier of its challenge.
    pub verifier: Secret,
    /// Where it was received.
    pub redirect_uri: String,
}

impl Request<'_> {
    /// Makes the request, and pushes it first where the server demands that.
    ///
    /// # Errors
    /// [`Error::PkceMissing`], [`Error::IssuerMetadata`], [`Error::Url`], and for a pushed request those
    /// of the token endpoint.
    pub async fn begin(&self, http: &Http, now: u64) -> Result<Pending, Error> {
        let server = self.server;
        server.check_pkce()?;
        let (verifier, state) = (random::code_verifier()?, random::text()?);
        let challenge = verifier.challenge().to_string();
        let scope = self.scope.to_string();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.client.client_id),
            ("redirect_uri", self.redirect_uri),
            ("resource", self.resource),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
        ];
        if !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        if let Some(jkt) = self.dpop_jkt {
            parameters.push(("dpop_jkt", jkt));
        }
        let mut url = check_url(server.endpoint("authorization_endpoint")?)?;
        if server.flag("require_pushed_authorization_requests")? {
            let request_uri = self.push(http, &parameters, now).await?;
            let by_reference =
                [("client_id", self.client.client_id.as_str()), ("request_uri", &request_uri)];
            url.query_pairs_mut().extend_pairs(by_reference);
        } else {
            url.query_pairs_mut().extend_pairs(&parameters);
        }
        Ok(Pending {
            url,
            issuer: server.issuer.clone(),
            names_itself: server.flag("authorization_response_iss_parameter_supported")?,
            state,
            verifier,
            redirect_uri: self.redirect_uri.to_owned(),
        })
    }

    /// RFC 9126 §2.
    async fn push(
        &self,
        http: &Http,
        parameters: &[(&str, &str)],
        now: u64,
    ) -> Result<String, Error> {
        let endpoint = self.server.endpoint("pushed_authorization_request_endpoint")?;
        let request = http.request(Method::POST, endpoint)?;
        let request =
            token::authenticated(request, self.client, &self.server.issuer, parameters, now)?;
        let answer = http.send(request).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(Error::AuthorizationRefused(Refusal::of(&answer)));
        }
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let why = "the answer to the pushed request has no request_uri".to_owned();
        match body.get("request_uri").and_then(serde_json::Value::as_str) {
            Some(uri) => Ok(uri.to_owned()),
            None => Err(Error::Answer { url: answer.url, why }),
        }
    }
}

impl Pending {
    /// Whether a query that arrived has this request's `state`. One that has not is somebody else's, and
    /// is to be left alone.
    #[must_use]
    pub fn is_answered_by(&self, query: &str) -> bool {
        matches!(single(query, "state"), Ok(Some(state)) if state == self.state)
    }

    /// Checks the answer and takes the code out of it.
    ///
    /// First it has to be the answer to this request, of this server (RFC 9207 §2.4, compared byte for
    /// byte); only then is anything else of it looked at, its error texts too.
    ///
    /// # Errors
    /// [`Error::CallbackForeign`], [`Error::AuthorizationRefused`].
    pub fn finish(self, query: &str) -> Result<Code, Error> {
        const TWICE: Error = Error::CallbackForeign("a parameter is there twice");
        let parameter = |name| single(query, name).map_err(|Twice| TWICE);
        if parameter("state")?.as_deref() != Some(&self.state) {
            return Err(Error::CallbackForeign("its state is not the one that was sent"));
        }
        match parameter("iss")? {
            Some(issuer) if issuer != self.issuer => {
                return Err(Error::CallbackForeign("another authorization server answered (iss)"));
            }
            None if self.names_itself => {
                return Err(Error::CallbackForeign("it does not say which server answered (iss)"));
            }
            Some(_) | None => {}
        }
        if let Some(error) = parameter("error")? {
            let description = parameter("error_description")?;
            let refusal = Refusal::new(&error, description.as_deref(), None);
            return Err(Error::AuthorizationRefused(refusal));
        }
        match parameter("code")?.filter(|code| !code.is_empty()) {
            Some(code) => Ok(Code {
                code: Secret::new(code),
                verifier: Secret::new(self.verifier.as_str()),
                redirect_uri: self.redirect_uri,
            }),
            None => Err(Error::CallbackForeign("it has neither a code nor an error")),
        }
    }
}

/// A parameter is there more than once (OAuth 2.1 §3.1 forbids it).
struct Twice;

fn single(query: &str, name: &str) -> Result<Option<String>, Twice> {
    let mut found = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned());
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Twice),
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::oauth::metadata::AuthorizationServerMetadata;
    use serde_json::json;

    use super::*;
    use crate::registration::{GivenClient, Ways};

    const ISSUER: &str = "https://auth.example.com";

    fn server(more: &serde_json::Value) -> Server {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://auth.example.com/authorize?tenant=1",
            "token_endpoint": "https://auth.example.com/token",
            "code_challenge_methods_supported": ["S256"],
        });
        for (name, value) in more.as_object().unwrap() {
            document[name] = value.clone();
        }
        let metadata =
            AuthorizationServerMetadata::parse(document.to_string().as_bytes(), ISSUER).unwrap();
        Server { issuer: ISSUER.to_owned(), metadata }
    }

    async fn pending(more: serde_json::Value) -> Result<Pending, Error> {
        let server = server(&more);
        let given = GivenClient { client_id: "me".into(), client_secret: None, client_key: None };
        let ways = Ways { given: Some(given), ..Ways::default() };
        let client = ways.without_request(&server, 0)?.unwrap();
        let request = Request {
            server: &server,
            client: &client,
            redirect_uri: "http://127.0.0.1:1/callback",
            resource: "https://mcp.example.com/mcp",
            scope: &ScopeSet::parse("files:read").unwrap(),
            dpop_jkt: None,
        };
        request.begin(&Http::new().unwrap(), 0).await
    }

    fn get(url: &Url, name: &str) -> Option<String> {
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// OAuth 2.1 §4.1.1, RFC 8707 §2: what is sent, beside what the endpoint has in its query (§3.1).
    #[tokio::test]
    async fn what_is_asked() {
        let pending = pending(json!({})).await.unwrap();
        let url = &pending.url;
        assert_eq!(get(url, "tenant").unwrap(), "1");
        assert_eq!(get(url, "response_type").unwrap(), "code");
        assert_eq!(get(url, "client_id").unwrap(), "me");
        assert_eq!(get(url, "resource").unwrap(), "https://mcp.example.com/mcp");
        assert_eq!(get(url, "scope").unwrap(), "files:read");
        assert_eq!(get(url, "code_challenge_method").unwrap(), "S256");
        assert_eq!(get(url, "code_challenge").unwrap(), pending.verifier.challenge().to_string());
        assert_eq!(get(url, "state").unwrap().len(), 43);
    }

    /// MCP authorization, security considerations: no PKCE with S256, no login.
    #[tokio::test]
    async fn pkce_is_a_must() {
        for methods in [json!([]), json!(["plain"]), json!(null)] {
            let refused = pending(json!({ "code_challenge_methods_supported": methods })).await;
            assert!(refused.is_err(), "{methods}");
        }
    }

    /// MCP authorization (revision 2026-07-28), authorization response validation: the table of four,
    /// and that nothing is normalised.
    #[tokio::test]
    async fn who_answers() {
        let (own, other) = ("https%3A%2F%2Fauth.example.com", "https%3A%2F%2Fevil.example.com");
        let slash = format!("{own}%2F");
        for (advertised, issuer, is_good) in [
            (true, Some(own), true),
            (true, None, false),
            (true, Some(other), false),
            (true, Some(&slash), false),
            (false, Some(own), true),
            (false, None, true),
            (false, Some(other), false),
            (false, Some(&slash), false),
            (false, Some(""), false),
        ] {
            let more = json!({ "authorization_response_iss_parameter_supported": advertised });
            let pending = pending(more).await.unwrap();
            let mut query = format!("code=c&state={}", pending.state);
            if let Some(issuer) = issuer {
                query += &format!("&iss={issuer}");
            }
            assert!(pending.is_answered_by(&query));
            assert_eq!(pending.finish(&query).is_ok(), is_good, "{advertised} {issuer:?}");
        }
    }

    /// OAuth 2.1 §3.1 and §7.14. An error's texts are for nobody unless they are the server's.
    #[tokio::test]
    async fn what_is_no_answer() {
        for (query, expected) in [
            ("code=c&state=other", "callback_foreign"),
            ("code=c", "callback_foreign"),
            ("code=c&state=S&state=S", "callback_foreign"),
            ("code=c&code=d&state=S", "callback_foreign"),
            ("code=&state=S", "callback_foreign"),
            ("state=S", "callback_foreign"),
            ("error=access_denied&error_description=no&state=other", "callback_foreign"),
            ("error=access_denied&iss=https://evil.example.com&state=S", "callback_foreign"),
            ("error=access_denied&error_description=no&state=S", "authorization_refused"),
        ] {
            let pending = pending(json!({})).await.unwrap();
            let query = query.replace("state=S", &format!("state={}", pending.state));
            assert_eq!(pending.finish(&query).unwrap_err().reason(), expected, "{query}");
        }
    }
}
