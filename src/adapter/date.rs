//! Dates: ISO 8601 text to epoch milliseconds and back, as JavaScript's `Date` has them.
//!
//! For the dates of the adapter contract alone; it is no calendar. Its one invariant: what [`parse`] accepts, `Date.parse`
//! of V8 reads as the same number. Where an engine is more lenient than the standard, or engines differ, the text is refused.

use thiserror::Error;

use crate::clock::UnixMillis;

/// The bound of JavaScript's `Date` on both sides of 1970: 100,000,000 days (ECMA-262, "Time Values and Time Range").
pub const MAX_MILLIS: i64 = 8_640_000_000_000_000;

const MILLIS_PER_SECOND: i64 = 1_000;
const MILLIS_PER_MINUTE: i64 = 60 * MILLIS_PER_SECOND;
const MILLIS_PER_HOUR: i64 = 60 * MILLIS_PER_MINUTE;
const MILLIS_PER_DAY: i64 = 24 * MILLIS_PER_HOUR;

/// Why a text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DateProblem {
    /// The text does not have the form.
    #[error("write it in ISO 8601 as in 2026-01-31T23:59:59.999Z, or send epoch milliseconds as a number")]
    Form,
    /// Month 13, February 30, 25 o'clock, an offset of 24 hours.
    #[error("there is no such day or time")]
    NoSuchTime,
    /// A time without an offset, which JavaScript takes for local time.
    #[error("a time needs an offset, `Z` or one such as `+02:00`: without it, it is local time")]
    NoOffset,
    /// Beyond ±8,640,000,000,000,000 ms.
    #[error("it lies beyond what a JavaScript date can hold")]
    OutOfBounds,
}

/// Reads a date as JavaScript's `Date.parse` does.
///
/// The text is untrusted. The form is that of ECMA-262 ("Date Time String Format"), with a fraction of any length:
/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, then perhaps `THH:mm`, `THH:mm:ss` or `THH:mm:ss.s…` with an offset `Z` or `±HH:mm`.
/// A date without a time is midnight UTC. The year may be `±YYYYYY`, `-000000` excepted. `24:00:00` is the end of its day.
/// Digits after the third of the fraction are cut off, so before 1970 too the result is the millisecond that has begun.
///
/// Refused although V8 reads them: lower-case `t` and `z`, a space for `T`, `+0530` without colon, an offset without a time
/// (`2026Z`), white space around, and everything else of its fallback parser, since none of these is ISO 8601 in its
/// extended form; days beyond the end of a shorter month, which V8 rolls over (our choice: ECMA-262 calls them illegal).
/// A fraction of more than nine digits that starts with zeros is misread by V8 (`.0123456789` as 123 ms); here it is cut
/// like any other.
///
/// Does not allocate and never panics.
///
/// # Errors
///
/// - [`DateProblem::Form`]: any other form.
/// - [`DateProblem::NoSuchTime`]: a number in it is out of its range.
/// - [`DateProblem::NoOffset`]: a time without an offset.
/// - [`DateProblem::OutOfBounds`]: more than [`MAX_MILLIS`] from 1970.
///
/// # Example
///
/// ```
/// use convex_auth_proxy::{adapter::date::parse, clock::UnixMillis};
///
/// assert_eq!(parse("2026-01-01T02:00+02:00"), Ok(UnixMillis(1_767_225_600_000)));
/// assert!(parse("2026-01-01T02:00").is_err());
/// ```
pub fn parse(text: &str) -> Result<UnixMillis, DateProblem> {
    TimeValue::parse(text.as_bytes()).map(|time| UnixMillis(time.0))
}

/// What JavaScript's `Date` holds (ECMA-262, "time value"): whole milliseconds, [`MAX_MILLIS`] from 1970 at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeValue(i64);

impl TimeValue {
    /// As [`parse`].
    pub(super) fn parse(text: &[u8]) -> Result<Self, DateProblem> {
        // Nearly always it is what `toISOString` wrote.
        match text.try_into().ok().and_then(parse_written) {
            Some(time) => Ok(time),
            None => Self::parse_any(text),
        }
    }

    fn parse_any(text: &[u8]) -> Result<Self, DateProblem> {
        let mut rest = Rest(text);
        let day = parse_day(&mut rest)?;
        let millis = if rest.is_empty() {
            day?.saturating_mul(MILLIS_PER_DAY)
        } else {
            let time = parse_time(&mut rest)?;
            let offset = parse_offset(&mut rest)?;
            if !rest.is_empty() {
                return Err(DateProblem::Form);
            }
            day?.saturating_mul(MILLIS_PER_DAY).saturating_add(time?).saturating_sub(offset?)
        };
        if millis.abs() > MAX_MILLIS { Err(DateProblem::OutOfBounds) } else { Ok(Self(millis)) }
    }

