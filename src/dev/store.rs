//! The tables of the embedded deployment: rows in memory, indexes in order, transactions that undo themselves.
//!
//! Not for functions' rules (see the modules that define functions) and not for keeping anything: all of it is gone with
//! the process. Invariant: every row is in every index of its table exactly once, also after a failed transaction.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::function::Thrown;
use super::id::{IdSource, table_number};
use super::value::{Object, Value};
use crate::clock::Now;

/// A table of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Auth.js users.
    Users,
    /// Auth.js sessions.
    Sessions,
    /// Links between users and identity providers.
    Accounts,
    /// One-time tokens of magic links.
    VerificationTokens,
    /// Passkeys.
    Authenticators,
    /// The demo app's messages.
    Messages,
}

/// An index: rows in the order of these fields, then of their creation.
#[derive(Debug)]
pub struct Index {
    name: &'static str,
    fields: &'static [&'static str],
}

/// The one that every table has: rows in the order of their creation.
const BY_CREATION: &str = "by_creation_time";

const fn index(name: &'static str, fields: &'static [&'static str]) -> Index {
    Index { name, fields }
}

impl Table {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Users, Self::Sessions, Self::Accounts, Self::VerificationTokens, Self::Authenticators, Self::Messages];

    /// The name in validators and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Accounts => "accounts",
            Self::VerificationTokens => "verificationTokens",
            Self::Authenticators => "authenticators",
            Self::Messages => "messages",
        }
    }

    /// The number in the ids of its documents. Tables of an app start at 10,001.
    pub fn number(self) -> u32 {
        10_001 + self as u32
    }

    /// The table that an id names; nothing when the text is no id or names no table of this deployment.
    pub fn of_id(id: &str) -> Option<Self> {
        let number = table_number(id)?;
        Self::ALL.into_iter().find(|table| table.number() == number)
    }

    fn indexes(self) -> &'static [Index] {
        match self {
            Self::Users => const { &[index(BY_CREATION, &[]), index("email", &["email"])] },
            Self::Sessions => {
                const { &[index(BY_CREATION, &[]), index("sessionToken", &["sessionToken"]), index("userId", &["userId"])] }
            }
            Self::Accounts => {
                const {
                    &[
                        index(BY_CREATION, &[]),
                        index("providerAndAccountId", &["provider", "providerAccountId"]),
                        index("userId", &["userId"]),
                    ]
                }
            }
            Self::VerificationTokens => {
                const { &[index(BY_CREATION, &[]), index("identifierToken", &["identifier", "token"])] }
            }
            Self::Authenticators => {
                const { &[index(BY_CREATION, &[]), index("userId", &["userId"]), index("credentialID", &["credentialID"])] }
            }
            Self::Messages => const { &[index(BY_CREATION, &[])] },
        }
    }
}

/// All tables.
#[derive(Debug)]
pub struct Database {
    tables: [Rows; Table::ALL.len()],
    ids: IdSource,
    newest_creation: f64,
}

impl Database {
    /// Empty tables; ids come from the source.
    pub fn new(ids: IdSource) -> Self {
        Self { tables: Table::ALL.map(Rows::new), ids, newest_creation: 0.0 }
    }

    /// The document of this id, when the table has it.
    pub fn document(&self, table: Table, id: &str) -> Option<Arc<Object>> {
        self.rows(table).documents.get(id).map(Arc::clone)
    }

    /// All documents whose indexed fields equal `key`, in the order of their creation.
    pub fn matching(&self, table: Table, index: &str, key: &[&str]) -> Vec<Arc<Object>> {
        self.rows(table).matching(index, key).collect()
    }

    /// The only document whose indexed fields equal `key`.
    ///
    /// # Errors
    ///
    /// - [`Thrown::NotUnique`]: two or more documents match
    pub fn unique(&self, table: Table, index: &str, key: &[&str]) -> Result<Option<Arc<Object>>, Thrown> {
        let mut found = self.rows(table).matching(index, key);
        match (found.next(), found.next()) {
            (Some(first), Some(second)) => Err(Thrown::NotUnique {
                table: table.name(),
                first: first.text("_id").to_owned(),
                second: second.text("_id").to_owned(),
            }),
            (only, _) => Ok(only),
        }
    }

    /// The documents in the order of their creation.
    pub fn oldest_first(&self, table: Table) -> impl DoubleEndedIterator<Item = Arc<Object>> {
        self.rows(table).in_order()
    }

    /// How many documents the table has.
    pub fn count(&self, table: Table) -> usize {
        self.rows(table).documents.len()
    }

