//! EdDSA on Ed25519 (RFC 8032, RFC 8037 §3.1), by tables or by the reference crate `ed25519-dalek`.

use alloc::boxed::Box;
use core::fmt;

use curve25519_dalek::{
    constants::ED25519_BASEPOINT_TABLE, edwards::EdwardsBasepointTable, scalar::Scalar,
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

    /// As [`Key::verify`], by this key's table.
    ///
    /// `verify_strict` also decompresses R, to refuse what is no point or one of small order. That the
    /// computed point's encoding is R's shows the same.
    pub(crate) fn verify_by_table(&self, table: &Table, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        let s = Scalar::from_canonical_bytes(*signature.s_bytes());
        let Some(s) = s.into_option() else { return false };
        let hash = Sha512::new()
            .chain_update(signature.r_bytes())
            .chain_update(self.bytes())
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let point = ED25519_BASEPOINT_TABLE.mul_base(&s) + table.0.mul_base(&k);
        point.compress().as_bytes() == signature.r_bytes() && !point.is_small_order()
    }
}

/// The multiples of a key's negative, −A: curve25519-dalek's table for the base point, of another point.
pub(crate) struct Table(EdwardsBasepointTable);

impl Table {
    pub(crate) const SIZE: usize = size_of::<Self>();

    pub(crate) fn new(key: &Key) -> Self {
        Self(EdwardsBasepointTable::create(&-key.0.to_edwards()))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

/// The signature of the byte 72 (RFC 8032 §7.1, TEST 2).
pub(crate) const KNOWN_SIGNATURE: [u8; 64] = [
    0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
    0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
    0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
    0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
];

/// Whether it verifies by the key there, and not for another message.
pub(crate) fn self_test(known_signature: &[u8; 64]) -> bool {
    const KEY: [u8; 32] = [
        0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e,
        0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4,
        0x66, 0x0c,
    ];
    let Ok(key) = Key::new(&KEY) else { return false };
    let table = Box::new(Table::new(&key));
    let verdict = |message| key.verify_by_table(&table, message, known_signature);
    verdict(&[0x72]) && !verdict(&[0x73])
}
