//! A whole request: whoever is let through could show a token for it; and the second time is like the
//! first, though the engine remembers the token then, and the body comes in parts.
//!
//! With `--cfg countersign_fuzz`, as `cargo xtask fuzz` builds it, every signature verifies, so that
//! changed tokens come as far as the checks behind the signature. No check may depend on that one.
#![no_main]

use std::sync::LazyLock;

use countersign_core::guard::Verdict;
use countersign_fuzz::guard::{Outcome, Request, World};
use libfuzzer_sys::fuzz_target;

static WORLD: LazyLock<World> = LazyLock::new(World::load);

fuzz_target!(|data: &[u8]| {
    let Some(request) = Request::read(data) else { return };
    let Some(mut engine) = WORLD.engine(&request) else { return };
    let first = WORLD.run(&mut engine, &request, 0);
    WORLD.check(&request, &first);
    let again = WORLD.run(&mut engine, &request, 3);
    WORLD.check(&request, &again);
    // A proof is good once; and a failed attempt is remembered.
    if !request.has_proof() && first.decision().verdict != Verdict::Deny {
        let mut expected = first.decision().clone();
        // In shadow mode too, and then without what was wrong with it in particular.
        if expected.verdict == Verdict::Shadow && again.decision().detail.is_none() {
            expected.detail = None;
        }
        assert_eq!(expected, *again.decision());
    }
    explained(&request, &first);
});

/// With a trace it comes out the same, and the trace does not have the token.
fn explained(request: &Request<'_>, first: &Outcome) {
    let Some(mut engine) = WORLD.explaining(request) else { return };
    let outcome = WORLD.run(&mut engine, request, 16);
    let mut decision = outcome.decision().clone();
    let trace = std::mem::take(&mut decision.trace).to_string();
    assert!(!trace.is_empty());
    let mut expected = first.decision().clone();
    expected.trace = Default::default();
    assert_eq!(decision, expected);
    for credentials in request.values("authorization") {
        let text = String::from_utf8_lossy(credentials);
        let signature = text.trim().rsplit_once('.').map(|(_, signature)| signature);
        // Unless the client wrote it elsewhere too, where nobody looks for tokens.
        let is_secret = |it: &&str| {
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            it.len() > 20 && it.bytes().all(is_base64url) && !request.has_elsewhere(it)
        };
        if let Some(signature) = signature.filter(is_secret) {
            assert!(!trace.contains(signature), "the trace shows {signature:?}: {trace}");
        }
    }
}
