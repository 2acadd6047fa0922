//! Data that the workers' modules share: what one puts there, all of the same `vm_id` can read.
//!
//! They outlive a change of the configuration. A write may depend on nobody having written since
//! (compare and swap); Envoy does not compare where there is nothing yet, and a comparison with 0 always
//! succeeds.

use core::ptr;

use super::{HostError, NOT_FOUND, check, take};

/// Names one state of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u32);

impl Version {
    /// That of a value which does not exist: to write with it succeeds only as long as nobody has
    /// written. A host counts versions up from 1.
    pub(crate) const ABSENT: Self = Self(u32::MAX);

    /// Whatever is there: to write with it always succeeds.
    pub(crate) const ANY: Self = Self(0);
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_shared_data(
        key: *const u8,
        key_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_length: usize,
        data: *const u8,
        length: usize,
        version: u32,
    ) -> u32;
}

/// A value and its version, if there is one.
pub(crate) fn shared(key: &str) -> Result<Option<(Vec<u8>, Version)>, HostError> {
    let (mut data, mut length, mut version) = (ptr::null_mut(), 0, 0);
    // SAFETY: pointer and length are those of a live string; the host writes a pointer and two numbers.
    let status = unsafe {
        proxy_get_shared_data(
            key.as_ptr(),
            key.len(),
            &raw mut data,
            &raw mut length,
            &raw mut version,
        )
    };
    match status {
        NOT_FOUND => Ok(None),
        status => check(status).map(|()| Some((take(data, length), Version(version)))),
    }
}

/// Writes a value if it still has this version; `false` when another one was faster.
pub(crate) fn set_shared(
    key: &str,
    value: &[u8],
    Version(version): Version,
) -> Result<bool, HostError> {
    const CAS_MISMATCH: u32 = 8;
    // SAFETY: pointers and lengths are those of live slices.
    let status = unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version)
    };
    match status {
        CAS_MISMATCH => Ok(false),
        status => check(status).map(|()| true),
    }
}
