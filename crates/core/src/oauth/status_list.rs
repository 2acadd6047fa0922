//! Token Status List (draft-ietf-oauth-status-list-21): which tokens an issuer has revoked.

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};
use core::fmt;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::{
    Reason, UnixSeconds,
    jose::{
        base64url,
        json::{self, Number, Object, Value},
        jwks::GENERATION,
        jws::is_type,
    },
    jwt::numeric_date,
};

/// The `typ` of a status list token (§5.1).
pub const TYPE: &str = "statuslist+jwt";

/// Most bytes of a list once it is inflated: eight million tokens of one bit.
pub const MAX_LIST_BYTES: usize = 1 << 20;

/// Where a token's status stands (§6.2): the `status_list` member of its `status` claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReference {
    /// The list.
    pub uri: String,
    /// The place in it.
    pub index: u64,
}

impl StatusReference {
    /// Reads a token's claims.
    ///
    /// # Errors
    /// [`Reason::ClaimMalformed`] when there is a `status` claim that says nothing we could check.
    pub fn of(claims: &Object) -> Result<Option<Self>, Reason> {
        let Some(status) = claims.get("status") else {
            return Ok(None);
        };
        let list = status.as_object().and_then(|status| status.get("status_list")?.as_object());
        let index = list.and_then(|list| match list.get("idx") {
            Some(Value::Number(Number::Unsigned(index))) => Some(*index),
            _ => None,
        });
        let uri = list.and_then(|list| list.get("uri")?.as_str());
        match (index, uri) {
            (Some(index), Some(uri)) => Ok(Some(Self { uri: uri.to_owned(), index })),
            _ => Err(Reason::ClaimMalformed),
        }
    }
}

/// A list, kept as the few places that are not zero.
#[derive(Clone, Debug)]
pub struct StatusList {
    places: Places,
    /// How many places there are.
    length: u64,
    /// When the list was made.
    pub issued_at: UnixSeconds,
    /// First second at which it must not be used any more (§5.1 `exp`).
    pub expires_at: Option<UnixSeconds>,
    /// Seconds after which it should be fetched again (§5.1 `ttl`).
    pub ttl: Option<u64>,
    /// The generation of the issuer's key set, if it says one ([`GENERATION`]).
    pub key_generation: Option<u64>,
}

/// What is kept of a list: whatever is smaller, so at most as much as was inflated.
#[derive(Clone, Debug)]
enum Places {
    /// Those that are not zero, in order, with their status.
    Marked(Vec<(u32, u8)>),
    /// All, in so many bits each.
    All { bytes: Vec<u8>, bits: u64 },
}

/// Why a document is no usable status list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusListError {
    /// A claim is missing or malformed.
    Claims,
    /// The compressed list is malformed or too large.
    Compression,
    /// None of the keys that are held is the one that it says to be signed by.
    Key,
    /// All lists that are held take too much memory.
    Memory,
    /// It expired.
    Old,
    /// No key of the issuer verifies it, or it is not of the right type.
    Signature,
    /// It speaks of another list (`sub`).
    Subject,
}

impl fmt::Display for StatusListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "a claim of the status list is missing or malformed",
            Self::Compression => "the status list is not zlib data, or too large",
            Self::Key => {
                "the status list is signed by a key that the issuer's key set does not have"
            }
            Self::Memory => "the status lists in use take too much memory together",
            Self::Old => "the status list expired",
            Self::Signature => "no key of the issuer verifies the status list, or its typ is wrong",
            Self::Subject => "the status list speaks of another one (sub)",
        })
    }
}

impl core::error::Error for StatusListError {}

/// Whether a header's `typ` says that this is a status list.
#[must_use]
pub fn has_type(typ: Option<&str>) -> bool {
    typ.is_some_and(|typ| is_type(typ, TYPE))
}

