//! The server's configuration, checked before anything starts.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::{Database, Error, Outbound, claims, issuer::Issuer, redis::RedisUrl, seal::KeyRing};

/// How the server is set up. [`Config::default`] is for development on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The issuer identifier (RFC 8414 §2). It is compared byte for byte everywhere and must never
    /// change once clients know it. Without one it is `http://` and the address that the server
    /// listens on, which is for development.
    pub issuer: Option<String>,
    /// The SQLite file, which is made at the first start, or the PostgreSQL server.
    pub database: Database,
    /// The file with the key that seals signing keys; made at the first start, next to a SQLite file
    /// when not given. The environment variable `COUNTERSIGN_KEY` takes precedence.
    pub key_file: Option<PathBuf>,
    /// A signing key signs for so many seconds, then the next one takes over; 0: until it is rotated
    /// by hand.
    pub key_rotation: u64,
    /// Lifetime of access tokens, in seconds.
    pub access_token_lifetime: u64,
    /// For how many seconds a published status list may be used (`exp`): so long guards go on without this
    /// server, and so long a revocation can be hidden from them by cutting them off.
    pub status_list_lifetime: u64,
    /// Who may register clients (RFC 7591).
    pub registration: Registration,
    /// Whose Client ID Metadata Documents are used.
    pub client_documents: ClientDocuments,
    /// Where documents and keys that clients name may be fetched.
    pub outbound: Outbound,
    /// How many proxies in front append the address that they saw to `X-Forwarded-For`. Without one,
    /// the header is not looked at.
    pub trusted_proxies: usize,
    /// Whether DPoP proofs must carry a nonce of this server (RFC 9449 §8).
    pub dpop_nonces: bool,
    /// The names of users' claims that their access tokens carry.
    pub token_claims: Vec<String>,
    /// A Redis in which nodes count together; without one, each counts for itself.
    pub redis: Option<RedisUrl>,
}

/// Who may register clients by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nobody: clients are added by the administrator.
    Off,
    /// Who was given a token for it by the administrator (RFC 7591 §3).
    Token,
    /// Everybody; such clients are marked as unverified and always ask for consent.
    Open,
}

/// Which clients may come with the URL of a document about them as their `client_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientDocuments {
    /// None but those whose documents are pinned.
    Off,
    /// All; users see the site that the document is on.
    Open,
    /// Those on one of these hosts, or on a name below it.
    Domains(Vec<String>),
}

impl fmt::Display for ClientDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Open => f.write_str("open"),
            Self::Domains(domains) => f.write_str(&domains.join(",")),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            issuer: None,
            database: Database::Sqlite(PathBuf::from("countersign.db")),
            key_file: None,
            key_rotation: 90 * 86_400,
            access_token_lifetime: 900,
            status_list_lifetime: 60,
            registration: Registration::Open,
            client_documents: ClientDocuments::Open,
            outbound: Outbound::default(),
            trusted_proxies: 0,
            dpop_nonces: false,
            token_claims: Vec::new(),
            redis: None,
        }
    }
}

impl Config {
    /// Refuses what would be unsafe.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong and what to do.
    pub fn check(&self) -> Result<(), Error> {
        let issuer = self.issuer_at(self.listen)?;
        if !issuer.is_https() && !self.listen.ip().is_loopback() {
            return Err(Error::Config(format!(
                "listen {}: {issuer} is for this machine only. Listen on 127.0.0.1, or put a TLS \
                 proxy in front and give its https address as the issuer",
                self.listen
            )));
        }
        self.check_key_rotation()?;
        if let Some(name) = self.token_claims.iter().find(|name| !claims::is_free(name)) {
            return Err(Error::Config(format!(
                "token-claims {name:?}: not a name, or one that has a meaning of its own in tokens"
            )));
        }
        if !(10..=86_400).contains(&self.access_token_lifetime) {
            return Err(Error::Config(format!(
                "access-token-lifetime {}: must be between 10 and 86400 seconds. A guard \
                 that sees no status lists believes a token for so long; 900 is a good choice",
                self.access_token_lifetime
            )));
        }
        if !(60..=3600).contains(&self.status_list_lifetime) {
            return Err(Error::Config(format!(
                "status-list-lifetime {}: must be between 60 and 3600 seconds. Guards go on so long \
                 while this server is down, and whoever cuts them off from it hides a revocation for \
                 so long",
                self.status_list_lifetime
            )));
        }
        Ok(())
    }

    /// Refuses what cannot start with the files and the environment of this machine: before the database
    /// is opened, which is made, or changed for this version, by that.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong and what to do; [`Error::Io`].
    pub fn check_machine(&self) -> Result<(), Error> {
        if let Some(path) = self.database.file() {
            has_folder("database", path)?;
        }
        KeyRing::check(self)
    }

    pub(crate) fn check_key_rotation(&self) -> Result<(), Error> {
        if self.key_rotation != 0 && !(7 * 86_400..=3650 * 86_400).contains(&self.key_rotation) {
            return Err(Error::Config(format!(
                "key-rotation {}: must be 0, or between 604800 (a week) and 315360000 seconds. A \
                 key is announced a day before it signs and published a day after; 7776000 (90 \
                 days) is a good choice",
                self.key_rotation
            )));
        }
        Ok(())
    }

