//! Signatures for a host's own verifier (RFC 7518 §3.3 to §3.5): what is handed over, and the known answers
//! by which such a verifier is proven before anything relies on it.
//!
//! RSA, and ES384, are what hosts verify faster than we do. Everything that binds key, algorithm and hash
//! was done when the key was read ([`super::jwk`]); the length of the signature is checked here. What is
//! left to the host is arithmetic.

use alloc::vec::Vec;

use super::{alg::Algorithm, base64url};

/// A public key as `SubjectPublicKeyInfo` in DER (RFC 3279 §2.3.1, RFC 5480 §2.1.1), made once for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostKey {
    der: Vec<u8>,
    kind: Kind,
    signature_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P384,
    Rsa,
}

/// One signature to verify by a host's own means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCheck<'a> {
    /// ES384, or one of RSA's.
    pub algorithm: Algorithm,
    /// The key, as `SubjectPublicKeyInfo` in DER: one that this algorithm goes with.
    pub key: &'a [u8],
    /// The bytes that were signed.
    pub message: &'a [u8],
    /// The signature in JWS encoding: exactly as long as the modulus, or `r ‖ s` with 48 bytes each.
    pub signature: &'a [u8],
}

impl HostCheck<'_> {
    /// `sha256`, `sha384` or `sha512`.
    #[must_use]
    pub const fn hash(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Es384 | Algorithm::Ps384 | Algorithm::Rs384 => "sha384",
            Algorithm::Ps512 | Algorithm::Rs512 => "sha512",
            _ => "sha256",
        }
    }
}

impl HostKey {
    /// Of a modulus and an exponent, big-endian without leading zeros, whose bounds were checked.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        /// `SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }`
        const RSA_ENCRYPTION: [u8; 15] =
            [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let numbers = [integer(modulus), integer(exponent)].concat();
        let der = info(&RSA_ENCRYPTION, &element(SEQUENCE, &numbers));
        Self { der, kind: Kind::Rsa, signature_bytes: modulus.len() }
    }

    /// Of the coordinates of a point on P-384, 48 bytes each.
    pub(crate) fn p384(x: &[u8], y: &[u8]) -> Self {
        /// `SEQUENCE { OBJECT IDENTIFIER id-ecPublicKey, OBJECT IDENTIFIER secp384r1 }`
        const SECP384R1: [u8; 18] = [
            0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, //
            0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
        ];
        // SEC 1 §2.3.3: a point that is not compressed.
        let der = info(&SECP384R1, &[&[4], x, y].concat());
        Self { der, kind: Kind::P384, signature_bytes: 96 }
    }

    /// `None` for algorithms that do not go with the key, and for a signature of another length than its
    /// signatures have (RFC 8017 §8.2.2 step 1), which no verifier need see.
    pub(crate) fn check<'a>(
        &'a self,
        algorithm: Algorithm,
        message: &'a [u8],
        signature: &'a [u8],
    ) -> Option<HostCheck<'a>> {
        let key = &self.der;
        let fits = signature.len() == self.signature_bytes && kind(algorithm) == Some(self.kind);
        fits.then_some(HostCheck { algorithm, key, message, signature })
    }
}

const fn kind(algorithm: Algorithm) -> Option<Kind> {
    match algorithm {
        Algorithm::Es384 => Some(Kind::P384),
        Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512 => Some(Kind::Rsa),
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Hs256 => None,
    }
}

/// A good signature of an algorithm, and what is to be tried with it. Empty for algorithms that no host is
/// asked for.
#[derive(Clone, Debug)]
pub struct KnownAnswers(Option<(Algorithm, HostKey, Vec<u8>, Vec<u8>)>);

impl KnownAnswers {
    /// Those of this algorithm.
    #[must_use]
    pub fn of(algorithm: Algorithm) -> Self {
        Self(known_signature(algorithm).map(|(key, signature)| {
            let mut changed = signature.clone();
            if let Some(last) = changed.last_mut() {
                *last ^= 1;
            }
            (algorithm, key, signature, changed)
        }))
    }

