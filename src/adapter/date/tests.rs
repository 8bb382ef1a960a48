use proptest::prelude::*;

use super::{DateProblem, MAX_MILLIS, TimeValue, parse, parse_written, to_iso};
use crate::clock::UnixMillis;

fn assert_reads(cases: &[(&str, i64)]) {
    for (text, millis) in cases {
        assert_eq!(parse(text), Ok(UnixMillis(*millis)), "{text}");
    }
}

fn assert_refuses(problem: DateProblem, cases: &[&str]) {
    for text in cases {
        assert_eq!(parse(text), Err(problem), "{text}");
    }
}

#[test]
fn a_bare_date_is_utc() {
    assert_reads(&[
        ("2026", 1_767_225_600_000),
        ("2026-01", 1_767_225_600_000),
        ("2026-01-01", 1_767_225_600_000),
        ("0000", -62_167_219_200_000),
        ("0099-01-01", -59_042_995_200_000),
        ("2000-02-29", 951_782_400_000),
    ]);
}

#[test]
fn an_offset_is_taken_off() {
    assert_reads(&[
        ("2026T00:00Z", 1_767_225_600_000),
        ("2026-01T00:00Z", 1_767_225_600_000),
        ("2026-01-01T00:00:00+05:30", 1_767_205_800_000),
        ("2026-01-01T00:00:00-00:00", 1_767_225_600_000),
        ("2026-01-01T00:00:00+23:59", 1_767_139_260_000),
    ]);
}

#[test]
fn fractions_are_cut_to_the_millisecond_that_has_begun() {
    assert_reads(&[
        ("2026-01-01T00:00:00.1Z", 1_767_225_600_100),
        ("2026-01-01T00:00:00.1239Z", 1_767_225_600_123),
        ("2026-01-01T00:00:00.9999999999999999999999999Z", 1_767_225_600_999),
        ("2026-01-01T00:00:00.012345678Z", 1_767_225_600_012),
        ("2026-01-01T00:00:00.00000000000000000001Z", 1_767_225_600_000),
        ("2026-01-01T00:00:00.0123456789Z", 1_767_225_600_012),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("1969-12-31T23:59:59.9991Z", -1),
    ]);
}

#[test]
fn twenty_four_o_clock_is_the_end_of_its_day() {
    assert_reads(&[
        ("2026-01-01T24:00Z", 1_767_312_000_000),
        ("2026-12-31T24:00:00.000Z", 1_798_761_600_000),
        ("+275760-09-12T24:00Z", MAX_MILLIS),
    ]);
    assert_refuses(
        DateProblem::NoSuchTime,
        &["2026-01-01T24:01Z", "2026-01-01T24:00:01Z", "2026-01-01T24:00:00.0009Z", "2026-01-01T25:00Z"],
    );
}

#[test]
fn expanded_years_reach_the_bounds_of_date() {
    assert_reads(&[
        ("+002026-01-01", 1_767_225_600_000),
        ("+000000", -62_167_219_200_000),
        ("-000001", -62_198_755_200_000),
        ("+275760-09-13", MAX_MILLIS),
        ("+275760-09-13T23:59+23:59", MAX_MILLIS),
        ("-271821-04-20", -MAX_MILLIS),
        ("-271821-04-19T00:01-23:59", -MAX_MILLIS),
    ]);
    assert_refuses(
        DateProblem::OutOfBounds,
        &["+275760-09-13T00:00:00.001Z", "-271821-04-19", "-271821-04-20T00:00+00:01", "+999999", "-999999"],
    );
    assert_refuses(DateProblem::Form, &["-000000", "-000000-01-01T00:00Z", "+12345", "+1234567", "12026-01-01"]);
}

#[test]
fn a_time_without_an_offset_is_local_and_refused() {
    assert_refuses(
        DateProblem::NoOffset,
        &["2026-01-01T00:00", "2026-01-01T00:00:00", "2026-01-01T00:00:00.5", "2026T00:00"],
    );
}

#[test]
fn days_and_times_that_do_not_exist_are_refused() {
    assert_refuses(
        DateProblem::NoSuchTime,
        &[
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-01-32",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-01-01T23:60Z",
            "2026-01-01T23:59:60Z",
            "2026-01-01T00:00+24:00",
            "2026-01-01T00:00+23:60",
        ],
    );
}

#[test]
fn what_is_not_the_extended_form_of_iso_8601_is_refused() {
    assert_refuses(
        DateProblem::Form,
        &[
            "",
            "T",
            "today",
            "Thu, 01 Jan 2026 00:00:00 GMT",
            "2026-01-01t00:00Z",
            "2026-01-01T00:00z",
            "2026-01-01 00:00Z",
            "2026-01-01T00:00+0530",
            "2026-01-01T00:00+05",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00.Z",
            "2026Z",
            "2026-01Z",
            "2026-01-01Z",
            "2026-01-01+05:30",
            " 2026-01-01",
            "2026-01-01 ",
            "2026-01-01T00:00Z ",
            "2026-1-1",
            "20260101",
            "2026-001",
            "2026-W01",
            "2026-01-01T00Z",
            "2026-01-01T00:00ZZ",
            "2026-01-01T",
            "2026-01-01T00:00−05:00",
            "٢٠٢٦",
            "1767225600000",
        ],
    );
}

