//! Requests to servers that somebody else named: https only, to addresses that were checked, without
//! redirects or proxies, with bounds on time and bytes.
//!
//! The resolver hands the addresses that it checked to the connection, so that a name cannot lead to
//! another place in between (DNS rebinding).

mod address;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Certificate, Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH},
    redirect::Policy,
};

pub(crate) use self::address::is_public;
pub use self::address::{InvalidNetwork, Network};
use url::Url;

use crate::Error;

/// For the whole of a request, its name included.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where requests may go, besides the public internet, and whom they trust, besides the system's
/// certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Ranges of private addresses that may be connected to all the same.
    pub allowed_networks: Vec<Network>,
    /// A PEM file with further certificate authorities.
    pub certificates: Option<std::path::PathBuf>,
}

/// Fetches documents.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
    allowed: Arc<[Network]>,
}

/// A document, or that there is no newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    Document {
        body: Vec<u8>,
        etag: Option<String>,
        /// `max-age` of the response, in seconds; 0 for one that must not be kept.
        max_age: Option<u64>,
    },
    NotModified {
        max_age: Option<u64>,
    },
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchError {
    /// The address is not one that may be connected to.
    Address,
    /// The server did not answer in time, or its certificate is not trusted.
    Unreachable,
    /// It answered with this status.
    Status(u16),
    /// The body is not JSON by its `Content-Type`.
    Type,
    /// The body is too long.
    TooLarge,
}

impl FetchError {
    /// Whether this says nothing about the document itself: it may be there again in a moment.
    pub(crate) const fn is_passing(self) -> bool {
        match self {
            Self::Unreachable => true,
            // 401, 403 and 429 come from whatever protects a site from programs.
            Self::Status(status) => matches!(status, 401 | 403 | 408 | 429 | 500..=599),
            Self::Address | Self::Type | Self::TooLarge => false,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("the address is not one of the public internet"),
            Self::Unreachable => f.write_str("the server did not answer, or is not trusted"),
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::Type => f.write_str("the answer is not JSON"),
            Self::TooLarge => f.write_str("the document is too large"),
        }
    }
}

impl Fetcher {
    pub(crate) fn new(settings: &Outbound) -> Result<Self, Error> {
        let allowed: Arc<[Network]> = settings.allowed_networks.clone().into();
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .https_only(true)
            .referer(false)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Checked(Arc::clone(&allowed))))
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.certificates {
            let io = |error| Error::Io(path.clone(), error);
            let pem = std::fs::read(path).map_err(io)?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| {
                Error::Config(format!("{}: not a PEM file of certificates", path.display()))
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client =
            builder.build().map_err(|_| Error::Crypto("the TLS library cannot be set up"))?;
        Ok(Self { client, allowed })
    }

    /// Fetches a JSON document of at most so many bytes.
    pub(crate) async fn json(
        &self,
        url: &Url,
        etag: Option<&str>,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        // An address in the URL itself never reaches the resolver.
        let address = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(url::Host::Ipv6(address)) => Some(IpAddr::from(address)),
            _ => None,
        };
        if address.is_some_and(|address| !may_connect(address, &self.allowed)) {
            return Err(FetchError::Address);
        }
        let mut request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|error| why(&error))?;
        let max_age = max_age(response.headers());
        match response.status().as_u16() {
            200 => {}
            304 if etag.is_some() => return Ok(Fetched::NotModified { max_age }),
            status => return Err(FetchError::Status(status)),
        }
        if !is_json(&response) {
            return Err(FetchError::Type);
        }
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        let etag = etag.filter(|etag| etag.len() <= 256).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| why(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched::Document { body, etag, max_age })
    }
}

/// Resolves names, and leaves out the addresses that may not be connected to.
struct Checked(Arc<[Network]>);

/// Not one of the addresses may be connected to.
#[derive(Debug)]
struct NotAllowed;

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FetchError::Address.fmt(f)
    }
}

impl std::error::Error for NotAllowed {}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good = usable(found, &allowed);
            if good.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

/// All of a name's addresses, or none: a name that also leads inside is not one to go to.
fn usable(found: impl Iterator<Item = SocketAddr>, allowed: &[Network]) -> Vec<SocketAddr> {
    let found: Vec<SocketAddr> = found.collect();
    if found.iter().all(|address| may_connect(address.ip(), allowed)) { found } else { Vec::new() }
}

fn may_connect(address: IpAddr, allowed: &[Network]) -> bool {
    is_public(address) || allowed.iter().any(|network| network.contains(address))
}

fn why(error: &reqwest::Error) -> FetchError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<NotAllowed>() {
            return FetchError::Address;
        }
        source = error.source();
    }
    FetchError::Unreachable
}

/// `application/json` or another type that ends in `+json`.
fn is_json(response: &Response) -> bool {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or("").trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// RFC 9111 §5.2.2, as far as it matters for one reader.
fn max_age(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut found = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(0),
            "max-age" => found = value.trim().trim_matches('"').parse().ok(),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    /// Attack 37: what the resolver lets through is what is connected to.
    #[test]
    fn attack_37_one_inner_address_spoils_a_name() {
        let good = addresses(&["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(usable(good.clone().into_iter(), &[]), good);
        for bad in [
            &["8.8.8.8", "127.0.0.1"][..],
            &["169.254.169.254"],
            &["2606:4700::1111", "::ffff:10.0.0.1"],
        ] {
            assert!(usable(addresses(bad).into_iter(), &[]).is_empty(), "{bad:?}");
        }
        let inner = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(usable(addresses(&["10.1.1.1"]).into_iter(), &inner).len(), 1);
        assert!(usable(addresses(&["10.1.1.1", "127.0.0.1"]).into_iter(), &inner).is_empty());
    }

    /// Attack 37: names and literals of this machine, in every spelling that a URL may have.
    #[tokio::test]
    async fn attack_37_inner_hosts_are_never_connected_to() {
        let fetcher = Fetcher::new(&Outbound::default()).unwrap();
        for host in [
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "169.254.169.254",
            "10.0.0.1",
            "[fd00::1]",
            "localhost",
        ] {
            let url = Url::parse(&format!("https://{host}:1/client.json")).unwrap();
            assert_eq!(fetcher.json(&url, None, 1024).await, Err(FetchError::Address), "{host}");
        }
        // Not every system has an address for this one.
        let url = Url::parse("https://localhost.:1/client.json").unwrap();
        assert!(fetcher.json(&url, None, 1024).await.is_err());
    }

    #[test]
    fn caching_directives() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(read("public, Max-Age=\"60\""), Some(60));
        assert_eq!(read("max-age=60, no-store"), Some(0));
        assert_eq!(read("public"), None);
        assert_eq!(read("max-age=-1"), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }

    #[test]
    fn what_may_pass() {
        for status in [403, 429, 500, 503] {
            assert!(FetchError::Status(status).is_passing());
        }
        for status in [200, 301, 302, 404, 410] {
            assert!(!FetchError::Status(status).is_passing());
        }
        assert!(!FetchError::Address.is_passing() && !FetchError::TooLarge.is_passing());
    }
}
