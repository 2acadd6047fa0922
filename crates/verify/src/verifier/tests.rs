//! What a verifier does when a known answer comes out wrong: it is given wrong ones.

use alloc::vec::Vec;

use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

use super::{KNOWN_ANSWERS, KnownAnswers, Limits, Verifier};
use crate::{Key, RsaAlgorithm, RsaPublicKey};

const fn changed<const LENGTH: usize>(mut answer: [u8; LENGTH]) -> [u8; LENGTH] {
    answer[LENGTH - 1] ^= 1;
    answer
}

static WRONG_ED25519: KnownAnswers =
    KnownAnswers { ed25519: changed(KNOWN_ANSWERS.ed25519), ..KNOWN_ANSWERS };
static WRONG_ES256: KnownAnswers =
    KnownAnswers { es256: changed(KNOWN_ANSWERS.es256), ..KNOWN_ANSWERS };
static WRONG_RSA: KnownAnswers = KnownAnswers { rsa: changed(KNOWN_ANSWERS.rsa), ..KNOWN_ANSWERS };

impl Verifier {
    fn expecting(answers: &'static KnownAnswers) -> Self {
        let limits = Limits { uses_before_table: 0, ..Limits::DEFAULT };
        Self { answers, ..Self::new(limits) }
    }
}

const MESSAGE: &[u8] = b"message";

struct Case {
    key: Key,
    signature: Vec<u8>,
}

impl Case {
    fn check(&self, verifier: &mut Verifier) {
        let Self { key, signature } = self;
        assert!(verifier.verify(key, MESSAGE, signature), "{key:?}");
        assert!(!verifier.verify(key, b"another", signature), "{key:?}");
        let mut forged = signature.clone();
        forged[20] ^= 4;
        assert!(!verifier.verify(key, MESSAGE, &forged), "{key:?}");
    }

    fn ed25519() -> Self {
        let signing = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let key = Key::ed25519(signing.verifying_key().as_bytes()).unwrap();
        let signature = ed25519_dalek::Signer::sign(&signing, MESSAGE);
        Self { key, signature: signature.to_bytes().to_vec() }
    }

    fn es256() -> Self {
        let signing = SigningKey::from_slice(&[3; 32]).unwrap();
        let signature: Signature = signing.sign(MESSAGE);
        let point = signing.verifying_key().to_sec1_point(false);
        let key = Key::es256_from_sec1(point.as_bytes()).unwrap();
        Self { key, signature: signature.to_bytes().to_vec() }
    }

    fn rs256() -> Self {
        use aws_lc_rs::{
            encoding::{AsDer as _, PublicKeyX509Der},
            rand::SystemRandom,
            rsa::{KeyPair, KeySize},
            signature::{KeyPair as _, RSA_PKCS1_SHA256},
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let key = Key::rsa(&RsaPublicKey::from_spki(der.as_ref()).unwrap(), RsaAlgorithm::Rs256);
        let mut signature = alloc::vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        Self { key, signature }
    }
}

#[test]
fn with_right_answers_our_own_arithmetic_verifies() {
    let mut verifier = Verifier::expecting(&KNOWN_ANSWERS);
    assert!(verifier.self_test() && !verifier.is_reference());
    let es256 = Case::es256();
    es256.check(&mut verifier);
    Case::rs256().check(&mut verifier);
    assert!(verifier.has_table(&es256.key) && verifier.rsa_proven && !verifier.is_reference());
    let ed25519 = Case::ed25519();
    let size = verifier.size();
    ed25519.check(&mut verifier);
    assert!(verifier.has_table(&ed25519.key) && !verifier.is_reference());
    assert_eq!(verifier.size() - size, crate::ed25519::Table::SIZE);
    verifier.forget(&ed25519.key);
    assert_eq!(verifier.size(), size);
}

#[test]
fn after_a_failed_self_test_the_reference_verifies_everything() {
    let cases = [Case::ed25519(), Case::es256(), Case::rs256()];
    for answers in [&WRONG_ED25519, &WRONG_ES256, &WRONG_RSA] {
        let mut verifier = Verifier::expecting(answers);
        assert!(!verifier.self_test() && !verifier.self_test(), "{answers:?}");
        for case in &cases {
            case.check(&mut verifier);
            assert!(!verifier.has_table(&case.key));
        }
        assert!(verifier.is_reference());
        // Neither the right answer nor what was computed before the wrong one is relied on.
        assert!(
            !verifier.rsa_proven && verifier.base_point.is_none() && verifier.generator.is_none()
        );
        assert_eq!((verifier.size(), verifier.keys.len()), (0, 0));
    }
}

/// Whoever never asks for the self-test has it when a key first needs it.
#[test]
fn a_wrong_answer_is_noticed_without_being_asked_for() {
    let (es256, rs256) = (Case::es256(), Case::rs256());
    let mut verifier = Verifier::expecting(&WRONG_ES256);
    rs256.check(&mut verifier);
    assert!(verifier.rsa_proven && !verifier.is_reference());
    es256.check(&mut verifier);
    assert!(!verifier.rsa_proven && verifier.is_reference());
    rs256.check(&mut verifier);

    let mut verifier = Verifier::expecting(&WRONG_RSA);
    es256.check(&mut verifier);
    assert!(verifier.has_table(&es256.key) && !verifier.is_reference());
    rs256.check(&mut verifier);
    assert!(verifier.is_reference() && !verifier.has_table(&es256.key));
    es256.check(&mut verifier);
    assert_eq!(verifier.size(), 0);
    assert!(!verifier.self_test());

    let mut verifier = Verifier::expecting(&WRONG_ED25519);
    es256.check(&mut verifier);
    assert!(!verifier.is_reference());
    Case::ed25519().check(&mut verifier);
    assert!(verifier.is_reference() && verifier.size() == 0);
}

/// A table of Ed25519 pays later than one of P-256.
#[test]
fn ed25519_gets_a_table_after_forty_uses() {
    let Case { key, signature } = Case::ed25519();
    let mut verifier = Verifier::new(Limits::DEFAULT);
    for uses in 0..45 {
        assert_eq!(verifier.has_table(&key), uses > 40);
        assert!(verifier.verify(&key, MESSAGE, &signature));
    }
}

#[test]
fn the_reference_can_be_chosen() {
    let mut verifier = Verifier::reference();
    assert!(verifier.self_test() && verifier.is_reference(), "nothing of its own to be tested");
    for case in [Case::ed25519(), Case::es256(), Case::rs256()] {
        case.check(&mut verifier);
        case.check(&mut verifier);
        assert!(!verifier.has_table(&case.key));
    }
    assert!(!verifier.rsa_proven && verifier.generator.is_none());
    assert_eq!((verifier.size(), verifier.keys.len()), (0, 0));
}

#[test]
fn keys_are_found_whatever_their_order() {
    let name = |number: u8| super::Name::Ed25519([number; 32]);
    let mut keys = super::Keys::new();
    for number in [5, 1, 9, 3, 7, 5] {
        keys.add(name(number), u32::from(number));
    }
    assert!(keys.iter().map(|(_, value)| *value).eq([1, 3, 5, 7, 9]));
    for number in [1, 5, 9, 2] {
        let is_there = number != 2;
        assert_eq!(keys.get(&name(number)).is_some(), is_there);
        assert_eq!(keys.remove(&name(number)), is_there.then_some(u32::from(number)));
        assert!(keys.get_mut(&name(number)).is_none());
    }
    assert!(keys.iter().map(|(_, value)| *value).eq([3, 7]) && keys.len() == 2);
}
