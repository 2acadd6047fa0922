//! The reference verifiers for ECDSA and RSA: the crates `p256`, `p384` and `rsa`, and nothing of our own.
//!
//! They are generic code, which is compiled in the crate that names its types. In a crate of its own it can be
//! compiled for size, while what `countersign-verify` computes by itself is compiled for speed. Nothing is
//! inlined into that: it would be compiled for speed there.
//!
//! Digests are given; a digest of another length than the algorithm's never verifies. Bounds of keys are checked
//! by `countersign-verify`, whose keys these are parts of.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod ecdsa;
mod rsa;

pub use crate::{
    ecdsa::{P256Key, P384Key},
    rsa::{RsaAlgorithm, RsaKey},
};
