//! Each verdict by the reference and by tables, which must agree.

use std::cell::RefCell;

use countersign_verify::{Key, Limits, Verifier};

thread_local! {
    static VERIFIER: RefCell<Verifier> =
        const { RefCell::new(Verifier::new(Limits { table_bytes: 1 << 20, uses_before_table: 0 })) };
}

pub(crate) fn verify(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    let reference = key.verify(message, signature);
    let fast = VERIFIER.with_borrow_mut(|verifier| verifier.verify(key, message, signature));
    assert_eq!(fast, reference, "{key:?}");
    fast
}
