//! The Countersign engine for JavaScript hosts.
//!
//! Carries bytes between the TypeScript in `js/src` and [`countersign_core::guard::Engine`]. No
//! decision is made here, nor there.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod corpus;
mod engine;
mod fetch;
mod filter;
mod host;
mod inbox;
mod json;
mod latin1;
mod metadata;
mod pkce;
mod scopes;
mod session;
mod told;
mod waiting;
mod wire;

pub use corpus::WasmCorpus;
pub use engine::{Tells, WasmEngine};
pub use fetch::{fetch_accept, fetch_form_type, fetch_max_bytes, fetch_timeout};
pub use filter::WasmListFilter;
pub use host::{HostVerifier, known_answers, self_test};
pub use inbox::{inbox_bytes, inbox_start, module_memory};
pub use metadata::{
    authorization_server_metadata_urls, build_challenge, build_protected_resource_metadata,
    parse_authorization_server_metadata, parse_challenges, parse_protected_resource_metadata,
    protected_resource_metadata_url,
};
pub use pkce::{pkce_challenge, pkce_verifier, pkce_verify};
pub use scopes::minimal_scopes;
pub use session::seal_session;
pub use waiting::{Waiting, Wants};
