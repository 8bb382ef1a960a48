//! Convex's rows as Auth.js has them.

use serde_json::value::RawValue;

use super::WireProblem;
use crate::{
    adapter::{
        arguments::find_only,
        codec::{ObjectWriter, read_number, survives},
        contract::{Presence, Row},
        date::Iso,
        members::{Member, read_members, read_objects_in},
    },
    config::Nulls,
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
        let Ok([Some(session), Some(user)]) = read_objects_in(value, ["session", "user"]) else {
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
        match read_objects_in(value, ["session"]) {
            Ok([Some(session)]) => self.write_members(Row::Session, &session, out),
            Ok([None]) | Err(_) => Err(self.unreadable()),
        }
    }

    pub(super) fn write(self, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
        self.write_members(row, &self.members(value)?, out)
    }

    fn write_members(self, row: Row, members: &[Member<'_>], out: &mut Vec<u8>) -> Result<(), WireProblem> {
        let id = find_only(members, "_id").filter(|id| id.starts_with('"'));
        let id = if has_id(row) { id.ok_or_else(|| self.unreadable())? } else { "" };
        let iso = match row.date() {
            None => None,
            Some(field) => match find_only(members, field.name).filter(|value| *value != "null") {
                None if field.presence == Presence::Perhaps => None,
                value => {
                    let iso = value.and_then(read_number).and_then(Iso::new);
                    Some(iso.ok_or(WireProblem::NotADate { function: self.function, field: field.path })?)
                }
            },
        };
        // A null that Convex stored is the row's own and stays.
        open(row, members, iso.as_ref(), Nulls::Keep, out);
        close(row, id, out);
        Ok(())
    }

    fn members(self, value: &str) -> Result<Vec<Member<'_>>, WireProblem> {
        read_members(value).map_err(|_| self.unreadable())
    }

    fn unreadable(self) -> WireProblem {
        WireProblem::Unreadable { function: self.function }
    }
}

/// Writes a row without its id and closing brace.
pub(super) fn open(row: Row, members: &[Member<'_>], iso: Option<&Iso>, nulls: Nulls, out: &mut Vec<u8>) {
    let date = row.date();
    let mut object = ObjectWriter::open(out);
    for member in members.iter().filter(|member| survives(member, nulls)) {
        let is_rewritten = match &*member.name {
            "_id" | "_creationTime" => true,
            "id" => has_id(row),
            name => date.is_some_and(|field| field.name == name),
        };
        if !is_rewritten {
            object.name(member.name_text);
            object.out.extend_from_slice(member.value.as_bytes());
        }
    }
    if let Some(field) = date {
        object.plain_name(field.name);
        match iso {
            Some(iso) => {
                object.out.push(b'"');
                object.out.extend_from_slice(iso.as_bytes());
                object.out.push(b'"');
            }
            None => object.out.extend_from_slice(b"null"),
        }
    }
}

/// Writes what [`open`] left open; `id` is JSON text.
pub(super) fn close(row: Row, id: &str, out: &mut Vec<u8>) {
    if has_id(row) {
        // These rows have a date, so a member stands before.
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.as_bytes());
    }
    out.push(b'}');
}

/// Whether Auth.js's row has an `id`: its interface names one for users, and the guide's adapter gives one to sessions.
fn has_id(row: Row) -> bool {
    match row {
        Row::User | Row::Session => true,
        Row::Account | Row::Authenticator | Row::VerificationToken => false,
    }
}
