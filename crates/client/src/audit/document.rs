//! A JSON document of a server, read member by member: one that is wrong in a member is still looked at.

use countersign_core::jose::json::{self, Object, Value};

use super::wire::Seen;

/// The members of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(Object);

impl Document {
    /// Reads an answer; the error says what is wrong with it.
    pub(super) fn read(seen: &Seen) -> Result<Self, String> {
        if seen.status != 200 {
            return Err(format!("status {}", seen.status));
        }
        if !seen.is_json() {
            return Err(match seen.media_type() {
                kind if kind.is_empty() => "no Content-Type".to_owned(),
                kind => format!("Content-Type: {kind}"),
            });
        }
        match json::parse(&seen.body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err("JSON, but no object".to_owned()),
            Err(error) => Err(format!("not strict JSON: {error}")),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The texts of an array; none where it is missing, or is something else.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let elements = self.0.get(name).and_then(Value::as_array).unwrap_or_default();
        elements.iter().filter_map(Value::as_str).collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Value::Bool(true)))
    }

    pub(super) fn elements(&self, name: &str) -> Option<&[Value]> {
        self.0.get(name)?.as_array()
    }

    /// Members that hold a text, with their names.
    pub(super) fn all_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }
}
