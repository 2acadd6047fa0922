//! HS256: HMAC with SHA-256 (RFC 2104, RFC 7518 §3.2), by the crate `hmac`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{KeyError, weak_secret::is_weak};

/// The state after the secret was taken in; the secret itself is not kept.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    pub(crate) fn new(secret: &[u8]) -> Result<Self, KeyError> {
        if is_weak(secret) {
            return Err(KeyError::WeakSecret);
        }
        // HMAC takes secrets of every length.
        Hmac::new_from_slice(secret).map(Self).map_err(|_| KeyError::InvalidLength)
    }

    /// The comparison takes the same time wherever the tags differ; a shortened tag is refused.
    pub(crate) fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        self.0.clone().chain_update(message).verify_slice(tag).is_ok()
    }
}
