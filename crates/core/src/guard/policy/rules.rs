//! `scopes`: which scopes an operation needs.

use alloc::{borrow::ToOwned as _, format, string::String, vec::Vec};
use core::cmp::Reverse;

use super::{PolicyError, reader::Node};
use crate::{
    Reason,
    mcp::{
        bare_uris, comparable_uri, comparable_uri_beginning,
        operation::{LISTEN, Operation},
    },
    oauth::scope::{Implications, Scope, ScopeSet},
    sorted::SortedMap,
};

/// The scope rules of one resource.
#[derive(Clone, Debug, Default)]
pub struct ScopeRules {
    baseline: ScopeSet,
    implications: Implications,
    tools: RuleMap,
    prompts: RuleMap,
    resources: RuleMap,
    methods: RuleMap,
    unlisted: Unlisted,
    filter_lists: bool,
}

/// What happens to an operation that no rule names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlisted {
    /// It needs the baseline scopes.
    #[default]
    Baseline,
    /// It is refused.
    Deny,
}

/// The rule that decided, for logs and `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// All scopes that the operation needs, the baseline's first.
    pub needed: ScopeSet,
    /// Which rule added to the baseline, like `tools["write_*"]`; or which rules, for a request that
    /// falls under several.
    pub rule: Option<String>,
}

/// A rule that names an operation.
struct Rule<'a> {
    scopes: &'a ScopeSet,
    /// Like `tools["write_*"]`.
    text: String,
    /// How much of the name its pattern has.
    length: usize,
}

/// The rules that name a resource.
#[derive(Default)]
struct OfResource<'a> {
    whole: Option<Rule<'a>>,
    /// Closer ones for the same URI without its query.
    bare: Vec<Rule<'a>>,
}

#[derive(Clone, Debug, Default)]
struct RuleMap {
    exact: SortedMap<String, ScopeSet>,
    /// Prefixes, the longest first.
    prefixes: SortedMap<(Reverse<usize>, String), ScopeSet>,
}

impl ScopeRules {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, PolicyError> {
        let mut members = node.members()?;
        let baseline = members.read("baseline", read_set)?.unwrap_or_default();
        let implications = members.read("implies", read_implications)?.unwrap_or_default();
        let plain = |text: &str, _: bool| Some(text.to_owned());
        let uri = |text: &str, is_beginning: bool| {
            if is_beginning { comparable_uri_beginning(text) } else { comparable_uri(text) }
        };
        let tools = members.read("tools", |node| RuleMap::read(node, plain))?.unwrap_or_default();
        let prompts =
            members.read("prompts", |node| RuleMap::read(node, plain))?.unwrap_or_default();
        let resources =
            members.read("resources", |node| RuleMap::read(node, uri))?.unwrap_or_default();
        let methods =
            members.read("methods", |node| RuleMap::read(node, plain))?.unwrap_or_default();
        let unlisted = members
            .read("unlisted", |node| {
                node.choice(&[("baseline", Unlisted::Baseline), ("deny", Unlisted::Deny)])
            })?
            .unwrap_or_default();
        let filter_lists = members.read("filter_lists", Node::flag)?.unwrap_or_default();
        members.finish()?;
        Ok(Self {
            baseline,
            implications,
            tools,
            prompts,
            resources,
            methods,
            unlisted,
            filter_lists,
        })
    }

    /// The scopes that every request needs.
    #[must_use]
    pub const fn baseline(&self) -> &ScopeSet {
        &self.baseline
    }

    /// Whether any decision depends on the operation. Where none does, no body is read.
    #[must_use]
    pub fn depend_on_operation(&self) -> bool {
        self.unlisted == Unlisted::Deny
            || [&self.tools, &self.prompts, &self.resources, &self.methods]
                .iter()
                .any(|map| !map.is_empty())
    }

