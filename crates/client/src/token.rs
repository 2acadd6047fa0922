//! The token endpoint (OAuth 2.1 §3.2), for all grants.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_core::oauth::scope::ScopeSet;
use reqwest::{
    Method, RequestBuilder,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Answer, Error, Http, Refusal, Secret, authorization::Code, client_auth, discovery::Server,
    dpop, registration::Registration,
};

/// What an authorization server gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// It is bound to the login's key, and sent with a proof (RFC 9449).
    #[serde(default)]
    pub is_dpop: bool,
    /// When it ends, in seconds since 1970, if the server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// What a new one can be had with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// What it allows: as the server says, else as was asked for (OAuth 2.1 §3.2.3).
    pub scope: String,
}

/// By what right tokens are asked for.
#[derive(Debug)]
pub enum Grant<'a> {
    /// What an assertion says (RFC 7523 §2.1).
    Assertion(&'a Secret),
    /// The client's own right.
    ClientCredentials,
    /// What a user allowed.
    Code(&'a Code),
    /// What was given with an earlier token.
    Refresh(&'a Secret),
}

/// Where and as whom tokens are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The authorization server.
    pub server: &'a Server,
    /// The client.
    pub client: &'a Registration,
    /// The resource, in every request (MCP authorization, resource parameter implementation).
    pub resource: &'a str,
    /// The key that tokens are to be bound to.
    pub dpop: Option<&'a dpop::Key>,
}

impl Asking<'_> {
    /// Asks for tokens.
    ///
    /// # Errors
    /// [`Error::TokenRefused`], [`Error::Answer`], and those of requests.
    pub async fn tokens(
        &self,
        http: &Http,
        grant: &Grant<'_>,
        scope: &ScopeSet,
    ) -> Result<Tokens, Error> {
        let scope = scope.to_string();
        let mut form = vec![("resource", self.resource)];
        match grant {
            Grant::Assertion(assertion) => form.extend([
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.expose()),
            ]),
            Grant::ClientCredentials => form.push(("grant_type", "client_credentials")),
            Grant::Code(code) => form.extend([
                ("grant_type", "authorization_code"),
                ("code", code.code.expose()),
                ("code_verifier", code.verifier.expose()),
                ("redirect_uri", code.redirect_uri.as_str()),
            ]),
            Grant::Refresh(token) => {
                form.extend([("grant_type", "refresh_token"), ("refresh_token", token.expose())]);
            }
        }
        // A code has its scopes; a refresh token keeps its own when none are named.
        if matches!(grant, Grant::Assertion(_) | Grant::ClientCredentials) && !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let answer = self.post(http, &form).await?;
        tokens(&answer, &scope, self.dpop.is_some(), now())
    }

    /// Sends the form; once more with the nonce that the server asks for (RFC 9449 §8).
    async fn post(&self, http: &Http, form: &[(&str, &str)]) -> Result<Answer, Error> {
        let endpoint = self.server.endpoint("token_endpoint")?;
        let mut nonce = None;
        loop {
            let request = http.request(Method::POST, endpoint)?;
            let mut request =
                authenticated(request, self.client, &self.server.issuer, form, now())?;
            if let Some(key) = self.dpop {
                let proof = key.proof("POST", endpoint, None, nonce.as_deref(), now())?;
                request = request.header("dpop", proof.expose());
            }
            let answer = http.send(request).await?;
            let wanted = answer.header("dpop-nonce").map(str::to_owned);
            let wants_nonce =
                answer.status != 200 && Refusal::of(&answer).error == "use_dpop_nonce";
            if wants_nonce && nonce.is_none() && wanted.is_some() && self.dpop.is_some() {
                nonce = wanted;
                continue;
            }
            return Ok(answer);
        }
    }
}

/// Puts a form and the client's proof into a request to one of the server's endpoints.
pub(crate) fn authenticated(
    request: RequestBuilder,
    client: &Registration,
    issuer: &str,
    form: &[(&str, &str)],
    now: u64,
) -> Result<RequestBuilder, Error> {
    let proof = client_auth::prove(client, issuer, now)?;
    let mut body = form_urlencoded::Serializer::new(String::new());
    let is_proven = |name: &str| proof.form.iter().any(|(known, _)| *known == name);
    body.extend_pairs(form.iter().filter(|(name, _)| !is_proven(name)));
    for (name, value) in &proof.form {
        body.append_pair(name, value.expose());
    }
    let mut request = request
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.finish());
    if let Some(basic) = proof.basic {
        let mut value = HeaderValue::from_str(basic.expose())
            .map_err(|_| Error::Crypto("the client's secret does not fit into a header"))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    Ok(request)
}

