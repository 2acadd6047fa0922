//! Whether a `Content-Type` says JSON in UTF-8 to every reader there is.

use crate::grammar::is_tchar;

/// Whether this is `application/json`, alone or with parameters that no reader can take for another
/// character set than UTF-8 (RFC 8259 §8.1).
///
/// Readers differ in what they make of spaces around `=`, of quoted text, and of a parameter that comes
/// twice; some search the whole value for `charset`. So the grammar is that of RFC 9110 §5.6.6 without the
/// empty parameters it tolerates, and `charset` may stand in it once, as the name of a parameter.
pub(super) fn is_json(media_type: &[u8]) -> bool {
    let media_type = trim(media_type);
    let end = media_type.iter().position(|byte| *byte == b';').unwrap_or(media_type.len());
    let (essence, mut rest) = media_type.split_at_checked(end).unwrap_or((media_type, &[]));
    if !trim(essence).eq_ignore_ascii_case(b"application/json") {
        return false;
    }
    let mut charsets = 0;
    while let Some(parameter) = rest.strip_prefix(b";") {
        let Some((name, value, after)) = parameter_of(trim_start(parameter)) else { return false };
        if name.eq_ignore_ascii_case(b"charset") {
            charsets += 1;
            let is_utf8 = [b"utf-8".as_slice(), b"utf8"]
                .iter()
                .any(|known| value.eq_ignore_ascii_case(known));
            if !is_utf8 {
                return false;
            }
        }
        rest = after;
    }
    rest.is_empty() && charsets <= 1 && mentions_of_charset(media_type) == charsets
}

/// Name, value without its quotation marks, and what follows: the next semicolon or nothing.
fn parameter_of(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let (value, after) = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted_text(quoted)?,
        None => token(rest)?,
    };
    Some((name, value, trim_start(after)))
}

/// RFC 9110 §5.6.2.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_tchar(*byte)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

/// RFC 9110 §5.6.4, from behind the first quotation mark. Pairs with a backslash stay as they are: no
/// name of a character set needs one.
fn quoted_text(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut is_escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match (is_escaped, byte) {
            (_, 0..=8 | 10..=31 | 127) => return None,
            (false, b'"') => {
                let (quoted, rest) = text.split_at_checked(at)?;
                return Some((quoted, rest.strip_prefix(b"\"")?));
            }
            (false, b'\\') => is_escaped = true,
            _ => is_escaped = false,
        }
    }
    None
}

fn mentions_of_charset(text: &[u8]) -> usize {
    let word = b"charset";
    text.windows(word.len()).filter(|part| part.eq_ignore_ascii_case(word)).count()
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let end =
        text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::is_json;

    /// RFC 9110 §5.6.6, RFC 8259 §8.1.
    #[test]
    fn only_what_nobody_reads_as_another_character_set() {
        for media_type in [
            "application/json",
            " Application/JSON\t",
            "application/json;charset=utf-8",
            "application/json ; charset=UTF8",
            "application/json;\tCHARSET=\"Utf-8\" ; profile=x",
            "application/json; profile=\"a\\\"; b=c\"; charset=utf-8",
            "application/json; profile=\"\"",
        ] {
            assert!(is_json(media_type.as_bytes()), "{media_type}");
        }
        for media_type in [
            "",
            ";",
            "application/json2",
            "application/json/x",
            "application/json, application/json",
            "application/json charset=utf-8",
            "application/json;",
            "application/json;; charset=utf-8",
            "application/json; ; charset=utf-8",
            "application/json; charset",
            "application/json; charset=",
            "application/json; =utf-8",
            "application/json; charset=\"\"",
            "application/json; charset =utf-7",
            "application/json; charset= utf-7",
            "application/json; charset =utf-8",
            "application/json; charset= utf-8",
            "application/json; charset=utf-7",
            "application/json; charset='utf-8'",
            "application/json; charset=\"utf\\-8\"",
            "application/json; charset=\"utf-8",
            "application/json; charset=\"utf-8\"x",
            "application/json; charset=utf-8 x",
            "application/json; charset=utf-8, x=y",
            "application/json; charset=utf-8; charset=utf-8",
            "application/json; charset=utf-8; Charset=utf-7",
            "application/json; x=\"; charset=utf-8\"; charset =utf-7",
            "application/json; x=\"; charset=utf-7\"",
            "application/json; x=\"; charset=utf-7\"; charset=utf-8",
            "application/json; x=\"\\\"; charset=utf-7",
            "application/json; x-charset=utf-7",
            "application/json; charset*=utf-7",
            "application/json; charset*0=utf-7",
            "application/json; x=charset",
            "application/json\u{a0}",
            "application/json; x=\"\n\"",
            "application/json\u{b}; charset=utf-8",
        ] {
            assert!(!is_json(media_type.as_bytes()), "{media_type:?}");
        }
        assert!(!is_json(b"application/json; x=\xff"));
    }
}
