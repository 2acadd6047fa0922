//! Where a JSON text ends that comes in pieces, before any of it is read.

/// How far a JSON object or array has come. What is in it is not looked at: whether it is JSON, the
/// parser says that reads it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// Brackets that are open.
    depth: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Structure,
    String,
    /// Behind a backslash in a string.
    Escape,
}

impl Extent {
    /// Reads on: how much of this part belongs to the text, if it ends here. What begins as neither an
    /// object nor an array ends with that byte.
    pub(crate) fn end(&mut self, part: &[u8]) -> Option<usize> {
        // RFC 8259 §7: in UTF-8, quotes and backslashes are never a part of another character.
        part.iter().position(|byte| self.ends_with(*byte)).map(|at| at.saturating_add(1))
    }

    const fn ends_with(&mut self, byte: u8) -> bool {
        self.place = match (self.place, byte) {
            (Place::Structure, b'{' | b'[') => {
                self.depth = self.depth.saturating_add(1);
                Place::Structure
            }
            (Place::Structure, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            (Place::Structure, _) if self.depth == 0 => return !is_space(byte),
            (Place::String, b'\\') => Place::Escape,
            (Place::String, b'"') => Place::Structure,
            (Place::Structure, b'"') | (Place::String | Place::Escape, _) => Place::String,
            (Place::Structure, _) => Place::Structure,
        };
        false
    }
}

/// RFC 8259 §2.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::{collection, prelude::*};
    use serde_json::{Value, json};

    use super::Extent;

    /// A message ends where its last bracket does, whatever is in its texts, and however it comes.
    #[test]
    fn ends() {
        for (text, end) in [
            (r#"{"a":1}"#, Some(7)),
            (" \r\n\t{}x", Some(6)),
            (r#"{"}":"{[\"]}\\"}, "#, Some(16)),
            (r#"[{"a":["\u0022]"]}]"#, Some(19)),
            (r#"{"a":"}"#, None),
            (r#"{"a":[{}]"#, None),
            ("", None),
            ("  ", None),
            // No messages: the parser says so.
            ("\u{feff}{}", Some(1)),
            ("true", Some(1)),
            ("}{", Some(1)),
            ("{]", Some(2)),
        ] {
            for size in [1, 2, 3, 100] {
                let mut extent = Extent::default();
                let mut before = 0;
                let found = text.as_bytes().chunks(size).find_map(|part| {
                    let end = extent.end(part).map(|end| before + end);
                    before += part.len();
                    end
                });
                assert_eq!(found, end, "{text} by {size}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Any text of JSON as a writer writes it ends at its end, and nowhere before.
        #[test]
        fn any_text_ends_at_its_end(texts in collection::vec(any::<String>(), 0..4), pretty: bool) {
            let nested: Value = texts.iter().fold(json!({}), |inner, text| json!([{ text.as_str(): inner }, text]));
            let text = if pretty { serde_json::to_string_pretty(&nested) } else { serde_json::to_string(&nested) }.unwrap();
            prop_assert_eq!(Extent::default().end(text.as_bytes()), Some(text.len()));
        }
    }
}
