//! JSON objects as spans: which members there are, each name and value as the text that was sent.
//!
//! The text is untrusted: it is checked and split in one pass, and nothing is decoded but names with escapes in them. The one
//! invariant: every span is a piece of the text that was given, so that a copy of it is byte for byte what the sender wrote, and is
//! JSON.
//!
//! Written by hand because serde_json's own way to spans, a map of `&RawValue`, costs about as much as building the tree.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use super::{
    read_span,
    scan::{Escapes, Text},
};

/// Members of one object at most. Convex takes no more in an object; here it also bounds the memory that a hostile body of
/// tiny members can ask for.
pub(crate) const MAX_MEMBERS: usize = 1_024;

/// One member of an object.
pub(crate) struct Member<'a> {
    /// The name, escapes decoded; UTF-8 as all of it.
    name: Cow<'a, [u8]>,
    /// The value as sent, without white space around.
    pub(crate) value: &'a [u8],
    /// Name, colon and value as sent, from the first quote on.
    text: &'a [u8],
    /// How much of it is the name with its quotes.
    name_length: usize,
}

impl<'a> Member<'a> {
    /// Whether this is its name, however it was sent.
    pub(crate) fn is(&self, name: &str) -> bool {
        *self.name == *name.as_bytes()
    }

    /// How long it was as sent.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The name as sent, with its quotes.
    pub(crate) fn name_text(&self) -> &'a [u8] {
        self.text.get(..self.name_length).unwrap_or_default()
    }

    /// All of it as sent, if that has no white space around the colon.
    pub(crate) fn tight_text(&self) -> Option<&'a [u8]> {
        (self.text.len() == self.name_length + 1 + self.value.len()).then_some(self.text)
    }
}

/// The members of an object that lies in another, or why they cannot be told.
pub(crate) type Inner<'a> = Result<Vec<Member<'a>>, MembersProblem>;

/// Why the members of an object cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MembersProblem {
    /// It is no JSON object.
    NotAnObject,
    /// More than [`MAX_MEMBERS`].
    TooMany,
    /// A name holds the escape of half a surrogate pair, which is no character.
    UnreadableName,
}

/// Splits an object into its members, in order, duplicates included.
///
/// Anything but one object, with white space around, is refused. Of several problems the first in the text is told, so that what
/// comes after it need not be JSON.
pub(crate) fn read_members(text: Text<'_>) -> Result<Vec<Member<'_>>, MembersProblem> {
    Ok(read_nested(text, None)?.0)
}

/// Splits an object into its members, and the object that the member of this name holds into its own, in one pass.
///
/// What is the matter within that object is no matter of the outer one, as long as it is JSON. That a name is there twice is the caller's
/// to find.
// See `Arguments::read_object`.
#[inline(always)]
pub(crate) fn read_nested<'a>(
    text: Text<'a>,
    name: Option<&str>,
) -> Result<(Vec<Member<'a>>, Option<Inner<'a>>), MembersProblem> {
    let mut inner = None;
    let (members, end) = take_members(text, text.space(0), |at, member| {
        let is_nested = text.peek(at) == Some(b'{') && name.is_some_and(|name| member == name.as_bytes());
        if !is_nested {
            return text.value(at);
        }
        let (members, end) = take_inner(text, at)?;
        inner = Some(members);
        Some(end)
    })?;
    if text.is_at_end(end) { Ok((members, inner)) } else { Err(MembersProblem::NotAnObject) }
}

/// Splits those members of an object that are objects into their own members, in one pass; what else the object has is left behind. Of
/// two with one name neither can be told from the other, so neither is there.
pub(crate) fn read_objects_in<'a, const N: usize>(
    text: Text<'a>,
    names: [&str; N],
) -> Result<[Option<Vec<Member<'a>>>; N], MembersProblem> {
    let mut objects = [const { None }; N];
    let mut seen = [0_usize; N];
    let end = each_member(text, text.space(0), |at, _, name| {
        let place = names.iter().position(|wanted| wanted.as_bytes() == &*name);
        let found = place.and_then(|place| Some((objects.get_mut(place)?, seen.get_mut(place)?)));
        let Some((object, seen)) = found else { return text.value(at).ok_or(NOT_JSON) };
        *seen += 1;
        let end = if text.peek(at) == Some(b'{') {
            let (members, end) = take_members(text, at, |at, _| text.value(at))?;
            *object = Some(members);
            end
        } else {
            text.value(at).ok_or(NOT_JSON)?
        };
        if *seen > 1 {
            *object = None;
        }
        Ok(end)
    })?;
    if text.is_at_end(end) { Ok(objects) } else { Err(NOT_JSON) }
}

