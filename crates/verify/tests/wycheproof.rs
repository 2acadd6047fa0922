//! Project Wycheproof's signature vectors: every set whose algorithm is one of ours.

mod both;
mod corpus;

use both::verify;
use countersign_verify::{Key, KeyError, RsaAlgorithm, RsaPublicKey};
use wycheproof::{HashFunction, TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

/// What came of a set. Where a vector is only "acceptable", refusing it is right.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn count(&mut self, vector: impl std::fmt::Display, expected: TestResult, verified: bool) {
        if verified != (expected == TestResult::Valid) {
            self.wrong.push(format!("{vector}: expected {expected:?}"));
        } else if verified {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }

    fn finish(self, what: &str, vectors: usize) {
        println!("{what}: {} accepted, {} refused", self.accepted, self.refused);
        assert!(self.wrong.is_empty(), "{what}:\n{}", self.wrong.join("\n"));
        assert_eq!(self.accepted + self.refused, vectors, "{what}");
        assert!(self.accepted > 0, "{what}");
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn record_rsa(
    algorithm: RsaAlgorithm,
    (n, e): (&[u8], &[u8]),
    message: &[u8],
    signature: &[u8],
    verified: bool,
) {
    let name = format!("{algorithm:?}").to_uppercase();
    corpus::record(&name, &[n, without_leading_zeros(e)], message, signature, verified);
}

/// The raw form r ‖ s (IEEE P1363) is that of JWS.
#[test]
fn ecdsa_p1363() {
    type NewKey = fn(&[u8], &[u8]) -> Result<Key, KeyError>;
    let sets: [(_, _, NewKey); 2] = [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "ES256", Key::es256),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "ES384", Key::es384),
    ];
    for (name, algorithm, new_key) in sets {
        let mut tally = Tally::default();
        let set = ecdsa::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let (x, y) = group.key.key[1..].split_at((group.key.key.len() - 1) / 2);
            let key = new_key(x, y).unwrap();
            for test in group.tests {
                let verified = verify(&key, &test.msg, &test.sig);
                corpus::record(algorithm, &[x, y], &test.msg, &test.sig, verified);
                tally.count(test.tc_id, test.result, verified);
            }
        }
        tally.finish(&format!("{name:?}"), set.number_of_tests);
    }
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = Key::ed25519(&group.key.pk).unwrap();
        for test in group.tests {
            let verified = verify(&key, &test.msg, &test.sig);
            corpus::record("EdDSA", &[&group.key.pk], &test.msg, &test.sig, verified);
            tally.count(test.tc_id, test.result, verified);
        }
    }
    tally.finish("Ed25519", 151);
}

/// RFC 7518 §3.2: keys of 256 bits or more, and the whole tag. The set's modified tags stand under
/// the key 00 01 02 … 1f, which is no secret: each bit of the good tags is flipped here instead.
#[test]
fn hmac_sha256() {
    let (mut accepted, mut flipped, mut shortened, mut weak) = (0, 0, 0, 0);
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    for group in set.test_groups {
        for test in group.tests {
            let Ok(key) = Key::hs256(&test.key) else {
                assert!(test.key.len() < 32 || test.key.starts_with(&[0, 1, 2, 3]));
                weak += 1;
                continue;
            };
            assert_eq!(test.result, TestResult::Valid, "{}", test.tc_id);
            if group.tag_size == 128 {
                assert!(!verify(&key, &test.msg, &test.tag), "{}", test.tc_id);
                shortened += 1;
                continue;
            }
            assert!(verify(&key, &test.msg, &test.tag), "{}", test.tc_id);
            accepted += 1;
            for bit in 0..256 {
                let mut tag = test.tag.to_vec();
                tag[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify(&key, &test.msg, &tag), "{}, bit {bit}", test.tc_id);
                flipped += 1;
            }
            assert!(!verify(&key, &test.msg, &[&test.tag[..], &[0]].concat()), "{}", test.tc_id);
        }
    }
    println!(
        "HMAC-SHA-256: {accepted} accepted; refused: {flipped} flipped here, {shortened} \
         shortened, {weak} under weak keys"
    );
    assert_eq!(accepted + shortened + weak, set.number_of_tests);
    assert_eq!((accepted, shortened), (30, 30));
}