    #[expect(clippy::indexing_slicing, reason = "one element for every variant, in their order")]
    fn rows(&self, table: Table) -> &Rows {
        &self.tables[table as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "one element for every variant, in their order")]
    fn rows_mut(&mut self, table: Table) -> &mut Rows {
        &mut self.tables[table as usize]
    }

    /// Creation times rise strictly, as Convex's do: the clock's milliseconds, or a hair above the newest.
    fn next_creation(&mut self, now: Now) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53 for 285,000 years")]
        let clock = now.wall.0.max(0) as f64;
        self.newest_creation = if clock > self.newest_creation { clock } else { self.newest_creation.next_up() };
        self.newest_creation
    }
}

/// Writes that happen all or not at all: dropped without [`Transaction::commit`], it undoes them.
#[derive(Debug)]
pub struct Transaction<'a> {
    database: &'a mut Database,
    now: Now,
    undo: Vec<Undo>,
}

/// What takes one write back.
#[derive(Debug)]
enum Undo {
    Remove(Table, String),
    Restore(Table, Arc<Object>),
}

impl<'a> Transaction<'a> {
    /// Begins; `now` is the creation time of what it inserts.
    pub fn begin(database: &'a mut Database, now: Now) -> Self {
        Self { database, now, undo: Vec::new() }
    }

    /// Keeps the writes. `true` when there were any.
    pub fn commit(mut self) -> bool {
        !std::mem::take(&mut self.undo).is_empty()
    }

    /// Stores a document and returns its id. The system fields are added.
    pub fn insert(&mut self, table: Table, mut document: Object) -> String {
        let id = self.database.ids.next(table.number());
        document.set("_id", Value::from(id.as_str()));
        document.set("_creationTime", Value::Float64(self.database.next_creation(self.now)));
        self.database.rows_mut(table).put(Arc::new(document));
        self.undo.push(Undo::Remove(table, id.clone()));
        id
    }

    /// Sets the given fields of a document and leaves the others. Nothing happens when there is no such document.
    pub fn patch(&mut self, table: Table, id: &str, changes: Object) {
        let Some(before) = self.database.rows_mut(table).take(id) else { return };
        let mut after = Object::clone(&before);
        after.0.extend(changes.0);
        self.database.rows_mut(table).put(Arc::new(after));
        self.undo.push(Undo::Restore(table, before));
    }

    /// Removes a document. Nothing happens when there is no such document.
    pub fn delete(&mut self, table: Table, id: &str) {
        if let Some(before) = self.database.rows_mut(table).take(id) {
            self.undo.push(Undo::Restore(table, before));
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Remove(table, id) => drop(self.database.rows_mut(table).take(&id)),
                Undo::Restore(table, before) => {
                    let rows = self.database.rows_mut(table);
                    rows.take(before.text("_id"));
                    rows.put(before);
                }
            }
        }
    }
}

/// The rows of one table.
struct Rows {
    documents: HashMap<String, Arc<Object>>,
    indexes: Vec<(&'static Index, BTreeSet<Entry>)>,
}

/// How many rows there are: their keys are session tokens and addresses.
impl fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rows({})", self.documents.len())
    }
}

/// A row's place in an index. The derived order is the index's order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Vec<String>,
    creation_bits: u64,
    id: String,
}

impl Rows {
    fn new(table: Table) -> Self {
        let indexes = table.indexes().iter().map(|index| (index, BTreeSet::new())).collect();
        Self { documents: HashMap::new(), indexes }
    }

    fn put(&mut self, document: Arc<Object>) {
        for (index, entries) in &mut self.indexes {
            entries.insert(Entry::of(index, &document));
        }
        self.documents.insert(document.text("_id").to_owned(), document);
    }

    fn take(&mut self, id: &str) -> Option<Arc<Object>> {
        let document = self.documents.remove(id)?;
        for (index, entries) in &mut self.indexes {
            entries.remove(&Entry::of(index, &document));
        }
        Some(document)
    }

    fn matching(&self, index: &str, key: &[&str]) -> impl Iterator<Item = Arc<Object>> {
        let key: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
        let entries = self.indexes.iter().find(|(candidate, _)| candidate.name == index).map(|(_, entries)| entries);
        let start = Entry { key: key.clone(), creation_bits: 0, id: String::new() };
        entries
            .into_iter()
            .flat_map(move |entries| entries.range(start.clone()..))
            .take_while(move |entry| entry.key == key)
            .filter_map(|entry| self.documents.get(&entry.id).map(Arc::clone))
    }

