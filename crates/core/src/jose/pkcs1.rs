//! RSA signatures for a host's own verifier (RFC 7518 §3.3): what is handed over, and the known answers
//! by which such a verifier is proven before anything relies on it.
//!
//! Everything that binds key, algorithm and hash was done when the key was read ([`super::jwk`]); the
//! length of the signature is checked here. What is left to the host is arithmetic.

use alloc::vec::Vec;

use super::{alg::Algorithm, base64url};

/// An RSA public key as `SubjectPublicKeyInfo` in DER (RFC 3279 §2.3.1), made once for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKeyInfo {
    der: Vec<u8>,
    modulus_bytes: usize,
}

/// One signature to verify by RSASSA-PKCS1-v1_5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pkcs1Check<'a> {
    /// `sha256`, `sha384` or `sha512`.
    pub hash: &'static str,
    /// The key, as `SubjectPublicKeyInfo` in DER.
    pub key: &'a [u8],
    /// The bytes that were signed.
    pub message: &'a [u8],
    /// The signature, exactly as long as the modulus.
    pub signature: &'a [u8],
}

impl PublicKeyInfo {
    /// Of a modulus and an exponent, big-endian without leading zeros, whose bounds were checked.
    pub(crate) fn new(modulus: &[u8], exponent: &[u8]) -> Self {
        /// `SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }`
        const RSA_ENCRYPTION: [u8; 15] =
            [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let numbers = [integer(modulus), integer(exponent)].concat();
        // A bit string begins with the number of bits that are not used.
        let bits = [&[0], &element(SEQUENCE, &numbers)[..]].concat();
        let der = element(SEQUENCE, &[&RSA_ENCRYPTION[..], &element(BIT_STRING, &bits)].concat());
        Self { der, modulus_bytes: modulus.len() }
    }

    /// `None` for other algorithms than RS256, RS384 and RS512, and for a signature of another length
    /// than the key's (RFC 8017 §8.2.2 step 1), which no verifier need see.
    pub(crate) fn check<'a>(
        &'a self,
        algorithm: Algorithm,
        message: &'a [u8],
        signature: &'a [u8],
    ) -> Option<Pkcs1Check<'a>> {
        let hash = hash_name(algorithm)?;
        let key = &self.der;
        let fits = signature.len() == self.modulus_bytes;
        fits.then_some(Pkcs1Check { hash, key, message, signature })
    }
}

const fn hash_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Rs256 => Some("sha256"),
        Algorithm::Rs384 => Some("sha384"),
        Algorithm::Rs512 => Some("sha512"),
        _ => None,
    }
}

