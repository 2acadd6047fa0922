//! Whether the caller has the key that its token is bound to (DPoP, RFC 9449 §7).

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString as _},
    sync::Arc,
};

use super::{
    credentials,
    decision::Header,
    engine::Engine,
    failure_limit::Attempter,
    identity::Identity,
    policy::ResourcePolicy,
    proof::{Unused, request_urls},
    request::RequestHead,
    step::{Context, Pending, Stage, Step},
    verdict::{Asked, Refused, refuse},
};
use crate::{
    Reason, UnixSeconds,
    oauth::dpop::{Expected, ProofError},
};

impl Engine {
    /// Reads the proof and holds it against the request: all but its signature and its key.
    pub(super) fn read_proof(
        &self,
        head: &RequestHead<'_>,
        context: &mut Context,
        token_digest: &[u8; 32],
        now: UnixSeconds,
    ) -> Result<(), Refused> {
        let resource =
            self.policy.resources.get(context.resource).ok_or(Reason::ResourceUnknown)?;
        let proof = credentials::proof(head).map_err(|(reason, error)| Refused {
            detail: error.map(|error| error.to_string()),
            ..reason.into()
        })?;
        let nonces = nonces(resource, now);
        let expected = Expected {
            method: head.method,
            urls: &request_urls(resource, head),
            token_digest: Some(token_digest),
            nonces: nonces.as_ref().map(<[_; 3]>::as_slice),
            now,
            leeway: self.policy.leeway,
        };
        let checked = proof.check(&expected);
        // RFC 9449 §8.2: whoever does not have the newest nonce is given it.
        if let Some([newest, ..]) = &nonces
            && !proof.has_nonce(newest)
        {
            context.extra.push(Header::fixed("dpop-nonce", newest.as_str()));
        }
        checked.map_err(|error| {
            let detail = Some(error.to_string());
            Refused { detail, ..reason(error).into() }
        })?;
        context.trace.passed("proof", || {
            format!("htm, htu, ath and iat are those of this request; URLs {:?}", expected.urls)
        });
        context.proof = Some(Box::new(proof));
        Ok(())
    }

    /// The token is good: may it be presented thus?
    pub(super) fn check_possession(
        &mut self,
        context: Context,
        identity: Arc<Identity>,
        issuer: usize,
        now: UnixSeconds,
    ) -> Step {
        if let Err(reason) = identity.confirmation.check(context.presentation()) {
            let asked = Asked::default();
            return refuse(&self.policy, &context, reason.into(), Some(identity), &asked);
        }
        if context.proof.is_none() {
            return self.check_status(context, identity, issuer, now);
        }
        if let Err(refused) = self.may_try(prover(&context), now) {
            return refuse(&self.policy, &context, refused, Some(identity), &Asked::default());
        }
        // Only now, since it costs more than all before, and nobody else can make us do it.
        let Some(Ok(key)) = context.proof.as_ref().map(|proof| proof.key().check()) else {
            let detail = Some(ProofError::Key.to_string());
            let refused = Refused { detail, ..Reason::ProofMalformed.into() };
            return refuse(&self.policy, &context, refused, Some(identity), &Asked::default());
        };
        let stage = Stage::Proof { identity, issuer, key: Box::new(key) };
        Step::NeedSignature(Pending { context, stage })
    }

    /// The proof's signature was verified, or not.
    pub(super) fn accept_proof(
        &mut self,
        context: &mut Context,
        verified: bool,
        now: UnixSeconds,
    ) -> Result<(), Refused> {
        context.trace.checked("proof", verified, || "its signature, by the key in it".to_string());
        if !verified {
            if let Some(who) = prover(context) {
                self.failures.failed(who, now);
            }
            return Err(Reason::ProofSignatureInvalid.into());
        }
        let proof = context.proof.as_ref().ok_or(Reason::ProofMissing)?;
        self.proofs.take(proof, now).map_err(|unused| match unused {
            Unused::Replayed => Reason::ProofReplayed.into(),
            Unused::Full(wait) => {
                Refused { retry_after: Some(wait), ..Reason::ProofsExcessive.into() }
            }
        })
    }
}

/// The nonces that are good now, where the resource asks for them; the newest first.
fn nonces(resource: &ResourcePolicy, now: UnixSeconds) -> Option<[String; 3]> {
    let secret = resource.dpop_nonce.as_ref()?;
    Some(secret.nonces(resource.audience.resource.as_str(), now))
}

/// Whom a proof with a bad signature is charged to.
fn prover(context: &Context) -> Option<Attempter> {
    let proof = context.proof.as_ref()?;
    Some(context.attempter?.with_key(proof.key().thumbprint()))
}

const fn reason(error: ProofError) -> Reason {
    match error {
        ProofError::Header(_) | ProofError::Claim(_) | ProofError::Key => Reason::ProofMalformed,
        ProofError::Method | ProofError::TokenHash | ProofError::Uri => Reason::ProofMismatch,
        ProofError::NotYetValid | ProofError::TooOld => Reason::ProofNotFresh,
        ProofError::Nonce => Reason::ProofNonceRequired,
    }
}
