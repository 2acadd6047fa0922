//! Verifications by one algorithm each, ours and the reference crates', and what must be made before.

use core::hint::black_box;
use std::collections::BTreeMap;

use countersign_verify::{Key, Limits, RsaPublicKey, Verifier};
use p256::ecdsa::signature::Verifier as _;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, traits::SignatureScheme as _};
use sha2::{Digest as _, Sha256};

use crate::case::Case;

/// The verifications.
pub const NAMES: [&str; 6] =
    ["es256", "es384", "rs256-2048", "rs256-4096", "ps256-2048", "ed25519"];

/// What is made before.
pub const SETUPS: [&str; 6] =
    ["self-test", "first-use", "p256-key", "rsa-2048", "rsa-4096", "rsa-8192"];

/// `DigestInfo` of SHA-256 but for the digest (RFC 8017 §9.2, note 1).
const SHA256_INFO: [u8; 19] = [48, 49, 48, 13, 6, 9, 96, 134, 72, 1, 101, 3, 4, 2, 1, 5, 0, 4, 32];

/// The suite.
#[derive(Debug)]
pub struct VerifySuite {
    verifier: Verifier,
    cases: BTreeMap<String, Prepared>,
}

#[derive(Debug)]
struct Prepared {
    case: Case,
    key: Key,
    reference: Reference,
    /// Of `rsa` 0.9.
    former: Option<rsa_0_9::RsaPublicKey>,
}

/// A key as its own crate has it.
#[derive(Debug)]
enum Reference {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Rsa(rsa::RsaPublicKey, bool),
}

impl VerifySuite {
    /// From lines: a name of [`NAMES`], and a case.
    ///
    /// # Panics
    /// When they are not in order: then nothing can be measured.
    #[must_use]
    pub fn new(lines: &str) -> Self {
        let prepare = |line: &str| {
            let (name, case) = line.split_once(' ').expect("a name");
            let case = Case::read(case).expect("a case");
            let (key, reference) = (case.key().expect("a key"), Reference::new(&case));
            let former = former(&case);
            (name.to_owned(), Prepared { case, key, reference, former })
        };
        let verifier = Verifier::new(Limits { uses_before_table: 0, ..Limits::DEFAULT });
        let mut suite = Self { verifier, cases: lines.lines().map(prepare).collect() };
        assert!(suite.verifier.self_test());
        suite
    }

    /// The bytes of the generator's table and of a key's.
    pub fn table_bytes(&mut self) -> [usize; 2] {
        let key = &self.cases["es256"].key;
        self.verifier.forget(key);
        let generator = self.verifier.size();
        self.run("ours", "es256", 1);
        [generator, self.verifier.size() - generator]
    }

    /// Does one thing so many times.
    ///
    /// # Panics
    /// When a signature does not verify, or there is no such thing.
    pub fn run(&mut self, who: &str, name: &str, times: u32) {
        let Some(Prepared { case, key, reference, former }) = self.cases.get(name) else {
            return self.set_up(name, times);
        };
        for _ in 0..times {
            let (message, signature) = (black_box(&case.message[..]), black_box(&case.signature));
            assert!(match who {
                "ours" => self.verifier.verify(key, message, signature),
                "former" => {
                    former.as_ref().is_some_and(|key| verify_as_before(key, message, signature))
                }
                _ => reference.verify(message, signature),
            });
        }
    }

    fn set_up(&mut self, name: &str, times: u32) {
        let Prepared { case, key, .. } = &self.cases["es256"];
        let modulus = |bytes: usize| {
            let mut modulus: Vec<u8> =
                (0..=255).cycle().map(|byte: u8| byte ^ 0xa5).take(bytes).collect();
            modulus[bytes - 1] |= 1;
            modulus
        };
        let rsa = |bytes| {
            let modulus = modulus(bytes);
            for _ in 0..times {
                black_box(RsaPublicKey::new(black_box(&modulus), &[1, 0, 1]).expect("a key"));
            }
        };
        match name {
            "self-test" => {
                for _ in 0..times {
                    let mut verifier = Verifier::new(Limits::DEFAULT);
                    assert!(verifier.self_test());
                    black_box(verifier);
                }
            }
            "first-use" => {
                for _ in 0..times {
                    self.verifier.forget(key);
                    assert!(self.verifier.verify(key, &case.message, black_box(&case.signature)));
                }
            }
            "p256-key" => {
                for _ in 0..times {
                    black_box(black_box(case).key().expect("a key"));
                }
            }
            "rsa-2048" => rsa(256),
            "rsa-4096" => rsa(512),
            "rsa-8192" => rsa(1024),
            other => panic!("nothing is called {other}"),
        }
    }
}

impl Reference {
    fn new(case: &Case) -> Self {
        match (case.algorithm.as_str(), &case.key[..]) {
            ("EdDSA", [x]) => {
                let x = x[..].try_into().expect("32 bytes");
                Self::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(x).expect("a key"))
            }
            ("ES256", [x, y]) => {
                let point = [&[4], &x[..], y].concat();
                Self::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).expect("a key"))
            }
            ("ES384", [x, y]) => {
                let point = [&[4], &x[..], y].concat();
                Self::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).expect("a key"))
            }
            (algorithm, [n, e]) => {
                let [n, e] = [n, e].map(|number| BoxedUint::from_be_slice_vartime(number));
                let key = rsa::RsaPublicKey::new_with_size_limits(n, e, 2048..=8192);
                Self::Rsa(key.expect("a key"), algorithm == "PS256")
            }
            _ => panic!("a key of another kind"),
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Rsa(key, true) => {
                Pss::<Sha256>::new().verify(key, &Sha256::digest(message), signature).is_ok()
            }
            Self::Rsa(key, false) => {
                let scheme = Pkcs1v15Sign::new::<Sha256>();
                scheme.verify(key, &Sha256::digest(message), signature).is_ok()
            }
        }
    }
}

fn former(case: &Case) -> Option<rsa_0_9::RsaPublicKey> {
    match (case.algorithm.as_str(), &case.key[..]) {
        ("RS256", [n, e]) => {
            let [n, e] = [n, e].map(|number| rsa_0_9::BigUint::from_bytes_be(number));
            Some(rsa_0_9::RsaPublicKey::new(n, e).expect("a key"))
        }
        _ => None,
    }
}

/// RS256 by `rsa` 0.9, whose hash functions are those of another release.
fn verify_as_before(key: &rsa_0_9::RsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
    let scheme = rsa_0_9::Pkcs1v15Sign { hash_len: Some(32), prefix: SHA256_INFO.into() };
    key.verify(scheme, &Sha256::digest(message), signature).is_ok()
}
