//! ES256 by tables, in the numbers of both kinds of machines, against the reference crate: whatever is
//! signed, with any nonce, and any multiples of the generator and of the key.
#![no_main]

use std::cell::RefCell;

use countersign_verify::{
    Key, Limits, Verifier,
    fuzzing::{BothFields, verify_by_fastest, verify_by_reference},
};
use libfuzzer_sys::fuzz_target;
use p256::{
    FieldBytes, ProjectivePoint, Scalar,
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _},
    elliptic_curve::{
        ff::PrimeField as _, ops::Reduce as _, point::AffineCoordinates as _,
        sec1::ToSec1Point as _,
    },
};

/// A key of the target's.
struct Signer {
    secret: Scalar,
    reference: VerifyingKey,
    key: Key,
    tables: BothFields,
}

/// Small secrets, and their negatives, are those with which points meet.
fn signers() -> Vec<Signer> {
    let small = [1_u64, 2, 3, 64, 1 << 40].map(Scalar::from);
    let others = [[0x17; 32], [0x6b; 32]].map(|bytes| scalar(&bytes));
    let negatives = small.map(|secret| -secret);
    [&small[..], &negatives, &others].concat().into_iter().map(Signer::new).collect()
}

impl Signer {
    fn new(secret: Scalar) -> Self {
        let point = (ProjectivePoint::GENERATOR * secret).to_affine().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        Self {
            secret,
            reference: VerifyingKey::from_sec1_bytes(point.as_bytes()).expect("a point"),
            key: Key::es256(x, y).expect("a point"),
            tables: BothFields::new(x.try_into().unwrap(), y.try_into().unwrap()).expect("a point"),
        }
    }

    /// The verdict of all, which is one.
    fn verify(&self, digest: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
        let signature = Signature::from_slice(&[&r[..], s].concat());
        let expected = signature
            .is_ok_and(|signature| self.reference.verify_prehash(digest, &signature).is_ok());
        for verdict in self.tables.verify(digest, r, s).into_iter().flatten() {
            assert_eq!(verdict, expected);
        }
        expected
    }
}

fn scalar(bytes: &[u8; 32]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*bytes))
}

fn x_of(point: ProjectivePoint) -> Scalar {
    scalar(&point.to_affine().x().into())
}

thread_local! {
    static SIGNERS: Vec<Signer> = signers();
    static VERIFIER: RefCell<Verifier> =
        const { RefCell::new(Verifier::new(Limits { table_bytes: 1 << 20, uses_before_table: 1 })) };
}

fuzz_target!(|input: (u8, u8, [u8; 32], [u8; 32], [u8; 32])| {
    let (signer, kind, a, b, c) = input;
    SIGNERS.with(|signers| {
        let signer = &signers[usize::from(signer) % signers.len()];
        let bytes = |scalar: Scalar| -> [u8; 32] { scalar.to_repr().into() };
        let (digest, r, s) = match kind % 3 {
            // Anything.
            0 => {
                signer.verify(&a, &b, &c);
                whole(signer, &a, &[b, c].concat());
                return;
            }
            // A digest and a nonce (SEC 1 §4.1.3).
            1 => {
                let (digest, nonce) = (scalar(&a), scalar(&b));
                let Some(inverse) = nonce.invert().into_option() else { return };
                let r = x_of(ProjectivePoint::GENERATOR * nonce);
                (digest, r, (digest + r * signer.secret) * inverse)
            }
            // What the generator and the key are multiplied by: u₁ = e/s, u₂ = r/s.
            _ => {
                let (u1, u2) = (scalar(&a), scalar(&b));
                let Some(inverse) = u2.invert().into_option() else { return };
                let key = ProjectivePoint::GENERATOR * signer.secret;
                let r = x_of(ProjectivePoint::GENERATOR * u1 + key * u2);
                let s = r * inverse;
                (u1 * s, r, s)
            }
        };
        let is_signature = r != Scalar::ZERO && s != Scalar::ZERO;
        let (digest, r, s) = (bytes(digest), bytes(r), bytes(s));
        assert_eq!(signer.verify(&digest, &r, &s), is_signature);
        assert_eq!(signer.verify(&digest, &r, &bytes(-scalar(&s))), is_signature);
        signer.verify(&digest, &c, &s);
        signer.verify(&digest, &r, &c);
    });
});

/// The way that tokens take.
fn whole(signer: &Signer, message: &[u8], signature: &[u8]) {
    let expected = verify_by_reference(&signer.key, message, signature);
    let verdict = VERIFIER
        .with_borrow_mut(|verifier| verify_by_fastest(verifier, &signer.key, message, signature));
    assert_eq!(verdict, expected);
}
