//! What an administrator adds or changes is checked here, before anything is stored.

use std::{collections::BTreeMap, fmt::Display};

use countersign_core::oauth::{
    resource::ResourceId,
    scope::{Implications, Scope, ScopeSet},
};

use crate::{
    Error,
    admin::{NewClient, NewResource},
    client_metadata, grant_types,
    http::GENERAL_SCOPES,
    password, redirect_uri,
    store::{ClientResource, Resource, ScopeText},
};

/// Long enough to be hashed, and not to keep the hash busy.
pub(crate) fn check_password(password: &str) -> Result<(), Error> {
    let is_long = password.chars().count() >= password::MIN_LENGTH;
    match is_long && password.len() <= password::MAX_LENGTH {
        true => Ok(()),
        false => Err(Error::Invalid("a password has at least 8 characters".to_owned())),
    }
}

/// What is wrong with a resource, beside these others, is found here.
pub(crate) fn checked_resource(new: NewResource, others: &[Resource]) -> Result<Resource, Error> {
    let invalid =
        |subject: &str, error: &dyn Display| Error::Invalid(format!("{subject}: {error}"));
    for uri in [&new.uri].into_iter().chain(&new.aliases) {
        ResourceId::parse(uri).map_err(|error| invalid(uri, &error))?;
    }
    if new.scopes.is_empty() {
        return Err(Error::Invalid(
            "a resource needs at least one scope, like --scope 'files:read=Read your files'"
                .to_owned(),
        ));
    }
    let mut direct = BTreeMap::new();
    for scope in &new.scopes {
        let name = Scope::parse(&scope.name).map_err(|error| invalid(&scope.name, &error))?;
        if GENERAL_SCOPES.contains(&name.as_str()) {
            return Err(Error::Invalid(format!("the scope {name} has a meaning of its own")));
        }
        let is_known = |name: &String| new.scopes.iter().any(|known| known.name == *name);
        if let Some(unknown) = scope.implies.iter().find(|name| !is_known(name)) {
            let text = format!("{name} implies {unknown}, which is no scope here");
            return Err(Error::Invalid(text));
        }
        let implied = ScopeSet::parse(&scope.implies.join(" "))
            .map_err(|error| invalid(&scope.name, &error))?;
        direct.insert(name, implied);
    }
    Implications::new(&direct).map_err(|error| invalid(&new.uri, &error))?;
    let is_same = |other: &&Resource| {
        other.is_meant_by(&new.uri) || new.aliases.iter().any(|alias| other.is_meant_by(alias))
    };
    if let Some(other) = others.iter().find(is_same) {
        return Err(Error::Exists(format!("the resource {} is the same one", other.uri)));
    }
    let scopes = new.scopes.into_iter().map(|scope| ScopeText {
        name: scope.name,
        description: scope.description,
        implies: scope.implies.join(" "),
    });
    let resource = Resource {
        uri: new.uri,
        name: new.name,
        is_default: new.is_default,
        aliases: new.aliases,
        scopes: scopes.collect(),
        tools: new.tools,
        token_lifetime: new.token_lifetime.map(i64::from),
        token_alg: new.token_alg,
    };
    check_tokens(&resource)?;
    // Whatever is wrong with tools and scopes, the guard's own reader finds it.
    resource.policy("https://issuer.example", None, true)?;
    Ok(resource)
}

/// Lifetime and algorithm of a resource's tokens, and that its tools ask for scopes that it has.
fn check_tokens(resource: &Resource) -> Result<(), Error> {
    if resource.token_lifetime.is_some_and(|seconds| !(10..=86_400).contains(&seconds)) {
        return Err(Error::Invalid("a token lifetime is between 10 and 86400 seconds".to_owned()));
    }
    if let Some(alg) = &resource.token_alg
        && !matches!(alg.as_str(), "ES256" | "RS256" | "EdDSA")
    {
        return Err(Error::Invalid(format!("{alg}: tokens are signed with ES256, RS256 or EdDSA")));
    }
    for rule in &resource.tools {
        let known = |name: &str| resource.scopes.iter().any(|scope| scope.name == name);
        if let Some(unknown) = rule.scopes.split_whitespace().find(|name| !known(name)) {
            let text = format!("the tool {} needs {unknown}, which is no scope here", rule.tool);
            return Err(Error::Invalid(text));
        }
    }
    Ok(())
}

/// What is wrong with a client is found here.
pub(crate) fn check_client(new: &NewClient, resources: &[Resource]) -> Result<(), Error> {
    if new.name.contains('\0') {
        return Err(Error::Invalid("a client name has no NUL".to_owned()));
    }
    grant_types::check(&new.grant_types, &new.auth_method).map_err(Error::Invalid)?;
    let has_users = new.grant_types.iter().any(|grant| grant == "authorization_code");
    if new.redirect_uris.len() > 20 || has_users == new.redirect_uris.is_empty() {
        return Err(Error::Invalid("a client with users has 1 to 20 redirect URIs".to_owned()));
    }
    for uri in &new.redirect_uris {
        redirect_uri::check(uri)
            .map_err(|why| Error::Invalid(format!("the redirect URI {uri:?} {why}")))?;
    }
    if let Some(jwks) = &new.jwks {
        client_metadata::check_key_set(jwks)?;
    }
    if (new.auth_method == "private_key_jwt") != new.jwks.is_some() {
        return Err(Error::Invalid("keys and private_key_jwt belong together".to_owned()));
    }
    if new.signed_requests && new.jwks.is_none() {
        return Err(Error::Invalid("a client that signs its requests needs keys".to_owned()));
    }
    if new.auth_method == "none" && (new.grant_types.is_empty() || !new.resources.is_empty()) {
        let text = "a client that acts without users needs a secret or keys";
        return Err(Error::Invalid(text.to_owned()));
    }
    let exchanges = new.resources.iter().any(|resource| !resource.exchanges.is_empty());
    if exchanges != new.grant_types.iter().any(|grant| grant == grant_types::TOKEN_EXCHANGE) {
        let text = "token exchange is for certain resources and scopes: name them";
        return Err(Error::Invalid(text.to_owned()));
    }
    check_client_resources(&new.resources, resources)?;
    if let Some(uri) = &new.default_resource
        && !resources.iter().any(|resource| resource.uri == *uri)
    {
        return Err(Error::Invalid(format!("there is no resource {uri}")));
    }
    Ok(())
}

fn check_client_resources(wanted: &[ClientResource], resources: &[Resource]) -> Result<(), Error> {
    for ClientResource { resource: uri, scopes, exchanges, introspects } in wanted {
        let resource = resources.iter().find(|known| known.uri == *uri);
        let resource =
            resource.ok_or_else(|| Error::Invalid(format!("there is no resource {uri}")))?;
        let parse = |text: &str| {
            ScopeSet::parse(text).map_err(|error| Error::Invalid(format!("{uri}: {error}")))
        };
        let scopes = parse(scopes)?.union(&parse(exchanges)?);
        if scopes.is_empty() && !introspects {
            return Err(Error::Invalid(format!("{uri}: name at least one scope")));
        }
        if let Some(unknown) = scopes.iter().find(|scope| resource.description(scope).is_none()) {
            return Err(Error::Invalid(format!("{uri} has no scope {unknown}")));
        }
    }
    Ok(())
}
