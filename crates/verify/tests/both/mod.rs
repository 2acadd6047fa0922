//! Each verdict by the reference, chosen in both ways, and by tables: all must agree.

use std::cell::RefCell;

use countersign_verify::{Key, Limits, Verifier};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

thread_local! {
    static VERIFIER: RefCell<Verifier> =
        const { RefCell::new(Verifier::new(Limits { table_bytes: 1 << 20, uses_before_table: 0 })) };
    static REFERENCE: RefCell<Verifier> = const { RefCell::new(Verifier::reference()) };
}

pub(crate) fn verify(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    let reference = key.verify(message, signature);
    let fast = VERIFIER.with_borrow_mut(|verifier| verifier.verify(key, message, signature));
    assert_eq!(fast, reference, "{key:?}");
    let chosen = REFERENCE.with_borrow_mut(|verifier| verifier.verify(key, message, signature));
    assert_eq!(chosen, reference, "{key:?}");
    by_digest(key, message, signature, reference);
    fast
}

/// The message's digest gives the same verdict, and no other digest a better one.
fn by_digest(key: &Key, message: &[u8], signature: &[u8], verdict: bool) {
    let name = format!("{key:?}");
    let digest = match name.trim_matches(|c: char| !c.is_ascii_digit()) {
        "256" if name != "Key(HS256)" => Sha256::digest(message).to_vec(),
        "384" => Sha384::digest(message).to_vec(),
        "512" => Sha512::digest(message).to_vec(),
        _ => {
            // Ed25519 and HS256 sign messages.
            assert!(!key.verify_digest(message, signature), "{name}");
            return;
        }
    };
    let verify = |digest: &[u8]| {
        let fast =
            VERIFIER.with_borrow_mut(|verifier| verifier.verify_digest(key, digest, signature));
        assert_eq!(key.verify_digest(digest, signature), fast, "{name}");
        let chosen =
            REFERENCE.with_borrow_mut(|verifier| verifier.verify_digest(key, digest, signature));
        assert_eq!(chosen, fast, "{name}");
        fast
    };
    assert_eq!(verify(&digest), verdict, "{name}");
    assert!(!verify(&digest[1..]) && !verify(&[&digest[..], &[0]].concat()), "{name}");
}
