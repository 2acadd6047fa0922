//! What the fuzz targets share: lax readings of the same bytes by other code, to compare with.
#![forbid(unsafe_code)]

#[path = "../../crates/verify/tests/differential/encoder.rs"]
pub mod encoder;
pub mod guard;
pub mod lists;
pub mod model;
#[path = "../../crates/verify/tests/differential/random.rs"]
pub mod random;
#[path = "../../crates/verify/tests/differential/smooth.rs"]
pub mod smooth;
