//! A resource as its guard has to see it: the policy document (`docs/policy.md`), so that issuer and
//! edge never disagree about identifiers, scopes and what implies what.

use std::collections::BTreeSet;

use countersign_core::guard::Policy;
use serde_json::{Map, Value, json};

use crate::{Error, keys::DEFAULT_ALGORITHM, store::Resource};

/// What clients of MCP ask for before they call anything: lists, which need no more than the baseline.
const LISTS: [&str; 5] = [
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "completion/complete",
];

impl Resource {
    /// The policy document for a guard of this resource with tokens of this issuer.
    ///
    /// The baseline is the resource's first scope: what is granted when a client names none.
    /// `cluster` is Envoy's cluster for the issuer. With `deny_unlisted` an operation that no rule
    /// names is refused; without it, it needs the baseline.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a guard would not take it.
    pub fn policy(
        &self,
        issuer: &str,
        cluster: Option<&str>,
        deny_unlisted: bool,
    ) -> Result<Value, Error> {
        let words = |text: &str| text.split_whitespace().map(Value::from).collect::<Value>();
        // Status lists are signed by the default algorithm, whatever the tokens are signed with.
        let algorithms: BTreeSet<&str> =
            [self.token_alg.as_deref(), Some(DEFAULT_ALGORITHM.name())]
                .into_iter()
                .flatten()
                .collect();
        let mut trusted = json!({
            "issuer": issuer,
            "algorithms": algorithms,
            // Each token of this issuer has its place in a list.
            "status": "required",
        });
        if let Some(cluster) = cluster {
            trusted["cluster"] = json!(cluster);
        }
        let implies: Map<String, Value> = self
            .scopes
            .iter()
            .filter(|scope| !scope.implies.is_empty())
            .map(|scope| (scope.name.clone(), words(&scope.implies)))
            .collect();
        let tools: Map<String, Value> =
            self.tools.iter().map(|rule| (rule.tool.clone(), words(&rule.scopes))).collect();
        let baseline: Vec<&str> =
            self.scopes.first().map(|scope| scope.name.as_str()).into_iter().collect();
        let mut scopes = json!({ "baseline": baseline, "implies": implies, "tools": tools });
        if deny_unlisted {
            scopes["unlisted"] = json!("deny");
            scopes["methods"] =
                LISTS.iter().map(|method| ((*method).to_owned(), json!([]))).collect();
        }
        let document = json!({
            "issuers": [trusted],
            "resources": [{
                "resource": self.uri,
                "name": self.name,
                "scopes": scopes,
                // Whoever sends a proof gets a token that is bound to its key.
                "dpop": "accept",
            }],
        });
        match Policy::parse(document.to_string().as_bytes()) {
            Ok(_) => Ok(document),
            Err(error) => Err(Error::Invalid(format!("no guard would take this: {error}"))),
        }
    }
}