    /// ECMA-262's `TimeClip`: a fraction is cut off towards zero, and what is no time is `None`.
    #[expect(clippy::cast_possible_truncation, reason = "checked to lie within ±8.64e15")]
    pub(super) fn clip(epoch_millis: f64) -> Option<Self> {
        (epoch_millis.abs() <= MAX_MILLIS as f64).then_some(Self(epoch_millis.trunc() as i64))
    }

    pub(super) fn millis(self) -> i64 {
        self.0
    }
}

/// Writes a time as JavaScript's `Date.prototype.toISOString` does: `2026-01-01T00:00:00.000Z`, with a year of six digits
/// and a sign outside 0 to 9999.
///
/// Takes epoch milliseconds as Convex has them; a fraction is cut off towards zero (ECMA-262, `TimeClip`). `None` beyond
/// [`MAX_MILLIS`] and for what is not finite, where JavaScript throws.
///
/// # Example
///
/// ```
/// use convex_auth_proxy::adapter::date::to_iso;
///
/// assert_eq!(to_iso(1_767_225_600_000.9).as_deref(), Some("2026-01-01T00:00:00.000Z"));
/// assert_eq!(to_iso(f64::NAN), None);
/// ```
pub fn to_iso(epoch_millis: f64) -> Option<String> {
    let iso = Iso::new(TimeValue::clip(epoch_millis)?);
    str::from_utf8(iso.as_bytes()).ok().map(str::to_owned)
}

/// What [`to_iso`] writes, without memory of its own.
pub(super) struct Iso {
    /// With a year of six digits and its sign.
    text: [u8; 27],
    begins_at: usize,
}

impl Iso {
    pub(super) fn new(time: TimeValue) -> Self {
        let (year, month, day) = civil_from_days(time.0.div_euclid(MILLIS_PER_DAY));
        let of_day = time.0.rem_euclid(MILLIS_PER_DAY);
        let sign = if year < 0 { b'-' } else { b'+' };
        let [y0, y1, y2, y3, y4, y5] = digits(year.abs());
        let ([m0, m1], [d0, d1]) = (digits(month), digits(day));
        let [h0, h1] = digits(of_day / MILLIS_PER_HOUR);
        let [n0, n1] = digits(of_day / MILLIS_PER_MINUTE % 60);
        let [s0, s1] = digits(of_day / MILLIS_PER_SECOND % 60);
        let [f0, f1, f2] = digits(of_day % MILLIS_PER_SECOND);
        #[rustfmt::skip]
        let text = [
            sign, y0, y1, y2, y3, y4, y5, b'-', m0, m1, b'-', d0, d1,
            b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', f0, f1, f2, b'Z',
        ];
        // Of four digits are the years that need no more.
        Self { text, begins_at: if (0..=9_999).contains(&year) { 3 } else { 0 } }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(self.begins_at..).unwrap_or_default()
    }
}

/// Reads a date of the one form that `toISOString` writes for years of four digits; `None` for every other text. What it is in
/// [`TimeValue::parse_any`] is the same.
fn parse_written(text: &[u8; 24]) -> Option<TimeValue> {
    const FORM: [u8; 24] = *b"0000-00-00T00:00:00.000Z";
    // Digits differ from a zero by what they count, and the rest must not differ; all are looked at together.
    let mut digits = *text;
    let mut has_form = true;
    for (digit, form) in digits.iter_mut().zip(FORM) {
        *digit ^= form;
        has_form &= *digit <= if form == b'0' { 9 } else { 0 };
    }
    let [y0, y1, y2, y3, _, m0, m1, _, d0, d1, _, h0, h1, _, n0, n1, _, s0, s1, _, f0, f1, f2, _] =
        digits.map(i64::from);
    let (year, month, day) = (((y0 * 10 + y1) * 10 + y2) * 10 + y3, m0 * 10 + m1, d0 * 10 + d1);
    let (hour, minute, second) = (h0 * 10 + h1, n0 * 10 + n1, s0 * 10 + s1);
    let exists = has_form
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !exists {
        return None;
    }
    let of_day = hour * MILLIS_PER_HOUR + minute * MILLIS_PER_MINUTE + second * MILLIS_PER_SECOND;
    let millis = (f0 * 10 + f1) * 10 + f2;
    Some(TimeValue(days_from_civil(year, month, day) * MILLIS_PER_DAY + of_day + millis))
}

/// What is found to be of the right form, but perhaps out of its range. The form is judged first, so that the sentence an
/// author reads is about the form as long as that is wrong.
type InForm = Result<i64, DateProblem>;

