//! The credentials of a request (RFC 6750 §2.1, RFC 9449 §7.1): present, single and in the right
//! place.

use super::{
    policy::Dpop,
    request::{RequestHead, Single},
};
use crate::{
    Reason,
    grammar::is_token68,
    oauth::dpop::{Proof, ProofError},
};

/// The authentication scheme by which a token was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scheme {
    #[default]
    Bearer,
    Dpop,
}

/// Longest proof, in bytes: room for an RSA key of 8192 bits and its signature.
const MAX_PROOF: usize = 8192;

impl Scheme {
    /// The scheme that a request tries, so that its answer speaks of that one.
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        match head.single("authorization") {
            Single::Value(value)
                if value.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"dpop ")) =>
            {
                Self::Dpop
            }
            _ => Self::Bearer,
        }
    }
}

/// The access token as text, and the scheme by which it came.
pub(super) fn access_token<'a>(
    head: &RequestHead<'a>,
    dpop: Dpop,
    max_bytes: usize,
) -> Result<(Scheme, &'a str), Reason> {
    if let Some((_, Some(query))) = head.target()
        && query.split('&').any(names_access_token)
    {
        return Err(Reason::TokenInQuery);
    }
    let value = match head.single("authorization") {
        Single::Absent => return Err(Reason::TokenMissing),
        Single::Repeated => return Err(Reason::CredentialsMalformed),
        Single::Value(value) => value,
    };
    let text = core::str::from_utf8(value).map_err(|_| Reason::CredentialsMalformed)?;
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return Err(Reason::TokenMissing);
    }
    let (name, token) = text.split_once(' ').unwrap_or((text, ""));
    let scheme = if name.eq_ignore_ascii_case("bearer") && dpop != Dpop::Require {
        Scheme::Bearer
    } else if name.eq_ignore_ascii_case("dpop") && dpop != Dpop::Off {
        Scheme::Dpop
    } else if name.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
        return Err(Reason::SchemeUnsupported);
    } else {
        return Err(Reason::CredentialsMalformed);
    };
    let token = token.trim_start_matches(' ');
    if token.is_empty() {
        // An empty token is no token: the client has to get one.
        return Err(Reason::TokenMissing);
    }
    if token.len() > max_bytes {
        return Err(Reason::TokenTooLarge);
    }
    if !is_b64token(token) {
        return Err(Reason::CredentialsMalformed);
    }
    Ok((scheme, token))
}

/// The DPoP proof (RFC 9449 §4.3 steps 1 and 2), taken apart.
pub(super) fn proof(head: &RequestHead<'_>) -> Result<Proof, (Reason, Option<ProofError>)> {
    let malformed = (Reason::ProofMalformed, None);
    let value = match head.single("dpop") {
        Single::Absent => return Err((Reason::ProofMissing, None)),
        Single::Repeated => return Err(malformed),
        Single::Value(value) => value,
    };
    if value.len() > MAX_PROOF {
        return Err(malformed);
    }
    let text = core::str::from_utf8(value).map_err(|_| malformed)?.trim_matches([' ', '\t']);
    Proof::parse(text).map_err(|error| (Reason::ProofMalformed, Some(error)))
}

/// `b64token` of RFC 6750 §2.1. Two headers that a proxy joined by a comma are none.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(is_token68)
}

fn names_access_token(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or(parameter);
    // However it is spelt: a decoding server would read `%61ccess_token` too.
    let mut decoded = alloc::string::String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let escaped = (first == '%').then(|| rest.get(1..3)).flatten();
        let byte = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (character, length) = match byte {
            Some(byte) => (char::from(byte), 3),
            None => (first, first.len_utf8()),
        };
        decoded.push(character);
        rest = rest.get(length..).unwrap_or("");
    }
    decoded.eq_ignore_ascii_case("access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token<'a>(path: &'a str, headers: &'a [(&'a [u8], &'a [u8])]) -> Result<&'a str, Reason> {
        let head = RequestHead {
            method: b"POST",
            authority: b"h",
            path: path.as_bytes(),
            headers,
            has_body: false,
            client: None,
            certificate: None,
        };
        access_token(&head, Dpop::Off, 100).map(|(_, token)| token)
    }

    /// RFC 6750 §2.1, RFC 9110 §11.1: the scheme has no case.
    #[test]
    fn accepted_forms() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc", " Bearer abc "] {
            assert_eq!(token("/", &[(b"authorization", value.as_bytes())]), Ok("abc"), "{value:?}");
        }
        assert_eq!(token("/", &[(b"Authorization", b"Bearer a.b-c_d~+/==")]), Ok("a.b-c_d~+/=="));
    }

    #[test]
    fn refused_forms() {
        for (value, expected) in [
            (&b""[..], Reason::TokenMissing),
            (b"Bearer", Reason::TokenMissing),
            (b"Bearer ", Reason::TokenMissing),
            (b"Basic abc", Reason::SchemeUnsupported),
            (b"DPoP abc", Reason::SchemeUnsupported),
            (b"Bearerabc", Reason::SchemeUnsupported),
            (b"Bearer a b", Reason::CredentialsMalformed),
            (b"Bearer a,Bearer b", Reason::CredentialsMalformed),
            (b"Bearer a, Bearer b", Reason::CredentialsMalformed),
            (b"Bearer =", Reason::CredentialsMalformed),
            (b"Bearer a=b", Reason::CredentialsMalformed),
            (b"Bearer\tabc", Reason::CredentialsMalformed),
            (b"Bearer \xff\xfe", Reason::CredentialsMalformed),
            (b"Bearer a\"", Reason::CredentialsMalformed),
            (&[b'x'; 200], Reason::SchemeUnsupported),
        ] {
            let headers: [(&[u8], &[u8]); 1] = [(b"authorization", value)];
            let found = token("/", &headers);
            assert_eq!(found, Err(expected), "{:?}", core::str::from_utf8(value));
        }
        let long = alloc::format!("Bearer {}", "a".repeat(101));
        assert_eq!(token("/", &[(b"authorization", long.as_bytes())]), Err(Reason::TokenTooLarge));
        let twice: &[(&[u8], &[u8])] =
            &[(b"authorization", b"Bearer a"), (b"Authorization", b"Bearer a")];
        assert_eq!(token("/", twice), Err(Reason::CredentialsMalformed));
        assert_eq!(token("/", &[]), Err(Reason::TokenMissing));
    }

    /// MCP authorization, access token usage: never in the query.
    #[test]
    fn query_is_refused() {
        let headers: &[(&[u8], &[u8])] = &[(b"authorization", b"Bearer a")];
        for path in
            ["/?access_token=x", "/?a=1&access_token", "/?%61ccess_token=x", "/?Access_Token=x"]
        {
            assert_eq!(token(path, headers), Err(Reason::TokenInQuery), "{path}");
        }
        assert_eq!(token("/?access_tokens=1&x=access_token&%=%zz&é", headers), Ok("a"));
    }
}
