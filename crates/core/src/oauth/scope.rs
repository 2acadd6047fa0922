//! Scopes: their grammar (RFC 6749 §3.3), sets of them, and which implies which.

use alloc::{borrow::ToOwned as _, string::String, vec, vec::Vec};
use core::{fmt, mem};

use crate::sorted::SortedMap;

/// One scope token: printable ASCII but space, quotation mark and backslash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

/// The text is not made of scope tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidScope;

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scope is one or more printable ASCII characters but space, \" and \\")
    }
}

impl core::error::Error for InvalidScope {}

impl Scope {
    /// Checks one scope token.
    ///
    /// # Errors
    /// [`InvalidScope`] when it is empty or has a character that RFC 6749 §3.3 does not allow.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !text.is_empty() && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidScope)
        }
    }

    /// The token's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scopes without repetition, in the order in which they were first named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Reads a `scope` value: tokens with single spaces between them. The empty text is the empty
    /// set.
    ///
    /// # Errors
    /// [`InvalidScope`] for other characters or stray spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(' ').map(Scope::parse).collect()
    }

    /// Whether the set has this scope itself.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Whether there is no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// This set with those of another that it lacks.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).cloned().collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let scopes: Vec<Scope> = scopes.into_iter().collect();
        // Sorted, since a token may have thousands. Hardly any names one twice: then nothing is copied.
        let mut sorted: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        sorted.sort_unstable();
        if sorted.is_sorted_by(|a, b| a < b) {
            return Self(scopes);
        }
        sorted.dedup();
        let mut unseen = vec![true; sorted.len()];
        let mut is_new = |scope: &&Scope| {
            let place = sorted.binary_search(&scope.as_str()).ok();
            place.and_then(|place| unseen.get_mut(place)).is_some_and(mem::take)
        };
        Self(scopes.iter().filter(|scope| is_new(scope)).cloned().collect())
    }
}

/// The `scope` value.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            scope.fmt(f)?;
        }
        Ok(())
    }
}

/// Which scopes imply which others: transitive, without cycles.
#[derive(Clone, Debug, Default)]
pub struct Implications {
    /// Each scope with everything that it implies, itself included, in order.
    closures: SortedMap<Scope, Vec<Scope>>,
}

/// A scope that implies itself by way of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImplicationCycle(pub Scope);

impl fmt::Display for ImplicationCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scope {} implies itself by way of others", self.0)
    }
}

impl core::error::Error for ImplicationCycle {}

impl Implications {
    /// Computes the transitive closure of what scopes imply directly. No scope comes twice.
    ///
    /// # Errors
    /// [`ImplicationCycle`] names a scope on a cycle.
    pub fn new<'a>(
        direct: impl IntoIterator<Item = (&'a Scope, &'a ScopeSet)>,
    ) -> Result<Self, ImplicationCycle> {
        let mut sorted = SortedMap::new();
        for (scope, implied) in direct {
            sorted.insert(scope, implied);
        }
        Self::of(&sorted)
    }

    fn of(direct: &SortedMap<&Scope, &ScopeSet>) -> Result<Self, ImplicationCycle> {
        let mut closures = SortedMap::new();
        for (&scope, _) in direct.iter() {
            let mut closure = SortedMap::new();
            closure.insert(scope, ());
            let mut open: Vec<&Scope> = Vec::from([scope]);
            while let Some(next) = open.pop() {
                for implied in direct.get(next).into_iter().flat_map(|implied| implied.iter()) {
                    if implied == scope {
                        return Err(ImplicationCycle(scope.clone()));
                    }
                    if closure.insert(implied, ()).is_none() {
                        open.push(implied);
                    }
                }
            }
            let closure = closure.iter().map(|(&implied, ())| implied.clone()).collect();
            closures.insert(scope.clone(), closure);
        }
        Ok(Self { closures })
    }

    /// Whether `granted` has `needed`, itself or by implication.
    #[must_use]
    pub fn grants(&self, granted: &ScopeSet, needed: &Scope) -> bool {
        granted.iter().any(|scope| {
            scope == needed
                || self.closures.get(scope).is_some_and(|all| all.binary_search(needed).is_ok())
        })
    }

    /// Those of `needed` that `granted` does not give.
    #[must_use]
    pub fn missing(&self, granted: &ScopeSet, needed: &ScopeSet) -> ScopeSet {
        needed.iter().filter(|scope| !self.grants(granted, scope)).cloned().collect()
    }

    /// Those of `scopes` that no other of them implies. They grant all that `scopes` grant, and, since
    /// nothing implies itself by way of others, no smaller set of them does.
    #[must_use]
    pub fn minimal(&self, scopes: &ScopeSet) -> ScopeSet {
        let by_another = |scope: &Scope| {
            let others = scopes.iter().filter(|other| *other != scope);
            others
                .filter_map(|other| self.closures.get(other))
                .any(|all| all.binary_search(scope).is_ok())
        };
        scopes.iter().filter(|scope| !by_another(scope)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, string::ToString as _};

    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn implications(rules: &[(&str, &str)]) -> Result<Implications, ImplicationCycle> {
        let direct =
            rules.iter().map(|(scope, implied)| (Scope::parse(scope).unwrap(), set(implied)));
        Implications::new(&direct.collect::<BTreeMap<_, _>>())
    }

    /// RFC 6749 §3.3.
    #[test]
    fn grammar() {
        for good in ["a", "files:read", "!", "https://h/a", "a b", ""] {
            assert_eq!(set(good).to_string(), good);
        }
        for bad in [" ", " a", "a ", "a  b", "a\tb", "\"", "\\", "ä", "a\u{7f}"] {
            assert!(ScopeSet::parse(bad).is_err(), "{bad:?}");
        }
        for (text, without_repetition) in [("b a b", "b a"), ("a a a", "a"), ("c a c b a", "c a b")]
        {
            assert_eq!(set(text).to_string(), without_repetition);
        }
    }

    #[test]
    fn implication_is_transitive() {
        let implications = implications(&[("admin", "write"), ("write", "read list")]).unwrap();
        assert!(implications.missing(&set("admin"), &set("read list admin")).is_empty());
        assert_eq!(implications.missing(&set("write"), &set("admin read")), set("admin"));
        assert_eq!(implications.missing(&set(""), &set("read")), set("read"));
        assert_eq!(implications.missing(&set("readx"), &set("read")), set("read"));
    }

    #[test]
    fn cycles_are_errors() {
        assert!(implications(&[("a", "a")]).is_err());
        assert!(implications(&[("a", "b"), ("b", "c"), ("c", "a")]).is_err());
        assert!(implications(&[("a", "b c"), ("b", "d"), ("c", "d")]).is_ok(), "a diamond is none");
    }
}
