//! JWS compact serialisation (RFC 7515 §3.1, §5.2), read strictly.

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::{
    alg::Algorithm,
    base64url,
    json::{self, Object, Value},
};

/// A signed token taken apart. Nothing in it is trusted before its signature is verified.
#[derive(Clone, Debug)]
pub struct CompactJws<'a> {
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signing_input: &'a str,
}

/// The protected header's members that matter. `jwk`, `jku`, `x5u` and `x5c` are never looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm, if it is one of ours.
    pub algorithm: Option<Algorithm>,
    /// The name of the key.
    pub kid: Option<String>,
    /// The token's type.
    pub typ: Option<String>,
}

/// Why a text is no acceptable compact JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwsError {
    /// `crit` or `b64` asks for an extension; none is supported (RFC 7515 §4.1.11, RFC 7797).
    CriticalHeader,
    /// A segment is not canonical base64url.
    Encoding,
    /// An encrypted token (five segments, or `enc` in the header).
    Encrypted,
    /// The header is not strict JSON or a member has the wrong type.
    Header,
    /// `cty` says that the payload is another token.
    Nested,
    /// Not three segments, or an empty one.
    Segments,
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CriticalHeader => "the header asks for an unsupported extension (crit, b64)",
            Self::Encoding => "a segment is not canonical base64url",
            Self::Encrypted => "the token is encrypted (JWE), which is not supported",
            Self::Header => "the header is not strict JSON or a member has the wrong type",
            Self::Nested => "the token contains another token (cty), which is not supported",
            Self::Segments => "not three non-empty segments",
        })
    }
}

impl core::error::Error for JwsError {}

impl<'a> CompactJws<'a> {
    /// Takes the text apart.
    ///
    /// # Errors
    /// [`JwsError`] for everything that is not exactly one signed, unencrypted token.
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        Self::parse_with_header(text).map(|(jws, _)| jws)
    }

    /// The same, with the other members of the header: for proofs, which carry their key there.
    pub(crate) fn parse_with_header(text: &'a str) -> Result<(Self, Object), JwsError> {
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature)) =
            (segments.next(), segments.next(), segments.next())
        else {
            return Err(JwsError::Segments);
        };
        match segments.count() {
            0 => {}
            2 if text.bytes().all(is_compact) => return Err(JwsError::Encrypted),
            _ => return Err(JwsError::Segments),
        }
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(JwsError::Segments);
        }
        let decode = |segment| base64url::decode(segment).map_err(|_| JwsError::Encoding);
        let (signing_input, _) = text.rsplit_once('.').ok_or(JwsError::Segments)?;
        let Ok(Value::Object(mut members)) = json::parse(&decode(header)?) else {
            return Err(JwsError::Header);
        };
        let jws = Self {
            header: Header::take(&mut members)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
            signing_input,
        };
        Ok((jws, members))
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload's bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature's bytes.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What was signed: header and payload as they were sent.
    #[must_use]
    pub const fn signing_input(&self) -> &'a str {
        self.signing_input
    }
}

impl Header {
    /// Takes out of the members what matters.
    fn take(members: &mut Object) -> Result<Self, JwsError> {
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(JwsError::CriticalHeader);
        }
        if members.contains_key("enc") {
            return Err(JwsError::Encrypted);
        }
        let mut text = |name| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwsError::Header),
        };
        if text("cty")?.is_some_and(|cty| is_type(&cty, "jwt")) {
            return Err(JwsError::Nested);
        }
        let alg = text("alg")?.ok_or(JwsError::Header)?;
        Ok(Self { algorithm: Algorithm::from_name(&alg), kid: text("kid")?, typ: text("typ")? })
    }
}

