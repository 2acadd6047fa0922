//! Requests with bounds: https or this machine, no redirects, so many seconds, so many bytes.
//!
//! Redirects are not followed: metadata stand where the specifications say, and a token must not go
//! where a server points. Where one answers with a redirect, the error names its target, and the user
//! decides.

use std::time::Duration;

use countersign_core::oauth::resource::ResourceId;
use reqwest::{
    Client, Method, RequestBuilder, Response, Url,
    header::{ACCEPT, HeaderMap, LOCATION},
    redirect::Policy,
};

use crate::{Error, text::shown};

/// To connect, and then between two parts of an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that waits longer is not used again. Servers close theirs after five seconds and more: a
/// code or a refresh token that is sent into one that is being closed may be lost.
const IDLE: Duration = Duration::from_secs(2);

/// For the whole of a document or a token answer.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest document or token answer that is read, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 128 * 1024;

/// Sends requests.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    /// For this machine: what goes there by plain http must not pass a proxy on the way.
    direct: Client,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where it came from.
    pub url: String,
    /// The status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header as text; `None` too when it is none.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The lines of a header as one value (RFC 9110 §5.3).
    #[must_use]
    pub fn joined_header(&self, name: &str) -> Vec<u8> {
        let values: Vec<&[u8]> =
            self.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        values.join(&b", "[..])
    }
}

impl Http {
    /// # Errors
    /// [`Error::Tls`] when the TLS library cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let builder = || {
            Client::builder()
                .redirect(Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE)
                .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        };
        let client = builder().build().map_err(|_| Error::Tls)?;
        let direct = builder().no_proxy().build().map_err(|_| Error::Tls)?;
        Ok(Self { client, direct })
    }

    /// A request to be filled and sent with [`Self::send`] or [`Self::stream`].
    ///
    /// # Errors
    /// [`Error::Url`] for a URL that is not to be called; see [`check_url`].
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Error> {
        let url = check_url(url)?;
        let client = if url.scheme() == "https" { &self.client } else { &self.direct };
        Ok(client.request(method, url))
    }

    /// The same to any URL: for requests that carry nothing and prove that a place does not answer.
    pub(crate) fn unchecked(&self, method: Method, url: &str) -> Result<RequestBuilder, Error> {
        let why = "not a URL";
        let parsed = Url::parse(url).map_err(|_| Error::Url { url: url.to_owned(), why })?;
        Ok(self.client.request(method, parsed))
    }

    /// Fetches a document, whatever the status.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Unreachable`], [`Error::TooLong`].
    pub async fn get(&self, url: &str) -> Result<Answer, Error> {
        self.send(self.request(Method::GET, url)?.header(ACCEPT, "application/json")).await
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::TooLong`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let response = self.stream(request.timeout(DOCUMENT_TIMEOUT)).await?;
        read(response, MAX_DOCUMENT).await
    }

    /// Sends a request; the caller reads the answer.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn stream(&self, request: RequestBuilder) -> Result<Response, Error> {
        request.send().await.map_err(|error| {
            let url = error.url().map(Url::to_string).unwrap_or_default();
            unreachable(&url, &error)
        })
    }
}

/// Reads an answer of at most so many bytes to its end.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Answer, Error> {
    let url = response.url().to_string();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&url, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLong { url, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { url, status, headers, body })
}

/// Checks a URL that is to be called: `https`, or `http` to this machine, and neither user information
/// nor a fragment in it (MCP, security best practices; OAuth 2.1 §1.5).
///
/// # Errors
/// [`Error::Url`], which says why.
pub fn check_url(text: &str) -> Result<Url, Error> {
    let wrong = |why| Error::Url { url: text.to_owned(), why };
    ResourceId::parse(text)
        .map_err(|_| wrong("not an absolute URL without fragment and user information"))?;
    let url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(wrong("plain http is for this machine only; tokens need https")),
        _ => Err(wrong("only https, and http to this machine, can be called")),
    }
}

/// Whether a URL leads to this machine by its name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What is wrong with an MCP server that leads elsewhere. The user decides whether to follow.
pub(crate) fn moved(url: &str, response: &Response) -> Option<Error> {
    if !response.status().is_redirection() {
        return None;
    }
    let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    let to = to.map_or_else(|| "another place".to_owned(), shown);
    Some(Error::Redirected { url: url.to_owned(), to })
}

/// The innermost cause says what happened: `reqwest`'s own texts name the URL only.
pub(crate) fn unreachable(url: &str, error: &reqwest::Error) -> Error {
    let url = url.to_owned();
    if error.is_timeout() {
        return Error::Unreachable { url, why: "it did not answer in time".to_owned() };
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Unreachable { url, why: shown(&cause.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::stub::{Page, Stub};

    /// MCP, security best practices (CL-24): what may be called.
    #[test]
    fn urls_that_may_be_called() {
        for url in [
            "https://h",
            "https://h:8443/mcp?a=b",
            "HTTPS://H/mcp",
            "http://127.0.0.1:8080/mcp",
            "http://127.9.9.9/",
            "http://localhost:1/",
            "http://[::1]:1/mcp",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://h/mcp",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            // It is for the machine's resolver to say where that leads.
            "http://mcp.localhost/",
            "http://10.0.0.1/",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "vbscript:x",
            "https://u:p@h/",
            "https://h/#f",
            "h/mcp",
            "",
            "https://",
        ] {
            assert!(matches!(check_url(url), Err(Error::Url { .. })), "{url}");
        }
    }

    const CHILD: &str = "COUNTERSIGN_TEST_URL";

    /// Not a test of its own: what the next one runs with another environment.
    #[tokio::test]
    #[ignore = "run by this_machine_is_behind_no_proxy"]
    async fn one_request() {
        let Ok(url) = std::env::var(CHILD) else { return };
        let answer = Http::new().unwrap().get(&url).await.unwrap();
        assert_eq!(answer.body, b"own");
    }

    /// Plain http is for this machine only: a proxy on the way would read the token.
    #[tokio::test]
    async fn this_machine_is_behind_no_proxy() {
        let own = Stub::start(|_| Page::json("own"));
        let proxy = Stub::start(|_| Page::json("proxy"));
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "http::tests::one_request", "--ignored"])
            .env(CHILD, &own.url)
            .envs(["http_proxy", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name, proxy.origin())))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert!(ended.success());
        assert_eq!((own.seen().len(), proxy.seen().len()), (1, 0));
    }

    /// Redirects are not followed, and no body is longer than is read.
    #[tokio::test]
    async fn answers_of_all_kinds() {
        let http = Http::new().unwrap();
        let stub = Stub::start(|_| Page::status(302).header("location", "/elsewhere"));
        assert_eq!(http.get(&stub.url).await.unwrap().status, 302);
        assert_eq!(stub.seen().len(), 1);
        let endless = Stub::start(|_| Page::json("").then(0, vec![b' '; 4096]).forever());
        assert_eq!(http.get(&endless.url).await.unwrap_err().reason(), "answer_too_long");
        let longest = Stub::start(|_| Page::json(vec![b' '; MAX_DOCUMENT]));
        assert_eq!(http.get(&longest.url).await.unwrap().body.len(), MAX_DOCUMENT);
        let gone = Stub::start(|_| Page::status(200));
        let url = gone.url.clone();
        drop(gone);
        tokio::task::yield_now().await;
        assert_eq!(http.get(&url).await.unwrap_err().reason(), "server_unreachable");
    }
}
