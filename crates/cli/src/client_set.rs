//! `countersign client set`: what is changed in a client.

use std::path::PathBuf;

use clap::ValueEnum;
use countersign_issuer::{ClientResource, Error, NewClient, grant_types};

use crate::{
    client::{grant_types_for, of_resource, read_keys, resource_and_scopes},
    output::Problem,
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args([
    "name", "redirect_uris", "service", "exchanges", "identity_assertions", "device", "introspects",
    "default_resource", "jwks", "dpop", "signed_requests", "without",
])))]
pub(crate) struct Set {
    /// The client_id
    id: String,
    /// A name for the consent page
    #[arg(long)]
    name: Option<String>,
    /// Where its users may be sent back to, instead of all before; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// A resource that it may use for itself, and the scopes for that, separated by commas, instead of
    /// all before; may be repeated
    #[arg(long, value_name = "URI=SCOPES")]
    service: Vec<String>,
    /// A resource that it may have tokens for by exchange, and the scopes for that, separated by commas,
    /// instead of all before; may be repeated
    #[arg(long, value_name = "URI=SCOPES")]
    exchanges: Vec<String>,
    /// It may come with assertions about users, made by an identity provider
    #[arg(long)]
    identity_assertions: bool,
    /// Its users log in elsewhere, with a code that it shows
    #[arg(long)]
    device: bool,
    /// A resource that it is the server of, instead of all before; may be repeated
    #[arg(long, value_name = "URI")]
    introspects: Vec<String>,
    /// The resource that it means when it names none
    #[arg(long, value_name = "URI")]
    default_resource: Option<String>,
    /// Its public keys, where it has keys: a file with a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Give it no tokens but those that are bound to a key of its own
    #[arg(long)]
    dpop: bool,
    /// Take no authorization requests of it but those that it signed
    #[arg(long)]
    signed_requests: bool,
    /// What to take away; may be repeated
    #[arg(long, value_name = "WHAT")]
    without: Vec<Part>,
}

/// What can be taken away from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    DefaultResource,
    Device,
    Dpop,
    Exchanges,
    IdentityAssertions,
    Introspects,
    RedirectUri,
    Service,
    SignedRequests,
}

/// What [`Set`] says, read.
#[derive(Debug)]
pub(crate) struct Changes {
    set: Set,
    jwks: Option<String>,
    /// What is said about resources.
    said: Vec<ClientResource>,
}

impl Set {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn read(self) -> Result<Changes, Problem> {
        let mut said = Vec::new();
        for rule in &self.service {
            let (uri, scopes) = resource_and_scopes("--service", rule)?;
            of_resource(&mut said, uri).scopes = scopes;
        }
        for rule in &self.exchanges {
            let (uri, scopes) = resource_and_scopes("--exchanges", rule)?;
            of_resource(&mut said, uri).exchanges = scopes;
        }
        for uri in &self.introspects {
            of_resource(&mut said, uri).introspects = true;
        }
        Ok(Changes { jwks: read_keys(self.jwks.as_deref())?, said, set: self })
    }
}

impl Changes {
    pub(crate) fn apply(self, client: &mut NewClient) -> Result<(), Error> {
        let Self { set, jwks, said } = self;
        let without = |part: Part| set.without.contains(&part);
        let has =
            |client: &NewClient, grant: &str| client.grant_types.iter().any(|known| known == grant);
        let device = set.device || has(client, grant_types::DEVICE_CODE) && !without(Part::Device);
        let assertions = set.identity_assertions
            || has(client, grant_types::JWT_BEARER) && !without(Part::IdentityAssertions);
        if let Some(name) = set.name {
            client.name = name;
        }
        if !set.redirect_uris.is_empty() || without(Part::RedirectUri) {
            client.redirect_uris = set.redirect_uris;
        }
        for known in &mut client.resources {
            if !set.service.is_empty() || without(Part::Service) {
                known.scopes.clear();
            }
            if !set.exchanges.is_empty() || without(Part::Exchanges) {
                known.exchanges.clear();
            }
            known.introspects &= set.introspects.is_empty() && !without(Part::Introspects);
        }
        client.resources.retain(|known| {
            !known.scopes.is_empty() || !known.exchanges.is_empty() || known.introspects
        });
        for ClientResource { resource, scopes, exchanges, introspects } in said {
            let known = of_resource(&mut client.resources, &resource);
            known.introspects |= introspects;
            if !scopes.is_empty() {
                known.scopes = scopes;
            }
            if !exchanges.is_empty() {
                known.exchanges = exchanges;
            }
        }
        if set.default_resource.is_some() || without(Part::DefaultResource) {
            client.default_resource = set.default_resource;
        }
        client.jwks = jwks.or_else(|| client.jwks.take());
        client.dpop_bound = set.dpop || client.dpop_bound && !without(Part::Dpop);
        client.signed_requests =
            set.signed_requests || client.signed_requests && !without(Part::SignedRequests);
        let redirects = !client.redirect_uris.is_empty();
        client.grant_types = grant_types_for(redirects, device, &client.resources, assertions);
        if client.grant_types.is_empty() && client.resources.is_empty() {
            return Err(Error::Invalid("nothing is left that the client may do".to_owned()));
        }
        Ok(())
    }
}