/// Whether a host's verifier knows a good signature of this algorithm from bad ones: one with a bit
/// changed, one of another message, and a good one under another hash. `verify` gives `None` when it
/// cannot tell at all. `false` also for algorithms that are not RS256, RS384 or RS512.
pub fn passes_known_answers(
    algorithm: Algorithm,
    mut verify: impl FnMut(Pkcs1Check<'_>) -> Option<bool>,
) -> bool {
    let Some((key, signature)) = known_signature(algorithm) else {
        return false;
    };
    let Some(good) = key.check(algorithm, MESSAGE, &signature) else {
        return false;
    };
    let mut changed = signature.clone();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    let other_hash = if good.hash == "sha256" { "sha512" } else { "sha256" };
    verify(good) == Some(true)
        && verify(Pkcs1Check { signature: &changed, ..good }) == Some(false)
        && verify(Pkcs1Check { message: b"countersign: a known answer", ..good }) == Some(false)
        && verify(Pkcs1Check { hash: other_hash, ..good }) == Some(false)
}

/// What the key of the test kit signed, with the exponent 65537.
const MESSAGE: &[u8] = b"Countersign: a known answer";

fn known_signature(algorithm: Algorithm) -> Option<(PublicKeyInfo, Vec<u8>)> {
    let signature = match algorithm {
        Algorithm::Rs256 => RS256,
        Algorithm::Rs384 => RS384,
        Algorithm::Rs512 => RS512,
        _ => return None,
    };
    let modulus = base64url::decode(MODULUS).ok()?;
    Some((PublicKeyInfo::new(&modulus, &[1, 0, 1]), base64url::decode(signature).ok()?))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// A number is signed: with its highest bit set it needs a zero before it (X.690 §8.3).
fn integer(number: &[u8]) -> Vec<u8> {
    let is_negative = number.first().is_some_and(|first| first & 0x80 != 0);
    let sign: &[u8] = if is_negative { &[0] } else { &[] };
    element(INTEGER, &[sign, number].concat())
}

/// Tag, length in its shortest form (X.690 §10.1), content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let (_, length) = length.split_at_checked(zeros).unwrap_or_default();
    let mut der = alloc::vec![tag];
    match length {
        [] => der.push(0),
        [short @ 0..=0x7f] => der.push(*short),
        // Never more than 8 bytes.
        _ => {
            der.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            der.extend_from_slice(length);
        }
    }
    der.extend_from_slice(content);
    der
}

const MODULUS: &str = concat!(
    "yfoFLiuf-Mn5QdYvCE3PJsRk6qFg1_4bYG4eLgXHQqOa8mMga9HbUy8wA7kg5aE9HKNFZlFp5R1wXfIsMkMz",
    "tjJ6aaV0SdMWZjSJyrJ6PZtPmy_1zec2qI6KE7WurrtZBJhrxRofrDDs48ju-K-JjaiWVSinzbbdA5b1kKGk",
    "9BFIRwa0q2Q6DY7xzU9v4qUULxHAfqtSuLFVkEfNXiLIsM4dY9epfvqup9MA93dueN-OWgx-MNvKbpK2e4qo",
    "2-",
    "iPlBYvoToeMwolEG4uCKvjM473W8HS29jPRZFIQWOwVKejKnDdJyhhMnhxUdyWdjQgTeLgAxPL6nWCAF9v7n",
    "Zycw",
);

const RS256: &str = concat!(
    "KX1_G7UK3CurD7lYL_CpucZ5J1Grv76PFaPdu4G4gi4CsRWGnn3_dux6oxyUYmzbHUOLqTdBtRS8y6rgDmKf",
    "-HTCWR1TIn4cLZatHFy6orhVV3lWs6Ifvp1IFW3TOtyV9ylDMCdCXdm00B1JefcAO2_TU2hZ-",
    "5AwfYFHC42dN78qIKHn8x7uV5w11LuMeSR_m4tYkH-",
    "r0YY0O9R3KxDBGxGS8ZjUuzh0RUEy3pEH5CcVuHTsfB6qP9lrLwM_FF2qsabqypjgV9f3JBlq8Xow3aaP-",
    "yMhfSxOzrFYN3XEc2PXaLl7JRCL_0OEl6wI6q3PQHo6IUmutGZh5qt4Ai9txQ",
);

const RS384: &str = concat!(
    "tj6H2Zt72TRP3-QGzvIo-pJ4H7qtf0pxkqKdN81ydyI7Xw94D0z92neM1Gkk09Q98I6PSbonAk9LSufv_vAL",
    "eu4wJiXXHc0xCqiBVG08l7R9xSO85Antp8FHrB-7zORgnbya54n1iJ8m-EnPNR4S-",
    "QDNKGFX2GN6nrTwCRW4dVL1pfJyMIZDgWR-S-quuodrKe9X9zk_OaFyLWlulI18xfGBWC42dJ4Ob6S2vKbPG",
    "7bdd2wpzmWMgF51pcPsKpYav9kOXi8SNDubNslI4BqmOZaoMb2ml8YkWzgLHggM1CiNBdbDdWz4FSlj3rGz2",
    "au-E1ieovpy8ItHwlA3K1_Axg",
);

const RS512: &str = concat!(
    "JREIkWOQwutwUTd9mGAuXEvx3vCCAyeW7swFzkxWaiVmhWuOk0fm7eQvgoFTAbX5YD58nA18a4cC6VUqVUJL",
    "m_LM85qIN6MFFSiH2QMoSjGoRzsCyJDJSwKmqhbvJRSV9YILYPZkgwsDnM1R2cCRfHXCLjMxm3g9biUmXJKA",
    "Gl4RKrZGUeS6eNX-oDa8F5WA7pz2_SnFtry73PUIE2_RU082W41xZncqXm5h56hVH00CZkjuh3krizMliYX8",
    "p9saMUSdQ6xmem0IXa-sM-opJhTRUTWapt7--",
    "6sYc7ZbzqJaCK2ZmayPMfNP2um8TMC8EnttsYyXREHuMCwEgX8SBQ",
);

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec};

    use countersign_verify::{Key, RsaAlgorithm, RsaPublicKey};

    use super::*;

    /// The answers are right, and a verifier that is wrong in any way is found out.
    #[test]
    fn only_a_verifier_that_works_passes() {
        let modulus = base64url::decode(MODULUS).unwrap();
        let public = RsaPublicKey::new(&modulus, &[1, 0, 1]).unwrap();
        let right = |check: Pkcs1Check<'_>| {
            let algorithm = match check.hash {
                "sha256" => RsaAlgorithm::Rs256,
                "sha384" => RsaAlgorithm::Rs384,
                _ => RsaAlgorithm::Rs512,
            };
            Some(Key::rsa(&public, algorithm).verify(check.message, check.signature))
        };
        for algorithm in [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512] {
            assert!(passes_known_answers(algorithm, right));
            assert!(!passes_known_answers(algorithm, |_| Some(true)));
            assert!(!passes_known_answers(algorithm, |_| Some(false)));
            assert!(!passes_known_answers(algorithm, |_| None));
            let deaf = |check: Pkcs1Check<'_>| right(Pkcs1Check { message: MESSAGE, ..check });
            assert!(!passes_known_answers(algorithm, deaf));
            let name = hash_name(algorithm).unwrap();
            let one_hash = |check: Pkcs1Check<'_>| right(Pkcs1Check { hash: name, ..check });
            assert!(!passes_known_answers(algorithm, one_hash));
        }
        for algorithm in [Algorithm::Ps256, Algorithm::Es256, Algorithm::Hs256] {
            assert!(!passes_known_answers(algorithm, right));
        }
    }

    #[test]
    fn the_key_is_in_der() {
        // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { 0x8001, 65537 } } }
        let expected = "301e300d06092a864886f70d0101010500030d00300a02030080010203010001";
        let hex = |key: PublicKeyInfo| -> String {
            key.der.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(hex(PublicKeyInfo::new(&[0x80, 1], &[1, 0, 1])), expected);
        for (length, head) in
            [(127, &[4, 127][..]), (128, &[4, 0x81, 128]), (513, &[4, 0x82, 2, 1])]
        {
            assert!(element(4, &vec![7; length]).starts_with(head));
        }
        assert_eq!(element(5, &[]), [5, 0]);
        assert_eq!(integer(&[0x7f]), [2, 1, 0x7f]);
    }

    #[test]
    fn a_signature_of_another_length_is_never_handed_over() {
        let key = PublicKeyInfo::new(&[0x80; 256], &[1, 0, 1]);
        for length in [0, 255, 257, 512] {
            assert_eq!(key.check(Algorithm::Rs256, b"", &vec![1; length]), None);
        }
        assert!(key.check(Algorithm::Rs256, b"", &[1; 256]).is_some());
        assert_eq!(key.check(Algorithm::Ps256, b"", &[1; 256]), None);
    }
}
