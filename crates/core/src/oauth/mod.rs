//! The parts of OAuth that guard and issuer share.

pub mod challenge;
pub mod dpop;
pub mod introspection;
pub mod metadata;
pub mod pkce;
pub mod resource;
pub mod scope;
pub mod status_list;
pub mod www_authenticate;
