//! The head of a request, as bytes from the wire.

use alloc::string::String;
use core::{fmt, net::IpAddr};

use crate::oauth::resource::host_and_port;

/// A request's head. Nothing is assumed of the bytes, not even that they are text.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The HTTP method.
    pub method: &'a [u8],
    /// The `:authority` pseudo-header or `Host`.
    pub authority: &'a [u8],
    /// The request target: path and query.
    pub path: &'a [u8],
    /// Header names, in any case, and values.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Whether a body follows.
    pub has_body: bool,
    /// The client's address, where the host knows it from something that a client cannot choose: the
    /// connection, or a proxy of its own. Only failed attempts are counted by it
    /// (`limits.failures_per_minute`); `None` counts nothing.
    pub client: Option<IpAddr>,
    /// SHA-256 of the certificate (DER) that the client showed on this very connection, where the host knows
    /// it from TLS: for tokens that are bound to one (RFC 8705 §3). Never from a header.
    pub certificate: Option<[u8; 32]>,
}

impl<'a> RequestHead<'a> {
    /// All values of a header; `name` in lower case.
    pub(crate) fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| *value)
    }

    /// The value of a header that must not be repeated.
    pub(crate) fn single(&self, name: &'a str) -> Single<'a> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => Single::Value(value),
            (Some(_), Some(_)) => Single::Repeated,
        }
    }

    /// Path and query as text; `None` when they are not ASCII.
    pub(crate) fn target(&self) -> Option<(&'a str, Option<&'a str>)> {
        let target = core::str::from_utf8(self.path).ok().filter(|target| target.is_ascii())?;
        Some(match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        })
    }
}

/// How often a header was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Single<'a> {
    Absent,
    Repeated,
    Value(&'a [u8]),
}

/// A host, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// Reads `name`, `name:port` or `[address]:port`.
    pub(crate) fn parse(authority: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(authority).ok()?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if !text.bytes().all(allowed) {
            return None;
        }
        let (name, port) = host_and_port(text)?;
        let port = port.map(str::parse).transpose().ok()?;
        Some(Self { name: name.trim_end_matches('.').to_ascii_lowercase(), port })
    }

    /// Whether a request for `other` is meant for this host. A host without a port covers every
    /// port; a default port may be left out by the client.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.name == other.name
            && match (self.port, other.port) {
                (None, _) => true,
                (Some(port), None) => is_default(port),
                (Some(port), Some(other)) => port == other,
            }
    }

    /// Whether it covers one port only.
    pub(crate) const fn names_port(&self) -> bool {
        self.port.is_some()
    }

    /// Whether some request is meant as much for the one as for the other. Where only one names a port, what
    /// is sent to that port is meant for it; but the default ports need not be named.
    pub(crate) fn competes(&self, other: &Self) -> bool {
        let may_be_left_out = |host: &Self| host.port.is_none_or(is_default);
        self.name == other.name
            && (self.port == other.port || (may_be_left_out(self) && may_be_left_out(other)))
    }
}

/// Of `http` or `https`: behind a proxy that ends TLS nobody knows which of them it was.
const fn is_default(port: u16) -> bool {
    port == 80 || port == 443
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
