//! Convex's rows as Auth.js has them.

use serde_json::value::RawValue;

use super::WireProblem;
use crate::{
    adapter::{
        arguments::find_only,
        codec::{ObjectWriter, read_number, survives},
        contract::{Presence, Row},
        date::{Iso, TimeValue},
    },
    config::Nulls,
    json::{
        members::{Member, read_members, read_objects_in},
        scan::Text,
    },
};

/// Reads what one function of the deployment returned.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// The function's name, for what cannot be read.
    pub(super) function: &'static str,
}

impl Reader {
    pub(super) fn write_or_null(self, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
        if value == "null" {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.write(row, value, out)
    }

    /// Writes a list, the newest row first: the guide's functions return the oldest first, others may not, and Auth.js's tests of adapters
    /// want it so.
    pub(super) fn write_newest_first(self, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
        let values: Vec<&RawValue> = serde_json::from_str(value).map_err(|_| self.unreadable())?;
        let mut rows = Vec::with_capacity(values.len());
        for value in values {
            let members = self.members(value.get())?;
            let created = find_only(&members, "_creationTime").and_then(read_number).unwrap_or(f64::NEG_INFINITY);
            rows.push((created, members));
        }
        rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        out.push(b'[');
        for (index, (_, members)) in rows.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_members(row, members, out)?;
        }
        out.push(b']');
        Ok(())
    }

    pub(super) fn write_session_and_user(self, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
        if value == "null" {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        let Ok([Some(session), Some(user)]) = read_objects_in(Text::new(value), ["session", "user"]) else {
            return Err(self.unreadable());
        };
        let mut object = ObjectWriter::open(out);
        for (name, row, members) in [("session", Row::Session, session), ("user", Row::User, user)] {
            object.plain_name(name);
            self.write_members(row, &members, object.out)?;
        }
        object.close();
        Ok(())
    }

    /// Writes the session of `{"session":…,"user":…}`, or null.
    pub(super) fn write_session_of_both(self, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
        if value == "null" {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match read_objects_in(Text::new(value), ["session"]) {
            Ok([Some(session)]) => self.write_members(Row::Session, &session, out),
            Ok([None]) | Err(_) => Err(self.unreadable()),
        }
    }

    pub(super) fn write(self, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
        self.write_members(row, &self.members(value)?, out)
    }

    fn write_members(self, row: Row, members: &[Member<'_>], out: &mut Vec<u8>) -> Result<(), WireProblem> {
        let id = find_only(members, "_id").filter(|id| id.starts_with(b"\""));
        let id = if has_id(row) { id.ok_or_else(|| self.unreadable())? } else { b"" };
        let date = match row.date() {
            None => None,
            Some(field) => match find_only(members, field.name).filter(|value| *value != b"null") {
                None if field.presence == Presence::Perhaps => None,
                value => {
                    let time = value.and_then(read_number).and_then(TimeValue::clip);
                    Some(time.ok_or(WireProblem::NotADate { function: self.function, field: field.path })?)
                }
            },
        };
        // A null that Convex stored is the row's own and stays.
        open(row, members, Nulls::Keep, out);
        close(row, date, id, out);
        Ok(())
    }

    fn members(self, value: &str) -> Result<Vec<Member<'_>>, WireProblem> {
        read_members(Text::new(value)).map_err(|_| self.unreadable())
    }

    fn unreadable(self) -> WireProblem {
        WireProblem::Unreadable { function: self.function }
    }
}

/// Writes a row without its date, its id and its closing brace.
pub(super) fn open(row: Row, members: &[Member<'_>], nulls: Nulls, out: &mut Vec<u8>) {
    let date = row.date();
    let mut object = ObjectWriter::open(out);
    for member in members.iter().filter(|member| survives(member, nulls)) {
        let is_rewritten = is_convexs_own(member)
            || (member.is("id") && has_id(row))
            || date.is_some_and(|field| member.is(field.name));
        if !is_rewritten {
            object.member(member);
        }
    }
}

/// Writes what [`open`] left open; `id` is JSON text.
pub(super) fn close(row: Row, date: Option<TimeValue>, id: &[u8], out: &mut Vec<u8>) {
    let mut object = ObjectWriter::go_on(out);
    if let Some(field) = row.date() {
        object.plain_name(field.name);
        match date {
            Some(time) => {
                object.out.push(b'"');
                object.out.extend_from_slice(Iso::new(time).as_bytes());
                object.out.push(b'"');
            }
            None => object.out.extend_from_slice(b"null"),
        }
    }
    if has_id(row) {
        object.plain_name("id");
        object.out.extend_from_slice(id);
    }
    object.close();
}

/// Whether a member is one that every row of Convex's has.
pub(super) fn is_convexs_own(member: &Member<'_>) -> bool {
    member.is("_id") || member.is("_creationTime")
}

/// Whether Auth.js's row has an `id`: its interface names one for users, and the guide's adapter gives one to sessions.
fn has_id(row: Row) -> bool {
    match row {
        Row::User | Row::Session => true,
        Row::Account | Row::Authenticator | Row::VerificationToken => false,
    }
}
