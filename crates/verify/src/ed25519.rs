//! EdDSA on Ed25519 (RFC 8032, RFC 8037 §3.1), by tables or by the reference crate `ed25519-dalek`.

use core::fmt;

use curve25519_dalek::{
    constants::ED25519_BASEPOINT_POINT, edwards::EdwardsBasepointTable, scalar::Scalar,
    traits::BasepointTable as _,
};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha512};

use crate::KeyError;

#[derive(Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(crate) fn new(x: &[u8]) -> Result<Self, KeyError> {
        let bytes = x.try_into().map_err(|_| KeyError::InvalidLength)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::InvalidPoint)?;
        // Under a key of small order one signature fits every message. The round trip refuses a
        // coordinate that is not reduced modulo p.
        if key.is_weak() || key.to_edwards().compress().as_bytes() != x {
            return Err(KeyError::InvalidPoint);
        }
        Ok(Self(key))
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }

    /// The key's name among tables.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// As [`Key::verify`], by this key's table and the base point's.
    ///
    /// `verify_strict` also decompresses R, to refuse what is no point or one of small order. That the
    /// computed point's encoding is R's shows the same.
    pub(crate) fn verify_by_table(
        &self,
        table: &Table,
        base: &Table,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        let s = Scalar::from_canonical_bytes(*signature.s_bytes());
        let Some(s) = s.into_option() else { return false };
        let hash = Sha512::new()
            .chain_update(signature.r_bytes())
            .chain_update(self.bytes())
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let point = base.0.mul_base(&s) + table.0.mul_base(&k);
        point.compress().as_bytes() == signature.r_bytes() && !point.is_small_order()
    }
}

/// The multiples of the base point B, or of a key's negative, −A: curve25519-dalek's table.
///
/// The crate has that of B among its constants too, 30 KB that do not compress: computed, it costs modules
/// nothing.
pub(crate) struct Table(EdwardsBasepointTable);

impl Table {
    pub(crate) const SIZE: usize = size_of::<Self>();

    pub(crate) fn of_base_point() -> Self {
        Self(EdwardsBasepointTable::create(&ED25519_BASEPOINT_POINT))
    }

    pub(crate) fn new(key: &Key) -> Self {
        Self(EdwardsBasepointTable::create(&-key.0.to_edwards()))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

/// The signature of "sample" by [`KNOWN_KEY`], with the hash of "countersign" as its nonce.
pub(crate) const KNOWN_SIGNATURE: [u8; 64] = [
    0x19, 0x35, 0x17, 0x64, 0x98, 0xa2, 0xb2, 0x92, 0x9b, 0x92, 0x2a, 0xab, 0xe0, 0xb8, 0x15, 0x2e,
    0xe6, 0x72, 0xc7, 0x5a, 0xeb, 0xe7, 0x9b, 0xf7, 0x9e, 0x56, 0xab, 0x0a, 0xfe, 0x85, 0x7b, 0xf2,
    0x3a, 0xbe, 0xda, 0xf6, 0x05, 0x0a, 0xe6, 0x20, 0x7e, 0x71, 0x04, 0x6d, 0xd8, 0x00, 0x6a, 0xa6,
    0xcc, 0x59, 0x1e, 0x9b, 0xc8, 0xc2, 0x79, 0x1d, 0xae, 0x54, 0x49, 0x10, 0x15, 0xdb, 0x5a, 0x09,
];

/// The key −B, whose table is the base point's: so that one table is computed for the known answer and is
/// kept, not two.
const KNOWN_KEY: [u8; 32] = [
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xe6,
];

/// Whether it verifies by the key there, and not for another message.
pub(crate) fn self_test(base: &Table, known_signature: &[u8; 64]) -> bool {
    let Ok(key) = Key::new(&KNOWN_KEY) else { return false };
    let verdict = |message| key.verify_by_table(base, base, message, known_signature);
    verdict(b"sample") && !verdict(b"test")
}

#[cfg(test)]
#[test]
fn the_known_answer_is_the_references_too() {
    let key = Key::new(&KNOWN_KEY).unwrap();
    assert_eq!(-key.0.to_edwards(), ED25519_BASEPOINT_POINT);
    assert!(key.verify(b"sample", &KNOWN_SIGNATURE) && !key.verify(b"test", &KNOWN_SIGNATURE));
    let base = Table::of_base_point();
    assert!(self_test(&base, &KNOWN_SIGNATURE));
    // RFC 8032 §7.1, TEST 2: with tables of two points.
    let key = Key::new(&[
        0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e,
        0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4,
        0x66, 0x0c,
    ])
    .unwrap();
    let signature = [
        0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25,
        0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb,
        0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0,
        0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16,
        0x12, 0xbb, 0x0c, 0x00,
    ];
    let table = Table::new(&key);
    assert!(key.verify_by_table(&table, &base, &[0x72], &signature));
    assert!(!key.verify_by_table(&table, &base, &[0x73], &signature));
    assert!(!key.verify_by_table(&base, &table, &[0x72], &signature));
}
