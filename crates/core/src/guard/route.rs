//! Which resource a request is for, and what is answered without asking for a token.

use super::{
    policy::{Policy, ResourcePolicy},
    request::{Host, RequestHead},
};
use crate::{
    Reason,
    mcp::ambiguous_path,
    oauth::metadata::{PROTECTED_RESOURCE_PATH, protected_resource_url},
    oauth::resource::split,
};

/// Where a request belongs; numbers are positions in [`Policy::resources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The resource's metadata document.
    Metadata(usize),
    /// A path that needs a token.
    Protected(usize),
    /// A path that needs none.
    Public(usize),
    /// Refused whatever the credentials.
    Refuse(Reason),
}

/// By host and path.
pub(super) fn route(policy: &Policy, head: &RequestHead<'_>) -> Route {
    let Some(path) = plain_path(head) else {
        return Route::Refuse(Reason::PathAmbiguous);
    };
    let Some(host) = Host::parse(head.authority) else {
        return Route::Refuse(Reason::ResourceUnknown);
    };
    let on_host = || on_host(policy, &host);
    if on_host().next().is_none() {
        return Route::Refuse(Reason::ResourceUnknown);
    }
    if let Some(rest) = path.strip_prefix(PROTECTED_RESOURCE_PATH) {
        let named = on_host()
            .filter(|(_, resource)| metadata_path(resource) == path)
            .min_by_key(|(_, resource)| !names_port(resource, &host));
        // At the root, where one document can only speak of one resource.
        let at_root =
            || (matches!(rest, "" | "/") && on_host().count() == 1).then(|| on_host().next());
        return match named.or_else(|| at_root().flatten()) {
            Some((index, _)) => Route::Metadata(index),
            None => Route::Refuse(Reason::MetadataUnknown),
        };
    }
    if is_well_known(path) {
        return Route::Refuse(Reason::MetadataUnknown);
    }
    let found = on_host()
        .filter(|(_, resource)| covers(&resource.path, path))
        .max_by_key(|(_, resource)| resource.path.len());
    if found.is_some_and(|(_, found)| on_host().any(|(_, other)| hides(other, found, path))) {
        return Route::Refuse(Reason::PathAmbiguous);
    }
    if let Some((index, _)) = on_host().find(|(_, resource)| is_public(resource, path)) {
        return Route::Public(index);
    }
    found.map_or(Route::Refuse(Reason::ResourceUnknown), |(index, _)| Route::Protected(index))
}

/// Whether a server that takes no note of case, as Express does by default, would serve a path of another
/// resource, one inside of the found one: the token for the outer one must not open it.
fn hides(other: &ResourcePolicy, found: &ResourcePolicy, path: &str) -> bool {
    let start = path.get(..other.path.len());
    other.path.len() > found.path.len()
        && start.is_some_and(|start| start.eq_ignore_ascii_case(&other.path))
        && path.get(other.path.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The resources that a request to this host may be for. One that covers every port gives way to one of the
/// same path that names the port.
fn on_host<'a>(
    policy: &'a Policy,
    host: &'a Host,
) -> impl Iterator<Item = (usize, &'a ResourcePolicy)> {
    let covering = || {
        let covers =
            |resource: &ResourcePolicy| resource.hosts.iter().any(|covered| covered.covers(host));
        policy.resources.iter().enumerate().filter(move |(_, resource)| covers(resource))
    };
    let gives_way = move |resource: &ResourcePolicy| {
        let takes = |other: &ResourcePolicy| other.path == resource.path && names_port(other, host);
        !names_port(resource, host) && covering().any(|(_, other)| takes(other))
    };
    covering().filter(move |(_, resource)| !gives_way(resource))
}

fn names_port(resource: &ResourcePolicy, host: &Host) -> bool {
    resource.hosts.iter().any(|covered| covered.names_port() && covered.covers(host))
}

/// The same where the host says which resource a request is for: by its identifier, whatever the
/// request's host is, and every path is the resource's.
pub(super) fn route_to(policy: &Policy, resource: &str, head: &RequestHead<'_>) -> Route {
    let Some(path) = plain_path(head) else {
        return Route::Refuse(Reason::PathAmbiguous);
    };
    let is_named = |policy: &ResourcePolicy| policy.audience.resource.as_str() == resource;
    let Some((index, resource)) =
        policy.resources.iter().enumerate().find(|(_, policy)| is_named(policy))
    else {
        return Route::Refuse(Reason::ResourceUnknown);
    };
    if metadata_path(resource) == path {
        Route::Metadata(index)
    } else if is_well_known(path) {
        Route::Refuse(Reason::MetadataUnknown)
    } else if is_public(resource, path) {
        Route::Public(index)
    } else {
        Route::Protected(index)
    }
}

/// The path, when every server would understand the same by it.
fn plain_path<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let (path, _) = head.target()?;
    (path.starts_with('/') && !ambiguous_path(path)).then_some(path)
}

fn is_public(resource: &ResourcePolicy, path: &str) -> bool {
    let trimmed = if path == "/" { path } else { path.trim_end_matches('/') };
    resource.public_paths.iter().any(|public| public == trimmed)
}

/// No catch-all page of the server may answer where clients probe for OAuth documents.
fn is_well_known(path: &str) -> bool {
    path.contains("/.well-known/oauth-") || path.contains("/.well-known/openid-configuration")
}

/// Whether a path is the covered one or lies below it.
fn covers(covered: &str, path: &str) -> bool {
    path.strip_prefix(covered)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || covered == "/")
}

/// The path of the resource's metadata document on its host.
fn metadata_path(resource: &ResourcePolicy) -> alloc::string::String {
    let url = protected_resource_url(&resource.audience.resource);
    let (_, _, path) = split(&url).unwrap_or_default();
    path.split('?').next().unwrap_or(path).into()
}