    /// What to ask, and what must come out: the good signature, one with a bit changed, one of another
    /// message, and the good one under other hashes and the other padding.
    pub fn checks(&self) -> impl Iterator<Item = (HostCheck<'_>, bool)> {
        self.0.iter().flat_map(|(algorithm, key, signature, changed)| {
            let algorithm = *algorithm;
            let good = HostCheck { algorithm, key: &key.der, message: MESSAGE, signature };
            let others =
                others(algorithm).iter().map(move |other| HostCheck { algorithm: *other, ..good });
            let bad = [
                HostCheck { signature: changed, ..good },
                HostCheck { message: b"countersign: a known answer", ..good },
            ];
            [(good, true)]
                .into_iter()
                .chain(bad.into_iter().chain(others).map(|check| (check, false)))
        })
    }
}

/// By which a signature of this algorithm must not verify, although the key would serve them.
const fn others(algorithm: Algorithm) -> &'static [Algorithm] {
    match algorithm {
        Algorithm::Rs256 => &[Algorithm::Rs512, Algorithm::Ps256],
        Algorithm::Rs384 => &[Algorithm::Rs256, Algorithm::Ps384],
        Algorithm::Rs512 => &[Algorithm::Rs256, Algorithm::Ps512],
        Algorithm::Ps256 => &[Algorithm::Ps512, Algorithm::Rs256],
        Algorithm::Ps384 => &[Algorithm::Ps256, Algorithm::Rs384],
        Algorithm::Ps512 => &[Algorithm::Ps256, Algorithm::Rs512],
        _ => &[],
    }
}

