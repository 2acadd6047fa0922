//! Status lists: the sparse form answers as the bytes themselves do, and no document is too much.
//!
//! The first byte says what follows: a document as it is, or the bytes of a list, compressed or not
//! yet.
#![no_main]

use countersign_core::{jose::base64url, oauth::status_list::StatusList};
use libfuzzer_sys::fuzz_target;

const URI: &str = "https://auth.example.com/status-lists/1";

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let bits = 1_u64 << (kind & 3);
    match kind >> 2 & 3 {
        0 => {
            let _ = StatusList::parse(&document(bits, rest), URI);
        }
        1 => same_as_bytes(bits, rest),
        _ => {
            if let Ok(list) = StatusList::parse(rest, URI) {
                assert_eq!(list.get(u64::MAX), None);
                assert!(StatusList::parse(rest, "https://auth.example.com/2").is_err());
            }
        }
    }
});

fn document(bits: u64, compressed: &[u8]) -> Vec<u8> {
    let lst = base64url::encode(compressed);
    let list = serde_json::json!({ "bits": bits, "lst": lst });
    let claims = serde_json::json!({ "sub": URI, "iat": 1, "ttl": 60, "status_list": list });
    claims.to_string().into_bytes()
}

fn same_as_bytes(bits: u64, bytes: &[u8]) {
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(bytes, 1);
    let list = StatusList::parse(&document(bits, &compressed), URI).expect("a list");
    let places = bytes.len() as u64 * 8 / bits;
    for place in 0..places {
        let bit = place * bits;
        let status = u64::from(bytes[(bit / 8) as usize]) >> (bit % 8) & ((1 << bits) - 1);
        assert_eq!(list.get(place), Some(status as u8), "place {place} of {bits} bits");
    }
    for beyond in [places, places + 1, u64::from(u32::MAX) + 1, u64::MAX] {
        assert_eq!(list.get(beyond), None);
    }
}
