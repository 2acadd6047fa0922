//! A signature, and all that it takes to verify it, as a line of text: made natively, and carried into wasm.
//!
//! `ALGORITHM KEY MESSAGE SIGNATURE VERDICT`: the algorithm's name is JOSE's, the key's parts are those of a
//! JWK with dots between them (x, or x and y, or n and e), bytes are hexadecimal, `-` is none, and the
//! verdict is 1 or 0.

use core::fmt;

use countersign_verify::{Key, Limits, RsaAlgorithm, RsaPublicKey, Verifier};

/// A line.
#[derive(Clone, Debug)]
pub struct Case {
    /// JOSE's name of the algorithm.
    pub algorithm: String,
    /// The key's parts.
    pub key: Vec<Vec<u8>>,
    /// What was signed.
    pub message: Vec<u8>,
    /// In the encoding of JWS.
    pub signature: Vec<u8>,
    /// Whether it verifies.
    pub verdict: bool,
}

impl Case {
    /// Reads a line; `None` when it is none.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let algorithm = words.next()?.to_owned();
        let key = words.next()?.split('.').map(from_hex).collect::<Option<_>>()?;
        let (message, signature) = (from_hex(words.next()?)?, from_hex(words.next()?)?);
        let verdict = match words.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        words.next().is_none().then_some(Self { algorithm, key, message, signature, verdict })
    }

    /// The key, ready; `None` for one that is refused.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        match (self.algorithm.as_str(), &self.key[..]) {
            ("EdDSA", [x]) => Key::ed25519(x).ok(),
            ("ES256", [x, y]) => Key::es256(x, y).ok(),
            ("ES384", [x, y]) => Key::es384(x, y).ok(),
            (name, [n, e]) => {
                let algorithm = match name {
                    "PS256" => RsaAlgorithm::Ps256,
                    "PS384" => RsaAlgorithm::Ps384,
                    "PS512" => RsaAlgorithm::Ps512,
                    "RS256" => RsaAlgorithm::Rs256,
                    "RS384" => RsaAlgorithm::Rs384,
                    "RS512" => RsaAlgorithm::Rs512,
                    _ => return None,
                };
                RsaPublicKey::new(n, e).ok().map(|public| Key::rsa(&public, algorithm))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<String> = self.key.iter().map(|part| to_hex(part)).collect();
        let (message, signature) = (to_hex(&self.message), to_hex(&self.signature));
        let verdict = u8::from(self.verdict);
        write!(f, "{} {} {message} {signature} {verdict}", self.algorithm, key.join("."))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".to_owned(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Every how many lines the reference is asked too: it takes much longer.
const REFERENCE_EACH: usize = 10;

/// Verifies each line, and how many there are.
///
/// # Errors
/// The first line that is none, or whose verdict does not come out.
pub fn judge(corpus: &str) -> Result<usize, String> {
    let mut verifier = Verifier::new(Limits { uses_before_table: 0, ..Limits::DEFAULT });
    let mut reference = Verifier::reference();
    let mut count = 0;
    for line in corpus.lines() {
        let case = Case::read(line).ok_or_else(|| format!("not a case: {line}"))?;
        let key = case.key().ok_or_else(|| format!("the key is refused: {line}"))?;
        if verifier.verify(&key, &case.message, &case.signature) != case.verdict {
            return Err(format!("another verdict: {line}"));
        }
        if count % REFERENCE_EACH == 0
            && reference.verify(&key, &case.message, &case.signature) != case.verdict
        {
            return Err(format!("another verdict by the reference: {line}"));
        }
        count += 1;
    }
    // What was verified by the reference only would prove nothing.
    if verifier.self_test() { Ok(count) } else { Err("the self-test failed".to_owned()) }
}
