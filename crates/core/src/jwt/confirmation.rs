//! The key or certificate that a token is bound to: the claim `cnf` (RFC 7800 §3, RFC 9449 §6.1, RFC 8705 §3.1).

use crate::{
    Reason,
    jose::{
        base64url,
        json::{Object, Value},
    },
};

/// What a token says of the key that its bearer must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Nothing: a bearer token.
    None,
    /// The SHA-256 thumbprint of the key (`jkt`, RFC 9449 §6.1).
    Thumbprint([u8; 32]),
    /// The SHA-256 digest of the client's certificate (`x5t#S256`, RFC 8705 §3.1).
    Certificate([u8; 32]),
    /// Something that is not checked here, or is malformed.
    Other,
}

/// How a token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation<'a> {
    /// By itself (RFC 6750).
    Bearer,
    /// By itself, over a connection on which the client showed the certificate with this SHA-256 digest
    /// (RFC 8705 §3).
    Certificate(&'a [u8; 32]),
    /// With a DPoP proof by the key that has this SHA-256 thumbprint (RFC 9449 §7.1).
    Dpop(&'a [u8; 32]),
}

impl Confirmation {
    pub(super) fn of(claims: &Object) -> Self {
        let Some(cnf) = claims.get("cnf") else {
            return Self::None;
        };
        // Whoever names a second method besides means both.
        let only = cnf.as_object().filter(|members| members.len() == 1);
        let digest = |name| {
            only.and_then(|members| members.get(name))
                .and_then(Value::as_str)
                .and_then(|text| base64url::decode(text).ok())
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        };
        let thumbprint = digest("jkt").map(Self::Thumbprint);
        thumbprint.or_else(|| digest("x5t#S256").map(Self::Certificate)).unwrap_or(Self::Other)
    }

    /// Whether a token may be presented thus.
    ///
    /// # Errors
    /// [`Reason::TokenBound`] when it is bound to a key that was not shown (RFC 9449 §7.2: a bound
    /// token is no bearer token), [`Reason::TokenUnbound`] when it is bound to none though a key was.
    pub fn check(&self, presentation: Presentation<'_>) -> Result<(), Reason> {
        match (self, presentation) {
            (Self::None, Presentation::Bearer | Presentation::Certificate(_)) => Ok(()),
            (Self::None, Presentation::Dpop(_)) => Err(Reason::TokenUnbound),
            (Self::Thumbprint(bound), Presentation::Dpop(shown)) if bound == shown => Ok(()),
            (Self::Certificate(bound), Presentation::Certificate(shown)) if bound == shown => {
                Ok(())
            }
            (Self::Thumbprint(_) | Self::Certificate(_) | Self::Other, _) => {
                Err(Reason::TokenBound)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;

    fn read(claims: &str) -> Confirmation {
        Confirmation::of(json::parse(claims.as_bytes()).unwrap().as_object().unwrap())
    }

    /// RFC 9449 §6.1, figure 8.
    #[test]
    fn thumbprints() {
        const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(read("{}"), Confirmation::None);
        let bound = read(&alloc::format!(r#"{{"cnf":{{"jkt":"{JKT}"}}}}"#));
        let Confirmation::Thumbprint(thumbprint) = bound else { panic!("{bound:?}") };
        assert_eq!(base64url::encode(thumbprint), JKT);
        assert_eq!(bound.check(Presentation::Dpop(&thumbprint)), Ok(()));
        assert_eq!(bound.check(Presentation::Dpop(&[0; 32])), Err(Reason::TokenBound));
        assert_eq!(bound.check(Presentation::Bearer), Err(Reason::TokenBound));
        let none = Confirmation::None;
        assert_eq!(none.check(Presentation::Dpop(&thumbprint)), Err(Reason::TokenUnbound));
        assert_eq!(none.check(Presentation::Bearer), Ok(()));
        for other in [
            r#"{"cnf":null}"#.into(),
            r#"{"cnf":{}}"#.into(),
            r#"{"cnf":[]}"#.into(),
            r#"{"cnf":{"jkt":""}}"#.into(),
            r#"{"cnf":{"jkt":["x"]}}"#.into(),
            alloc::format!(r#"{{"cnf":{{"jkt":"{JKT}="}}}}"#),
            alloc::format!(r#"{{"cnf":{{"jkt":"{JKT}","x5t#S256":"{JKT}"}}}}"#),
            alloc::format!(r#"{{"cnf":{{"x5t#S256":"{JKT}="}}}}"#),
            alloc::format!(r#"{{"cnf":{{"x5t":"{JKT}"}}}}"#),
        ] {
            let other = read(&other);
            assert_eq!(other, Confirmation::Other);
            assert_eq!(other.check(Presentation::Bearer), Err(Reason::TokenBound));
            assert_eq!(other.check(Presentation::Dpop(&thumbprint)), Err(Reason::TokenBound));
            assert_eq!(
                other.check(Presentation::Certificate(&thumbprint)),
                Err(Reason::TokenBound)
            );
        }
    }

    /// RFC 8705 §3.1, figure 3.
    #[test]
    fn certificates() {
        const DIGEST: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";
        let strict = read(&alloc::format!(r#"{{"cnf":{{"x5t#S256":"{DIGEST}"}}}}"#));
        assert_eq!(strict, Confirmation::Other, "its last character has bits that are not used");
        let bound = read(&alloc::format!(r#"{{"cnf":{{"x5t#S256":"{}0"}}}}"#, &DIGEST[..42]));
        let Confirmation::Certificate(digest) = bound else { panic!("{bound:?}") };
        assert_eq!(bound.check(Presentation::Certificate(&digest)), Ok(()));
        assert_eq!(bound.check(Presentation::Certificate(&[0; 32])), Err(Reason::TokenBound));
        assert_eq!(bound.check(Presentation::Bearer), Err(Reason::TokenBound));
        assert_eq!(bound.check(Presentation::Dpop(&digest)), Err(Reason::TokenBound));
        assert_eq!(Confirmation::None.check(Presentation::Certificate(&digest)), Ok(()));
        let key = Confirmation::Thumbprint(digest);
        assert_eq!(key.check(Presentation::Certificate(&digest)), Err(Reason::TokenBound));
    }
}
