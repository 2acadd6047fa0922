//! An answer with lists, in JSON: nothing is left that the caller may not use, everything else is, and
//! the parts in which it comes make no difference.
#![no_main]

use std::cell::LazyCell;

use countersign_core::guard::ListFilter;
use countersign_fuzz::lists::{check, expected, filter, filtered, size_of_parts};
use libfuzzer_sys::fuzz_target;
use serde_json::{Deserializer, Value};

thread_local! {
    static FILTER: LazyCell<ListFilter> = LazyCell::new(filter);
}

fuzz_target!(|body: &[u8]| {
    FILTER.with(|filter| {
        let media = b"application/json";
        let (out, refused) = filtered(filter, media, body, body.len().max(1));
        assert_eq!(filtered(filter, media, body, size_of_parts(body)), (out.clone(), refused));
        if body.is_empty() {
            return assert!(out.is_empty());
        }
        let ours: Value = serde_json::from_slice(&out).expect("JSON goes on");
        if refused && ours["error"]["code"] == -32603 && ours.get("result").is_none() {
            return;
        }
        // The first message that is there: what is behind it is refused, and left out.
        check(&ours);
        let mut all = Deserializer::from_slice(body).into_iter();
        let theirs: Value = all.next().expect("a message").expect("laxer than ours");
        let rest = &body[all.byte_offset()..];
        assert_eq!(refused, rest.iter().any(|byte| !b" \t\r\n".contains(byte)));
        // Other spellings of a URI, and what templates give, are not told apart here.
        let result = &theirs["result"];
        if result.get("resources").is_none() && result.get("resourceTemplates").is_none() {
            assert_eq!(ours, expected(theirs));
        }
    });
});
