//! Request parameters (RFC 6749 §3.1, §3.2): sent at most once, and empty ones count as absent.

use std::collections::BTreeMap;

/// Parameters of a query or a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    values: BTreeMap<String, Vec<String>>,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            let entry = values.entry(name.into_owned()).or_default();
            entry.push(value.into_owned());
        }
        Self { values }
    }

    /// The same with these values of a parameter.
    pub(super) fn with(mut self, name: &str, values: Vec<String>) -> Self {
        self.values.insert(name.to_owned(), values);
        self
    }

    /// These, as `application/x-www-form-urlencoded` text again.
    pub(super) fn only(&self, names: &[&str]) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (name, values) in &self.values {
            if names.contains(&name.as_str()) {
                text.extend_pairs(values.iter().map(|value| (name, value)));
            }
        }
        text.finish()
    }

    /// The value of a parameter; that of a repeated one is never used.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        match self.values.get(name).map(Vec::as_slice) {
            Some([value]) if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    /// Whether it was sent at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// All values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// A parameter that was repeated and must not be.
    pub(super) fn repeated(&self, but: &[&str]) -> Option<&str> {
        let repeated = |(name, values): &(&String, &Vec<String>)| {
            values.len() > 1 && !but.contains(&name.as_str())
        };
        self.values.iter().find(repeated).map(|(name, _)| name.as_str())
    }

    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.all(name).len() > 1
    }
}
