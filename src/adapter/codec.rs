//! Writes the arguments of an adapter call for Convex: the proxy's secret in, dates as numbers, nulls out, all else copied.
//!
//! Works on spans, never on a tree. The one invariant: a value that the contract does not name leaves byte for byte as it
//! came, and in what leaves there is exactly one `secret`, the proxy's own.

use std::ops::Range;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    arguments::{ArgumentProblem, Arguments, SECRET, Shape},
    contract::{Field, Row},
    date::TimeValue,
};
use crate::{
    config::Nulls,
    json::{
        members::{Member, find_duplicate, read_members},
        read_span,
        scan::Text,
    },
    secret::Secret,
};

impl<'a> Arguments<'a> {
    /// Appends the argument JSON for Convex to `out`, in the shape that the caller used.
    ///
    /// For a function of the contract, null members of the argument object and of its nested object are left out if `nulls`
    /// says so, and a date field that holds a string becomes epoch milliseconds, an integer. A date field that holds
    /// anything else is copied: numbers keep their bytes, and the rest is Convex's to refuse. So is a nested "object" that is
    /// none. For a function that the contract does not know only the secret is touched.
    ///
    /// The secret stands last. White space between members is not kept. Law: what was written, read and written again, is
    /// the same bytes.
    ///
    /// # Errors
    ///
    /// Nothing is appended then.
    ///
    /// - [`ArgumentProblem::NotADate`]: a date field holds a string that [`parse`](super::date::parse) refuses.
    /// - [`ArgumentProblem::Duplicate`], [`ArgumentProblem::DuplicateMember`]: the nested object has a member twice.
    /// - [`ArgumentProblem::TooManyMembers`], [`ArgumentProblem::UnreadableName`]: in the nested object.
    ///
    /// # Example
    ///
    /// ```
    /// use convex_auth_proxy::{adapter::{arguments::Arguments, contract::Function}, config::Nulls, secret::Secret};
    ///
    /// let args: &serde_json::value::RawValue = serde_json::from_str(r#"[{"user":{"email":"a@b.c","name":null,"emailVerified":"2026-01-01"}}]"#)?;
    /// let mut out = Vec::new();
    /// let create_user = Some(Function::CreateUser);
    /// Arguments::read(create_user, args)?.encode(Nulls::Drop, &Secret::new("s"), &mut out)?;
    /// assert_eq!(out, br#"[{"user":{"email":"a@b.c","emailVerified":1767225600000},"secret":"s"}]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode(&self, nulls: Nulls, secret: &Secret, out: &mut Vec<u8>) -> Result<(), ArgumentProblem> {
        // What can fail comes first, so that nothing is appended then.
        let nested = self.nested()?;
        self.write(nested.as_ref(), if self.function.is_some() { nulls } else { Nulls::Keep }, secret, out);
        Ok(())
    }

    /// The nested object of the function's contract, checked; `None` when it is not there or is no object.
    #[inline]
    pub(super) fn nested(&self) -> Result<Option<Nested<'_, 'a>>, ArgumentProblem> {
        let contracted = self.function.and_then(|function| function.contract().nested());
        let Some(((name, row), members)) = contracted.zip(self.nested.as_ref()) else { return Ok(None) };
        let members = members.as_ref().map_err(|problem| ArgumentProblem::from_members(*problem))?;
        Nested::check(name, row, members).map(Some)
    }

    /// Writes with the nested object checked before, and tells where its members were written, the date apart.
    pub(super) fn write(
        &self,
        nested: Option<&Nested<'_, '_>>,
        nulls: Nulls,
        secret: &Secret,
        out: &mut Vec<u8>,
    ) -> WithoutDate {
        let mut written = WithoutDate::default();
        if self.shape == Shape::Array {
            out.push(b'[');
        }
        let mut object = ObjectWriter::open(out);
        for member in self.members.iter().filter(|member| !member.is(SECRET) && survives(member, nulls)) {
            match nested {
                Some(nested) if member.is(nested.name) => {
                    object.name(member.name_text());
                    written = nested.write(nulls, object.out);
                }
                _ => object.member(member),
            }
        }
        object.secret(secret);
        object.close();
        if self.shape == Shape::Array {
            out.push(b']');
        }
        written
    }
}

/// Where in a text the members of an object stand that come before its date, and where those after it: without braces, and without the
/// commas around the date.
#[derive(Debug, Default)]
pub(super) struct WithoutDate(pub(super) [Range<usize>; 2]);

/// The contract's nested object: no member is there twice, and a date that is a string is one.
pub(super) struct Nested<'m, 'a> {
    pub(super) name: &'static str,
    pub(super) row: Row,
    /// The member that is a date.
    pub(super) date: Option<&'static Field>,
    members: &'m [Member<'a>],
    /// What its date field's string stands for; `None` when that field holds no string.
    pub(super) time: Option<TimeValue>,
    /// Which members are written.
    pub(super) sends: Sends,
}

/// Which members of the nested object are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// All.
    All,
    /// All but these.
    AllBut(&'static [&'static str]),
    /// Those that the contract names.
    FieldsOfTheContract,
}

