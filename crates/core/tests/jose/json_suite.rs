//! JSONTestSuite (Nicolas Seriot, "Parsing JSON is a Minefield"), `test_parsing`.

use countersign_core::jose::json;
use countersign_testkit::json_suite;

/// Valid JSON that is refused all the same: RFC 7515 §4 and RFC 7519 §4 forbid duplicates.
const STRICTER: [&str; 2] = ["y_object_duplicated_key", "y_object_duplicated_key_and_value"];

/// What RFC 8259 leaves to us and is accepted: numbers that a double does not hold exactly.
const OPEN_ACCEPTED: [&str; 5] = [
    "i_number_double_huge_neg_exp",
    "i_number_real_underflow",
    "i_number_too_big_neg_int",
    "i_number_too_big_pos_int",
    "i_number_very_big_negative_int",
];

/// What is left to us and is refused, since two parsers could read it differently: numbers beyond a
/// double, halves of surrogate pairs, what is not UTF-8, a byte order mark, and 500 levels.
const OPEN_REFUSED: [&str; 30] = [
    "i_number_huge_exp",
    "i_number_neg_int_huge_exp",
    "i_number_pos_double_huge_exp",
    "i_number_real_neg_overflow",
    "i_number_real_pos_overflow",
    "i_object_key_lone_2nd_surrogate",
    "i_string_1st_surrogate_but_2nd_missing",
    "i_string_1st_valid_surrogate_2nd_invalid",
    "i_string_UTF-16LE_with_BOM",
    "i_string_UTF-8_invalid_sequence",
    "i_string_UTF8_surrogate_U+D800",
    "i_string_incomplete_surrogate_and_escape_valid",
    "i_string_incomplete_surrogate_pair",
    "i_string_incomplete_surrogates_escape_valid",
    "i_string_invalid_lonely_surrogate",
    "i_string_invalid_surrogate",
    "i_string_invalid_utf-8",
    "i_string_inverted_surrogates_U+1D11E",
    "i_string_iso_latin_1",
    "i_string_lone_second_surrogate",
    "i_string_lone_utf8_continuation_byte",
    "i_string_not_in_unicode_range",
    "i_string_overlong_sequence_2_bytes",
    "i_string_overlong_sequence_6_bytes",
    "i_string_overlong_sequence_6_bytes_null",
    "i_string_truncated-utf-8",
    "i_string_utf16BE_no_BOM",
    "i_string_utf16LE_no_BOM",
    "i_structure_500_nested_arrays",
    "i_structure_UTF-8_BOM_empty_object",
];

#[test]
fn json_test_suite() {
    let mut counts = [0; 3];
    let mut wrong = Vec::new();
    for (name, bytes) in json_suite::files() {
        let accepted = json::parse(&bytes).is_ok();
        let (kind, expected) = match name.split('_').next() {
            Some("y") => (0, !STRICTER.contains(&name)),
            Some("n") => (1, false),
            _ if OPEN_ACCEPTED.contains(&name) => (2, true),
            _ if OPEN_REFUSED.contains(&name) => (2, false),
            _ => panic!("{name} is not listed"),
        };
        counts[kind] += 1;
        if accepted != expected {
            wrong.push(format!("{name}: accepted {accepted}"));
        }
    }
    println!("{} must pass, {} must not, {} are open", counts[0], counts[1], counts[2]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(counts, [95, 188, 35]);
}