    /// What is not wrong in every case, and most likely a mistake; it says what to do.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        // This server speaks no TLS: somebody in front does.
        let is_https = self.issuer.as_deref().is_some_and(|issuer| issuer.starts_with("https://"));
        if !is_https || self.trusted_proxies != 0 {
            return None;
        }
        let limits = match self.listen.ip().is_loopback() {
            true => "nobody is limited by address",
            false => "limits by address take all clients for one, the proxy",
        };
        Some(format!(
            "trusted-proxies is 0, and there must be a proxy in front that speaks TLS: {limits}, \
             and anybody can lock an account by failing to log in to it. Say --trusted-proxies 1 if \
             the proxy appends the address that it sees to X-Forwarded-For"
        ))
    }

    /// The identifier of a server with this configuration: as it is set, or that of its address.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong and what to do.
    pub fn issuer_url(&self) -> Result<String, Error> {
        Ok(self.issuer_at(self.listen)?.as_str().to_owned())
    }

    pub(crate) fn key_rotation_seconds(&self) -> i64 {
        i64::try_from(self.key_rotation).unwrap_or_default()
    }

    pub(crate) fn status_list_lifetime_seconds(&self) -> i64 {
        i64::try_from(self.status_list_lifetime).unwrap_or(60)
    }

    /// The file with the sealing key: as configured, else beside a SQLite file.
    #[must_use]
    pub fn sealing_key_file(&self) -> Option<PathBuf> {
        let beside = || Some(self.database.file()?.with_file_name("countersign.key"));
        self.key_file.clone().or_else(beside)
    }

    /// The identifier of a server that listens there.
    pub(crate) fn issuer_at(&self, address: SocketAddr) -> Result<Issuer, Error> {
        match &self.issuer {
            Some(text) => Issuer::parse(text),
            None if address.ip().is_loopback() => {
                let text = format!("http://{address}");
                Issuer::parse(text.strip_suffix(":80").unwrap_or(&text))
            }
            None => Err(Error::Config(format!(
                "listen {address}: a server that others can reach needs its public https address \
                 as the issuer, like --issuer https://auth.example.com, and a TLS proxy in front"
            ))),
        }
    }
}

/// Whether a file can be made there.
pub(crate) fn has_folder(name: &str, file: &Path) -> Result<(), Error> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(Error::Config(
            format!("{name} {}: there is no folder {}", file.display(), folder.display()),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Complaint 20: without addresses there are no limits by address.
    #[test]
    fn undeclared_proxies_are_warned_about() {
        let https = || Some("https://auth.example.com".to_owned());
        let behind = Config { issuer: https(), ..Config::default() };
        assert!(behind.warning().unwrap().contains("--trusted-proxies 1"));
        let elsewhere = SocketAddr::from(([0, 0, 0, 0], 8090));
        let everywhere = Config { listen: elsewhere, ..behind.clone() };
        assert!(everywhere.warning().unwrap().contains("all clients for one"));
        for good in [
            Config::default(),
            Config { trusted_proxies: 1, ..behind },
            Config { trusted_proxies: 2, ..everywhere },
        ] {
            assert_eq!(good.warning(), None, "{good:?}");
        }
    }

    #[test]
    fn the_issuer_is_where_it_listens() {
        let at = |listen: &str| Config { listen: listen.parse().unwrap(), ..Config::default() };
        for (listen, url) in [
            ("127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("127.0.0.1:80", "http://127.0.0.1"),
            ("[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(at(listen).issuer_url().unwrap(), url);
        }
        assert_eq!(at("192.0.2.1:80").issuer_url().unwrap_err().reason(), "config_invalid");
        let named = Config { issuer: Some("https://a.example".to_owned()), ..at("127.0.0.1:80") };
        assert_eq!(named.issuer_url().unwrap(), "https://a.example");
    }

    /// Attack 57: nothing unsafe starts.
    #[test]
    fn attack_57_unsafe_configuration_is_refused() {
        let default = Config::default;
        default().check().unwrap();
        let https = || Some("https://auth.example.com".to_owned());
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 8090));
        Config { listen: everywhere, issuer: https(), ..default() }.check().unwrap();
        let http = Some("http://127.0.0.1:8090".to_owned());
        for bad in [
            Config { listen: everywhere, ..default() },
            Config { listen: everywhere, issuer: http, ..default() },
            Config { issuer: Some("http://auth.example.com".to_owned()), ..default() },
            Config { token_claims: vec!["sub".to_owned()], ..default() },
            Config { token_claims: vec![String::new()], ..default() },
            Config { access_token_lifetime: 0, ..default() },
            Config { key_rotation: 86_400, ..default() },
            Config { access_token_lifetime: 1_000_000, ..default() },
            Config { status_list_lifetime: 59, ..default() },
            Config { status_list_lifetime: 3601, ..default() },
        ] {
            assert_eq!(bad.check().unwrap_err().reason(), "config_invalid", "{bad:?}");
        }
    }
}