impl<'m, 'a> Nested<'m, 'a> {
    #[inline]
    fn check(name: &'static str, row: Row, members: &'m [Member<'a>]) -> Result<Self, ArgumentProblem> {
        let date = row.date();
        if let Some(twice) = find_duplicate(members, None) {
            return Err(match date {
                Some(date) if date.name.as_bytes() == twice => ArgumentProblem::Duplicate { field: date.path },
                _ => ArgumentProblem::DuplicateMember { object: Some(name) },
            });
        }
        let mut nested = Self { name, row, date, members, time: None, sends: Sends::All };
        if let Some(field) = date {
            nested.time = nested.value(field.name).map_or(Ok(None), |value| read_date(field, value))?;
        }
        Ok(nested)
    }

    /// The members.
    pub(super) fn members(&self) -> &'m [Member<'a>] {
        self.members
    }

    /// The value of a member as it was sent.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.members.iter().find(|member| member.is(name)).map(|member| member.value)
    }

    /// Whether anything is written but the member of this name.
    pub(super) fn sends_more_than(&self, name: &str, nulls: Nulls) -> bool {
        self.sent(nulls).any(|member| !member.is(name))
    }

    fn sent(&self, nulls: Nulls) -> impl Iterator<Item = &'m Member<'a>> {
        self.members.iter().filter(move |member| {
            survives(member, nulls)
                && match self.sends {
                    Sends::All => true,
                    Sends::AllBut(names) => !names.iter().any(|name| member.is(name)),
                    Sends::FieldsOfTheContract => self.row.fields().iter().any(|field| member.is(field.name)),
                }
        })
    }

    fn write(&self, nulls: Nulls, out: &mut Vec<u8>) -> WithoutDate {
        let begin = out.len() + 1;
        let mut date_at = None;
        let mut object = ObjectWriter::open(out);
        for member in self.sent(nulls) {
            if !self.date.is_some_and(|field| member.is(field.name)) {
                object.member(member);
                continue;
            }
            let start = object.out.len();
            match self.time {
                Some(time) => {
                    object.name(member.name_text());
                    object.out.extend_from_slice(itoa::Buffer::new().format(time.millis()).as_bytes());
                }
                None => object.member(member),
            }
            date_at = Some(start..object.out.len());
        }
        let end = object.out.len();
        object.close();
        let Range { start: before, end: after } = date_at.unwrap_or(end..end);
        // What follows the date begins with a comma.
        WithoutDate([begin..before, (after + 1).min(end)..end])
    }
}

/// The time that a date field's string stands for; `None` when it holds no string.
fn read_date(field: &Field, value: &[u8]) -> Result<Option<TimeValue>, ArgumentProblem> {
    if !value.starts_with(b"\"") {
        return Ok(None);
    }
    // No date has a backslash in it: only what is none as it stands needs to be decoded.
    let as_sent = value.get(1..value.len() - 1).unwrap_or_default();
    let time = TimeValue::parse(as_sent).or_else(|_| TimeValue::parse(read_span(value).unwrap_or_default().as_bytes()));
    time.map(Some).map_err(|reason| ArgumentProblem::NotADate { field: field.path, reason })
}

/// Whether a JSON value is a number.
pub(super) fn is_number(value: &[u8]) -> bool {
    value.first().is_some_and(|first| *first == b'-' || first.is_ascii_digit())
}

/// A number of Convex's: JSON's own spellings, or `{"$float":"…"}` with eight little-endian bytes in base64, which Convex
/// writes for -0 and for what is not finite.
pub(super) fn read_number(value: &[u8]) -> Option<f64> {
    let text = str::from_utf8(value).ok()?;
    if is_number(value) {
        return text.parse().ok();
    }
    match read_members(Text::new(text)).ok()?.as_slice() {
        [only] if only.is("$float") => {
            let bytes = STANDARD.decode(read_span(only.value)?.as_bytes()).ok()?;
            Some(f64::from_le_bytes(bytes.try_into().ok()?))
        }
        _ => None,
    }
}

/// Whether a member is sent.
pub(super) fn survives(member: &Member<'_>, nulls: Nulls) -> bool {
    nulls == Nulls::Keep || member.value != b"null"
}

/// Puts the commas and braces of one object.
pub(super) struct ObjectWriter<'o> {
    /// Where values are written, each after its name.
    pub(super) out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> ObjectWriter<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Goes on with an object that was left open.
    pub(super) fn go_on(out: &'o mut Vec<u8>) -> Self {
        let is_empty = out.last() == Some(&b'{');
        Self { out, is_empty }
    }

    /// Writes a member as it was sent, but for white space around its colon.
    #[inline]
    pub(super) fn member(&mut self, member: &Member<'_>) {
        if let Some(text) = member.tight_text() {
            self.separate();
            self.out.extend_from_slice(text);
        } else {
            self.name(member.name_text());
            self.out.extend_from_slice(member.value);
        }
    }

    /// Writes members that were written before, if there are any.
    pub(super) fn members(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.separate();
            self.out.extend_from_slice(text);
        }
    }

    fn separate(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
    }

    /// Starts a member; `name_text` is JSON, quotes included.
    pub(super) fn name(&mut self, name_text: &[u8]) {
        self.separate();
        self.out.extend_from_slice(name_text);
        self.out.push(b':');
    }

    /// Starts a member whose name needs no escapes.
    pub(super) fn plain_name(&mut self, name: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Writes the secret, by its name.
    pub(super) fn secret(&mut self, secret: &Secret) {
        self.separate();
        self.out.extend_from_slice(br#""secret":"#);
        secret.write_json(self.out);
    }

    #[inline]
    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests;
