//! Reading `WWW-Authenticate` (RFC 9110 §11.6.1): the challenges that a client was answered with.

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};
use core::fmt;

use crate::grammar::{is_tchar, is_token68};

/// Longest header value that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// Most challenges, and most parameters of one of them, that are read.
pub const MAX_ITEMS: usize = 32;

/// One challenge as it was received. What is in it is the server's word, to be judged by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedChallenge {
    /// The scheme as it was written; [`Self::is`] compares it.
    pub scheme: String,
    /// The single text that some schemes have instead of parameters, like `Negotiate YII=`.
    pub token68: Option<String>,
    /// Names, in lower case, with their values, unescaped. No name is there twice.
    pub parameters: Vec<(String, String)>,
}

/// Why a header value is no list of challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChallengeSyntaxError {
    /// A challenge names a parameter twice (RFC 9110 §11.2).
    DuplicateParameter,
    /// Something stands where the grammar has no place for it; the byte's position.
    Malformed(usize),
    /// The value is not UTF-8.
    NotText,
    /// A quoted string does not end.
    Unterminated,
    /// Longer than [`MAX_BYTES`], or more than [`MAX_ITEMS`].
    TooLong,
}

impl fmt::Display for ChallengeSyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateParameter => f.write_str("a challenge has a parameter twice"),
            Self::Malformed(at) => write!(f, "byte {at} does not belong there"),
            Self::NotText => f.write_str("the value is not UTF-8"),
            Self::Unterminated => f.write_str("a quoted string does not end"),
            Self::TooLong => f.write_str("the value is too long"),
        }
    }
}

impl core::error::Error for ChallengeSyntaxError {}

impl ReceivedChallenge {
    /// Reads the challenges of a `WWW-Authenticate` value, in their order. Several header lines are to
    /// be joined by commas (RFC 9110 §5.3).
    ///
    /// # Errors
    /// [`ChallengeSyntaxError`]. A value that is wrong anywhere is refused as a whole: what a lenient
    /// reader makes of the rest is guesswork.
    ///
    /// ```
    /// use countersign_core::oauth::www_authenticate::ReceivedChallenge;
    ///
    /// let value = br#"Basic realm="a, \"b\"", Bearer error=invalid_token, scope="a b""#;
    /// let challenges = ReceivedChallenge::parse_all(value).unwrap();
    /// assert_eq!(challenges[0].parameter("realm"), Some(r#"a, "b""#));
    /// assert!(challenges[1].is("bearer"));
    /// assert_eq!(challenges[1].parameter("error"), Some("invalid_token"));
    /// assert_eq!(challenges[1].parameter("scope"), Some("a b"));
    /// ```
    pub fn parse_all(value: &[u8]) -> Result<Vec<Self>, ChallengeSyntaxError> {
        if value.len() > MAX_BYTES {
            return Err(ChallengeSyntaxError::TooLong);
        }
        let text = core::str::from_utf8(value).map_err(|_| ChallengeSyntaxError::NotText)?;
        Reader { text, rest: text }.challenges()
    }

    /// Whether it is of this scheme; case does not count (RFC 9110 §11.1).
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, named in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn push(&mut self, name: &str, value: String) -> Result<(), ChallengeSyntaxError> {
        let name = name.to_ascii_lowercase();
        if self.parameter(&name).is_some() {
            return Err(ChallengeSyntaxError::DuplicateParameter);
        }
        if self.parameters.len() == MAX_ITEMS {
            return Err(ChallengeSyntaxError::TooLong);
        }
        self.parameters.push((name, value));
        Ok(())
    }
}

