//! The sources: which keys a file and the environment give, as they were written and where.
//!
//! Names are decided here (an unknown one is a problem), values are only carried. Each source becomes a [`Layer`];
//! [`merge`] puts a higher one over a lower one.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
    slice,
};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};
use zeroize::Zeroizing;

use super::{
    finding::{Finding, Notes},
    mirror::{self, Key, PREFIX},
    nearest::nearest,
    problem::{Place, Shown, quote},
    quotable::Secrets,
    reason::Reason,
};

/// Syntax errors that are told of one file; more of them are mostly echoes of the first.
const SYNTAX_PROBLEMS_MAX: usize = 3;

/// A value as it was written. Wiped when dropped, as any of them may be a secret.
pub(super) enum Raw {
    /// A text of the environment, or a TOML string.
    Text(Zeroizing<String>),
    /// A TOML array of strings.
    Items(Vec<Zeroizing<String>>),
    /// A TOML integer: its sign and digits, in decimal where it fits 64 bits.
    Whole(String),
    /// Anything else that TOML has, by its kind; wanted by no key.
    Unfit(&'static str),
    /// Bytes of the environment that are no text.
    NotUnicode,
}

impl Raw {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    /// What is told of the value, or of one item of a list (from 0). For open keys only.
    pub(super) fn shown(&self, item: Option<usize>, secrets: &Secrets) -> Shown {
        let whole = match self {
            Self::Text(text) => slice::from_ref(text),
            Self::Items(items) => items,
            Self::Whole(_) | Self::Unfit(_) | Self::NotUnicode => &[],
        };
        // A secret that was taken apart is still one.
        if whole.iter().any(|text| secrets.are_in(text)) {
            return Shown::HiddenValue;
        }
        let quoted = |text: &str| secrets.allow_value(text).then(|| quote(text));
        let shown = match (self, item) {
            (Self::Text(text), None) => quoted(text),
            (Self::Text(text), Some(item)) => text.split(',').nth(item).and_then(|item| quoted(item.trim())),
            (Self::Items(items), None) => {
                let items: Option<Vec<_>> = items.iter().map(|item| quoted(item)).collect();
                items.map(|items| format!("[{}]", items.join(", ")))
            }
            (Self::Items(items), Some(item)) => items.get(item).and_then(|item| quoted(item)),
            (Self::Whole(digits), _) => secrets.allow_value(digits).then(|| digits.clone()),
            (Self::Unfit(_) | Self::NotUnicode, _) => return Shown::Nothing,
        };
        shown.map_or(Shown::HiddenValue, Shown::Quoted)
    }
}

/// A value and where it was written.
pub(super) struct Written {
    pub(super) key: &'static Key,
    pub(super) raw: Rc<Raw>,
    pub(super) place: Place,
}

/// What one source gives, by `section.name`.
#[derive(Default)]
pub(super) struct Layer(BTreeMap<String, Written>);

impl Layer {
    /// What was written for a key.
    pub(super) fn of(&self, key: &Key) -> Option<&Written> {
        self.0.get(&key.path())
    }

    /// Adds a value; a problem when the key, or its other spelling, has one already.
    fn add(&mut self, written: Written) -> Option<Finding> {
        let Written { key, raw, place } = &written;
        let reason = match self.0.values().find(|present| present.key.is_spelling_of(key)) {
            Some(present) if present.key.name == key.name => Reason::TwoNames,
            Some(present) => Reason::TwoSpellings { other: present.key.path() },
            None => {
                self.0.insert(key.path(), written);
                return None;
            }
        };
        Some(Finding::of_key(key, Some(Rc::clone(raw)), None, place.clone(), reason))
    }
}

/// Puts layers over one another, in rising order. A higher value replaces a lower one whichever of the two spellings
/// (value or file) each of them has.
pub(super) fn merge(layers: impl IntoIterator<Item = Layer>) -> Layer {
    layers.into_iter().fold(Layer::default(), |mut merged, layer| {
        merged.0.retain(|_, lower| !layer.0.values().any(|higher| higher.key.is_spelling_of(lower.key)));
        merged.0.extend(layer.0);
        merged
    })
}

/// The layer of the defaults.
pub(super) fn defaults() -> Layer {
    let written = |key: &'static Key| {
        key.default.map(|text| Written { key, raw: Rc::new(Raw::text(text)), place: Place::Default })
    };
    Layer(mirror::all().filter_map(written).map(|written| (written.key.path(), written)).collect())
}

/// The layers of the environment, the lower one first: the guide's names, then those under the prefix.
pub(super) fn of_environment(environment: &[(String, String)], notes: &mut Notes) -> [Layer; 2] {
    let (mut guides, mut prefixed) = (Layer::default(), Layer::default());
    for (name, value) in environment {
        let (layer, key) = if let Some(key) = mirror::all().find(|key| key.guide == Some(name)) {
            (&mut guides, key)
        } else if let Some(rest) = name.strip_prefix(PREFIX) {
            let Some(key) = prefixed_key(rest) else {
                let near = nearest(name, mirror::all().map(Key::environment_name));
                notes.add(Finding::of_variable(rest, Reason::UnknownKey { near }));
                continue;
            };
            (&mut prefixed, key)
        } else {
            continue;
        };
        notes.secrets.keep_given(key, value);
        let raw = if value.contains(char::REPLACEMENT_CHARACTER) { Raw::NotUnicode } else { Raw::text(value) };
        let place = Place::Environment(name.clone());
        if let Some(finding) = layer.add(Written { key, raw: Rc::new(raw), place }) {
            notes.add(finding);
        }
    }
    [guides, prefixed]
}

