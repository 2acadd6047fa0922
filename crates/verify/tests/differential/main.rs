//! Ours against the reference and against aws-lc-rs, on random cases and on adversarial ones.
//!
//! `COUNTERSIGN_CASES` says how many (for RSA and Ed25519, a tenth of that), `COUNTERSIGN_SEED` which; see
//! CONTRIBUTING.md. A case on which the verifiers do not agree is printed with all that it takes to repeat
//! it.

#[path = "../corpus/mod.rs"]
mod corpus;
mod ecdsa;
mod eddsa;
#[allow(unreachable_pub, reason = "the fuzz targets share it")]
mod encoder;
#[allow(unreachable_pub, reason = "the fuzz targets share it")]
mod random;
mod rsa;
#[allow(unreachable_pub, reason = "the fuzz targets share it")]
mod smooth;

use std::{
    env, fmt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use countersign_verify::{Key, Limits, Verifier};

use random::Random;

/// How many cases there are if nothing else is said.
const CASES: u64 = 100_000;

fn from_environment(name: &str, default: u64) -> u64 {
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{name} is no number"));
    env::var(name).map_or(default, number)
}

fn cases() -> u64 {
    from_environment("COUNTERSIGN_CASES", CASES)
}

/// A key, for all who judge by it.
struct JudgedKey<'a> {
    /// JOSE's name of its algorithm, and its parts in a JWK.
    algorithm: &'static str,
    parts: &'a [&'a [u8]],
    ours: &'a Key,
    /// Whether aws-lc takes a message with a signature.
    aws_lc: &'a dyn Fn(&[u8], &[u8]) -> bool,
}

/// Three verifiers, and what they said so far.
struct Judges {
    verifier: Verifier,
    seed: u64,
    block: u64,
    accepted: u64,
    refused: u64,
}

impl Judges {
    fn new(seed: u64) -> Self {
        let limits = Limits { uses_before_table: 0, ..Limits::default() };
        Self { verifier: Verifier::new(limits), seed, block: 0, accepted: 0, refused: 0 }
    }

    /// The verdict of all three, which must be one, and the expected one where that is known.
    #[track_caller]
    fn judge(
        &mut self,
        what: impl fmt::Display,
        key: &JudgedKey<'_>,
        message: &[u8],
        signature: &[u8],
        expected: Option<bool>,
    ) -> bool {
        let ours = self.verifier.verify(key.ours, message, signature);
        let reference = key.ours.verify(message, signature);
        let aws_lc = (key.aws_lc)(message, signature);
        assert!(
            ours == reference && ours == aws_lc && expected.is_none_or(|expected| expected == ours),
            "{what}: ours {ours}, reference {reference}, aws-lc {aws_lc}, expected {expected:?}\n\
             {:?}\nmessage {}\nsignature {}\nCOUNTERSIGN_SEED={}, block {}",
            key.ours,
            hex(message),
            hex(signature),
            self.seed,
            self.block,
        );
        corpus::record(key.algorithm, key.parts, message, signature, ours);
        if ours {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
        ours
    }

    const fn count(&self) -> u64 {
        self.accepted + self.refused
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs blocks, each with random numbers of its own, on all processors until there were so many cases.
fn run(what: &str, cases: u64, block: impl Fn(&mut Random, &mut Judges) + Sync) {
    let seed = from_environment("COUNTERSIGN_SEED", 1);
    let (next, done, accepted) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut judges = Judges::new(seed);
        while done.load(Ordering::Relaxed) < cases {
            judges.block = next.fetch_add(1, Ordering::Relaxed);
            block(&mut Random::new(seed, judges.block), &mut judges);
            done.fetch_add(judges.count(), Ordering::Relaxed);
            accepted.fetch_add(judges.accepted, Ordering::Relaxed);
            (judges.accepted, judges.refused) = (0, 0);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (done, accepted) = (done.into_inner(), accepted.into_inner());
    println!("{what}: {done} cases, {accepted} of them accepted, seed {seed}");
    assert!(done >= cases);
    assert!(accepted > done / 50 && accepted < done / 2);
}

#[test]
fn ed25519() {
    run("Ed25519", cases() / 10, eddsa::block);
}

#[test]
fn es256() {
    run("ES256", cases(), ecdsa::block);
}

#[test]
fn rsa_keys_of_all_lengths() {
    let keys = rsa::keys();
    run("RSA", cases() / 10, |random, judges| rsa::block(random.pick(keys), random, judges));
}

/// Exhaustively: each byte of each encoded message, with each algorithm.
#[test]
fn rsa_padding_forged_in_each_byte() {
    let mut judges = Judges::new(0);
    for key in &rsa::keys()[..2] {
        rsa::each_byte(key, &mut judges);
    }
    println!("RSA: {} forged bytes refused", judges.refused);
    assert!(judges.accepted == 12 && judges.refused > 5000);
}
