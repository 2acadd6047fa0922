//! Authorities of URIs: the host, in the one spelling that it is compared in.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::net::{Ipv4Addr, Ipv6Addr};

use super::{IN_PATH, escaped, has_outer_space};
use crate::oauth::resource::host_and_port;

/// Schemes for which the WHATWG URL standard makes up an authority where none is written, and reads it in
/// many spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    File,
    /// With this default port.
    Network(u16),
}

impl Special {
    pub(super) fn of(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "file" => Self::File,
            "ftp" => Self::Network(21),
            "http" | "ws" => Self::Network(80),
            "https" | "wss" => Self::Network(443),
            _ => return None,
        })
    }

    /// Slashes and authority. `is_open`: the URI ends here, and may go on in any way.
    pub(super) fn form(self, authority: Option<&str>, is_open: bool, path: &str) -> Option<String> {
        let authority = match (self, authority) {
            // Of this host; unless it is open, and may turn out to be of another.
            (Self::File, None) if path.starts_with('/') => (!is_open).then_some("")?,
            // `file:a` and `https:a` are of no host, or of the host `a`, or of the root.
            (_, None) => return is_open.then(String::new),
            (_, Some(authority)) => authority,
        };
        let host = match self {
            _ if is_open => self.beginning(authority)?,
            Self::File if authority.is_empty() || authority.eq_ignore_ascii_case("localhost") => {
                String::new()
            }
            Self::File => host_form(authority)?,
            Self::Network(default) => {
                let (name, port) = host_and_port(authority)?;
                let host = host_form(name)?;
                match port.map(str::parse::<u16>).transpose().ok()? {
                    Some(port) if port != default => format!("{host}:{port}"),
                    _ => host,
                }
            }
        };
        Some(format!("//{host}"))
    }

    /// The beginning of a host. Nothing that could turn out to be left out of the form: a final dot, a port,
    /// a user, zeros of an address in brackets, `localhost`.
    fn beginning(self, authority: &str) -> Option<String> {
        let host = authority.to_ascii_lowercase();
        let may_be_local = self == Self::File && !host.is_empty() && "localhost".starts_with(&host);
        (host.bytes().all(in_name) && !host.ends_with('.') && !may_be_local).then_some(host)
    }
}

/// Slashes and authority under any other scheme, where servers give it whatever meaning they like. Refused is
/// what WHATWG parsers make the same as a shorter one.
pub(super) fn form(authority: &str, is_open: bool) -> Option<String> {
    if has_outer_space(authority, &['@', ':', '[', ']']) {
        return None;
    }
    let authority = escaped(authority, IN_PATH);
    // Escapes stay in upper case.
    let form = escaped(&authority.to_ascii_lowercase(), IN_PATH);
    let (user, place) = match form.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, form.as_str()),
    };
    let is_short = if is_open {
        !place.contains(['[', ']'])
    } else {
        user.is_none_or(|user| !user.is_empty() && !user.ends_with(':')) && is_short(place)
    };
    // Without parameters another authority may be left.
    let hides = form.contains("%2F") || form.contains("%5C") || form.contains(';');
    (is_short && !hides).then(|| format!("//{form}"))
}

/// Whether a host and its port have nothing that can be left out: no empty port, no zeros before one or in
/// an address.
fn is_short(place: &str) -> bool {
    let Some((host, port)) = host_and_port(place) else {
        return !place.contains(['[', ']']) && !place.ends_with(':');
    };
    port.is_none_or(|port| port == "0" || !port.starts_with('0'))
        && (!host.starts_with('[') || host_form(host).is_some_and(|usual| usual == host))
}

/// A host that every reader takes for the same: an address in its usual spelling, or a name in ASCII.
fn host_form(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some(format!("[{}]", address.parse::<Ipv6Addr>().ok()?));
    }
    // The root of all names may be written or not.
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if !name.bytes().all(in_name) || name.split('.').any(str::is_empty) {
        return None;
    }
    // WHATWG URL, "ends in a number checker": `127.1`, `0x7f.1` and `2130706433` are all 127.0.0.1.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if is_number && name.parse::<Ipv4Addr>().ok()?.to_string() != name {
        return None;
    }
    Some(name)
}

const fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}
