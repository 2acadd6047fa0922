//! Resources, audiences, scopes, challenges, metadata and PKCE, against models that are written apart
//! from the engine: slower, and simple enough to be seen to be right.

mod audience;
mod challenge;
mod metadata;
mod pkce;
mod resource;
mod rules;
mod scope;
