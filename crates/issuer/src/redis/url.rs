//! The URL of a Redis server, which may hold a password.

use std::{fmt, str::FromStr};

use ::redis::IntoConnectionInfo as _;

use crate::{Error, database::without_password};

/// `redis://[user:password@]host[:port][/number]`, `rediss://` for TLS, or `unix:///path`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedisUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = ["redis://", "rediss://", "unix://"];
        let rest = known.iter().find_map(|scheme| text.strip_prefix(scheme));
        // Not the URL itself: a password may stand in it.
        let wrong = "redis: must be redis://[user:password@]host[:port][/number], rediss:// for TLS, \
                     or unix:///path";
        if rest.is_none_or(str::is_empty) || text.into_connection_info().is_err() {
            return Err(Error::Config(wrong.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Without the password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_url() {
        for good in ["redis://localhost", "redis://u:p@h:1/2", "rediss://h", "unix:///run/r.sock"] {
            assert_eq!(good.parse::<RedisUrl>().unwrap().as_str(), good);
        }
        for bad in ["", "localhost:6379", "http://h", "redis://", "redis://h/x", "unix://"] {
            assert_eq!(bad.parse::<RedisUrl>().unwrap_err().reason(), "config_invalid", "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("redis://ada:secret@h:6379/1", "redis://ada@h:6379/1"),
            ("rediss://:secret@h", "rediss://@h"),
            ("unix:///run/r.sock?pass=secret", "unix:///run/r.sock"),
        ] {
            let url: RedisUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
        let error = "redis://:secret@h/x".parse::<RedisUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
