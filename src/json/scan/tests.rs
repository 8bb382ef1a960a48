use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::value::RawValue;

use super::{Text, is_special, plain_length, special_bytes};
use crate::json::any::any_value;

fn is_json(bytes: &[u8]) -> bool {
    Text::read(bytes).is_some_and(Text::is_json)
}

fn is_json_to_serde(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

#[track_caller]
fn assert_is_json(bytes: &[u8], expected: bool) {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(is_json(bytes), expected, "{text}");
    assert_eq!(is_json_to_serde(bytes), expected, "{text}, by serde_json");
}

#[test]
fn what_only_looks_odd_is_json() {
    for text in [
        "0",
        "-0",
        "0.0",
        "-0e-0",
        "1E+2",
        "1e999",
        "123456789012345678901234567890",
        "0.00000000000000000000001",
        "\"\"",
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000\ud800\uDFFF\uaBcD""#,
        "\"\u{7f}é\u{2028}💡\"",
        "[]",
        "{}",
        " \t\r\n[ \t\r\n] \t\r\n",
        "{\"\":{\"\":[{}]}}",
        "{\"a\":1,\"a\":1}",
        "[null , true,false]",
        "[[],[[]],{}]",
        "[\"a\",\"]\",\"}\"]",
        "{\"}\":\"{\",\"]\":\"[\"}",
    ] {
        assert_is_json(text.as_bytes(), true);
    }
}

#[test]
fn what_nearly_is_json_is_none() {
    for text in [
        "",
        " ",
        "-",
        "+1",
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "-.5",
        "1.e1",
        "1e",
        "1e+",
        "1e1.0",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "-Infinity",
        "tru",
        "truee",
        "True",
        "nul",
        "nulll",
        "n",
        "undefined",
        "'a'",
        "\"",
        "\"a",
        "\"\\",
        "\"\\\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\U0041""#,
        r#""\'""#,
        "\"\n\"",
        "\"\0\"",
        "\"\u{1f}\"",
        "\"a\"b",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1 2]",
        "[1,,2]",
        "[1}",
        "[}",
        "[1]]",
        "{",
        "}",
        "{]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\",1}",
        "{\"a\":1:2}",
        "{a:1}",
        "{1:1}",
        "{null:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[}]",
        "{{}}",
        "[{]}",
        "1 2",
        "{} {}",
        "{},",
        ",",
        ":",
        "//",
        "/**/1",
        "[1]//",
        "\u{feff}1",
        "\u{a0}1",
        "1\u{b}",
        "1\u{c}",
        "[\u{85}]",
        "1\0",
        "[1\0]",
    ] {
        assert_is_json(text.as_bytes(), false);
    }
    let long = "x".repeat(100);
    for inside in ["\u{1f}", "\\x", "\\u00g0", "\\"] {
        for before in 0..100 {
            assert_is_json(format!("\"{}{inside}\"", &long[..before]).as_bytes(), false);
            assert_is_json(format!("\"{}{inside}{long}\"", &long[..before]).as_bytes(), false);
        }
    }
}

#[test]
fn what_is_not_utf_8_is_no_text() {
    for bytes in
        [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"\"\xe9\"", b"{\"\x80\":1}", b"\"\xf4\x90\x80\x80\""]
    {
        assert_is_json(bytes, false);
    }
}

#[test]
fn nothing_is_too_deep() {
    let depth = 100_000;
    for (open, close) in [("[", "]"), ("{\"\":", "}"), ("[{\"a\":", "}]")] {
        let (opened, closed) = (open.repeat(depth), close.repeat(depth));
        assert_is_json(format!("{opened}0{closed}").as_bytes(), true);
        assert_is_json(format!("{opened}0{}", &closed[1..]).as_bytes(), false);
        assert_is_json(format!("{opened}0{closed}{close}").as_bytes(), false);
    }
}

/// JSON, and what little changes make of it.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[\\[\\]{}\",:\\\\0-9eE.+\\-ntrfua \\t\\x00\\x1f]{0,3}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..3),
    ];
    (any_value(), any::<Index>(), 0..3_usize, piece).prop_map(|(text, at, removed, piece)| {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len() + 1);
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, piece);
        bytes
    })
}

proptest! {
    #[test]
    fn law_what_is_json_is_what_serde_json_takes(
        value in any_value(), near in nearly_json(),
        text in "[\\[\\]{}\",:\\\\0-2eE.+\\-ntrfualsx \\n\\x1fé]{0,24}", bytes in vec(any::<u8>(), 0..12),
    ) {
        prop_assert!(is_json(value.as_bytes()));
        for bytes in [value.as_bytes(), &near, text.as_bytes(), &bytes] {
            prop_assert_eq!(is_json(bytes), is_json_to_serde(bytes), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn law_a_word_tells_its_first_special_byte(bytes: [u8; 8], near in proptest::array::uniform8("[\"\\\\\\x1f !#\\x5b\\x5d]")) {
        for bytes in [bytes, near.map(|byte| byte.as_bytes()[0])] {
            let found = special_bytes(u64::from_le_bytes(bytes));
            let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!((found != 0).then(|| found.trailing_zeros() as usize / 8), first);
        }
    }

    #[test]
    fn law_plain_bytes_are_counted_up_to_the_first_special_one(
        mut bytes in vec(0x80..=0xff_u8, 0..200), special in "[\"\\\\\\x00-\\x1f]", at: Index,
    ) {
        prop_assert_eq!(plain_length(&bytes), bytes.len());
        let at = at.index(bytes.len() + 1);
        bytes.insert(at, special.as_bytes()[0]);
        prop_assert_eq!(plain_length(&bytes), at);
    }
}

#[test]
fn special_bytes_are_quote_backslash_and_the_control_characters() {
    for byte in 0..=u8::MAX {
        assert_eq!(is_special(byte), matches!(byte, b'"' | b'\\' | 0..0x20), "{byte}");
    }
}