/// Days since 1970-01-01.
fn parse_day(rest: &mut Rest<'_>) -> Result<InForm, DateProblem> {
    let year = match rest.sign() {
        None => rest.digits(4)?,
        Some(sign) => {
            let year = rest.digits(6)?;
            if sign < 0 && year == 0 {
                return Err(DateProblem::Form);
            }
            sign * year
        }
    };
    let (mut month, mut day) = (1, 1);
    if rest.eat(b'-') {
        month = rest.digits(2)?;
        if rest.eat(b'-') {
            day = rest.digits(2)?;
        }
    }
    let exists = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    Ok(if exists { Ok(days_from_civil(year, month, day)) } else { Err(DateProblem::NoSuchTime) })
}

/// Milliseconds since midnight.
fn parse_time(rest: &mut Rest<'_>) -> Result<InForm, DateProblem> {
    rest.expect(b'T')?;
    let hour = rest.digits(2)?;
    rest.expect(b':')?;
    let minute = rest.digits(2)?;
    let mut second = 0;
    let mut fraction = &[][..];
    if rest.eat(b':') {
        second = rest.digits(2)?;
        if rest.eat(b'.') {
            fraction = rest.all_digits();
            if fraction.is_empty() {
                return Err(DateProblem::Form);
            }
        }
    }
    let exists = match hour {
        0..=23 => minute < 60 && second < 60,
        24 => minute == 0 && second == 0 && fraction.iter().all(|digit| *digit == b'0'),
        _ => false,
    };
    if !exists {
        return Ok(Err(DateProblem::NoSuchTime));
    }
    let millis = leading_number(fraction, 3);
    Ok(Ok(hour * MILLIS_PER_HOUR + minute * MILLIS_PER_MINUTE + second * MILLIS_PER_SECOND + millis))
}

/// Milliseconds by which local time is ahead of UTC.
fn parse_offset(rest: &mut Rest<'_>) -> Result<InForm, DateProblem> {
    if rest.is_empty() {
        return Err(DateProblem::NoOffset);
    }
    if rest.eat(b'Z') {
        return Ok(Ok(0));
    }
    let sign = rest.sign().ok_or(DateProblem::Form)?;
    let hour = rest.digits(2)?;
    rest.expect(b':')?;
    let minute = rest.digits(2)?;
    let exists = hour < 24 && minute < 60;
    Ok(if exists {
        Ok(sign * (hour * MILLIS_PER_HOUR + minute * MILLIS_PER_MINUTE))
    } else {
        Err(DateProblem::NoSuchTime)
    })
}

/// The number in the first `width` digits, as if zeros followed.
fn leading_number(digits: &[u8], width: usize) -> i64 {
    digits.iter().copied().chain(std::iter::repeat(b'0')).take(width).fold(0, append_digit)
}

fn decimal(digits: &[u8]) -> i64 {
    digits.iter().copied().fold(0, append_digit)
}

fn append_digit(number: i64, digit: u8) -> i64 {
    number * 10 + i64::from(digit - b'0')
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar. Years are counted from March, so that the leap day is
/// a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - DAYS_BEFORE_1970
}

/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468;

/// The inverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days_since_1970: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    let days = days_since_1970 + DAYS_BEFORE_1970;
    let era = days.div_euclid(DAYS_PER_400_YEARS);
    let of_era = days.rem_euclid(DAYS_PER_400_YEARS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (DAYS_PER_400_YEARS - 1)) / 365;
    let of_year = of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month_from_march < 10 { (year, month_from_march + 3, day) } else { (year + 1, month_from_march - 9, day) }
}

/// A number in so many decimal digits, zeros in front.
fn digits<const WIDTH: usize>(mut number: i64) -> [u8; WIDTH] {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn eat(&mut self, expected: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == expected => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, expected: u8) -> Result<(), DateProblem> {
        if self.eat(expected) { Ok(()) } else { Err(DateProblem::Form) }
    }

    fn sign(&mut self) -> Option<i64> {
        if self.eat(b'+') {
            Some(1)
        } else if self.eat(b'-') {
            Some(-1)
        } else {
            None
        }
    }

    fn digits(&mut self, count: usize) -> Result<i64, DateProblem> {
        match self.0.split_at_checked(count) {
            Some((digits, rest)) if digits.iter().all(u8::is_ascii_digit) => {
                self.0 = rest;
                Ok(decimal(digits))
            }
            _ => Err(DateProblem::Form),
        }
    }

    fn all_digits(&mut self) -> &'a [u8] {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        digits
    }
}

#[cfg(test)]
mod tests;