    fn in_order(&self) -> impl DoubleEndedIterator<Item = Arc<Object>> {
        let entries = self.indexes.iter().filter(|(index, _)| index.name == BY_CREATION);
        entries.flat_map(|(_, entries)| entries).filter_map(|entry| self.documents.get(&entry.id).map(Arc::clone))
    }
}

impl Entry {
    /// Indexed fields are strings in every table here; the schema demands them.
    fn of(index: &Index, document: &Object) -> Self {
        let creation = if let Some(Value::Float64(time)) = document.field("_creationTime") { *time } else { 0.0 };
        Self {
            key: index.fields.iter().map(|field| document.text(field).to_owned()).collect(),
            // The bits of floats that are not negative have the floats' order.
            creation_bits: creation.to_bits(),
            id: document.text("_id").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;

    fn database() -> Database {
        Database::new(IdSource::new([1; 32]))
    }

    fn at(milliseconds: i64) -> Now {
        Now { wall: UnixMillis(milliseconds), ..Now::read() }
    }

    fn session(token: &str) -> Object {
        Object([("sessionToken".to_owned(), Value::from(token))].into())
    }

    fn insert(database: &mut Database, token: &str) -> String {
        let mut transaction = Transaction::begin(database, at(5));
        let id = transaction.insert(Table::Sessions, session(token));
        assert!(transaction.commit());
        id
    }

    #[test]
    fn a_row_is_found_by_id_and_by_index() {
        let mut database = database();
        let id = insert(&mut database, "a");
        insert(&mut database, "b");
        assert_eq!(database.document(Table::Sessions, &id).unwrap().text("sessionToken"), "a");
        assert_eq!(database.unique(Table::Sessions, "sessionToken", &["a"]).unwrap().unwrap().text("_id"), id);
        assert!(database.unique(Table::Sessions, "sessionToken", &["c"]).unwrap().is_none());
    }

    #[test]
    fn two_matches_are_not_unique_and_come_in_the_order_of_their_creation() {
        let mut database = database();
        let (first, second) = (insert(&mut database, "a"), insert(&mut database, "a"));
        let thrown = database.unique(Table::Sessions, "sessionToken", &["a"]).unwrap_err();
        assert_eq!(
            thrown.to_string(),
            format!("unique() query returned more than one result from table sessions:\n [{first}, {second}, ...]")
        );
    }

    #[test]
    fn creation_times_rise_when_the_clock_stands_still_or_falls() {
        let mut database = database();
        for milliseconds in [5, 5, 3, 9] {
            let mut transaction = Transaction::begin(&mut database, at(milliseconds));
            transaction.insert(Table::Messages, Object::default());
            transaction.commit();
        }
        let times: Vec<_> = database
            .oldest_first(Table::Messages)
            .map(|row| if let Some(Value::Float64(time)) = row.field("_creationTime") { *time } else { 0.0 })
            .collect();
        assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
        assert_eq!((times[0], times[3]), (5.0, 9.0));
    }

    #[test]
    fn a_transaction_that_is_not_committed_leaves_no_trace() {
        let mut database = database();
        let id = insert(&mut database, "a");
        let mut transaction = Transaction::begin(&mut database, at(6));
        transaction.insert(Table::Sessions, session("b"));
        transaction.patch(Table::Sessions, &id, session("c"));
        transaction.patch(Table::Sessions, &id, session("d"));
        transaction.delete(Table::Sessions, &id);
        assert_eq!(transaction.count(Table::Sessions), 1);
        drop(transaction);
        assert_eq!(database.count(Table::Sessions), 1);
        for (token, rows) in [("a", 1), ("b", 0), ("c", 0), ("d", 0)] {
            assert_eq!(database.matching(Table::Sessions, "sessionToken", &[token]).len(), rows, "{token}");
        }
    }

    #[test]
    fn a_patch_moves_the_row_in_its_indexes() {
        let mut database = database();
        let id = insert(&mut database, "a");
        let mut transaction = Transaction::begin(&mut database, at(6));
        transaction.patch(Table::Sessions, &id, session("b"));
        transaction.commit();
        assert!(database.matching(Table::Sessions, "sessionToken", &["a"]).is_empty());
        assert_eq!(database.matching(Table::Sessions, "sessionToken", &["b"]).len(), 1);
    }

    #[test]
    fn ids_name_their_table() {
        let mut database = database();
        let id = insert(&mut database, "a");
        assert_eq!(Table::of_id(&id), Some(Table::Sessions));
        assert_eq!(Table::of_id(&super::super::id::encode(7, &[0; 16])), None);
    }
}
