//! A status list as it is published (draft-ietf-oauth-status-list-21 §4, §5.1): one bit for each
//! token, compressed and signed.

use countersign_core::{
    jose::{base64url, jwks::GENERATION},
    oauth::status_list::TYPE,
};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::json;

use crate::{Error, keys::Signer};

/// Seconds after which whoever holds a list should ask again (`ttl`), however long it may be used: how soon a
/// revocation is seen does not depend on what is configured for bad days.
const TTL: i64 = 5;

/// How hard to compress: few bits are set, the best level costs under a millisecond.
const LEVEL: u8 = 6;

/// One bit for each place; 1 is revoked (§7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    /// So many places, none of them revoked.
    #[cfg(test)]
    fn new(places: u32) -> Self {
        Self(vec![0; places.div_ceil(8) as usize])
    }

    /// As they are stored; `None` when there are not as many as the list has places.
    pub(crate) fn from_bytes(bytes: Vec<u8>, places: u32) -> Option<Self> {
        (bytes.len() == places.div_ceil(8) as usize).then_some(Self(bytes))
    }

    /// Marks a place as revoked; one outside of the list changes nothing.
    pub(crate) fn set(&mut self, place: u32) {
        if let Some(byte) = self.0.get_mut((place / 8) as usize) {
            *byte |= 1 << (place % 8);
        }
    }

    /// Whether a place is revoked. There is none outside of the list: that counts as revoked.
    pub(crate) fn is_set(&self, place: u32) -> bool {
        self.0.get((place / 8) as usize).is_none_or(|byte| byte & (1 << (place % 8)) != 0)
    }

    /// The status list token (§5.1), which is not to be used after `lifetime` seconds. `generation` is that of the key set: whoever holds an older one fetches
    /// it, and so drops a key that was revoked.
    pub(crate) fn sign(
        &self,
        signer: &Signer,
        uri: &str,
        (now, lifetime): (i64, i64),
        generation: i64,
    ) -> Result<String, Error> {
        let lst = base64url::encode(compress_to_vec_zlib(&self.0, LEVEL));
        let claims = json!({
            "sub": uri,
            "iat": now,
            "exp": now + lifetime,
            "ttl": TTL,
            "status_list": { "bits": 1, "lst": lst },
            GENERATION: generation,
        });
        signer.sign(TYPE, &claims)
    }
}

#[cfg(test)]
mod tests {
    use miniz_oxide::inflate::decompress_to_vec_zlib;

    use super::*;

    /// The example of §4.1: places from the lowest bit of the first byte on.
    #[test]
    fn draft_example() {
        let mut bits = Bits::new(16);
        for (place, status) in (0..).zip([1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]) {
            if status == 1 {
                bits.set(place);
            }
            assert_eq!(bits.is_set(place), status == 1);
        }
        assert_eq!(bits.0, [0xb9, 0xa3]);
        let published = base64url::decode("eNrbuRgAAhcBXQ").unwrap();
        assert_eq!(decompress_to_vec_zlib(&published).unwrap(), bits.0);
    }

    #[test]
    fn outside_of_the_list_is_revoked() {
        let mut bits = Bits::new(16);
        bits.set(16);
        assert_eq!(bits, Bits::new(16));
        assert!(bits.is_set(16) && bits.is_set(u32::MAX));
    }
}