    /// The rule for an operation: by its name, exact before the longest prefix, then by its method
    /// in the same way, then `unlisted`. A resource whose URI has a query falls under a closer rule for the
    /// URI without it as well: servers may look at no more. `subscriptions/listen` falls under the rules of
    /// all its resources, and under that of its method.
    ///
    /// # Errors
    /// [`Reason::OperationDenied`] when no rule names it and unlisted operations are refused;
    /// [`Reason::UriAmbiguous`] for a resource URI that patterns cannot be compared with.
    pub fn needed(&self, operation: &Operation) -> Result<RuleMatch, Reason> {
        let named = match operation {
            Operation::Tool(name) => self.tools.find(name, "tools"),
            Operation::Prompt(name) => self.prompts.find(name, "prompts"),
            Operation::Resource { uri, .. } => {
                return self.needed_for(operation, core::slice::from_ref(uri));
            }
            Operation::Listen(uris) => return self.needed_for(operation, uris),
            Operation::Transport | Operation::Method(_) => None,
        };
        match named {
            Some(found) => Ok(self.matched(found)),
            None => self.unnamed(operation),
        }
    }

    /// The rules that name a resource.
    fn of_resource(&self, uri: &str) -> Result<OfResource<'_>, Reason> {
        if self.resources.is_empty() {
            return Ok(OfResource::default());
        }
        let uri = comparable_uri(uri).ok_or(Reason::UriAmbiguous)?;
        let whole = self.resources.find(&uri, "resources");
        let bare = self.resources.bare(&uri, whole.as_ref().map_or(0, |rule| rule.length));
        Ok(OfResource { whole, bare })
    }

    fn needed_for(&self, operation: &Operation, uris: &[String]) -> Result<RuleMatch, Reason> {
        let named = uris.iter().map(|uri| self.of_resource(uri)).collect::<Result<Vec<_>, _>>()?;
        let all_are_named = named.iter().all(|named| named.whole.is_some());
        let by_method = operation
            .method()
            .filter(|method| *method == LISTEN || !all_are_named)
            .and_then(|method| self.methods.find(method, "methods"));
        // What no rule names at all is as `unlisted` says.
        if by_method.is_none() && !all_are_named {
            self.unnamed(operation)?;
        }
        let mut needed = self.baseline.clone();
        let mut rules = Vec::new();
        let named = named.into_iter().flat_map(|named| named.whole.into_iter().chain(named.bare));
        for Rule { scopes, text, .. } in named.chain(by_method) {
            needed = needed.union(scopes);
            if !rules.contains(&text) {
                rules.push(text);
            }
        }
        Ok(RuleMatch { needed, rule: (!rules.is_empty()).then(|| rules.join(", ")) })
    }

    fn matched(&self, rule: Rule<'_>) -> RuleMatch {
        RuleMatch { needed: self.baseline.union(rule.scopes), rule: Some(rule.text) }
    }

    /// The rule for an operation whose name no rule has.
    fn unnamed(&self, operation: &Operation) -> Result<RuleMatch, Reason> {
        match operation.method().and_then(|method| self.methods.find(method, "methods")) {
            Some(found) => Ok(self.matched(found)),
            None if self.unlisted == Unlisted::Deny && !operation.is_lifecycle() => {
                Err(Reason::OperationDenied)
            }
            None => Ok(RuleMatch { needed: self.baseline.clone(), rule: None }),
        }
    }

    /// Whether lists show what their caller may use only.
    #[must_use]
    pub const fn filter_lists(&self) -> bool {
        self.filter_lists
    }

    /// Whether these scopes are enough for an operation.
    #[must_use]
    pub fn permits(&self, granted: &ScopeSet, operation: &Operation) -> bool {
        self.needed(operation).is_ok_and(|rule| self.missing(granted, &rule.needed).is_empty())
    }

    /// Whether these scopes are enough to read any of the resources that a URI template (RFC 6570)
    /// gives: all that begin with what stands before its first expression.
    #[must_use]
    pub fn permits_template(&self, granted: &ScopeSet, template: &str) -> bool {
        let read =
            |uri: &str| Operation::Resource { method: "resources/read".into(), uri: uri.into() };
        let Some((literal, _)) = template.split_once('{') else {
            return self.permits(granted, &read(template));
        };
        // Some beginnings of an authority cannot be compared: then no more than the scheme is known.
        let in_authority = literal
            .split_once(':')
            .is_some_and(|(_, rest)| !rest.trim_start_matches('/').contains('/'));
        let scheme = literal.split_inclusive(':').next().filter(|_| in_authority);
        let beginning =
            comparable_uri_beginning(literal).or_else(|| scheme.and_then(comparable_uri_beginning));
        // Whatever it gives is refused.
        let Some(beginning) = beginning else { return false };
        let enough =
            |scopes: &ScopeSet| self.missing(granted, &self.baseline.union(scopes)).is_empty();
        if self.resources.within(&beginning).any(enough) {
            return true;
        }
        let around = self.resources.around(&beginning, "resources");
        let length = around.as_ref().map_or(0, |rule| rule.length);
        let bare = self.resources.bare(&beginning, length);
        let is_enough = match around {
            Some(rule) => enough(rule.scopes),
            None => self
                .unnamed(&read(literal))
                .is_ok_and(|rule| self.missing(granted, &rule.needed).is_empty()),
        };
        is_enough && bare.iter().all(|rule| enough(rule.scopes))
    }

    /// Those of `needed` that `granted` does not give, by itself or by implication.
    #[must_use]
    pub fn missing(&self, granted: &ScopeSet, needed: &ScopeSet) -> ScopeSet {
        self.implications.missing(granted, needed)
    }

    /// Those of `scopes` that no other of them implies: they give the same.
    #[must_use]
    pub fn minimal(&self, scopes: &ScopeSet) -> ScopeSet {
        self.implications.minimal(scopes)
    }
}

