//! Who verifies RSA signatures in a real Envoy, and that the log and the counters tell it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;

use common::{Setup, call, jwks, token};
use countersign_e2e::Places;
use countersign_testkit::keys::TestKey;

const BY_ENVOY: &str = "wasmcustom.countersign.signatures.envoy";
const IN_FILTER: &str = "wasmcustom.countersign.signatures.filter";
const FAILED: &str = "wasmcustom.countersign.self_tests.failed";

#[test]
fn log_and_counters_tell_who_verifies() {
    for fallback in [false, true] {
        let keys =
            [(TestKey::Rs256, "rs256"), (TestKey::Rs512, "rs512"), (TestKey::Es256(1), "es1")];
        let setup = Setup::new(move || jwks(&keys));
        let setup = if fallback {
            setup.config(|config| config.without_foreign_functions())
        } else {
            setup
        };
        let front = setup.start();
        let line = if fallback {
            "RS256 RS384 RS512 in the filter too"
        } else {
            "RS256, RS384 and RS512 by Envoy's verify_signature"
        };
        assert!(front.envoy.logs(line), "{}", front.envoy.output());
        let rsa = token().key(TestKey::Rs256, "rs256");
        assert!(front.until(200, &call(&rsa.sign(), "read_file")));
        let rs512 = token().key(TestKey::Rs512, "rs512").sign();
        assert_eq!(front.send(&call(&rs512, "read_file")).status(), 200);
        let mut changed = rsa.signature();
        for at in [0, 100, 255] {
            changed[at] ^= 1;
            let forged = rsa.with_signature(&changed);
            assert_eq!(front.send(&call(&forged, "read_file")).status(), 401);
            changed[at] ^= 1;
        }
        for length in [0, 1, 255, 257, 512] {
            let forged = rsa.with_signature(&vec![7; length]);
            assert_eq!(front.send(&call(&forged, "read_file")).status(), 401);
        }
        assert_eq!(front.send(&call(&token().sign(), "read_file")).status(), 200);
        let (envoy, filter) = (front.envoy.stat(BY_ENVOY), front.envoy.stat(IN_FILTER));
        if fallback {
            assert_eq!(envoy, 0);
            assert!(filter >= 6, "{filter}");
        } else {
            // Two good ones and three forged; those of another length are not worth a call.
            assert_eq!(envoy, 5);
            assert!(filter >= 1);
        }
        assert_eq!(front.seen(), 3);
    }
}

/// RFC 6979 A.2.5, P-256 with SHA-256, "sample": the beginning of r, which is nowhere else in the module.
const KNOWN: [u8; 8] = [0xef, 0xd4, 0x8b, 0x2a, 0xac, 0xb6, 0xa8, 0xfd];

/// A filter whose known answer is wrong.
#[test]
fn after_a_failed_self_test_slower_code_verifies() {
    for spoilt in [false, true] {
        let keys =
            [(TestKey::Rs256, "rs256"), (TestKey::Es256(1), "es1"), (TestKey::Ed25519(1), "ed")];
        let setup =
            Setup::new(move || jwks(&keys)).config(|config| config.without_foreign_functions());
        let mut module = fs::read(Places::of_checkout().filter()).unwrap();
        let found = |module: &[u8]| module.windows(8).position(|bytes| bytes == KNOWN);
        let at = found(&module).unwrap();
        if spoilt {
            module[at] ^= 1;
            assert_eq!(found(&module), None);
        }
        let path = setup.dir().join("filter.wasm");
        fs::write(&path, module).unwrap();
        let front = setup.config(|config| config.with_module(&path)).start();
        assert!(front.until(200, &call(&token().sign(), "read_file")));
        for (key, kid) in keys {
            let token = token().key(key, kid);
            let mut changed = token.signature();
            changed[30] ^= 1;
            let forged = token.with_signature(&changed);
            for _ in 0..3 {
                assert_eq!(front.send(&call(&token.sign(), "read_file")).status(), 200);
                assert_eq!(front.send(&call(&forged, "read_file")).status(), 401);
            }
        }
        let line = "a known answer came out wrong in the filter";
        assert_eq!(front.envoy.output().contains(line), spoilt, "{}", front.envoy.output());
        assert_eq!(front.envoy.stat(FAILED) > 0, spoilt);
    }
}
