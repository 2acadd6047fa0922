//! An OAuth 2.1 authorization server for MCP.
//!
//! Authorization code with PKCE S256 is the only grant in which a browser carries something back.
//! Tokens are RFC 9068 access tokens for exactly one resource (RFC 8707), and rotating, opaque refresh
//! tokens. Everything that must not be lost is in SQLite or PostgreSQL, secrets as digests only.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

mod admin;
mod admin_checks;
mod background;
mod claims;
mod client_document;
mod client_metadata;
mod clock;
mod config;
mod connections;
mod database;
mod error;
pub mod grant_types;
mod http;
mod issuer;
mod keys;
mod outbound;
mod password;
mod redirect_uri;
mod redis;
mod resource_policy;
mod seal;
mod secret;
mod server;
mod status;
mod store;
mod tokens;
mod turns;

/// The endpoints as an OpenAPI 3.1 document, in JSON: for tools that test or call them.
pub const OPENAPI: &str = include_str!("../openapi.json");

pub use admin::{NewClient, NewResource, NewScope, NewUser, RegisteredClient};
pub use config::{ClientDocuments, Config, Registration};
pub use database::Database;
pub use error::Error;
pub use keys::{Rotation, SigningKeys};
pub use outbound::{InvalidNetwork, Network, Outbound};
pub use redis::RedisUrl;
pub use seal::new_sealing_key;
pub use server::Server;
pub use store::{
    Backup, Client, ClientDocument, ClientKind, ClientResource, Grant, GrantState, Identity,
    IdentityProvider, InitialToken, Resource, ScopeText, SigningKeyInfo, Store, ToolRule, User,
};
pub use tokens::{Refusal, RevokedToken, StatusPlace, TokenInfo, TokenKind, TokenReport, Tokens};
