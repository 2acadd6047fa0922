//! RSA by our own arithmetic against the reference crate: any signature, and signatures of any encoded
//! message, by keys that sign whatever they are given.
#![no_main]

use std::cell::RefCell;

use countersign_fuzz::{encoder::ENCODERS, random::Random, smooth::SmoothKey};
use countersign_verify::{
    Key, Limits, RsaPublicKey, Verifier,
    fuzzing::{verify_by_fastest, verify_by_reference},
};
use libfuzzer_sys::fuzz_target;

/// With 8 k + 1 bits, an encoded message of PSS is a byte shorter than the modulus.
const BITS: [u64; 4] = [2048, 2049, 2055, 3072];

thread_local! {
    static KEYS: Vec<(SmoothKey, RsaPublicKey)> = BITS.map(key).into();
    static VERIFIER: RefCell<Verifier> = const {
        RefCell::new(Verifier::new(Limits { table_bytes: 0, uses_before_table: 0 }))
    };
}

fn key(bits: u64) -> (SmoothKey, RsaPublicKey) {
    let smooth = SmoothKey::new(bits, &mut Random::new(bits, 0));
    let public = RsaPublicKey::new(&smooth.modulus_bytes(), &[1, 0, 1]).expect("a key");
    (smooth, public)
}

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (which, algorithm, kind, bytes) = input;
    KEYS.with(|keys| {
        let (smooth, public) = &keys[usize::from(which) % keys.len()];
        let encoder = &ENCODERS[usize::from(algorithm) % ENCODERS.len()];
        let bits = usize::try_from(smooth.modulus.bits()).unwrap();
        let key = Key::rsa(public, encoder.algorithm);
        let judge = |message: &[u8], signature: &[u8]| {
            let expected = verify_by_reference(&key, message, signature);
            let verdict = VERIFIER
                .with_borrow_mut(|verifier| verify_by_fastest(verifier, &key, message, signature));
            assert_eq!(verdict, expected);
            expected
        };
        let message = b"message";
        let good = encoder.encode(bits, message, &vec![bytes.len() as u8; encoder.hash_length()]);
        // From the end on, where digest and last bytes are.
        let mut changed = match kind % 3 {
            0 => {
                judge(message, bytes);
                vec![0; good.len()]
            }
            1 => vec![0; good.len()],
            _ => good.clone(),
        };
        for (byte, change) in changed.iter_mut().rev().zip(bytes) {
            *byte ^= change;
        }
        if kind % 3 == 0 {
            judge(message, &changed);
        } else if let Some(signature) = smooth.sign(&changed) {
            let verdict = judge(message, &signature);
            if kind % 3 == 2 {
                assert_eq!(verdict, changed == good);
            }
        }
    });
});