/// The characters of a compact serialisation (RFC 7515 §3.1, RFC 7516 §3.1).
const fn is_compact(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Compares a `typ` or `cty` as media types are: without case, `application/` being optional
/// (RFC 7515 §4.1.9, RFC 9068 §4).
#[must_use]
pub fn is_type(value: &str, expected: &str) -> bool {
    let bare = |text: &'_ str| -> usize {
        let prefix = "application/";
        match text.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => prefix.len(),
            _ => 0,
        }
    };
    match (value.get(bare(value)..), expected.get(bare(expected)..)) {
        (Some(value), Some(expected)) => value.eq_ignore_ascii_case(expected),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn with_header(header: &str) -> Result<Header, JwsError> {
        let text = format!("{}.e30.AA", base64url::encode(header));
        CompactJws::parse(&text).map(|jws| jws.header().clone())
    }

    /// RFC 7515 §5.2 step 2 and §7.1: exactly three canonical segments.
    #[test]
    fn only_the_compact_form() {
        let header = base64url::encode(r#"{"alg":"ES256"}"#);
        assert!(CompactJws::parse(&format!("{header}.e30.AA")).is_ok());
        for (text, expected) in [
            (String::new(), JwsError::Segments),
            (header.clone(), JwsError::Segments),
            (format!("{header}.e30"), JwsError::Segments),
            (format!("{header}.e30."), JwsError::Segments),
            (format!("{header}..AA"), JwsError::Segments),
            (format!(".{header}.AA"), JwsError::Segments),
            (format!("{header}.e30.AA."), JwsError::Segments),
            (format!("{header}.e30.AA.BB"), JwsError::Segments),
            (format!("{header}.e30.AA.BB.CC"), JwsError::Encrypted),
            (format!("{header}..AA.BB.CC"), JwsError::Encrypted),
            (format!("{header}.e30.AA.BB.CC.DD"), JwsError::Segments),
            (r#"{"payload":"a.b.c.d.e"}"#.into(), JwsError::Segments),
            (format!("{header}.e30.AA="), JwsError::Encoding),
            (format!("{header}.e30.AB"), JwsError::Encoding),
            (format!("{header}.e3 0.AA"), JwsError::Encoding),
            (format!("{header}\n.e30.AA"), JwsError::Encoding),
            (format!("{header}.e30.A/"), JwsError::Encoding),
        ] {
            assert_eq!(CompactJws::parse(&text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn header_members_are_checked() {
        for (header, expected) in [
            (r#"{"alg":"ES256","crit":["exp"]}"#, JwsError::CriticalHeader),
            (r#"{"alg":"ES256","crit":[]}"#, JwsError::CriticalHeader),
            (r#"{"alg":"ES256","b64":true}"#, JwsError::CriticalHeader),
            (r#"{"alg":"dir","enc":"A128GCM"}"#, JwsError::Encrypted),
            (r#"{"alg":"ES256","cty":"JWT"}"#, JwsError::Nested),
            (r#"{"alg":"ES256","cty":"application/jwt"}"#, JwsError::Nested),
            (r#"{"alg":"ES256","alg":"ES256"}"#, JwsError::Header),
            (r#"{"alg":["ES256"]}"#, JwsError::Header),
            (r#"{"alg":"ES256","typ":["at+jwt"]}"#, JwsError::Header),
            (r#"{"alg":"ES256","kid":null}"#, JwsError::Header),
            (r#"{"typ":"JWT"}"#, JwsError::Header),
            (r#"["ES256"]"#, JwsError::Header),
        ] {
            assert_eq!(with_header(header).unwrap_err(), expected, "{header}");
        }
        let header = with_header(r#"{"alg":"none","jku":"https://evil.example","x":1}"#).unwrap();
        assert_eq!(header.algorithm, None);
    }

    #[test]
    fn types_compare_as_media_types() {
        for value in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
            assert!(is_type(value, "at+jwt"), "{value}");
        }
        for value in
            ["", "jwt", "at+jwt ", "application/application/at+jwt", "text/at+jwt", "äapplicatio"]
        {
            assert!(!is_type(value, "at+jwt"), "{value}");
        }
    }
}