/// Whether a host's verifier knows a good signature of this algorithm from bad ones. `verify` gives `None`
/// when it cannot tell: which is enough for a signature that it need not know, by an algorithm that it does
/// not have. `false` for algorithms that no host is asked for.
pub fn passes_known_answers(
    algorithm: Algorithm,
    mut verify: impl FnMut(HostCheck<'_>) -> Option<bool>,
) -> bool {
    let known = KnownAnswers::of(algorithm);
    let mut count = 0;
    let right = known.checks().all(|(check, expected)| {
        count += 1;
        let cannot = check.algorithm != algorithm;
        verify(check).map_or(cannot, |verified| verified == expected)
    });
    right && count > 0
}

/// What the keys of the test kit signed; RSA's exponent is 65537.
const MESSAGE: &[u8] = b"Countersign: a known answer";

fn known_signature(algorithm: Algorithm) -> Option<(HostKey, Vec<u8>)> {
    let signature = match algorithm {
        Algorithm::Es384 => ES384,
        Algorithm::Ps256 => PS256,
        Algorithm::Ps384 => PS384,
        Algorithm::Ps512 => PS512,
        Algorithm::Rs256 => RS256,
        Algorithm::Rs384 => RS384,
        Algorithm::Rs512 => RS512,
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Hs256 => return None,
    };
    let key = if algorithm == Algorithm::Es384 {
        let point = base64url::decode(POINT).ok()?;
        let (x, y) = point.split_at_checked(48)?;
        HostKey::p384(x, y)
    } else {
        HostKey::rsa(&base64url::decode(MODULUS).ok()?, &[1, 0, 1])
    };
    Some((key, base64url::decode(signature).ok()?))
}

/// `SEQUENCE { algorithm, BIT STRING { key } }`
fn info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    // A bit string begins with the number of bits that are not used.
    let bits = [&[0], key].concat();
    element(SEQUENCE, &[algorithm, &element(BIT_STRING, &bits)].concat())
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

const POINT: &str = concat!(
    "Q-OvKg25CGdQl2h3ZQ9CbSFXpF4Q3mRv-FcZiyJt8NSyJDQI4DunEdnDTFHLNEQT3RLjzqINURLwawgx0uoT",
    "m6NAYfgxDpdE_RjZFe809vLGcONMY-64C8xhPsuR8sGW",
);

const ES384: &str = concat!(
    "q24AJE4dsKO4dFv5UdYsO_kfaV1-uVZP7saCdgxPAbZ2TcBQ1OwSg_UkwJsIFhLcnETVLnV06qzBnI0ntFDN",
    "TDBkWaHxJvxbVq2Z8fAKiVdM7tSthBfPA7NF1lz47VIu",
);

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

const PS256: &str = concat!(
    "giROfB4BlNQe1o2wtjFu0egWo5sTQE5S1VFibuMqd2uBU1jqcogu8p73FAFHw4bBmiDl0LoFYIhVzxlassSn",
    "r_Ys35FkwfwCCcwjSuY67g3OaQZjY27OQQglq38Qsazc7U3G9ZAhjp3VB8MmAnhcIMKz2XU_mD4Adfu3m6aG",
    "sVBHPPz5ofVDuE9X_MhJ2CAzFhIQzA7TjDYs1tMLnq3Dd_YF8AEnuYAL3Fj4cUsZflFhAUz4bxAfdItsItcO",
    "N4Z2w0MbWX-je9ATw8Ox75215BesLubJiTMXEsydqp0TN7TnmiWwPvp4gRQ-ApPSMJUnnkjJp1eNuMy7v4sF",
    "u5pU3A",
);

const PS384: &str = concat!(
    "JGAfYHdXaJtMnzaTW8erTE-s0yklpmDWSGWwSMj4JJDkElCye1MsM_mqBbDW0tHB-rvvkDT0mMSlNPWzFVej",
    "Ca9nli4zk6n8KACgRsdx_YYCPLPog-6tHnoLRJQYEUqJl4hbdmRXXqE_1RGRhJopQWye9F86_56_ClAuK4w4",
    "aYJmpRaL-XzdoWbcY9GJYawS9OrbiLhN8_U3nm7fHnGyo0tE-JQohH2lTwNkdubUcy-7IMbFPkriXfHBmISN",
    "v2zchdIEYLO6r27fYUjs-r6BwT_6Ua6v2ZZC3lNWjbRvTUFdFIEWM8z0v0XONmEjjZHn0SAskIPk8mH3PwEn",
    "rMEiWA",
);

const PS512: &str = concat!(
    "otPNHPTkdqcptM3KqROzswnQp_QncENzNMD9239ucUNk6eoNeRQJ31oxzXj-o0uyMPeRFWjY5NS6_xhqH44q",
    "E4zucubzt9OyUUa20davoLt2EWJVTQYu1FpCVEf_cOCnE070HCEbNTpqJq881vywAUHgH8Kkbc29XyJuw7fC",
    "wjq3qsCeDwrKLEHSOO0k_BEPaExhqNRJtTmEqFlP0FdOwQEXW18crlhl0aKOqsfKZY0JLEQRBEGFPWsOqVBn",
    "MVwOH0Qf0_nlQLk6Eg400jSWcQvTvOJEjR0vlGXdkYBJdMXwoQB9B3dXcbCEB_86NBLS3Y60vMpKtcfvwzdE",
    "vGS4zg",
);

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec};

    use countersign_verify::{Key, RsaAlgorithm, RsaPublicKey};

    use super::*;

    const CANDIDATES: [Algorithm; 7] = [
        Algorithm::Es384,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
    ];

    fn right(check: HostCheck<'_>) -> Option<bool> {
        let rsa = |algorithm| Key::rsa(&RsaPublicKey::from_spki(check.key).unwrap(), algorithm);
        let key = match check.algorithm {
            Algorithm::Es384 => Key::es384_from_spki(check.key).unwrap(),
            Algorithm::Ps256 => rsa(RsaAlgorithm::Ps256),
            Algorithm::Ps384 => rsa(RsaAlgorithm::Ps384),
            Algorithm::Ps512 => rsa(RsaAlgorithm::Ps512),
            Algorithm::Rs256 => rsa(RsaAlgorithm::Rs256),
            Algorithm::Rs384 => rsa(RsaAlgorithm::Rs384),
            Algorithm::Rs512 => rsa(RsaAlgorithm::Rs512),
            _ => return None,
        };
        Some(key.verify(check.message, check.signature))
    }

    /// The answers are right, and a verifier that is wrong in any way is found out.
    #[test]
    fn only_a_verifier_that_works_passes() {
        for algorithm in CANDIDATES {
            assert!(passes_known_answers(algorithm, right), "{algorithm:?}");
            assert!(!passes_known_answers(algorithm, |_| Some(true)));
            assert!(!passes_known_answers(algorithm, |_| Some(false)));
            assert!(!passes_known_answers(algorithm, |_| None));
            let deaf = |check: HostCheck<'_>| right(HostCheck { message: MESSAGE, ..check });
            assert!(!passes_known_answers(algorithm, deaf));
            // Whatever it is asked for, it verifies by this one.
            let one = |check: HostCheck<'_>| right(HostCheck { algorithm, ..check });
            assert_eq!(passes_known_answers(algorithm, one), algorithm == Algorithm::Es384);
            // One that has no other algorithm.
            let only = |check: HostCheck<'_>| right(check).filter(|_| check.algorithm == algorithm);
            assert!(passes_known_answers(algorithm, only));
        }
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256] {
            assert!(!passes_known_answers(algorithm, right));
        }
    }

    #[test]
    fn the_key_is_in_der() {
        // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { 0x8001, 65537 } } }
        let expected = "301e300d06092a864886f70d0101010500030d00300a02030080010203010001";
        let hex =
            |key: HostKey| -> String { key.der.iter().map(|byte| format!("{byte:02x}")).collect() };
        assert_eq!(hex(HostKey::rsa(&[0x80, 1], &[1, 0, 1])), expected);
        for (length, head) in
            [(127, &[4, 127][..]), (128, &[4, 0x81, 128]), (513, &[4, 0x82, 2, 1])]
        {
            assert!(element(4, &vec![7; length]).starts_with(head));
        }
        assert_eq!(element(5, &[]), [5, 0]);
        assert_eq!(integer(&[0x7f]), [2, 1, 0x7f]);
    }

    #[test]
    fn what_does_not_go_with_the_key_is_never_handed_over() {
        let key = HostKey::rsa(&[0x80; 256], &[1, 0, 1]);
        for length in [0, 255, 257, 512] {
            assert_eq!(key.check(Algorithm::Rs256, b"", &vec![1; length]), None);
        }
        for algorithm in Algorithm::ALL {
            let rsa = CANDIDATES.contains(&algorithm) && algorithm != Algorithm::Es384;
            assert_eq!(key.check(algorithm, b"", &[1; 256]).is_some(), rsa, "{algorithm:?}");
        }
        let key = HostKey::p384(&[1; 48], &[2; 48]);
        for algorithm in Algorithm::ALL {
            let is_its_own = algorithm == Algorithm::Es384;
            assert_eq!(key.check(algorithm, b"", &[1; 96]).is_some(), is_its_own);
        }
        for length in [0, 95, 97, 102] {
            assert_eq!(key.check(Algorithm::Es384, b"", &vec![1; length]), None);
        }
    }

    #[test]
    fn each_algorithm_has_its_hash() {
        let hash =
            |algorithm| HostCheck { algorithm, key: b"", message: b"", signature: b"" }.hash();
        let hashes = CANDIDATES.map(hash);
        assert_eq!(hashes, ["sha384", "sha256", "sha384", "sha512", "sha256", "sha384", "sha512"]);
    }
}