/// What is still to be read.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// `#challenge`, with `challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]`. Both lists have
    /// commas: after one, a token with `=` behind it is a parameter, any other begins a challenge.
    fn challenges(mut self) -> Result<Vec<ReceivedChallenge>, ChallengeSyntaxError> {
        let mut challenges: Vec<ReceivedChallenge> = Vec::new();
        loop {
            self.skip(|c| matches!(c, ' ' | '\t' | ','));
            if self.rest.is_empty() {
                return Ok(challenges);
            }
            let start = self.rest;
            let word = self.token()?;
            let current = challenges.last_mut().filter(|current| current.token68.is_none());
            if self.at_equals() {
                // A parameter needs a challenge that it belongs to.
                let Some(current) = current else { return Err(self.malformed(start)) };
                current.push(word, self.value()?)?;
            } else {
                if challenges.len() == MAX_ITEMS {
                    return Err(ChallengeSyntaxError::TooLong);
                }
                challenges.push(self.challenge(word)?);
            }
            self.end_of_element()?;
        }
    }

    /// What follows a scheme, up to the first comma.
    fn challenge(&mut self, scheme: &str) -> Result<ReceivedChallenge, ChallengeSyntaxError> {
        let mut challenge =
            ReceivedChallenge { scheme: scheme.to_owned(), token68: None, parameters: Vec::new() };
        if !self.skip(|c| c == ' ') {
            return Ok(challenge);
        }
        challenge.token68 = self.token68();
        if challenge.token68.is_none() && !ends_element(self.rest) {
            let start = self.rest;
            let name = self.token()?;
            if !self.at_equals() {
                return Err(self.malformed(start));
            }
            challenge.push(name, self.value()?)?;
        }
        Ok(challenge)
    }

    /// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`, if nothing else follows it.
    fn token68(&mut self) -> Option<String> {
        let letters = self.rest.trim_start_matches(|c| is_ascii(c, is_token68));
        let after = letters.trim_start_matches('=');
        let whole = self.rest.strip_suffix(after)?;
        let is_one = letters.len() < self.rest.len() && ends_element(after);
        if !is_one {
            return None;
        }
        self.rest = after;
        Some(whole.to_owned())
    }

    /// Whether `BWS "="` follows, which is taken.
    fn at_equals(&mut self) -> bool {
        match self.rest.trim_start_matches([' ', '\t']).strip_prefix('=') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `BWS ( token / quoted-string )`.
    fn value(&mut self) -> Result<String, ChallengeSyntaxError> {
        self.skip(|c| matches!(c, ' ' | '\t'));
        match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                self.quoted()
            }
            None => self.token().map(str::to_owned),
        }
    }

    /// What follows the opening quotation mark (RFC 9110 §5.6.4).
    fn quoted(&mut self) -> Result<String, ChallengeSyntaxError> {
        let mut value = String::new();
        let mut characters = self.rest.chars();
        loop {
            let before = characters.as_str();
            let next = characters.next().ok_or(ChallengeSyntaxError::Unterminated)?;
            let character = match next {
                '"' => break,
                '\\' => characters.next().ok_or(ChallengeSyntaxError::Unterminated)?,
                other => other,
            };
            if character.is_ascii_control() && character != '\t' {
                return Err(self.malformed(before));
            }
            value.push(character);
        }
        self.rest = characters.as_str();
        Ok(value)
    }

    fn token(&mut self) -> Result<&'a str, ChallengeSyntaxError> {
        let after = self.rest.trim_start_matches(|c| is_ascii(c, is_tchar));
        let token = self.rest.strip_suffix(after).unwrap_or_default();
        if token.is_empty() {
            return Err(self.malformed(self.rest));
        }
        self.rest = after;
        Ok(token)
    }

    fn end_of_element(&mut self) -> Result<(), ChallengeSyntaxError> {
        self.skip(|c| matches!(c, ' ' | '\t'));
        if ends_element(self.rest) { Ok(()) } else { Err(self.malformed(self.rest)) }
    }

    /// Whether there was something to skip.
    fn skip(&mut self, skipped: impl Fn(char) -> bool) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(skipped);
        self.rest.len() < before
    }

    /// An error at what is left from here.
    fn malformed(&self, from: &str) -> ChallengeSyntaxError {
        ChallengeSyntaxError::Malformed(self.text.len().saturating_sub(from.len()))
    }
}

fn is_ascii(character: char, holds: fn(u8) -> bool) -> bool {
    u8::try_from(character).is_ok_and(holds)
}

/// Whether, after optional white space, a comma or the end follows.
fn ends_element(rest: &str) -> bool {
    matches!(rest.trim_start_matches([' ', '\t']).bytes().next(), None | Some(b','))
}
