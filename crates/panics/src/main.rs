//! Lists the places of a wasm module that can panic, one a line: times, `FILE:LINE:COLUMN`, what is
//! called; with tabs between them.
//!
//! A panic is a call of one of the standard library's functions that never return. Such a call carries
//! the place in the source that is to be blamed, as its last argument: of whoever passed a bad index or
//! unwrapped nothing, and of the standard library where one of its own invariants would be broken. The
//! optimiser moves code between functions, but not these places from their calls.
#![forbid(unsafe_code)]

mod module;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::{env, fs};

use crate::module::Module;

type Failure = Box<dyn core::error::Error>;

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: countersign-panics MODULE.wasm");
        return ExitCode::from(2);
    };
    match fs::read(&path).map_err(Failure::from).and_then(|bytes| list(&bytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign-panics: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn list(bytes: &[u8]) -> Result<(), Failure> {
    let module = Module::read(bytes)?;
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut located = 0;
    for call in &module.calls {
        let (caller, callee) = (module.name(call.caller), module.name(call.callee));
        if !is_panic(&callee) || is_panic(&caller) {
            continue;
        }
        let place = call.last.and_then(|address| module.location(address));
        located += usize::from(place.is_some());
        let place = match place {
            Some((file, line, column)) => format!("{file}:{line}:{column}"),
            None => format!("in {caller}"),
        };
        *places.entry(format!("{place}\t{callee}")).or_default() += 1;
    }
    // A module without any would be one that was not read right.
    if located == 0 {
        return Err("no place was found: was it built in another way?".into());
    }
    for (line, times) in places {
        println!("{times}\t{line}");
    }
    Ok(())
}

/// The standard library's functions that end the program.
fn is_panic(name: &str) -> bool {
    let is_std = ["core::", "alloc::", "std::", "__rustc", "rust_"];
    let (path, function) = name.rsplit_once("::").unwrap_or(("", name));
    let ends = [
        "panic",
        "_fail",
        "unwrap_failed",
        "handle_error",
        "handle_alloc_error",
        "capacity_overflow",
    ];
    is_std.iter().any(|start| name.starts_with(start))
        && (path.starts_with("core::panicking")
            || path.starts_with("std::panicking")
            || ends.iter().any(|end| function.contains(end)))
}

#[cfg(test)]
mod tests {
    use super::is_panic;

    #[test]
    fn what_ends_the_program() {
        for name in [
            "core::panicking::panic_fmt",
            "core::panicking::panic_bounds_check",
            "core::panicking::panic_const::panic_const_div_by_zero",
            "core::option::unwrap_failed",
            "core::option::expect_failed",
            "core::result::unwrap_failed",
            "core::slice::index::slice_index_fail",
            "core::str::slice_error_fail",
            "core::cell::panic_already_borrowed",
            "alloc::raw_vec::handle_error",
            "alloc::raw_vec::capacity_overflow",
            "alloc::alloc::handle_alloc_error",
            "alloc::vec::Vec<T,A>::swap_remove::assert_failed",
            "std::panicking::begin_panic_handler",
        ] {
            assert!(is_panic(name), "{name}");
        }
        for name in ["core::fmt::write", "alloc::raw_vec::finish_grow", "a::panicking::panic_fmt"] {
            assert!(!is_panic(name), "{name}");
        }
    }
}
