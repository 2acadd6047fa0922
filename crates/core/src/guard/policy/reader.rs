//! Reading JSON members one by one, with the path of every mistake.

use alloc::{
    borrow::ToOwned as _,
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt::Display;

use super::PolicyError;
use crate::jose::json::{Number, Object, Value};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    path: String,
    value: &'a Value,
}

/// An object whose members are taken one by one; what is left at the end is a mistake.
#[derive(Debug)]
pub(super) struct Members<'a> {
    path: String,
    object: &'a Object,
    known: Vec<&'static str>,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { path: "$".to_owned(), value }
    }

    pub(super) fn error(&self, message: impl Display) -> PolicyError {
        PolicyError { path: self.path.clone(), message: message.to_string() }
    }

    fn expected(&self, what: &str) -> PolicyError {
        self.error(format!("expected {what}, found {}", self.value.kind()))
    }

    pub(super) const fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn members(&self) -> Result<Members<'a>, PolicyError> {
        let object = self.value.as_object().ok_or_else(|| self.expected("an object"))?;
        Ok(Members { path: self.path.clone(), object, known: Vec::new() })
    }

    /// The members of an object whose names are data.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, PolicyError> {
        let object = self.value.as_object().ok_or_else(|| self.expected("an object"))?;
        Ok(object
            .iter()
            .map(|(name, value)| {
                let path = format!("{}[{}]", self.path, Value::from(name.as_str()));
                (name.as_str(), Self { path, value })
            })
            .collect())
    }

    pub(super) fn elements(&self) -> Result<Vec<Self>, PolicyError> {
        let elements = self.value.as_array().ok_or_else(|| self.expected("an array"))?;
        Ok(elements
            .iter()
            .enumerate()
            .map(|(index, value)| Self { path: format!("{}[{index}]", self.path), value })
            .collect())
    }

    pub(super) fn text(&self) -> Result<&'a str, PolicyError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, PolicyError> {
        self.elements()?.iter().map(|element| element.text().map(str::to_owned)).collect()
    }

    pub(super) fn flag(&self) -> Result<bool, PolicyError> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, min: u64, max: u64) -> Result<u64, PolicyError> {
        match self.value {
            Value::Number(Number::Unsigned(number)) if (min..=max).contains(number) => Ok(*number),
            Value::Number(_) => {
                Err(self.error(format!("expected a whole number from {min} to {max}")))
            }
            _ => Err(self.expected("a number")),
        }
    }

    /// A text parsed into its type.
    pub(super) fn parse<T, E: Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, PolicyError> {
        parse(self.text()?).map_err(|error| self.error(error))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, PolicyError> {
        let text = self.text()?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.error(format!("expected one of {}", words.join(", ")))
        })
    }
}

impl<'a> Members<'a> {
    /// A member that may be absent.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.known.push(name);
        let value = self.object.get(name)?;
        Some(Node { path: format!("{}.{name}", self.path), value })
    }

    /// A member that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<Node<'a>, PolicyError> {
        self.optional(name).ok_or_else(|| PolicyError {
            path: self.path.clone(),
            message: format!("member \"{name}\" is missing"),
        })
    }

    /// An optional member read in one go.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Node<'a>) -> Result<T, PolicyError>,
    ) -> Result<Option<T>, PolicyError> {
        self.optional(name).map(|node| read(&node)).transpose()
    }

    /// Every member must have been asked for by now.
    pub(super) fn finish(self) -> Result<(), PolicyError> {
        match self.object.keys().find(|name| !self.known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let mut known = self.known;
                known.sort_unstable();
                Err(PolicyError {
                    path: format!("{}.{name}", self.path),
                    message: format!("unknown member; known here: {}", known.join(", ")),
                })
            }
        }
    }
}
