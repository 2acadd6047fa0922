//! What the engine asks of its host, and what the host answers.

use alloc::{
    boxed::Box,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};

use core::fmt;

use countersign_verify::Verifier;

use super::{
    body::Reading,
    credentials::Scheme,
    decision::{Decision, Header, HeaderName, Response},
    explain,
    failure_limit::Attempter,
    identity::Identity,
    list_filter::ListFilter,
    opaque::Opaque,
    policy::{Mode, Policy},
    session::{Session, SessionSeal},
    trace::Trace,
};
use crate::{
    jose::{alg::Algorithm, host_check::HostCheck, jwk::Jwk},
    jwt::{claims::Claims, confirmation::Presentation},
    oauth::dpop::Proof,
};

/// The next thing to do for a request.
#[derive(Debug)]
pub enum Step {
    /// Forward the request with these changes. Final.
    Forward(Forward),
    /// Read the body, and resume with [`Answer::BodyPart`] for each part as it comes and
    /// [`Answer::Body`] for the last: the engine keeps none of them. It answers a part with this step
    /// again, or with a final one as soon as the request is refused; then the rest need not be read.
    /// A host that cannot hold back the headers meanwhile applies [`Pending::early_forward`] first.
    NeedBody(Pending),
    /// Carry out what [`super::Engine::due`] gives, and resume with [`Answer::Fetched`] after each
    /// answer, or with [`Answer::GiveUp`] when the request cannot wait.
    NeedKeys(Pending),
    /// As [`Step::NeedKeys`], for what the issuer says of an opaque token.
    NeedIntrospection(Pending),
    /// As [`Step::NeedKeys`], for the status list that the token refers to.
    NeedStatus(Pending),
    /// Verify [`Pending::signature`] and resume with [`Answer::Signature`]. Comes once more for a DPoP
    /// proof.
    NeedSignature(Pending),
    /// Answer the request thus. Final.
    Respond(Response),
}

impl Step {
    /// Puts the trace into the record of a final step that had none.
    pub(super) fn traced(mut self, mut trace: Trace) -> Self {
        let decision = match &mut self {
            Self::Forward(forward) => &mut forward.decision,
            Self::Respond(response) => &mut response.decision,
            _ => return self,
        };
        match decision.reason {
            Some(reason) => trace.failed("decision", || explain::refused(&reason.into())),
            None => trace.passed("decision", || decision.verdict.code().to_string()),
        }
        decision.trace = trace;
        self
    }
}

/// A host's answer to a step.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The last part of the body: all of it where none was given before, nothing where all was.
    Body(&'a [u8]),
    /// A part of the body, of any length, that others follow.
    BodyPart(&'a [u8]),
    /// The body is longer than `limits.body_bytes`: for hosts that see it before they read it. The
    /// engine counts for itself too.
    BodyTooLarge,
    /// Something was fetched since.
    Fetched,
    /// The request cannot wait any longer: it is answered with 503.
    GiveUp,
    /// Whether the signature verified.
    Signature(bool),
}

/// How the request is to be changed on its way to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Headers to remove, whatever the client sent; before any is set.
    pub remove: Vec<HeaderName>,
    /// Headers to set.
    pub set: Vec<Header>,
    /// Headers to set on the server's response (CORS).
    pub response_headers: Vec<Header>,
    /// Headers to add to the server's response beside its own of that name: lists like `Vary`.
    pub response_append: Vec<Header>,
    /// What seals the `Mcp-Session-Id` of the server's response, where sessions are bound to their
    /// caller.
    pub session_seal: Option<SessionSeal>,
    /// What is to be done with the server's response, where its lists are filtered.
    pub response_filter: Option<Box<ListFilter>>,
    /// Who is calling; `None` for public paths and in shadow mode.
    pub identity: Option<Arc<Identity>>,
    /// The record for the log.
    pub decision: Decision,
}

/// A request in the middle of its decision. It can be parked, and resumed by the engine that gave
/// it.
#[derive(Debug)]
pub struct Pending {
    pub(super) context: Context,
    pub(super) stage: Stage,
}

/// A signature to verify. Algorithm, key type, curve and key size were bound to each other before.
#[derive(Clone, Copy, Debug)]
pub struct SignatureCheck<'a> {
    /// The algorithm, which is one that the key serves.
    pub algorithm: Algorithm,
    /// The key.
    pub key: &'a Jwk,
    /// The bytes that were signed.
    pub signing_input: &'a [u8],
    /// The signature in JWS encoding (RFC 7518 §3).
    pub signature: &'a [u8],
    /// SHA-256 of the signing input, where it is known.
    digest: Option<&'a [u8; 32]>,
}

impl<'a> SignatureCheck<'a> {
    /// Verifies with a verifier that several engines may share: tables of keys are made once for all.
    #[must_use]
    pub fn verify(&self, verifier: &mut Verifier) -> bool {
        let Some(key) = self.key.verifier(self.algorithm) else {
            return false;
        };
        match (self.algorithm, self.digest) {
            (Algorithm::Es256 | Algorithm::Ps256 | Algorithm::Rs256, Some(digest)) => {
                verifier.verify_digest(key, digest, self.signature)
            }
            _ => verifier.verify(key, self.signing_input, self.signature),
        }
    }

