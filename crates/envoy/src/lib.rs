//! The Countersign engine as a proxy-wasm filter for Envoy.
//!
//! The filter carries bytes: request heads, bodies, key sets and the time go into
//! [`countersign_core::guard::Engine`], and what it answers is done to the request. No decision is
//! made here.
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "nothing is public but what the SDK's macro exports")]
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod audit;
mod debug;
mod decoration;
mod exchange;
mod filter;
mod host;
mod metrics;
mod parked;
mod record;
mod response;
mod root;
mod settings;
mod shared;
mod signatures;

proxy_wasm::main! {{
    std::panic::set_hook(Box::new(|info| {
        host::log(host::Level::Critical, &format!("countersign: {info}"));
    }));
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