#[test]
fn iso_text_is_that_of_to_iso_string() {
    for (millis, text) in [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (-0.5, "1970-01-01T00:00:00.000Z"),
        (-1.5, "1969-12-31T23:59:59.999Z"),
        (1.5, "1970-01-01T00:00:00.001Z"),
        (-62_167_219_200_000.0, "0000-01-01T00:00:00.000Z"),
        (-62_167_219_200_001.0, "-000001-12-31T23:59:59.999Z"),
        (253_402_300_799_999.0, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000.0, "+010000-01-01T00:00:00.000Z"),
        (8.64e15, "+275760-09-13T00:00:00.000Z"),
        (-8.64e15, "-271821-04-20T00:00:00.000Z"),
    ] {
        assert_eq!(to_iso(millis).as_deref(), Some(text), "{millis}");
    }
    for no_time in [8.64e15 + 1.0, -8.64e15 - 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(to_iso(no_time), None, "{no_time}");
    }
}

#[test]
fn sentences_say_what_to_write_instead() {
    insta::assert_snapshot!(DateProblem::Form, @"write it in ISO 8601 as in 2026-01-31T23:59:59.999Z, or send epoch milliseconds as a number");
    insta::assert_snapshot!(DateProblem::NoOffset, @"a time needs an offset, `Z` or one such as `+02:00`: without it, it is local time");
}

/// Both around 1970 and over the whole range, since a uniform draw hardly ever has a year of four digits.
fn any_millis() -> impl Strategy<Value = i64> {
    prop_oneof![-MAX_MILLIS..=MAX_MILLIS, -100_000_000_000_000..=300_000_000_000_000_i64]
}

fn iso(millis: i64) -> String {
    to_iso(millis as f64).unwrap()
}

proptest! {
    #[test]
    fn law_what_is_written_is_read_back(millis in any_millis()) {
        prop_assert_eq!(parse(&iso(millis)), Ok(UnixMillis(millis)));
    }

    #[test]
    fn law_an_offset_moves_the_instant(millis in any_millis(), hour in 0..24_i64, minute in 0..60_i64, ahead: bool) {
        let local = iso(millis);
        let text = format!("{}{}{hour:02}:{minute:02}", local.trim_end_matches('Z'), if ahead { '+' } else { '-' });
        let moved = millis + (hour * 60 + minute) * 60_000 * if ahead { -1 } else { 1 };
        let expected = if moved.abs() <= MAX_MILLIS { Ok(UnixMillis(moved)) } else { Err(DateProblem::OutOfBounds) };
        prop_assert_eq!(parse(&text), expected);
    }

    #[test]
    fn law_what_javascript_writes_is_read_as_any_form_is(
        text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z",
        at in 0..24_usize, put in "[ -~]",
    ) {
        let mut changed = text.clone();
        changed.replace_range(at..=at, &put);
        for text in [text.as_bytes(), changed.as_bytes()] {
            let any = TimeValue::parse_any(text);
            prop_assert_eq!(TimeValue::parse(text), any);
            if let Some(time) = parse_written(text.try_into().unwrap()) {
                prop_assert_eq!(any, Ok(time));
            }
        }
    }

    #[test]
    fn law_digits_after_the_third_change_nothing(millis in any_millis(), more in "[0-9]{0,6}") {
        let text = iso(millis).replace('Z', &format!("{more}Z"));
        prop_assert_eq!(parse(&text), Ok(UnixMillis(millis)));
    }

    #[test]
    fn law_the_written_order_is_the_order_of_time(one in 0..253_402_300_800_000_i64, other in 0..253_402_300_800_000_i64) {
        prop_assert_eq!(one.cmp(&other), iso(one).cmp(&iso(other)));
    }

    #[test]
    fn law_a_day_starts_where_the_day_before_ends(day in -100_000_000..100_000_000_i64) {
        let start = iso(day * 86_400_000);
        let (date, time) = start.split_once('T').unwrap();
        prop_assert_eq!(time, "00:00:00.000Z");
        prop_assert_eq!(parse(date), Ok(UnixMillis(day * 86_400_000)));
        prop_assert_eq!(parse(&format!("{date}T24:00Z")), Ok(UnixMillis((day + 1) * 86_400_000)));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text: String, near in "[-+]?[0-9]{0,7}(-[0-9]{0,3}){0,3}[Tt ]?[0-9:.,]{0,14}[Zz]?([-+][0-9:]{0,6})?") {
        let _ = parse(&text);
        let _ = parse(&near);
    }
}
