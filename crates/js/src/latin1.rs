//! Byte strings as JavaScript has them: one code unit for each byte (WebIDL `ByteString`).
//!
//! `Headers` gives and takes header values in this form, which is not UTF-8: the engine gets the
//! bytes that were on the wire, and the bytes that it sets go out as they are.

/// The bytes of a byte string; `None` when a code unit is no byte.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

/// The byte string of a text's UTF-8 form.
pub(crate) fn text(utf8: &str) -> String {
    utf8.bytes().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_itself() {
        let all: String = (0..=u8::MAX).map(char::from).collect();
        assert_eq!(bytes(&all), Some((0..=u8::MAX).collect()));
    }

    #[test]
    fn what_is_no_byte_is_refused() {
        assert_eq!(bytes("a\u{100}"), None);
        assert_eq!(bytes("a\u{fffd}"), None);
    }

    #[test]
    fn utf_8_survives_the_way_there_and_back() {
        assert_eq!(text("Zoë"), "ZoÃ«");
        assert_eq!(bytes(&text("Zoë €")).as_deref(), Some("Zoë €".as_bytes()));
    }
}
