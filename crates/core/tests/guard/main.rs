//! The engine as its hosts use it: over time, with keys that come and go, with several requests at
//! once, and by hosts that err. What one request can show stands in `tests/vectors/guard.json`.

mod aggregation;
mod arbitrary;
mod cache;
mod certificates;
mod clock;
mod dpop;
mod edges;
mod failures;
mod generations;
mod hosts;
mod introspection;
mod keys;
mod lists;
mod parked;
mod policy;
mod routes;
mod subtle;
mod support;
mod times;
