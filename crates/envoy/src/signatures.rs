//! Who verifies signatures: Envoy's BoringSSL those of RSA with PKCS #1 v1.5, once it has proven itself;
//! our own verifiers all others, and those too when Envoy cannot.

use countersign_core::{
    guard::{Engine, Pending},
    jose::{alg::Algorithm, host_check::passes_known_answers},
};

use crate::{
    host::{self, Level},
    metrics::{Counter, Metrics},
};

/// The algorithms of Envoy's that are asked for.
const CANDIDATES: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512];

/// The algorithms that Envoy verifies.
#[derive(Debug)]
pub(crate) struct Signatures {
    by_envoy: Vec<Algorithm>,
}

impl Signatures {
    /// Asks Envoy for known answers, and says in the log what is used.
    pub(crate) fn choose() -> Self {
        let answers = |algorithm: &Algorithm| {
            passes_known_answers(*algorithm, |check| host::verify_signature(check).ok())
        };
        let by_envoy: Vec<_> = CANDIDATES.into_iter().filter(answers).collect();
        let names = |algorithms: &mut dyn Iterator<Item = Algorithm>| {
            algorithms.map(Algorithm::name).collect::<Vec<_>>().join(" ")
        };
        let own = names(&mut CANDIDATES.into_iter().filter(|name| !by_envoy.contains(name)));
        if own.is_empty() {
            let line = "countersign: signatures: RS256, RS384 and RS512 by Envoy's verify_signature, \
                        all others in the filter";
            host::log(Level::Info, line);
        } else {
            let line = format!(
                "countersign: signatures: {own} in the filter too, since Envoy's verify_signature gave \
                 no or wrong known answers; does a capability_restriction lack call_foreign_function?"
            );
            host::log(Level::Warn, &line);
        }
        Self { by_envoy }
    }

    /// The names of the algorithms that Envoy verifies.
    pub(crate) fn by_envoy(&self) -> impl Iterator<Item = &'static str> {
        self.by_envoy.iter().map(|algorithm| algorithm.name())
    }

    /// Has our own verifiers give known answers, now and not when the first token waits for it.
    pub(crate) fn self_test(engine: &mut Engine, metrics: &Metrics) {
        if !engine.self_test() {
            let line = "countersign: signatures: a known answer came out wrong in the filter; slower code \
                        verifies all of them";
            host::log(Level::Critical, line);
            metrics.add_one(Counter::SelfTestsFailed);
        }
    }

    /// Verifies the signature that a request waits for.
    pub(crate) fn verify(&self, engine: &mut Engine, pending: &Pending, metrics: &Metrics) -> bool {
        let by_envoy = pending
            .signature()
            .filter(|check| self.by_envoy.contains(&check.algorithm))
            .and_then(|check| host::verify_signature(check.for_host()?).ok());
        if let Some(verified) = by_envoy {
            metrics.add_one(Counter::SignaturesByEnvoy);
            return verified;
        }
        metrics.add_one(Counter::SignaturesInFilter);
        engine.verify(pending)
    }
}
