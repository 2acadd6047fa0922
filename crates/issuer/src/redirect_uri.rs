//! Redirect URIs (OAuth 2.1 §2.3.1, §8.4): exact, but for the port of loopback hosts.

use countersign_core::oauth::resource::ResourceId;
use url::Url;

use crate::issuer::Issuer;

/// Checks a redirect URI that a client wants to register.
///
/// Accepted are `https`, `http` on a loopback host, and private-use schemes, which have a dot
/// (RFC 8252 §7.1).
pub(crate) fn check(uri: &str) -> Result<(), &'static str> {
    if uri.len() > 2048 {
        return Err("is longer than 2048 characters");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) || uri.contains(['#', '\\', '"', '<', '>'])
    {
        return Err("has a fragment, white space or characters that no URI has");
    }
    let (scheme, rest) = uri.split_once(':').ok_or("is not an absolute URI")?;
    match scheme {
        "https" | "http" => {
            ResourceId::parse(uri)
                .map_err(|_| "is not an absolute URI without user information")?;
            if scheme == "http" && loopback(uri).is_none() {
                return Err("must be https (http only for 127.0.0.1, [::1] and localhost)");
            }
            Ok(())
        }
        _ => {
            let is_private_use = scheme.contains('.')
                && scheme.starts_with(|first: char| first.is_ascii_lowercase())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
            if is_private_use && rest.starts_with('/') {
                Ok(())
            } else {
                Err("must be https, http on a loopback host, or a private-use scheme like \
                     com.example.app:/callback")
            }
        }
    }
}

/// Whether the presented URI is the registered one. Native apps cannot know their port, so it is
/// free on loopback hosts (OAuth 2.1 §8.4.2); everything else is exact.
pub(crate) fn matches(registered: &str, presented: &str) -> bool {
    registered == presented
        || matches!(
            (loopback(registered), loopback(presented)),
            (Some(registered), Some(presented)) if registered == presented
        )
}

/// The issuer's pages on which people decide.
const PAGES: [&str; 2] = ["authorize", "device"];

/// Whether a browser that is sent to this URI comes to a page of this issuer on which people decide. Other
/// pages of its host may be an application's.
pub(crate) fn leads_to(uri: &str, issuer: &Issuer) -> bool {
    // As browsers read it: dot segments, letter case, default ports.
    let (Ok(url), Ok(own)) = (Url::parse(uri), Url::parse(issuer.as_str())) else {
        return false;
    };
    // Proxies on the way may decode, and merge slashes.
    let decoded = form_urlencoded::parse(url.path().as_bytes()).next().map(|(path, _)| path);
    let segments = |path: &str| -> Vec<String> {
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    };
    let path = segments(decoded.as_deref().unwrap_or_default());
    let below = path.strip_prefix(segments(issuer.path()).as_slice());
    let first = below.and_then(<[String]>::first);
    url.origin() == own.origin()
        && (first.is_some_and(|first| PAGES.contains(&first.as_str()))
            || path.iter().any(|segment| segment == ".."))
}

/// Host and the part after the port of an `http` URI on a loopback host.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    ["localhost", "127.0.0.1", "[::1]"].into_iter().find_map(|host| {
        let port = authority.strip_prefix(host)?;
        let is_port = |port: &str| port.parse::<u16>().is_ok() && !port.starts_with('+');
        (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some((host, path))
    })
}

/// The host to show on the consent page, or the scheme of a private-use URI.
pub(crate) fn shown_host(uri: &str) -> &str {
    match uri.split_once("://") {
        Some((scheme, rest)) if scheme == "https" || scheme == "http" => {
            rest.split(['/', '?']).next().unwrap_or(rest)
        }
        _ => uri.split(':').next().unwrap_or(uri),
    }
}

/// Whether the response goes to a program on the user's own machine.
pub(crate) fn is_local(uri: &str) -> bool {
    !uri.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack 35 of the issuer's list; RFC 8252 §7.
    #[test]
    fn attack_35_dangerous_uris_are_refused() {
        for good in [
            "https://claude.ai/api/mcp/auth_callback",
            "http://localhost/callback",
            "http://127.0.0.1:33418/",
            "http://[::1]:1/cb?x=1",
            "com.example.app:/callback",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "urn:ietf:wg:oauth:2.0:oob",
            "http://example.com/cb",
            "http://localhost.evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://localhost@evil.example/cb",
            "https://user@h/cb",
            "https://h/cb#x",
            "https://h/c b",
            "https://h/cb\r\nx: y",
            "https:h/cb",
            "myapp:/cb",
            "com.example.app:javascript",
            "http://localhost:99999/cb",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    /// Attack 46: an answer must not begin another request.
    #[test]
    fn attack_46_nothing_leads_back_to_the_issuer() {
        let root = Issuer::parse("https://auth.example").unwrap();
        let below = Issuer::parse("https://a.example/auth").unwrap();
        let local = Issuer::parse("http://localhost:8090").unwrap();
        for (uri, issuer) in [
            ("https://auth.example/authorize?client_id=x", &root),
            ("https://AUTH.example:443/authorize", &root),
            ("https://auth.example/device", &root),
            ("https://auth.example//authorize/", &root),
            ("https://a.example/auth/authorize?x", &below),
            ("https://a.example/app/../auth/authorize", &below),
            ("https://a.example/app/%2e%2e/auth/authorize", &below),
            ("https://a.example/app/..%2Fauth/authorize", &below),
            ("https://a.example/%61uth/authorize", &below),
            ("https://a.example/auth/%61uthorize&x", &below),
            ("https://a.example//auth/authorize", &below),
            ("http://localhost:8090/authorize", &local),
        ] {
            assert!(leads_to(uri, issuer), "{uri}");
        }
        for (uri, issuer) in [
            ("https://app.example/callback", &root),
            ("https://auth.example/app/callback", &root),
            ("https://auth.example/app/authorize", &root),
            ("https://auth.example:8443/authorize", &root),
            ("https://a.example/app/callback?x=%2Fauth", &below),
            ("https://a.example/app/a%20b//c", &below),
            ("https://a.example/authorize", &below),
            ("http://localhost:33418/callback", &local),
            ("http://127.0.0.1:8090/authorize", &local),
            ("com.example.app:/callback", &root),
        ] {
            assert!(!leads_to(uri, issuer), "{uri}");
        }
    }

    /// OAuth 2.1 §8.4.2 and what Claude Code and VS Code send.
    #[test]
    fn only_the_loopback_port_is_free() {
        for (registered, presented) in [
            ("http://localhost/callback", "http://localhost:51234/callback"),
            ("http://127.0.0.1:33418/", "http://127.0.0.1:1/"),
            ("http://[::1]/cb", "http://[::1]:80/cb"),
            ("https://h/cb", "https://h/cb"),
        ] {
            assert!(matches(registered, presented), "{registered} {presented}");
        }
        for (registered, presented) in [
            ("http://localhost/callback", "http://127.0.0.1/callback"),
            ("http://localhost/callback", "http://localhost:1/callback/"),
            ("http://localhost/callback", "http://localhost:1/callback?x=1"),
            ("http://localhost/callback", "http://localhost:1@evil.example/callback"),
            ("http://localhost/callback", "http://localhost:1.evil.example/callback"),
            ("http://localhost/callback", "http://localhost:+1/callback"),
            ("http://localhost/callback", "https://localhost/callback"),
            ("https://h/cb", "https://h:8443/cb"),
            ("https://h/cb", "https://h/cb?x=1"),
            ("https://h/cb", "https://H/cb"),
        ] {
            assert!(!matches(registered, presented), "{registered} {presented}");
        }
    }
}