#[test]
fn rsassa_pkcs1_v1_5() {
    use RsaAlgorithm::{Rs256, Rs384, Rs512};
    use rsa_pkcs1_verify::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Rs256),
        (TestName::Rsa2048Sha384, Rs384),
        (TestName::Rsa2048Sha512, Rs512),
        (TestName::Rsa3072Sha256, Rs256),
        (TestName::Rsa3072Sha384, Rs384),
        (TestName::Rsa3072Sha512, Rs512),
        (TestName::Rsa4096Sha256, Rs256),
        (TestName::Rsa4096Sha384, Rs384),
        (TestName::Rsa4096Sha512, Rs512),
        (TestName::Rsa8192Sha256, Rs256),
        (TestName::Rsa8192Sha384, Rs384),
        (TestName::Rsa8192Sha512, Rs512),
    ] {
        let mut tally = Tally::default();
        let set = TestSet::load(name).unwrap();
        let mut weak = 0;
        for group in set.test_groups {
            let n = without_leading_zeros(&group.key.n);
            let Ok(public) = RsaPublicKey::new(n, without_leading_zeros(&group.key.e)) else {
                // The exponent 3, with which signatures were forged (CVE-2006-4339).
                assert_eq!(without_leading_zeros(&group.key.e), [3], "{name:?}");
                weak += group.tests.len();
                continue;
            };
            let key = Key::rsa(&public, algorithm);
            for test in group.tests {
                let verified = verify(&key, &test.msg, &test.sig);
                record_rsa(algorithm, (n, &group.key.e), &test.msg, &test.sig, verified);
                tally.count(test.tc_id, test.result, verified);
            }
        }
        tally.finish(&format!("{name:?} ({weak} under refused keys)"), set.number_of_tests - weak);
    }
}

/// RFC 7518 §3.5: MGF1 with the same hash, the salt as long as the hash. Everything else in the
/// mixed sets must be refused, also where it is a valid PSS signature.
#[test]
fn rsassa_pss() {
    use rsa_pss_verify::{TestName, TestSet};
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen0,
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss2048Sha256Mgf1Sha1_20,
        TestName::RsaPss2048Sha384Mgf1SaltLen48,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha384Mgf1SaltLen48,
        TestName::RsaPss4096Sha512Mgf1SaltLen32,
        TestName::RsaPss4096Sha512Mgf1SaltLen64,
        TestName::RsaPssmisc,
    ] {
        let mut tally = Tally::default();
        let (mut others, mut weak) = (0, 0);
        let set = TestSet::load(name).unwrap();
        for group in set.test_groups {
            let n = without_leading_zeros(&group.key.n);
            let Ok(public) = RsaPublicKey::new(n, without_leading_zeros(&group.key.e)) else {
                assert_eq!(without_leading_zeros(&group.key.e), [3], "{name:?}");
                weak += group.tests.len();
                continue;
            };
            let keys = [
                (HashFunction::Sha2_256, 32, RsaAlgorithm::Ps256),
                (HashFunction::Sha2_384, 48, RsaAlgorithm::Ps384),
                (HashFunction::Sha2_512, 64, RsaAlgorithm::Ps512),
            ];
            for test in group.tests {
                for (hash, salt, algorithm) in keys {
                    let verified = verify(&Key::rsa(&public, algorithm), &test.msg, &test.sig);
                    record_rsa(algorithm, (n, &group.key.e), &test.msg, &test.sig, verified);
                    let ours = group.hash == hash
                        && group.mgf_hash == Some(hash)
                        && group.salt_size == salt;
                    if ours {
                        tally.count(test.tc_id, test.result, verified);
                    } else if test.result == TestResult::Valid {
                        others += 1;
                        assert!(!verified, "{name:?} {} as {algorithm:?}", test.tc_id);
                    }
                }
            }
        }
        println!(
            "{name:?}: {} accepted, {} refused, {others} refused for other parameters, \
             {weak} under refused keys",
            tally.accepted, tally.refused
        );
        assert!(tally.wrong.is_empty(), "{name:?}:\n{}", tally.wrong.join("\n"));
        assert!(tally.accepted + tally.refused + others > 0, "{name:?}");
    }
}