/// The values of an object's members of these names; what else it has is left behind, after it was checked.
///
/// `None`: it is no object, it has one of the names twice, or a name holds half a surrogate pair.
pub(crate) fn read_known<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    let mut values = [None; N];
    let whole = Text::new(text);
    let end = each_member(whole, whole.space(0), |at, _, name| {
        let end = whole.value(at).ok_or(NOT_JSON)?;
        let place = names.iter().position(|known| known.as_bytes() == &*name);
        match place.and_then(|place| values.get_mut(place)) {
            Some(value @ None) => *value = Some(text.get(at..end).ok_or(NOT_JSON)?),
            Some(Some(_)) => return Err(NOT_JSON),
            None => {}
        }
        Ok(end)
    });
    whole.is_at_end(end.ok()?).then_some(values)
}

/// The first name that is there twice; that of `except` may be.
pub(crate) fn find_duplicate<'m>(members: &'m [Member<'_>], except: Option<&str>) -> Option<&'m [u8]> {
    // Up to here, comparing each with each is faster than hashing.
    const FEW: usize = 16;
    let counts = |name: &[u8]| except.is_none_or(|except| name != except.as_bytes());
    if members.len() <= FEW {
        let mut rest = members;
        while let [member, later @ ..] = rest {
            if later.iter().any(|other| other.name == member.name) && counts(&member.name) {
                return Some(&member.name);
            }
            rest = later;
        }
        None
    } else {
        let mut seen = HashSet::new();
        members.iter().map(|member| &*member.name).find(|name| counts(name) && !seen.insert(*name))
    }
}

const NOT_JSON: MembersProblem = MembersProblem::NotAnObject;

/// The members of an object whose other problems are told later, and the place behind it: `None` only for what is no JSON.
fn take_inner(text: Text<'_>, at: usize) -> Option<(Inner<'_>, usize)> {
    match take_members(text, at, |at, _| text.value(at)) {
        Ok((members, end)) => Some((Ok(members), end)),
        Err(MembersProblem::NotAnObject) => None,
        Err(problem @ (MembersProblem::TooMany | MembersProblem::UnreadableName)) => {
            Some((Err(problem), text.value(at)?))
        }
    }
}

/// The members of an object, and the place behind it. `value_end` is given where a value begins and its decoded name, and tells where it
/// ends.
#[inline]
fn take_members<'a>(
    text: Text<'a>,
    at: usize,
    mut value_end: impl FnMut(usize, &[u8]) -> Option<usize>,
) -> Result<(Vec<Member<'a>>, usize), MembersProblem> {
    // As many as a user's row has.
    let mut members = Vec::with_capacity(8);
    let end = each_member(text, at, |at, name_text, name| {
        if members.len() == MAX_MEMBERS {
            return Err(MembersProblem::TooMany);
        }
        let end = value_end(at, &name).ok_or(NOT_JSON)?;
        let value = text.span(at, end).ok_or(NOT_JSON)?;
        let whole = text.span(name_text.start, end).ok_or(NOT_JSON)?;
        members.push(Member { name, value, text: whole, name_length: name_text.len() });
        Ok(end)
    })?;
    Ok((members, end))
}

/// Reads an object, and tells the place behind it; `value_end` is given where a value begins, where its name stands and the name decoded,
/// and tells where the value ends.
#[inline]
fn each_member<'a>(
    text: Text<'a>,
    at: usize,
    mut value_end: impl FnMut(usize, Range<usize>, Cow<'a, [u8]>) -> Result<usize, MembersProblem>,
) -> Result<usize, MembersProblem> {
    let mut at = text.space(text.byte(at, b'{').ok_or(NOT_JSON)?);
    if let Some(end) = text.byte(at, b'}') {
        return Ok(end);
    }
    loop {
        let (name_end, escapes) = text.string(at).ok_or(NOT_JSON)?;
        let value_start = text.space(text.token(name_end, b':').ok_or(NOT_JSON)?);
        let name = match escapes {
            Escapes::None => Cow::Borrowed(text.span(at + 1, name_end - 1).ok_or(NOT_JSON)?),
            Escapes::Some => Cow::Owned(decode(text.span(at, name_end)).ok_or(MembersProblem::UnreadableName)?),
        };
        let end = value_end(value_start, at..name_end, name)?;
        match text.token(end, b',') {
            Some(next) => at = text.space(next),
            None => return text.token(end, b'}').ok_or(NOT_JSON),
        }
    }
}

#[cold]
fn decode(name_text: Option<&[u8]>) -> Option<Vec<u8>> {
    read_span(name_text?).map(|name| name.into_owned().into_bytes())
}

#[cfg(test)]
mod tests;
