//! Who verifies RSA signatures in a real Envoy, and that the log and the counters tell it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Setup, call, jwks, token};
use countersign_testkit::keys::TestKey;

const BY_ENVOY: &str = "wasmcustom.countersign.signatures.envoy";
const IN_FILTER: &str = "wasmcustom.countersign.signatures.filter";

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
