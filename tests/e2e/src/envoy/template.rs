//! `envoy/plain/envoy.yaml` with free ports, the module that was built, and either header mode.

use std::path::Path;

use crate::failure::{Failure, Outcome};

/// Replaces the path that ends in the module's name, wherever the template has it.
pub(super) fn with_module(text: &str, module: &Path) -> String {
    const NAME: &str = "countersign_envoy.wasm";
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(NAME) {
        let path_start = before
            .rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .map_or(0, |at| at + 1);
        // `#` begins a comment: those are for people.
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.contains('#') {
            replaced.push_str(before);
            replaced.push_str(NAME);
        } else {
            replaced.push_str(before.get(..path_start).unwrap_or_default());
            replaced.push_str(&module.display().to_string());
        }
        rest = after;
    }
    replaced + rest
}

/// Replaces a number where it stands alone, not as part of a longer one.
pub(super) fn with_number(text: &str, number: &str, by: u16) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(number) {
        let is_part = before.ends_with(|c: char| c.is_ascii_digit())
            || after.starts_with(|c: char| c.is_ascii_digit());
        replaced.push_str(before);
        if is_part {
            replaced.push_str(number);
        } else {
            replaced.push_str(&by.to_string());
        }
        rest = after;
    }
    replaced + rest
}

/// Turns the template's "hold headers" mode off, in Envoy's setting and in the policy.
pub(super) fn continuing(text: &str) -> Outcome<String> {
    const ENVOY: &str = "allow_on_headers_stop_iteration: true";
    const POLICY: &str = "\"hold_headers\": true";
    for needed in [ENVOY, POLICY] {
        if !text.contains(needed) {
            return Err(Failure::new(format!("envoy/plain/envoy.yaml does not say `{needed}`")));
        }
    }
    Ok(text
        .replace(ENVOY, "allow_on_headers_stop_iteration: false")
        .replace(POLICY, "\"hold_headers\": false"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{continuing, with_module, with_number};

    #[test]
    fn only_whole_numbers_are_ports() {
        let text = "port_value: 3000\nmax: 30000\nuri: http://h:3000/mcp";
        let wanted = "port_value: 41\nmax: 30000\nuri: http://h:41/mcp";
        assert_eq!(with_number(text, "3000", 41), wanted);
    }

    #[test]
    fn the_module_is_ours() {
        let text =
            "# copy countersign_envoy.wasm there\nfilename: /etc/envoy/countersign_envoy.wasm\n";
        let wanted = "# copy countersign_envoy.wasm there\nfilename: /t/c.wasm\n";
        assert_eq!(with_module(text, Path::new("/t/c.wasm")), wanted);
    }

    #[test]
    fn both_places_tell_the_header_mode() {
        assert!(continuing("allow_on_headers_stop_iteration: true").is_err());
        let text = "allow_on_headers_stop_iteration: true\n\"hold_headers\": true";
        let wanted = "allow_on_headers_stop_iteration: false\n\"hold_headers\": false";
        assert_eq!(continuing(text).unwrap(), wanted);
    }
}
