//! The authorization server over real HTTP. Numbers of attacks and complaints are those of the
//! issuer's list of duties; everything else names its clause.
#![allow(clippy::unwrap_used, missing_docs)]

mod authorize;
mod browser;
mod client_auth;
mod client_credentials;
mod codes;
mod consent;
mod device;
mod documents;
mod exchange;
mod flow;
mod http;
mod identity_assertion;
mod introspection;
mod issuer;
mod keys;
mod limits;
mod login;
mod manage;
mod metadata;
mod openapi;
mod par;
mod private_key_jwt;
mod refresh;
mod register;
mod resource_settings;
mod resources;
mod restart;
mod revocation;
mod site;
mod stranger;
mod tokens;
