//! Numbers of 256 bits, as bytes and as nine limbs of 29 or 30 bits.

/// The limbs of a number, least significant first.
#[allow(
    clippy::indexing_slicing,
    reason = "below 9 and 32 by the loops' conditions; constants too"
)]
pub(crate) const fn from_bytes(bytes: &[u8; 32], bits_per_limb: u32) -> [i64; 9] {
    let mut limbs = [0; 9];
    let (mut held, mut bits, mut limb, mut at) = (0_i64, 0, 0, 32);
    while limb < 9 {
        while bits < bits_per_limb && at > 0 {
            at -= 1;
            held |= (bytes[at] as i64) << bits;
            bits += 8;
        }
        limbs[limb] = held & ((1 << bits_per_limb) - 1);
        held >>= bits_per_limb;
        bits = bits.saturating_sub(bits_per_limb);
        limb += 1;
    }
    limbs
}

/// The bytes of a number that is below 2^256 and of which no limb is negative, big-endian.
pub(crate) fn to_bytes(limbs: [i64; 9], bits_per_limb: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut limbs = limbs.into_iter();
    let (mut held, mut bits) = (0, 0);
    for byte in bytes.iter_mut().rev() {
        if bits < 8 {
            held |= limbs.next().unwrap_or_default() << bits;
            bits += bits_per_limb;
        }
        *byte = held.to_le_bytes()[0];
        held >>= 8;
        bits -= 8;
    }
    bytes
}
