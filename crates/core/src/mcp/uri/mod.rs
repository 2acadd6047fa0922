//! URIs of MCP resources, made comparable with the patterns of a policy.
//!
//! Servers resolve them by different rules: RFC 3986, the WHATWG URL standard (`new URL(uri)`), a file
//! system's, or none. What two of these would resolve differently is refused; what is left has one form.

mod authority;
mod target;
#[cfg(test)]
mod tests;

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

use self::authority::Special;
pub(crate) use self::target::ambiguous_path;
use crate::oauth::resource::is_scheme;

/// The form in which URIs are compared: scheme and host in lower case, escapes in upper case and only
/// where a character cannot stand for itself, no default port, one spelling for local files (RFC 3986
/// §6.2.2, §6.2.3, RFC 8089).
///
/// `None` for what some server resolves to something that no pattern names, or reads as another URI:
/// characters that no URI has (parsers leave out tabs and line feeds, and take `\` for `/`), fragments, which
/// are separated before a resource is looked up (RFC 3986 §3.5), escapes that encode nothing, no text, a
/// separator or a control character, dot segments and empty ones, and authorities of `http` and the like in
/// one of their other spellings.
pub(crate) fn comparable(uri: &str) -> Option<String> {
    form(uri, Part::Whole)
}

/// The same for the beginning of URIs, up to anywhere: it stands for all whose form begins so. `None` too
/// where it ends so that the form of those that it means may begin otherwise.
pub(crate) fn comparable_beginning(beginning: &str) -> Option<String> {
    form(beginning, Part::Beginning)
}

/// The beginnings of a form that are all of it to servers which look at the path alone: without its query
/// (`new URL(uri).pathname`), and without what follows a semicolon in its last segment (Python's `urlparse`).
pub(crate) fn bare(form: &str) -> impl Iterator<Item = &str> {
    let path = form.split('?').next().unwrap_or(form);
    let last = path.rfind('/').unwrap_or(0);
    let plain = path.get(last..).and_then(|segment| path.get(..last + segment.find(';')?));
    [Some(path), plain].into_iter().flatten().filter(move |bare| bare.len() < form.len())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Beginning,
    Whole,
}

fn form(uri: &str, part: Part) -> Option<String> {
    if !uri.bytes().all(|byte| may_stand(byte) || byte == b' ')
        || has_outer_space(uri, &['?'])
        // The end of what is left without parameters: see `bare`.
        || uri.contains(" ;")
        || !is_text(uri)
    {
        return None;
    }
    let Some((scheme, rest)) = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return without_scheme(uri, part);
    };
    let scheme = scheme.to_ascii_lowercase();
    let (hierarchy, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let (authority, path) = match hierarchy.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(authority), path)
        }
        None => (None, hierarchy),
    };
    // Whether more of the authority may follow, or the authority as a whole.
    let is_open = part == Part::Beginning
        && query.is_empty()
        && (path.is_empty() || (authority.is_none() && path == "/"));
    let special = Special::of(&scheme);
    let (path, query) = (path_form(path)?, escaped(query, IN_QUERY));
    // To what opens files a question mark ends the name, or is a letter like any other.
    if special == Some(Special::File) && !query.is_empty() {
        return None;
    }
    let prefix = match (special, authority) {
        (Some(special), authority) => special.form(authority, is_open, &path)?,
        // As under `file:`: no authority before a path is an empty one, to those who look at the path.
        (None, None) if is_open && !path.is_empty() => return None,
        (None, None) if !is_open && (path.is_empty() || path.starts_with('/')) => "//".to_owned(),
        (None, None) => String::new(),
        (None, Some(authority)) => authority::form(authority, is_open)?,
    };
    let root = if special.is_some() && path.is_empty() && !is_open { "/" } else { "" };
    Some([scheme.as_str(), ":", &prefix, root, &path, &query].concat())
}

/// A relative reference, for servers that name their resources so.
fn without_scheme(uri: &str, part: Part) -> Option<String> {
    let (path, query) = uri.split_at(uri.find('?').unwrap_or(uri.len()));
    let path = path_form(path)?;
    // RFC 3986 §4.2; and with its escapes decoded it must not become the URI that it is not.
    if path.split('/').next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    // It could go on with a colon: then it is a scheme, which is compared in lower case.
    let may_be_scheme = part == Part::Beginning && query.is_empty() && is_scheme(&path);
    if may_be_scheme && path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Some(path + &escaped(query, IN_QUERY))
}

fn path_form(path: &str) -> Option<String> {
    let path = escaped(path, IN_PATH);
    (is_plain_path(&path) && !path.contains("//")).then_some(path)
}

/// Whether nobody finds a way up in an escaped path, also without parameters (`..;a`), or a separator that is
/// not there.
fn is_plain_path(path: &str) -> bool {
    !path.contains("%2F")
        && !path.contains("%5C")
        && path.split('/').all(|segment| !matches!(segment.split(';').next(), Some("." | "..")))
}

/// Whether this may stand in a URI (RFC 3986 §2), but for what separates a fragment. What is
/// not ASCII stands for its escapes (RFC 3987 §3.1).
fn may_stand(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"\"#<>\\^`{|}".contains(&byte)
}

/// Whether a space stands at either end of a part, where parsers leave it out. Elsewhere it is `%20` to those
/// who take it at all.
fn has_outer_space(text: &str, separators: &[char]) -> bool {
    text.split(separators).any(|part| part.starts_with(' ') || part.ends_with(' '))
}

/// Whether every `%` encodes something (RFC 3986 §2.1), and all of it is text without control characters.
/// `%%361` is `%61` to a lenient server, which is `a` to the next one; and bytes that are no UTF-8 are `/`
/// to some (`%C0%AF`).
fn is_text(uri: &str) -> bool {
    let bytes: Option<Vec<u8>> = unescaped(uri).map(|found| found.map(|(byte, _)| byte)).collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.is_some_and(|text| !text.contains(char::is_control))
}

/// What means something else in a path when it is escaped.
const IN_PATH: &[u8] = b"/\\?#%";

/// The same in a query.
const IN_QUERY: &[u8] = b"#%";

/// With escapes in upper case, and only where a character cannot stand for itself or is `meaningful`.
fn escaped(text: &str, meaningful: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let mut out = String::with_capacity(text.len());
    for (byte, was_escaped) in unescaped(text).flatten() {
        let is_meaningful = was_escaped && meaningful.contains(&byte);
        if byte.is_ascii() && may_stand(byte) && !is_meaningful {
            out.push(char::from(byte));
        } else {
            out.push('%');
            let digits = [byte >> 4, byte & 15].map(|digit| DIGITS.get(usize::from(digit)));
            out.extend(digits.into_iter().flatten());
        }
    }
    out
}

/// The bytes that a text stands for, and whether they are escaped; `None` in the place of a `%` that
/// encodes nothing.
fn unescaped(text: &str) -> impl Iterator<Item = Option<(u8, bool)>> {
    let mut rest = text.as_bytes();
    core::iter::from_fn(move || match rest {
        [] => None,
        [b'%', after @ ..] => {
            rest = after;
            let byte = after.first_chunk().and_then(|[high, low]| hex_pair(*high, *low));
            if byte.is_some() {
                rest = after.get(2..).unwrap_or_default();
            }
            Some(byte.map(|byte| (byte, true)))
        }
        [byte, after @ ..] => {
            rest = after;
            Some(Some((*byte, false)))
        }
    })
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}
