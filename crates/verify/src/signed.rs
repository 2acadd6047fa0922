//! What a signature is of: a message, or its digest.

use sha2::digest::{Digest, Output};

#[derive(Clone, Copy)]
pub(crate) enum Signed<'a> {
    Message(&'a [u8]),
    Digest(&'a [u8]),
}

impl<'a> Signed<'a> {
    /// The digest by this hash function; `None` for a given one of another length.
    pub(crate) fn digest<D: Digest>(self) -> Option<Output<D>> {
        match self {
            Self::Message(message) => Some(D::digest(message)),
            Self::Digest(digest) => digest.try_into().ok(),
        }
    }

    /// For algorithms that need the message itself.
    pub(crate) const fn message(self) -> Option<&'a [u8]> {
        match self {
            Self::Message(message) => Some(message),
            Self::Digest(_) => None,
        }
    }
}
