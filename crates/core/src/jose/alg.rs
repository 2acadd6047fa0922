//! Signature algorithms (RFC 7518 §3, RFC 8037 §3.1, RFC 9864).

/// A signature algorithm that the engine knows how to bind to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// EdDSA on Ed25519.
    EdDsa,
    /// HMAC with SHA-256. Symmetric: whoever verifies can also sign.
    Hs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
}

impl Algorithm {
    /// Every algorithm, strongest recommendation first.
    pub const ALL: [Self; 10] = [
        Self::Es256,
        Self::EdDsa,
        Self::Es384,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Hs256,
    ];

    /// Those of [`Self::ALL`] by which only the holder of the private key can sign: what is allowed
    /// where nothing else is said.
    pub const ASYMMETRIC: [Self; 9] = [
        Self::Es256,
        Self::EdDsa,
        Self::Es384,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// The algorithm of this `alg` value.
    ///
    /// `Ed25519` is RFC 9864's name for `EdDSA` on that curve. With Ed25519 as the only curve, both
    /// say the same, so that either is taken wherever the other is, in keys, tokens and policies.
    /// The names of ECDSA and RSA were fully specified before.
    ///
    /// ```
    /// use countersign_core::jose::alg::Algorithm;
    /// assert_eq!(Algorithm::from_name("Ed25519"), Algorithm::from_name("EdDSA"));
    /// assert_eq!(Algorithm::from_name("none"), None);
    /// assert_eq!(Algorithm::from_name("es256"), None, "names are compared with case");
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDsa),
            name => Self::ALL.into_iter().find(|algorithm| algorithm.name() == name),
        }
    }

    /// The `alg` value as tokens carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// Whether who verifies can also sign. Such an algorithm must be asked for in the policy.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asymmetric_is_all_that_is_not_symmetric() {
        let asymmetric = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric());
        assert!(asymmetric.eq(Algorithm::ASYMMETRIC));
    }
}
