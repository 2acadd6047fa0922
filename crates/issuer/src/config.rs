//! The server's configuration, checked before anything starts.

use std::{net::SocketAddr, path::PathBuf};

use countersign_core::oauth::resource::ResourceId;

use crate::Error;

/// How the server is set up. [`Config::default`] is for development on this machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The issuer identifier (RFC 8414 §2). It is compared byte for byte everywhere and must never
    /// change once clients know it.
    pub issuer: String,
    /// The SQLite file; made at the first start.
    pub database: PathBuf,
    /// The file with the key that seals signing keys; made at the first start, next to the database
    /// when not given. The environment variable `COUNTERSIGN_KEY` takes precedence.
    pub key_file: Option<PathBuf>,
    /// Lifetime of access tokens, in seconds.
    pub access_token_lifetime: u64,
    /// Who may register clients (RFC 7591).
    pub registration: Registration,
}

/// Who may register clients by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nobody: clients are added by the administrator.
    Off,
    /// Everybody; such clients are marked as unverified and always ask for consent.
    Open,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            issuer: "http://127.0.0.1:8090".to_owned(),
            database: PathBuf::from("countersign.db"),
            key_file: None,
            access_token_lifetime: 900,
            registration: Registration::Open,
        }
    }
}

impl Config {
    /// Refuses what would be unsafe.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong and what to do.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Config(format!("issuer {}: {text}", self.issuer)));
        let Ok(issuer) = ResourceId::parse(&self.issuer) else {
            return wrong("not an absolute URL like https://auth.example.com");
        };
        if self.issuer.contains('?') {
            return wrong("an issuer identifier has no query (RFC 8414 §2)");
        }
        if self.issuer.ends_with('/') {
            return wrong("remove the trailing slash: clients compare the issuer byte for byte");
        }
        match issuer.parts() {
            ("https", ..) => {}
            ("http", authority, _) if is_loopback(authority) => {
                if !self.listen.ip().is_loopback() {
                    return wrong(
                        "an http issuer is for this machine only: listen on 127.0.0.1, or use https \
                         with a TLS proxy in front",
                    );
                }
            }
            _ => {
                return wrong(
                    "use https (http is accepted for 127.0.0.1, [::1] and localhost only)",
                );
            }
        }
        if !(10..=86_400).contains(&self.access_token_lifetime) {
            return Err(Error::Config(
                "access-token-lifetime must be between 10 and 86400 seconds".to_owned(),
            ));
        }
        Ok(())
    }

    /// The path of the issuer, without a trailing slash; empty for an issuer at the root.
    pub(crate) fn path(&self) -> &str {
        self.issuer
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|start| &rest[start..]))
            .unwrap_or("")
    }

    /// Whether browsers reach the server by https.
    pub(crate) fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }

    /// Scheme and authority: what a browser sends as `Origin`.
    pub(crate) fn origin(&self) -> &str {
        self.issuer.strip_suffix(self.path()).unwrap_or(&self.issuer)
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host == "localhost"
        || host == "[::1]"
        || host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_issuers_are_refused() {
        let check =
            |issuer: &str| Config { issuer: issuer.to_owned(), ..Config::default() }.check();
        for good in
            ["https://a.example", "https://a.example/t", "http://localhost:1", "http://[::1]:1"]
        {
            check(good).unwrap();
        }
        for bad in [
            "http://a.example",
            "https://a.example/",
            "https://a.example?x",
            "https://a.example#x",
            "a.example",
            "ftp://a.example",
            "http://127.evil.example",
            "http://localhost.evil.example",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let open = Config { listen: ([0, 0, 0, 0], 8090).into(), ..Config::default() };
        assert!(open.check().is_err(), "an http issuer on all interfaces");
    }

    #[test]
    fn paths_and_origins() {
        let config = Config { issuer: "https://a.example/t/u".to_owned(), ..Config::default() };
        assert_eq!((config.path(), config.origin()), ("/t/u", "https://a.example"));
        let config = Config::default();
        assert_eq!((config.path(), config.origin()), ("", "http://127.0.0.1:8090"));
    }
}
