//! Token introspection (RFC 7662): what an authorization server says of a token that only it can read.

use alloc::{boxed::Box, format, string::String};
use core::fmt;

use crate::{
    Reason,
    jose::{
        base64url,
        json::{self, Value},
    },
    jwt::{claims::Claims, confirmation::Confirmation},
};

/// The answer for one token.
#[derive(Clone, Debug)]
pub enum Introspection {
    /// The token is good now. What the server says of it has the types of claims (RFC 7662 §2.2);
    /// whether it is meant for the one who asked, and for what, is still to be checked.
    Active(Box<Claims>),
    /// It is not, or never was, or not for the one who asked; or it is no access token.
    Inactive,
}

/// Why a body is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// `active` is missing or neither true nor false (RFC 7662 §2.2).
    Active,
    /// A member has another type than the claim of that name.
    Claim,
    /// Not one strict JSON object.
    Json,
}

impl fmt::Display for IntrospectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "the introspection response has no boolean \"active\"",
            Self::Claim => "a member of the introspection response has the wrong type",
            Self::Json => "the introspection response is not one strict JSON object",
        })
    }
}

impl core::error::Error for IntrospectionError {}

impl Introspection {
    /// Reads a response body.
    ///
    /// # Errors
    /// [`IntrospectionError`]: nothing can be said of the token.
    ///
    /// ```
    /// use countersign_core::oauth::introspection::Introspection;
    ///
    /// let answer = Introspection::parse(br#"{"active":true,"sub":"Z5O3upPC88QrAjx00dis"}"#).unwrap();
    /// assert!(matches!(answer, Introspection::Active(claims) if claims.subject.is_some()));
    /// let answer = Introspection::parse(br#"{"active":false}"#).unwrap();
    /// assert!(matches!(answer, Introspection::Inactive));
    /// ```
    pub fn parse(body: &[u8]) -> Result<Self, IntrospectionError> {
        let Ok(Value::Object(mut members)) = json::parse(body) else {
            return Err(IntrospectionError::Json);
        };
        match members.remove("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(Self::Inactive),
            _ => return Err(IntrospectionError::Active),
        }
        // Some servers introspect refresh tokens too: whoever has one has no access token. Most say so
        // by token_type, Ory Hydra by token_use.
        let is_one_of = |name: &str, known: [&str; 2]| match members.get(name) {
            None => true,
            Some(Value::String(kind)) => known.iter().any(|known| kind.eq_ignore_ascii_case(known)),
            Some(_) => false,
        };
        if !is_one_of("token_type", ["Bearer", "DPoP"])
            || !is_one_of("token_use", ["access_token", "access"])
        {
            return Ok(Self::Inactive);
        }
        let is_dpop = members.get("token_type").and_then(Value::as_str);
        let is_dpop = is_dpop.is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
        let claims = Claims::from_members(members);
        let mut claims = claims.map_err(|_: Reason| IntrospectionError::Claim)?;
        if is_dpop && claims.confirmation == Confirmation::None {
            // It is bound to a key, which is not told (RFC 9449 §6.2): it is no bearer token.
            claims.confirmation = Confirmation::Other;
        }
        Ok(Self::Active(Box::new(claims)))
    }
}

/// The body of a request for one token (RFC 7662 §2.1).
#[must_use]
pub fn request_body(token: &str) -> String {
    format!("token={}&token_type_hint=access_token", form_encoded(token))
}

/// `Authorization` of a client with a secret (RFC 6749 §2.3.1): both are form-encoded first.
#[must_use]
pub fn basic_credentials(client_id: &str, client_secret: &str) -> String {
    let pair = format!("{}:{}", form_encoded(client_id), form_encoded(client_secret));
    format!("Basic {}", base64url::encode_standard(pair))
}

/// `application/x-www-form-urlencoded`; what needs no encoding in any reading of it is left.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
            encoded.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> IntrospectionError {
        Introspection::parse(body.as_bytes()).unwrap_err()
    }

    /// RFC 7662 §2.2, the example of an active token.
    #[test]
    fn rfc_7662_example() {
        let body = br#"{
            "active": true, "client_id": "l238j323ds-23ij4", "username": "jdoe",
            "scope": "read write dolphin", "sub": "Z5O3upPC88QrAjx00dis",
            "aud": "https://protected.example.net/resource",
            "iss": "https://server.example.com/", "exp": 1419356238, "iat": 1419350238,
            "extension_field": "twenty-seven"
        }"#;
        let Ok(Introspection::Active(claims)) = Introspection::parse(body) else { panic!() };
        assert_eq!(claims.client_id.as_deref(), Some("l238j323ds-23ij4"));
        assert_eq!(claims.audience, ["https://protected.example.net/resource"]);
        assert_eq!(claims.expires_at, Some(1_419_356_238));
        assert!(!claims.all.contains_key("active"));
    }

    #[test]
    fn nothing_is_active_by_mistake() {
        for body in ["", "[]", "true", r#"{"active":true,"active":true}"#, r#"{"active":true} x"#] {
            assert_eq!(error(body), IntrospectionError::Json, "{body}");
        }
        for body in ["{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"Active":true}"#] {
            assert_eq!(error(body), IntrospectionError::Active, "{body}");
        }
        for body in [r#""exp":"1""#, r#""scope":1"#, r#""aud":{}"#, r#""sub":null"#] {
            assert_eq!(error(&format!(r#"{{"active":true,{body}}}"#)), IntrospectionError::Claim);
        }
        for member in [
            r#""token_type":"refresh_token""#,
            r#""token_type":"N_A""#,
            r#""token_type":null"#,
            r#""token_type":["Bearer"]"#,
            r#""token_use":"refresh_token""#,
            r#""token_type":"Bearer","token_use":"id""#,
        ] {
            let body = format!(r#"{{"active":true,{member}}}"#);
            let answer = Introspection::parse(body.as_bytes());
            assert!(matches!(answer, Ok(Introspection::Inactive)), "{member}");
        }
        for member in [r#""token_type":"bearer""#, r#""token_use":"access""#, r#""username":"x""#] {
            let body = format!(r#"{{"active":true,{member}}}"#);
            let answer = Introspection::parse(body.as_bytes());
            assert!(matches!(answer, Ok(Introspection::Active(_))), "{member}");
        }
        // RFC 9449 §6.2: the binding must be told.
        let answer = Introspection::parse(br#"{"active":true,"token_type":"dpop"}"#);
        let Ok(Introspection::Active(claims)) = answer else { panic!() };
        assert_eq!(claims.confirmation, Confirmation::Other);
        // An inactive token is not spoken of, whatever else is said.
        let inactive = Introspection::parse(br#"{"active":false,"exp":"x"}"#);
        assert!(matches!(inactive, Ok(Introspection::Inactive)));
    }

    /// RFC 6749 §2.3.1 and Appendix B.
    #[test]
    fn the_request() {
        assert_eq!(
            request_body("2YotnFZFEjr1zCsicMWpAA+/~="),
            "token=2YotnFZFEjr1zCsicMWpAA%2B%2F%7E%3D&token_type_hint=access_token"
        );
        assert_eq!(
            basic_credentials("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"),
            "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"
        );
        // "a%3Ab:%C3%A9+" cannot be taken for another pair.
        assert_eq!(basic_credentials("a:b", "é"), "Basic YSUzQWI6JUMzJUE5");
    }
}
