//! DPoP (RFC 9449) at this server: the proof that comes with a request, and the nonces for it.

use axum::{
    http::{HeaderMap, HeaderName, StatusCode},
    response::Response,
};
use countersign_core::{
    guard::NonceSecret,
    jose::base64url,
    oauth::dpop::{Expected, MAX_AGE, Proof, ProofError},
};
use serde_json::{Value, json};

use super::{App, post::Failure, reply};
use crate::{Error, clock, seal::KeyRing, secret};

/// Seconds by which clocks may differ.
const LEEWAY: u64 = super::LEEWAY.unsigned_abs();

const HEADER: HeaderName = HeaderName::from_static("dpop");
const NONCE_HEADER: HeaderName = HeaderName::from_static("dpop-nonce");

/// The secrets of nonces (§8), where they are asked for. Each key of the ring has one, so that every
/// node knows them, also while the sealing key is replaced: the first gives out, all are taken.
#[derive(Debug)]
pub(super) struct Nonces(Vec<NonceSecret>);

impl Nonces {
    pub(super) fn new(ring: &KeyRing) -> Self {
        Self(ring.nonce_secrets().cloned().collect())
    }

    /// What is good now, the newest first.
    fn at(&self, issuer: &str, now: u64) -> Vec<String> {
        self.0.iter().flat_map(|secret| secret.nonces(issuer, now)).collect()
    }
}

/// A client that has shown that it has a key. The proof counts once [`Self::take`] has let it pass.
#[derive(Clone, Debug)]
pub(super) struct Possession {
    /// The SHA-256 thumbprint of the key (RFC 7638).
    pub(super) digest: [u8; 32],
    /// The same as it stands in `jkt`.
    pub(super) thumbprint: String,
    /// The newest nonce, for a client that does not have it yet (§8.2).
    pub(super) nonce: Option<String>,
    /// What to remember of the proof, and until when.
    name: String,
    made_at: i64,
    forget_at: i64,
}

/// Why a proof was not taken.
#[derive(Debug)]
pub(super) struct Refused {
    /// `invalid_dpop_proof` or `use_dpop_nonce`.
    pub(super) error: &'static str,
    pub(super) description: String,
    /// What a new proof has to carry.
    nonce: Option<String>,
}

impl Possession {
    /// The `cnf` of what is bound to the key (§6.1).
    pub(super) fn confirmation(&self) -> Value {
        json!({ "jkt": self.thumbprint })
    }

    /// Lets the proof pass, once (§11.1). Last of all checks: what is refused for another reason is
    /// not stored.
    pub(super) async fn take(&self, app: &App) -> Result<Result<(), Refused>, Error> {
        let made_at = Some(self.made_at);
        let is_first = app.is_first_use("dpop_proof", "", &self.name, made_at, self.forget_at);
        let is_first = is_first.await?;
        let again = || Refused::invalid("the proof was used before (jti)".to_owned());
        Ok(if is_first { Ok(()) } else { Err(again()) })
    }
}

impl Refused {
    const fn invalid(description: String) -> Self {
        Self { error: "invalid_dpop_proof", description, nonce: None }
    }

    /// The answer of endpoints where tokens are asked for (§5, §8).
    pub(super) fn answer(self) -> Failure {
        let status = StatusCode::BAD_REQUEST;
        let mut response = reply::oauth_error(status, self.error, &self.description);
        self.set_nonce(&mut response);
        Failure::from(response)
    }

    pub(super) fn set_nonce(&self, response: &mut Response) {
        set_nonce(response, self.nonce.as_deref());
    }
}

/// Tells a client the nonce that its next proof has to carry (§8.2).
pub(super) fn set_nonce(response: &mut Response, nonce: Option<&str>) {
    if let Some(nonce) = nonce {
        reply::set(response.headers_mut(), NONCE_HEADER, nonce);
    }
}

/// The refusal of who must have a key, and has not shown this one.
pub(super) fn wrong_key(description: &str) -> Failure {
    Refused::invalid(description.to_owned()).answer()
}

/// The proof of a request by POST to one of our endpoints, if there is one (§5, §10.1).
pub(super) fn present(
    app: &App,
    headers: &HeaderMap,
    path: &str,
) -> Result<Option<Possession>, Failure> {
    if !headers.contains_key(HEADER) {
        return Ok(None);
    }
    check(app, headers, b"POST", path, None).map(Some).map_err(Refused::answer)
}

/// Checks the proof of a request with everything that §4.3 asks for. `token` is the access token that
/// it comes with.
pub(super) fn check(
    app: &App,
    headers: &HeaderMap,
    method: &[u8],
    path: &str,
    token: Option<&str>,
) -> Result<Possession, Refused> {
    let invalid = |error: ProofError| Refused::invalid(error.to_string());
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refused::invalid("there must be one DPoP header".to_owned()));
    };
    let proof = Proof::parse(value.to_str().unwrap_or("")).map_err(invalid)?;
    let now = clock::now().unsigned_abs();
    let nonces = app.dpop_nonces.as_ref().map(|nonces| nonces.at(app.issuer.as_str(), now));
    let digest = token.map(|token| secret::sha256(&[token.as_bytes()]));
    let expected = Expected {
        method,
        urls: &[format!("{}{path}", app.issuer)],
        token_digest: digest.as_ref(),
        nonces: nonces.as_deref(),
        now,
        leeway: LEEWAY,
    };
    let newest = nonces.as_ref().and_then(|nonces| nonces.first());
    let nonce = newest.filter(|newest| !proof.has_nonce(newest)).cloned();
    match proof.check(&expected) {
        Ok(()) => {}
        Err(error @ ProofError::Nonce) => {
            let description = error.to_string();
            return Err(Refused { error: "use_dpop_nonce", description, nonce });
        }
        Err(error) => return Err(invalid(error)),
    }
    // Last, since it costs the most.
    let key = proof.key().check().map_err(|_| invalid(ProofError::Key))?;
    let verifies = key
        .verifier(proof.algorithm())
        .is_some_and(|key| key.verify(proof.signing_input(), proof.signature()));
    if !verifies {
        return Err(Refused::invalid("the proof's signature does not verify".to_owned()));
    }
    let digest = *proof.key().thumbprint();
    // From the leeway before its time to the leeway after.
    let forget_at = now.saturating_add(MAX_AGE + 2 * LEEWAY + 1);
    Ok(Possession {
        digest,
        thumbprint: base64url::encode(digest),
        nonce,
        name: base64url::encode(proof.replay_digest()),
        made_at: i64::try_from(proof.issued_at()).unwrap_or(i64::MAX),
        forget_at: i64::try_from(forget_at).unwrap_or(i64::MAX),
    })
}