impl StatusList {
    /// Reads the payload of a status list token whose signature was verified (§8.3).
    ///
    /// # Errors
    /// [`StatusListError`] says what is wrong.
    pub fn parse(payload: &[u8], uri: &str) -> Result<Self, StatusListError> {
        let value = json::parse(payload).map_err(|_| StatusListError::Claims)?;
        let claims = value.as_object().ok_or(StatusListError::Claims)?;
        if claims.get("sub").and_then(Value::as_str) != Some(uri) {
            return Err(StatusListError::Subject);
        }
        let date = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date::from_json(value).map(Some).ok_or(StatusListError::Claims),
        };
        let issued_at = date("iat")?.ok_or(StatusListError::Claims)?;
        let expires_at = date("exp")?;
        let ttl = match claims.get("ttl") {
            None => None,
            Some(Value::Number(Number::Unsigned(ttl))) if *ttl > 0 => Some(*ttl),
            Some(_) => return Err(StatusListError::Claims),
        };
        // A claim of our own: whoever means something else by the name has none.
        let key_generation = match claims.get(GENERATION) {
            Some(Value::Number(Number::Unsigned(number))) => Some(*number),
            _ => None,
        };
        let list =
            claims.get("status_list").and_then(Value::as_object).ok_or(StatusListError::Claims)?;
        let bits = match list.get("bits") {
            Some(Value::Number(Number::Unsigned(bits @ (1 | 2 | 4 | 8)))) => *bits,
            _ => return Err(StatusListError::Claims),
        };
        let compressed = list.get("lst").and_then(Value::as_str).ok_or(StatusListError::Claims)?;
        let compressed = base64url::decode(compressed).map_err(|_| StatusListError::Claims)?;
        let bytes = decompress_to_vec_zlib_with_limit(&compressed, MAX_LIST_BYTES)
            .map_err(|_| StatusListError::Compression)?;
        let length = u64::try_from(bytes.len()).unwrap_or_default() * (8 / bits);
        let places = Places::new(bytes, bits);
        Ok(Self { places, length, issued_at, expires_at, ttl, key_generation })
    }

    /// The status at a place; `None` when the list does not reach that far. 0 is valid (§7.1).
    #[must_use]
    pub fn get(&self, index: u64) -> Option<u8> {
        if index >= self.length {
            return None;
        }
        self.places.get(index)
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        match &self.places {
            Places::Marked(marked) => marked.capacity() * size_of::<(u32, u8)>(),
            Places::All { bytes, .. } => bytes.capacity(),
        }
    }
}

impl Places {
    fn new(mut bytes: Vec<u8>, bits: u64) -> Self {
        let most = bytes.len() / size_of::<(u32, u8)>();
        let mut marked = Vec::new();
        for index in 0..u32::try_from(bytes.len()).unwrap_or(u32::MAX) {
            if bytes.get(index as usize).is_none_or(|byte| *byte == 0) {
                continue;
            }
            let per_byte = u32::try_from(8 / bits).unwrap_or(1);
            for place in index * per_byte..(index + 1) * per_byte {
                let status = status_in(&bytes, bits, u64::from(place)).unwrap_or(0);
                if status != 0 {
                    marked.push((place, status));
                }
            }
            if marked.len() > most {
                bytes.shrink_to_fit();
                return Self::All { bytes, bits };
            }
        }
        marked.shrink_to_fit();
        Self::Marked(marked)
    }

    fn get(&self, index: u64) -> Option<u8> {
        match self {
            Self::Marked(marked) => {
                let found = marked.binary_search_by_key(&index, |(place, _)| u64::from(*place));
                Some(found.ok().and_then(|at| marked.get(at)).map_or(0, |(_, status)| *status))
            }
            Self::All { bytes, bits } => status_in(bytes, *bits, index),
        }
    }
}