/// Reads the answer (OAuth 2.1 §3.2.3, §3.2.4).
fn tokens(answer: &Answer, asked: &str, has_key: bool, now: u64) -> Result<Tokens, Error> {
    if answer.status != 200 {
        return Err(Error::TokenRefused(Refusal::of(answer)));
    }
    let wrong = |why: &str| Error::Answer { url: answer.url.clone(), why: why.to_owned() };
    let members: Map<String, Value> = serde_json::from_slice(&answer.body)
        .map_err(|_| wrong("the token answer is not a JSON object"))?;
    // Some servers in the field answer errors with 200.
    if members.contains_key("error") {
        return Err(Error::TokenRefused(Refusal::of(answer)));
    }
    let text =
        |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let access_token = text("access_token").filter(|token| is_sendable(token));
    let access_token = access_token.ok_or_else(|| wrong("there is no access_token in it"))?;
    let kind = text("token_type").ok_or_else(|| wrong("there is no token_type in it"))?;
    let is_dpop = kind.eq_ignore_ascii_case("dpop");
    if !is_dpop && !kind.eq_ignore_ascii_case("bearer") {
        return Err(wrong("its token_type is neither Bearer nor DPoP"));
    }
    // A key is offered only where the user or the resource demands it (RFC 9449 §5).
    if has_key && !is_dpop {
        return Err(wrong(
            "a token that is bound to a key was asked for, and it gave one that is not",
        ));
    }
    if is_dpop && !has_key {
        return Err(wrong("it gave a token that is bound to a key, and none was offered"));
    }
    let seconds = match members.get("expires_in") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
        None => None,
    };
    Ok(Tokens {
        access_token: Secret::new(access_token),
        is_dpop,
        expires_at: seconds.map(|seconds| now.saturating_add(seconds)),
        refresh_token: text("refresh_token").map(Secret::new),
        scope: text("scope").unwrap_or(asked).to_owned(),
    })
}

/// Whether a token can stand in a header (RFC 6750 §2.1).
fn is_sendable(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The machine's clock, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn read(status: u16, body: &str) -> Result<Tokens, Error> {
        read_with(false, status, body)
    }

    fn read_with(has_key: bool, status: u16, body: &str) -> Result<Tokens, Error> {
        let url = "https://auth.example.com/token".to_owned();
        let body = body.as_bytes().to_vec();
        tokens(&Answer { url, status, headers: HeaderMap::new(), body }, "a b", has_key, 1000)
    }

    #[test]
    fn answers() {
        let full = r#"{"access_token":"t","token_type":"bearer","expires_in":60,
            "refresh_token":"r","scope":"a"}"#;
        let found = read(200, full).unwrap();
        assert_eq!((found.expires_at, found.scope.as_str()), (Some(1060), "a"));
        assert_eq!(found.refresh_token.unwrap().expose(), "r");
        let bound = r#"{"access_token":"t","token_type":"DPoP"}"#;
        let short = read_with(true, 200, bound).unwrap();
        assert_eq!((short.expires_at, short.scope.as_str()), (None, "a b"));
        assert!(short.is_dpop && short.refresh_token.is_none());
    }

    /// RFC 9449 §5: no token that is less than was demanded, and none that cannot be used.
    #[test]
    fn tokens_are_bound_as_they_were_asked_for() {
        let (bound, bearer) = (
            r#"{"access_token":"t","token_type":"DPoP"}"#,
            r#"{"access_token":"t","token_type":"Bearer"}"#,
        );
        for (has_key, body) in [(true, bearer), (false, bound)] {
            assert_eq!(read_with(has_key, 200, body).unwrap_err().reason(), "answer_invalid");
        }
    }

    /// What servers in the field, and hostile ones, take for a number of seconds.
    #[test]
    fn ends_of_all_kinds() {
        for (expires_in, expected) in [
            ("60", Some(1060)),
            ("\"60\"", Some(1060)),
            ("0", Some(1000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("1e400", None),
            ("-1", None),
            ("\"-1\"", None),
            ("1.5", None),
            ("null", None),
            ("[60]", None),
        ] {
            let body = format!(
                r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires_in}}}"#
            );
            match read(200, &body) {
                Ok(tokens) => assert_eq!(tokens.expires_at, expected, "{expires_in}"),
                Err(error) => assert_eq!((error.reason(), expires_in), ("answer_invalid", "1e400")),
            }
        }
    }

    #[test]
    fn answers_that_are_none() {
        for (status, body, expected) in [
            (200, "<html>", "answer_invalid"),
            (200, "{}", "answer_invalid"),
            (200, r#"{"access_token":"t"}"#, "answer_invalid"),
            (200, r#"{"access_token":"","token_type":"bearer"}"#, "answer_invalid"),
            (200, r#"{"access_token":"a\r\nb: c","token_type":"bearer"}"#, "answer_invalid"),
            (200, r#"{"access_token":"t","token_type":"mac"}"#, "answer_invalid"),
            (200, r#"{"error":"bad_verification_code"}"#, "token_refused"),
            (400, r#"{"error":"invalid_grant"}"#, "token_refused"),
            (502, "<html>", "token_refused"),
        ] {
            assert_eq!(read(status, body).unwrap_err().reason(), expected, "{body}");
        }
    }
}
