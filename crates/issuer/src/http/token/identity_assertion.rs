//! Identity assertions (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant): a company's identity
//! provider says that a client may act for a user, and the user is asked nothing here. MCP's
//! enterprise-managed authorization.
//!
//! It is a grant `jwt-bearer` (RFC 7523 §2.1), and the only kind of one.

use axum::{http::StatusCode, response::Response};
use countersign_core::oauth::scope::{Scope, ScopeSet};
use serde_json::json;

use super::{
    super::{
        App,
        assertion::{self, Expected},
        client_keys::{KeySource, signed},
        dpop::Possession,
        issue::{self, Granted},
        params::Params,
        reply,
        request::find_resource,
    },
    Failure, refuse,
};
use crate::{
    clock,
    secret::{self, Kind},
    store::{Client, NewGrant, Resource},
    tokens::auth_time,
};

/// The only `typ` (RFC 8725 §3.11): nothing that was made for another purpose is taken for one.
const TYPES: [&str; 1] = ["oauth-id-jag+jwt"];

/// Claims that narrow an assertion, or say more of who it is about. Who does not heed them must not
/// take it: a key that has to be shown, finer rights, an actor, a tenant that the subject belongs to.
const NOT_HEEDED: [&str; 5] = ["act", "aud_tenant", "authorization_details", "cnf", "tenant"];

pub(super) async fn redeem(
    app: &App,
    client: &Client,
    form: &Params,
    possession: Option<&Possession>,
) -> Result<Response, Failure> {
    let text =
        form.get("assertion").ok_or_else(|| refuse("invalid_request", "assertion is missing"))?;
    let refused = |why: &'static str| {
        tracing::info!(reason = "identity_assertion_refused", client = client.id, "{why}");
        refuse("invalid_grant", "The assertion is not valid here")
    };
    let issuer = assertion::claimed_issuer(text).ok_or_else(|| refused("it is no JWT"))?;
    // What this server says of a user is no grant for more (draft, "Cross-Domain Use").
    let provider = match app.store.identity_provider(&issuer).await? {
        Some(provider) if issuer != app.issuer.as_str() => provider,
        _ => return Err(refused("its issuer is not trusted")),
    };
    let check =
        |keys: &_| assertion::check_grant(text, &Expected::of(app, keys, &TYPES, &provider.issuer));
    let assertion = signed(app, KeySource::from(&provider), None, check).await?.map_err(refused)?;
    let claims = &assertion.claims;
    if claims.client_id.as_ref() != Some(&client.id) {
        return Err(refused("it is for another client"));
    }
    if NOT_HEEDED.iter().any(|name| claims.all.contains_key(*name)) {
        return Err(refused("it has a claim that is not heeded here"));
    }
    let subject = claims.subject.as_deref().ok_or_else(|| refused("it has no sub"))?;
    let user = app.store.user_of_identity(&issuer, subject).await?;
    let user = user.ok_or_else(|| refused("its sub is nobody here, or is locked out"))?;
    let resources = app.store.known_resources().await?;
    let resource = resource(form.all("resource"), &claims.resource, &resources)?;
    let named = claims.all.contains_key("scope").then_some(&claims.scope);
    let scopes = scopes(form.get("scope"), named, resource)?;
    let access_token = issue::plan(app, &resource.uri, None, possession).await?;
    // Last, and after the proof: what was refused for another reason may still come right.
    let forget_at = i64::try_from(assertion.forget_at).unwrap_or(i64::MAX);
    let made_at = claims.issued_at.and_then(|at| i64::try_from(at).ok());
    let id = &assertion.token_id;
    if !app.is_first_use("identity_assertion", &issuer, id, made_at, forget_at).await? {
        return Err(refused("it was used before (jti)"));
    }
    let auth_time = auth_time(claims).filter(|time| *time <= clock::now());
    let grant = NewGrant {
        id: &secret::new(Kind::GrantId)?,
        user_id: &user,
        client_id: &client.id,
        resource: &resource.uri,
        scopes: &scopes.to_string(),
        nonce: None,
        // The provider may not say; that it spoke of the user is the least there is.
        auth_time: auth_time.unwrap_or_else(clock::now),
    };
    let issued = access_token.row();
    if !app.store.add_asserted_grant(client, &grant, &issued).await? {
        return Err(refused("the client or the user is locked out"));
    }
    let uri = &resource.uri;
    tracing::info!(client = client.id, resource = uri, idp = issuer, "granted: {scopes}");
    let granted = Granted {
        subject: &user,
        client_id: &client.id,
        resource: uri,
        scopes: &scopes,
        auth_time,
        nonce: None,
        actor: None,
    };
    // No refresh token: the client gets another assertion, if the provider still agrees.
    let mut response = issue::response(app, granted, &access_token).await?;
    response["resource"] = json!(uri);
    Ok(reply::json(StatusCode::OK, &response))
}

/// The resource, which the assertion must name (enterprise-managed authorization §4.3); the request
/// may pick one of several.
fn resource<'a>(
    requested: &[String],
    named: &[String],
    resources: &'a [Resource],
) -> Result<&'a Resource, Failure> {
    if named.is_empty() {
        return Err(refuse("invalid_grant", "The assertion names no resource"));
    }
    let wanted = if requested.is_empty() { named } else { requested };
    let resource = find_resource(wanted, resources, None)
        .map_err(|error| refuse(error.error, error.description))?;
    match named.iter().any(|name| resource.is_meant_by(name)) {
        true => Ok(resource),
        false => Err(refuse("invalid_target", "The assertion is for another resource")),
    }
}

/// What the provider names and the resource has, or the least where it names nothing; a request may
/// ask for less.
fn scopes(
    requested: Option<&str>,
    named: Option<&ScopeSet>,
    resource: &Resource,
) -> Result<ScopeSet, Failure> {
    let wrong = |text| refuse("invalid_scope", text);
    let has = |scope: &&Scope| resource.description(scope).is_some();
    let given = match named {
        None => resource.default_scope(),
        Some(named) => named.iter().filter(has).cloned().collect(),
    };
    let scopes = match requested {
        None => given,
        Some(text) => {
            let scopes = ScopeSet::parse(text).map_err(|_| wrong("The scope is malformed"))?;
            let implications = resource.implications();
            let is_given = |scope: &Scope| has(&scope) && implications.grants(&given, scope);
            if !scopes.iter().all(is_given) {
                return Err(wrong("The assertion does not give these scopes"));
            }
            scopes
        }
    };
    match scopes.is_empty() {
        false => Ok(scopes),
        true => Err(wrong("The assertion gives no scope that the resource has")),
    }
}
