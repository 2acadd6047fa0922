//! What the fuzz targets share: lax readings of the same bytes by other code, to compare with.
#![forbid(unsafe_code)]

pub mod guard;
pub mod lists;
pub mod model;
