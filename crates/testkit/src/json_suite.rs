//! The texts of JSONTestSuite (`tests/vectors/third-party`).

use base64::{Engine as _, engine::general_purpose::STANDARD};

const FILE: &str = include_str!("../../../tests/vectors/third-party/json-test-suite.txt");

/// Each text with its name, which begins with `y_` for JSON, `n_` for what is none, and `i_` for what
/// RFC 8259 leaves to its readers.
pub fn files() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let decode = |text| STANDARD.decode(text).expect("base64");
    FILE.lines().filter(|line| !line.starts_with('#')).map(move |line| {
        let (name, text) = line.split_once(' ').expect("a name and its bytes");
        let bytes = match text.split_once('*') {
            None => decode(text),
            Some((count, unit)) => {
                let (unit, end) = unit.split_once('+').unwrap_or((unit, ""));
                let mut bytes = decode(unit).repeat(count.parse().expect("a number"));
                bytes.extend(decode(end));
                bytes
            }
        };
        (name, bytes)
    })
}
