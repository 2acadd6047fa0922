//! The guard: a policy, and the engine that decides requests by it.

mod answer;
mod authentication;
mod body;
mod credentials;
mod decision;
mod engine;
mod explain;
mod failure_limit;
mod fetch;
mod identity;
mod inspect;
mod key_store;
mod list_filter;
mod offline;
pub mod policy;
mod possession;
mod proof;
mod request;
mod route;
mod status_store;
mod step;
mod token_cache;
mod trace;
mod verdict;

pub use decision::{Decision, Header, HeaderName, Response, Verdict};
pub use engine::Engine;
pub use fetch::{Fetch, FetchError, FetchId};
pub use identity::Identity;
pub use list_filter::{FilterStep, FilteredBody, ListFilter, ResponseHead};
pub use offline::{Outcome, decide_offline};
pub use policy::{Policy, PolicyError};
pub use proof::NonceSecret;
pub use request::{Host, RequestHead};
pub use step::{Answer, Forward, Pending, SignatureCheck, Step};
pub use trace::{CheckOutcome, Trace, TraceEntry};
