//! The least scopes that a client has to ask for, to do what it means to do.

use core::fmt;

use super::policy::ResourcePolicy;
use crate::{Reason, mcp::operation::Operation, oauth::scope::ScopeSet};

/// An operation that the policy refuses whatever the scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnattainableOperation {
    /// The operation.
    pub operation: Operation,
    /// Why no scope helps: [`Reason::OperationDenied`] or [`Reason::UriAmbiguous`].
    pub reason: Reason,
}

impl fmt::Display for UnattainableOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no scope allows {}: {}", self.operation, self.reason.meaning())
    }
}

impl core::error::Error for UnattainableOperation {}

/// The least set of scopes with which `resource` allows all of `operations`: with any of them missing
/// one operation would be refused, and together they give nothing that the operations do not need.
///
/// That is what a client should ask its issuer for (least privilege, RFC 9700 §2.3). The baseline is
/// part of it, since every request needs it; a scope that another one of the set implies is not. The
/// order is that in which the rules name the scopes.
///
/// # Errors
/// [`UnattainableOperation`] names the first operation that no scope allows.
///
/// ```
/// use countersign_core::{guard::{Policy, minimal_scopes}, mcp::operation::Operation};
///
/// let policy = Policy::parse(br#"{
///     "issuers": [{ "issuer": "https://auth.example.com" }],
///     "resources": [{
///         "resource": "https://mcp.example.com/files/mcp",
///         "scopes": {
///             "baseline": ["mcp:use"],
///             "implies": { "files:write": ["files:read"] },
///             "tools": { "read_file": ["files:read"], "write_*": ["files:write"] },
///             "unlisted": "deny"
///         }
///     }]
/// }"#).unwrap();
/// let files = &policy.resources[0];
/// let tool = |name: &str| Operation::Tool(name.into());
///
/// let scopes = minimal_scopes(files, &[tool("read_file")]).unwrap();
/// assert_eq!(scopes.to_string(), "mcp:use files:read");
///
/// // Whoever may write may read.
/// let scopes = minimal_scopes(files, &[tool("read_file"), tool("write_file")]).unwrap();
/// assert_eq!(scopes.to_string(), "mcp:use files:write");
///
/// assert!(minimal_scopes(files, &[tool("format_disk")]).is_err());
/// ```
pub fn minimal_scopes(
    resource: &ResourcePolicy,
    operations: &[Operation],
) -> Result<ScopeSet, UnattainableOperation> {
    let rules = &resource.scopes;
    let mut needed = rules.baseline().clone();
    for operation in operations {
        let unattainable = |reason| UnattainableOperation { operation: operation.clone(), reason };
        needed = needed.union(&rules.needed(operation).map_err(unattainable)?.needed);
    }
    Ok(rules.minimal(&needed))
}
