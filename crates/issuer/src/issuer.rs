//! The issuer identifier (RFC 8414 §2): a text that is compared byte for byte everywhere.

use std::fmt;

use countersign_core::oauth::resource::ResourceId;

use crate::Error;

/// A checked issuer identifier.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    text: String,
    /// Where its path begins.
    path_at: usize,
}

impl Issuer {
    /// Refuses what clients or browsers would spell differently, and what is not safe.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong and what to do.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Err(Error::Config(format!("issuer {text}: {why}")));
        let Ok(id) = ResourceId::parse(text) else {
            return wrong("not an absolute URL like https://auth.example.com");
        };
        if text.contains('?') {
            return wrong("an issuer identifier has no query (RFC 8414 §2)");
        }
        if text.ends_with('/') {
            return wrong("remove the trailing slash: clients compare the issuer byte for byte");
        }
        let (scheme, authority, path) = id.parts();
        match scheme {
            "https" => {}
            "http" if is_loopback(authority) => {}
            _ => {
                return wrong(
                    "use https (http is accepted for 127.0.0.1, [::1] and localhost only)",
                );
            }
        }
        // Browsers write `Origin` so, and it is compared with this text.
        if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return wrong("write the host in lower case, as browsers do");
        }
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        if authority.ends_with(default_port) {
            return wrong("leave the default port out, as browsers do");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
        if !path.split('/').skip(1).all(is_segment) {
            return wrong("a path may have letters, digits and - . _ ~ between single slashes");
        }
        Ok(Self { path_at: text.len() - path.len(), text: text.to_owned() })
    }

    /// As configured, and as it stands in `iss`.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Its path without a trailing slash; empty for an issuer at the root.
    pub(crate) fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or("")
    }

    /// Scheme and authority: what a browser sends as `Origin`.
    pub(crate) fn origin(&self) -> &str {
        self.text.get(..self.path_at).unwrap_or(&self.text)
    }

    /// Whether browsers reach the server by https.
    pub(crate) fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
    fn unsafe_and_ambiguous_issuers_are_refused() {
        for good in [
            "https://a.example",
            "https://a.example:8443/t",
            "https://a.example/t/v2.0",
            "http://localhost:1",
            "http://[::1]:1",
            "http://127.0.0.1",
        ] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "http://a.example",
            "http://127.evil.example",
            "http://localhost.evil.example",
            "https://a.example/",
            "https://a.example?x",
            "https://a.example#x",
            "https://u@a.example",
            "https://A.example",
            "https://a.example:443",
            "http://localhost:80",
            "https://a.example//t",
            "https://a.example/../t",
            "https://a.example/:t",
            "https://a.example/*t",
            "https://a.example/%74",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_and_origins() {
        let issuer = Issuer::parse("https://a.example/t/u").unwrap();
        assert_eq!((issuer.path(), issuer.origin()), ("/t/u", "https://a.example"));
        let issuer = Issuer::parse("http://127.0.0.1:8090").unwrap();
        assert_eq!((issuer.path(), issuer.origin()), ("", "http://127.0.0.1:8090"));
    }
}
