//! Characters of HTTP's grammar that more than one place reads.

/// `tchar` (RFC 9110 §5.6.2): what tokens are made of, header names among them.
pub(crate) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// What `token68` (RFC 9110 §11.2) and `b64token` (RFC 6750 §2.1) are made of, but for the `=` at
/// their end.
pub(crate) const fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::{is_tchar, is_token68};

    /// Letter by letter as the grammars have them.
    #[test]
    fn the_sets() {
        let set = |holds: fn(u8) -> bool| -> alloc::string::String {
            let punctuation = |byte: &u8| !byte.is_ascii_alphanumeric() && holds(*byte);
            (0..=u8::MAX).filter(punctuation).map(char::from).collect()
        };
        assert_eq!(set(is_tchar), "!#$%&'*+-.^_`|~");
        assert_eq!(set(is_token68), "+-./_~");
        for byte in (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z') {
            assert!(is_tchar(byte) && is_token68(byte));
        }
    }
}
