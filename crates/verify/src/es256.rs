//! ES256: ECDSA on P-256 with SHA-256 (RFC 7518 §3.4), by tables or by the reference crate `p256`.

use countersign_reference::P256Key;
use sha2::Sha256;

use crate::{
    KeyError,
    curve::{Generator, KeyTable},
    signed::Signed,
};

#[derive(Clone)]
pub(crate) struct Key {
    reference: P256Key,
    /// x and y.
    coordinates: [u8; 64],
}

impl Key {
    pub(crate) fn new(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let point = uncompressed::<65>(x, y)?;
        let reference = P256Key::from_sec1(&point).ok_or(KeyError::InvalidPoint)?;
        let [_, coordinates @ ..] = point;
        Ok(Self { reference, coordinates })
    }

    /// From a point's encoding (SEC 1 §2.3.3), compressed or not.
    pub(crate) fn from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        check_length(point, 32)?;
        let reference = P256Key::from_sec1(point).ok_or(KeyError::InvalidPoint)?;
        let coordinates = reference.coordinates().ok_or(KeyError::InvalidPoint)?;
        Ok(Self { reference, coordinates })
    }

    /// High-S signatures are valid here: JWS does not ask for the low form.
    pub(crate) fn verify(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        signed
            .digest::<Sha256>()
            .is_some_and(|digest| self.reference.verify(&digest.into(), signature))
    }

    pub(crate) const fn coordinates(&self) -> &[u8; 64] {
        &self.coordinates
    }
}

/// The table of the key with these coordinates.
pub(crate) fn table(coordinates: &[u8; 64]) -> Option<KeyTable> {
    let (x, y) = halves(coordinates)?;
    KeyTable::new(x, y)
}

/// As [`Key::verify`]; `None`: the reference has to decide.
pub(crate) fn verify_by_table(
    table: &KeyTable,
    generator: &Generator,
    signed: Signed<'_>,
    signature: &[u8],
) -> Option<bool> {
    let Some((r, s)) = halves(signature) else { return Some(false) };
    let Some(digest) = signed.digest::<Sha256>() else { return Some(false) };
    table.verify(generator, &digest.into(), r, s)
}

fn halves(bytes: &[u8]) -> Option<(&[u8; 32], &[u8; 32])> {
    match bytes.as_chunks::<32>() {
        ([first, second], []) => Some((first, second)),
        _ => None,
    }
}

/// The signature of "sample" (RFC 6979 A.2.5: P-256, SHA-256).
pub(crate) const KNOWN_SIGNATURE: [u8; 64] = [
    0xef, 0xd4, 0x8b, 0x2a, 0xac, 0xb6, 0xa8, 0xfd, 0x11, 0x40, 0xdd, 0x9c, 0xd4, 0x5e, 0x81, 0xd6,
    0x9d, 0x2c, 0x87, 0x7b, 0x56, 0xaa, 0xf9, 0x91, 0xc3, 0x4d, 0x0e, 0xa8, 0x4e, 0xaf, 0x37, 0x16,
    0xf7, 0xcb, 0x1c, 0x94, 0x2d, 0x65, 0x7c, 0x41, 0xd4, 0x36, 0xc7, 0xa1, 0xb6, 0xe2, 0x9f, 0x65,
    0xf3, 0xe9, 0x00, 0xdb, 0xb9, 0xaf, 0xf4, 0x06, 0x4d, 0xc4, 0xab, 0x2f, 0x84, 0x3a, 0xcd, 0xa8,
];

/// Whether it verifies by the key there, and not for another message.
pub(crate) fn self_test(generator: &Generator, known_signature: &[u8; 64]) -> bool {
    const KEY: [u8; 64] = [
        0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d,
        0x68, 0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2,
        0x9f, 0xb6, 0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56,
        0x28, 0xbc, 0x64, 0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94,
        0xd4, 0x46, 0x22, 0x99,
    ];
    let Some(table) = halves(&KEY).and_then(|(x, y)| KeyTable::small(x, y)) else { return false };
    let verdict =
        |message| verify_by_table(&table, generator, Signed::Message(message), known_signature);
    verdict(b"sample") == Some(true) && verdict(b"test") == Some(false)
}

/// Whether an encoded point has a length that its first byte asks for. The point at infinity has none of
/// these.
pub(crate) fn check_length(point: &[u8], coordinate: usize) -> Result<(), KeyError> {
    let expected = match point.first() {
        Some(2 | 3) => 1 + coordinate,
        Some(4) => 1 + 2 * coordinate,
        _ => return Err(KeyError::InvalidPoint),
    };
    if point.len() == expected { Ok(()) } else { Err(KeyError::InvalidLength) }
}

/// The uncompressed form (SEC 1 §2.3.3) of a point, `LENGTH` bytes long. It cannot name the point
/// at infinity.
///
/// RFC 7518 §6.2.1.2: each coordinate has exactly the length of the curve's field.
pub(crate) fn uncompressed<const LENGTH: usize>(
    x: &[u8],
    y: &[u8],
) -> Result<[u8; LENGTH], KeyError> {
    let mut point = [4; LENGTH];
    let Some((_, coordinates)) = point.split_first_mut() else {
        return Err(KeyError::InvalidLength);
    };
    let (first, second) = coordinates.split_at_mut(LENGTH / 2);
    if x.len() != first.len() || y.len() != second.len() {
        return Err(KeyError::InvalidLength);
    }
    first.copy_from_slice(x);
    second.copy_from_slice(y);
    Ok(point)
}