impl RuleMap {
    fn read(
        node: &Node<'_>,
        normalise: impl Fn(&str, bool) -> Option<String>,
    ) -> Result<Self, PolicyError> {
        let mut map = Self::default();
        for (pattern, scopes) in node.entries()? {
            let set = read_set(&scopes)?;
            let (text, is_prefix) = match pattern.strip_suffix('*') {
                Some(prefix) => (prefix, true),
                None => (pattern, false),
            };
            if text.contains('*') || pattern.is_empty() {
                return Err(scopes.error("a pattern is a name, or a beginning followed by one *"));
            }
            let text = normalise(text, is_prefix).ok_or_else(|| {
                scopes.error("a pattern must be a URI in a form that can be compared, or begin one")
            })?;
            let repeated = if is_prefix {
                map.prefixes.insert((Reverse(text.len()), text), set)
            } else {
                map.exact.insert(text, set)
            };
            if repeated.is_some() {
                return Err(scopes.error("another pattern means the same"));
            }
        }
        Ok(map)
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// The rules for some of the names that begin so.
    fn within<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a ScopeSet> {
        let exact = self.exact.iter().filter(move |(name, _)| name.starts_with(beginning));
        let prefixes =
            self.prefixes.iter().filter(move |((_, prefix), _)| prefix.starts_with(beginning));
        exact.map(|(_, set)| set).chain(prefixes.map(|(_, set)| set))
    }

    /// The rule for all names that begin so, where no other is closer.
    fn around(&self, beginning: &str, kind: &str) -> Option<Rule<'_>> {
        self.prefixes.iter().find(|((_, prefix), _)| beginning.starts_with(prefix.as_str())).map(
            |((_, prefix), scopes)| Rule {
                scopes,
                text: format!("{kind}[\"{prefix}*\"]"),
                length: prefix.len(),
            },
        )
    }

    fn exact(&self, name: &str, kind: &str) -> Option<Rule<'_>> {
        self.exact.get(name).map(|scopes| Rule {
            scopes,
            text: format!("{kind}[\"{name}\"]"),
            length: name.len(),
        })
    }

    fn find(&self, name: &str, kind: &str) -> Option<Rule<'_>> {
        self.exact(name, kind).or_else(|| self.around(name, kind))
    }

    /// The rules for a resource by its URI without a query, but for those that are not as close as another
    /// whose pattern has more of the URI.
    fn bare(&self, uri: &str, length: usize) -> Vec<Rule<'_>> {
        bare_uris(uri)
            .filter(move |bare| bare.len() >= length)
            .filter_map(|bare| self.exact(bare, "resources"))
            .collect()
    }
}

fn read_set(node: &Node<'_>) -> Result<ScopeSet, PolicyError> {
    node.elements()?.iter().map(|element| element.parse(Scope::parse)).collect()
}

fn read_implications(node: &Node<'_>) -> Result<Implications, PolicyError> {
    let mut direct = Vec::new();
    for (scope, implied) in node.entries()? {
        let scope = Scope::parse(scope).map_err(|error| implied.error(error))?;
        direct.push((scope, read_set(&implied)?));
    }
    Implications::new(direct.iter().map(|(scope, implied)| (scope, implied)))
        .map_err(|error| node.error(error))
}
