//! The verifier gives the reference's verdicts, whatever it holds, and holds no more than it may.
use countersign_verify::{Key, Limits, Verifier};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

struct Signer {
    key: Key,
    signature: Vec<u8>,
}

const MESSAGE: &[u8] = b"message";

fn signer(number: u8) -> Signer {
    let signing = SigningKey::from_slice(&[number; 32]).unwrap();
    let point = signing.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let signature: Signature = signing.sign(MESSAGE);
    Signer { key: Key::es256(x, y).unwrap(), signature: signature.to_bytes().to_vec() }
}

fn check(verifier: &mut Verifier, signer: &Signer) {
    assert!(verifier.verify(&signer.key, MESSAGE, &signer.signature));
    assert!(!verifier.verify(&signer.key, b"another", &signer.signature));
    let mut changed = signer.signature.clone();
    changed[40] ^= 1;
    assert!(!verifier.verify(&signer.key, MESSAGE, &changed));
    for length in [0, 63, 65, 128] {
        let mut other = signer.signature.clone();
        other.resize(length, 0);
        assert!(!verifier.verify(&signer.key, MESSAGE, &other), "{length} bytes");
    }
}

#[test]
fn a_key_gets_a_table_when_it_is_used_again() {
    let mut verifier = Verifier::new(Limits::default());
    let signer = signer(1);
    assert!(verifier.verify(&signer.key, MESSAGE, &signer.signature));
    assert_eq!(verifier.size(), 0, "not for one use");
    assert!(verifier.verify(&signer.key, MESSAGE, &signer.signature));
    let size = verifier.size();
    assert!((300_000..450_000).contains(&size), "{size}: the generator's and its own");
    check(&mut verifier, &signer);
    assert_eq!(verifier.size(), size);
}

#[test]
fn memory_is_bounded_and_only_idle_tables_go() {
    let one = {
        let mut verifier = Verifier::new(Limits { uses_before_table: 0, ..Limits::default() });
        check(&mut verifier, &signer(1));
        let with_one = verifier.size();
        check(&mut verifier, &signer(2));
        verifier.size() - with_one
    };
    let limits = Limits { table_bytes: 3 * one, uses_before_table: 0 };
    let mut verifier = Verifier::new(limits);
    let signers: Vec<Signer> = (1..=6).map(signer).collect();
    check(&mut verifier, &signers[0]);
    let generator = verifier.size() - one;
    let with_tables = |verifier: &Verifier| -> Vec<bool> {
        signers.iter().map(|signer| verifier.has_table(&signer.key)).collect()
    };
    // In turn: those that came first stay, and the others do without.
    for _ in 0..3 {
        for signer in &signers {
            check(&mut verifier, signer);
            assert!(verifier.size() <= generator + 3 * one);
        }
    }
    assert_eq!(with_tables(&verifier), [true, true, true, false, false, false]);
    // The second and the fourth alone: the first, not used for longest, makes room.
    for _ in 0..300 {
        for signer in [&signers[1], &signers[3]] {
            assert!(verifier.verify(&signer.key, MESSAGE, &signer.signature));
        }
    }
    assert_eq!(with_tables(&verifier), [false, true, true, true, false, false]);
    assert_eq!(verifier.size(), generator + 3 * one);
}

#[test]
fn without_memory_the_reference_decides() {
    let mut verifier = Verifier::new(Limits { table_bytes: 0, uses_before_table: 0 });
    check(&mut verifier, &signer(1));
    assert_eq!(verifier.size(), 0);
    // Too little for one table: then the generator's is not made either.
    let mut verifier = Verifier::new(Limits { table_bytes: 80_000, uses_before_table: 0 });
    let signer = signer(1);
    check(&mut verifier, &signer);
    check(&mut verifier, &signer);
    assert_eq!(verifier.size(), 0);
}

/// Keys that come once cost no memory worth speaking of.
#[test]
fn a_flood_of_keys() {
    let mut verifier = Verifier::new(Limits::default());
    for number in 0..400_u32 {
        let mut secret = [1; 32];
        secret[..4].copy_from_slice(&number.to_be_bytes());
        let signing = SigningKey::from_slice(&secret).unwrap();
        let point = signing.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        assert!(!verifier.verify(&Key::es256(x, y).unwrap(), MESSAGE, &[7; 64]));
    }
    assert_eq!(verifier.size(), 0);
    check(&mut verifier, &signer(1));
}

#[test]
fn a_key_can_be_forgotten() {
    let mut verifier = Verifier::new(Limits { uses_before_table: 0, ..Limits::default() });
    let signers = [signer(1), signer(2)];
    signers.iter().for_each(|signer| check(&mut verifier, signer));
    let both = verifier.size();
    verifier.forget(&signers[0].key);
    assert!(!verifier.has_table(&signers[0].key) && verifier.has_table(&signers[1].key));
    let one = verifier.size();
    assert!((80_000..100 << 10).contains(&(both - one)));
    // There is nothing left to forget.
    verifier.forget(&signers[0].key);
    assert_eq!(verifier.size(), one);
    check(&mut verifier, &signers[0]);
    assert_eq!(verifier.size(), both);
}

#[test]
fn a_verifier_tests_itself_when_asked() {
    let mut verifier = Verifier::new(Limits::default());
    assert!(verifier.self_test() && verifier.self_test());
    let generator = verifier.size();
    // P-256's and Ed25519's.
    assert!((280_000..330 << 10).contains(&generator), "{generator}");
    check(&mut verifier, &signer(1));
    assert!(verifier.size() > generator);
    // Without tables the generator's would be of no use.
    let mut verifier = Verifier::new(Limits { table_bytes: 0, uses_before_table: 0 });
    assert!(verifier.self_test());
    assert_eq!(verifier.size(), 0);
}