/// The status at a place. Each byte holds its places from the lowest bits up (§4.1).
fn status_in(bytes: &[u8], bits: u64, index: u64) -> Option<u8> {
    let per_byte = 8_u64.checked_div(bits)?;
    let byte = bytes.get(usize::try_from(index.checked_div(per_byte)?).ok()?)?;
    let shift = u32::try_from(index.checked_rem(per_byte)? * bits).ok()?;
    Some((byte >> shift) & (u8::MAX >> (8 - bits)))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn payload(bits: u64, lst: &str) -> String {
        format!(
            r#"{{"sub":"https://a.example/s/1","iat":1,"exp":9,"ttl":5,"status_list":{{"bits":{bits},"lst":"{lst}"}}}}"#
        )
    }

    fn parse(text: &str) -> Result<StatusList, StatusListError> {
        StatusList::parse(text.as_bytes(), "https://a.example/s/1")
    }

    /// The draft's examples of §4.1: 16 tokens of one bit, 12 of two bits.
    #[test]
    fn examples_of_the_draft() {
        let one = parse(&payload(1, "eNrbuRgAAhcBXQ")).unwrap();
        let expected = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        for (index, status) in (0_u64..).zip(expected) {
            assert_eq!(one.get(index), Some(status), "{index}");
        }
        assert_eq!(one.get(16), None);
        let two = parse(&payload(2, "eNo76fITAAPfAgc")).unwrap();
        let expected = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3];
        for (index, status) in (0_u64..).zip(expected) {
            assert_eq!(two.get(index), Some(status), "{index}");
        }
    }

    #[test]
    fn malformed_lists_are_refused() {
        let good = payload(1, "eNrbuRgAAhcBXQ");
        for (find, replacement, expected) in [
            ("https://a.example/s/1", "https://a.example/s/2", StatusListError::Subject),
            ("\"iat\":1", "\"iat\":\"1\"", StatusListError::Claims),
            ("\"iat\":1,", "", StatusListError::Claims),
            ("\"ttl\":5", "\"ttl\":0", StatusListError::Claims),
            ("\"bits\":1", "\"bits\":3", StatusListError::Claims),
            ("eNrbuRgAAhcBXQ", "eNrbuRgAAhcB", StatusListError::Compression),
            ("eNrbuRgAAhcBXQ", "AAAA", StatusListError::Compression),
            ("eNrbuRgAAhcBXQ", "=", StatusListError::Claims),
        ] {
            let text = good.replace(find, replacement);
            assert_eq!(parse(&text).unwrap_err(), expected, "{text}");
        }
        assert_eq!(parse("[]").unwrap_err(), StatusListError::Claims);
    }

    /// A bomb is stopped by the limit, not by memory.
    #[test]
    fn inflation_is_capped() {
        let bomb =
            miniz_oxide::deflate::compress_to_vec_zlib(&alloc::vec![0; MAX_LIST_BYTES + 1], 9);
        let text = payload(1, &base64url::encode(bomb));
        assert_eq!(parse(&text).unwrap_err(), StatusListError::Compression);
    }

    /// Each place is what its bits say, however many are marked; and what is kept is never more than
    /// the bits themselves.
    #[test]
    fn every_place_of_lists_full_and_sparse() {
        let sparse = |at: usize| if at.is_multiple_of(97) { 0b0110_1001_u8 } else { 0 };
        let full = |at: usize| u8::try_from(at * 31 % 256).unwrap_or_default();
        for bits in [1_u64, 2, 4, 8] {
            for fill in [&sparse as &dyn Fn(usize) -> u8, &full] {
                let bytes: Vec<u8> = (0..4096).map(fill).collect();
                let packed = miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 6);
                let list = parse(&payload(bits, &base64url::encode(packed))).unwrap();
                let (per_byte, mask) = (8 / bits, (1_u16 << bits) - 1);
                let length = 4096 * per_byte;
                for index in 0..length {
                    let byte = u16::from(bytes[usize::try_from(index / per_byte).unwrap()]);
                    let status = (byte >> (index % per_byte * bits)) & mask;
                    assert_eq!(list.get(index).map(u16::from), Some(status), "{bits}: {index}");
                }
                assert_eq!([list.get(length), list.get(u64::MAX)], [None; 2]);
                assert!(list.size() <= bytes.len() + 64, "{bits}: {}", list.size());
            }
        }
    }
}