/// `SECTION__KEY` in any case.
fn prefixed_key(rest: &str) -> Option<&'static Key> {
    let (section, name) = rest.split_once("__")?;
    mirror::find(&section.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

/// The layer of a file; `None` when it cannot be read as TOML, so that nobody knows what it gives. `must_exist` is for
/// a file that was named; one that was only looked for may be missing.
pub(super) fn of_file(path: &Path, must_exist: bool, notes: &mut Notes) -> Option<Layer> {
    let text = match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Zeroizing::new(text),
        Ok(Err(_)) => {
            notes.add(Finding::of_file(path, Reason::NotUnicode));
            return None;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Some(Layer::default()),
        Err(error) => {
            notes.add(Finding::of_file(path, Reason::FileUnreadable(error)));
            return None;
        }
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    keep_secrets(table.get_ref(), &mut notes.secrets);
    let file = File { path: path.to_owned(), text: &text };
    if errors.is_empty() { Some(file.layer(table.get_ref(), notes)) } else { file.refuse(&errors, notes) }
}

/// A file while it is read.
struct File<'text> {
    path: PathBuf,
    text: &'text str,
}

impl File<'_> {
    /// Reports syntax errors by line, column and the parser's fixed sentence. Its own `Display` quotes the line, which
    /// may hold a secret.
    fn refuse(&self, errors: &[toml::de::Error], notes: &mut Notes) -> Option<Layer> {
        let mut last_line = None;
        let mut told = 0;
        for error in errors {
            let (line, column) = self.position(error.span().map_or(0, |span| span.start));
            if last_line == Some(line) || told == SYNTAX_PROBLEMS_MAX {
                continue;
            }
            last_line = Some(line);
            told += 1;
            let reason = Reason::NotToml { line, column, sentence: error.message().to_owned() };
            notes.add(Finding::of_file(&self.path, reason));
        }
        None
    }

    fn layer(&self, table: &DeTable<'_>, notes: &mut Notes) -> Layer {
        let mut layer = Layer::default();
        for (section, keys) in as_written(table) {
            let (section, place) = (section.get_ref(), self.place(section));
            let DeValue::Table(keys) = keys.get_ref() else {
                let reason =
                    if mirror::is_section(section) { Reason::NotASection } else { unknown_key(section, section) };
                notes.add(Finding::of_name("", section, "", place, reason));
                continue;
            };
            if !mirror::is_section(section) {
                let near = nearest(section, mirror::all().map(|key| key.section.to_owned()));
                let reason = Reason::UnknownSection { near: near.map(|section| format!("[{section}]")) };
                notes.add(Finding::of_name("[", section, "]", place, reason));
                continue;
            }
            for (name, value) in as_written(keys) {
                let place = self.place(name);
                let finding = match mirror::find(section, name.get_ref()) {
                    Some(key) => layer.add(Written { key, raw: Rc::new(raw(value.get_ref())), place }),
                    None => {
                        let reason = unknown_key(&format!("{section}.{}", name.get_ref()), name.get_ref());
                        Some(Finding::of_name(&format!("{section}."), name.get_ref(), "", place, reason))
                    }
                };
                if let Some(finding) = finding {
                    notes.add(finding);
                }
            }
        }
        layer
    }

    fn place<T>(&self, spanned: &Spanned<T>) -> Place {
        Place::File { path: self.path.clone(), line: self.position(spanned.span().start).0 }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let line = before.matches('\n').count().saturating_add(1);
        (line, before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1))
    }
}

/// The entries of a table in the order of the file.
fn as_written<'table, 'text>(
    table: &'table DeTable<'text>,
) -> Vec<(&'table Spanned<DeString<'text>>, &'table Spanned<DeValue<'text>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// Keeps every text under a secret key, whatever its kind, of a table that may be broken elsewhere.
fn keep_secrets(table: &DeTable<'_>, secrets: &mut Secrets) {
    for (section, keys) in table {
        for (name, value) in keys.get_ref().as_table().into_iter().flatten() {
            if let Some(key) = mirror::find(section.get_ref(), name.get_ref()) {
                keep_texts(key, value.get_ref(), secrets);
            }
        }
    }
}

fn keep_texts(key: &Key, value: &DeValue<'_>, secrets: &mut Secrets) {
    match value {
        DeValue::String(text) => secrets.keep_given(key, text),
        DeValue::Integer(digits) => secrets.keep_given(key, digits.as_str()),
        DeValue::Float(digits) => secrets.keep_given(key, digits.as_str()),
        DeValue::Array(items) => items.iter().for_each(|item| keep_texts(key, item.get_ref(), secrets)),
        DeValue::Table(members) => members.values().for_each(|member| keep_texts(key, member.get_ref(), secrets)),
        DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// The reason for a name that no key has: near the path of one, or the very name of one in another section.
fn unknown_key(path: &str, name: &str) -> Reason {
    let in_another_section = || mirror::all().find(|key| key.name == name).map(Key::path);
    Reason::UnknownKey { near: nearest(path, mirror::all().map(Key::path)).or_else(in_another_section) }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::text(text),
        DeValue::Integer(digits) => Raw::Whole(match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => digits.to_string(),
        }),
        DeValue::Float(_) => Raw::Unfit("a number with a fraction"),
        DeValue::Boolean(_) => Raw::Unfit("true or false"),
        DeValue::Datetime(_) => Raw::Unfit("a date or time"),
        DeValue::Table(_) => Raw::Unfit("a table"),
        DeValue::Array(array) => {
            let text =
                |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(|text| Zeroizing::new(text.to_owned()));
            match array.iter().map(text).collect() {
                Some(items) => Raw::Items(items),
                None => Raw::Unfit("an array with more than strings in it"),
            }
        }
    }
}
