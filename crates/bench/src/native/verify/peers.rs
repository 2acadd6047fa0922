//! The same by aws-lc-rs, with its keys parsed, and by ring, which parses them each time.

use core::hint::black_box;

use super::inputs::Input;
use crate::native::Failure;

/// What one of them verifies, by name.
struct Verification<Key> {
    name: &'static str,
    key: Key,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl<Key> Verification<Key> {
    fn new(input: &Input, key: Key) -> Self {
        let (message, signature) = (input.case.message.clone(), input.case.signature.clone());
        Self { name: input.name, key, message, signature }
    }

    fn run(all: &[Self], name: &str, times: u32, verify: impl Fn(&Key, &[u8], &[u8]) -> bool) {
        let one = all.iter().find(|one| one.name == name).expect("a verification of this name");
        for _ in 0..times {
            assert!(verify(&one.key, black_box(&one.message), black_box(&one.signature)));
        }
    }
}

pub(crate) struct AwsLc(Vec<Verification<aws_lc_rs::signature::ParsedPublicKey>>);

impl AwsLc {
    pub(crate) fn new(inputs: &[Input]) -> Result<Self, Failure> {
        use aws_lc_rs::signature::{
            ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
            RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
        };
        let verification = |input: &Input| {
            let algorithm: &'static dyn VerificationAlgorithm = match input.case.algorithm.as_str()
            {
                "ES256" => &ECDSA_P256_SHA256_FIXED,
                "ES384" => &ECDSA_P384_SHA384_FIXED,
                "EdDSA" => &ED25519,
                "PS256" => &RSA_PSS_2048_8192_SHA256,
                _ => &RSA_PKCS1_2048_8192_SHA256,
            };
            let key = ParsedPublicKey::new(algorithm, &input.public)?;
            Ok(Verification::new(input, key))
        };
        inputs.iter().map(verification).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn run(&self, name: &str, times: u32) {
        Verification::run(&self.0, name, times, |key, message, signature| {
            key.verify_sig(message, signature).is_ok()
        });
    }
}

pub(crate) struct Ring(Vec<Verification<ring::signature::UnparsedPublicKey<Vec<u8>>>>);

impl Ring {
    pub(crate) fn new(inputs: &[Input]) -> Self {
        use ring::signature::{
            ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
            RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
        };
        let verification = |input: &Input| {
            let algorithm: &'static dyn VerificationAlgorithm = match input.case.algorithm.as_str()
            {
                "ES256" => &ECDSA_P256_SHA256_FIXED,
                "ES384" => &ECDSA_P384_SHA384_FIXED,
                "EdDSA" => &ED25519,
                "PS256" => &RSA_PSS_2048_8192_SHA256,
                _ => &RSA_PKCS1_2048_8192_SHA256,
            };
            Verification::new(input, UnparsedPublicKey::new(algorithm, input.public.clone()))
        };
        Self(inputs.iter().map(verification).collect())
    }

    pub(crate) fn run(&self, name: &str, times: u32) {
        Verification::run(&self.0, name, times, |key, message, signature| {
            key.verify(message, signature).is_ok()
        });
    }
}
