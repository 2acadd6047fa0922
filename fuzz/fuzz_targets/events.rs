//! A stream of events with lists: whoever reads what goes on of it finds nothing that the caller may not
//! use, wherever lines end for that reader, and the parts in which it comes make no difference.
#![no_main]

use std::cell::LazyCell;

use countersign_core::guard::ListFilter;
use countersign_fuzz::lists::{check, events, filter, filtered, size_of_parts};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FILTER: LazyCell<ListFilter> = LazyCell::new(filter);
}

fuzz_target!(|body: &[u8]| {
    FILTER.with(|filter| {
        let media = b"text/event-stream";
        let (out, refused) = filtered(filter, media, body, body.len().max(1));
        assert_eq!(filtered(filter, media, body, 1), (out.clone(), refused));
        assert_eq!(filtered(filter, media, body, size_of_parts(body)), (out.clone(), refused));
        for unicode in [false, true] {
            for data in events(&out, unicode) {
                if let Ok(answer) = serde_json::from_str(&data) {
                    check(&answer);
                }
            }
        }
        // As many events as there were, but for what was refused.
        if !refused {
            assert_eq!(events(&out, false).len(), events(body, false).len());
        }
    });
});