    /// The same for a host's own verifier, when the algorithm is ES384 or one of RSA's and the signature
    /// as long as it must be; else `None`, and [`Self::verify`] decides.
    #[must_use]
    pub fn for_host(&self) -> Option<HostCheck<'a>> {
        self.key.host_check(self.algorithm, self.signing_input, self.signature)
    }
}

/// What is kept of the request while it waits.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) resource: usize,
    pub(super) method: Method,
    /// RFC 9110 §9.3.2: the answer to HEAD has no body.
    pub(super) is_head: bool,
    pub(super) has_body: bool,
    /// A body that a GET, HEAD or DELETE has not.
    pub(super) has_stray_body: bool,
    /// What every answer gets: CORS, and a nonce where one is due.
    pub(super) extra: Vec<Header>,
    /// How the token was sent.
    pub(super) scheme: Scheme,
    /// The DPoP proof, which fits the request; its signature may not be verified yet.
    pub(super) proof: Option<Box<Proof>>,
    /// SHA-256 of the certificate that the client showed.
    pub(super) certificate: Option<Box<[u8; 32]>>,
    /// Whom a failed attempt is charged to.
    pub(super) attempter: Option<Attempter>,
    /// Headers of the client that the server could take for ours.
    pub(super) lookalikes: Vec<HeaderName>,
    pub(super) mirror: Mirror,
    pub(super) session: Session,
    pub(super) upgrade: Upgrade,
    pub(super) body_is_json: bool,
    pub(super) trace: Trace,
}

impl Context {
    /// How the token was presented, as far as the proof itself says.
    pub(super) fn presentation(&self) -> Presentation<'_> {
        match &self.proof {
            None => {
                self.certificate.as_deref().map_or(Presentation::Bearer, Presentation::Certificate)
            }
            Some(proof) => Presentation::Dpop(proof.key().thumbprint()),
        }
    }

    /// The headers for the server's response: those to set, and those to add.
    pub(super) fn response_headers(&self) -> (Vec<Header>, Vec<Header>) {
        self.extra.iter().cloned().partition(|header| !header.is_list())
    }
}

/// The HTTP methods that MCP tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Post,
    /// GET, HEAD and DELETE: legs of the transport without a message.
    Leg,
    Other,
}

/// What the connection is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    None,
    /// HTTP/2 in clear text. Java's client asks for it with every request, and does not mind a refusal.
    H2c,
    Other,
}

/// What the mirrored headers say.
#[derive(Debug)]
pub(super) struct Mirror {
    /// The revision requires them.
    pub(super) required: bool,
    /// `MCP-Protocol-Version`, as it is.
    pub(super) version: Mirrored,
    pub(super) method: Mirrored,
    pub(super) name: Mirrored,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mirrored {
    Absent,
    /// Repeated or not decodable.
    Invalid,
    Value(String),
}

/// A token taken apart, before its signature is verified.
pub(super) struct Presented {
    pub(super) digest: [u8; 32],
    pub(super) signing_input: String,
    /// SHA-256 of that.
    pub(super) signed_digest: [u8; 32],
    pub(super) signature: Vec<u8>,
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) issuer: usize,
    pub(super) claims: Claims,
}

/// Without the token.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) enum Stage {
    Introspection(Box<Opaque>),
    Keys(Box<Presented>),
    Signature { presented: Box<Presented>, key: Arc<Jwk>, revision: u64 },
    Body(Box<Reading>),
    Proof { identity: Arc<Identity>, issuer: usize, key: Box<Jwk> },
    Status { identity: Arc<Identity>, issuer: usize },
}

impl Pending {
    /// The signature to verify, when the step was [`Step::NeedSignature`].
    #[must_use]
    pub fn signature(&self) -> Option<SignatureCheck<'_>> {
        match &self.stage {
            Stage::Signature { presented, key, .. } => Some(SignatureCheck {
                algorithm: presented.algorithm,
                key,
                signing_input: presented.signing_input.as_bytes(),
                signature: &presented.signature,
                digest: Some(&presented.signed_digest),
            }),
            Stage::Proof { key, .. } => self.context.proof.as_ref().map(|proof| SignatureCheck {
                algorithm: proof.algorithm(),
                key,
                signing_input: proof.signing_input(),
                signature: proof.signature(),
                digest: None,
            }),
            _ => None,
        }
    }

    /// The changes that will be made if the body is found in order, when the step was
    /// [`Step::NeedBody`]: for hosts that must send the headers on before they see the body.
    #[must_use]
    pub fn early_forward(&self) -> Option<&Forward> {
        match &self.stage {
            Stage::Body(reading) => Some(&reading.forward),
            _ => None,
        }
    }

    /// Headers for a response that comes before the request was decided: those to set, and those to
    /// add, as in [`Forward::response_headers`] and [`Forward::response_append`].
    #[must_use]
    pub fn response_headers(&self) -> (Vec<Header>, Vec<Header>) {
        self.context.response_headers()
    }

    /// Whether the request is held to its decision: not in shadow mode. A response that comes
    /// before it is decided must then not be shown, unless it is an error.
    #[must_use]
    pub fn is_enforced(&self, policy: &Policy) -> bool {
        let resource = policy.resources.get(self.context.resource);
        resource.is_none_or(|resource| resource.mode == Mode::Enforce)
    }
}
