//! What is wrong with a configuration, in words for the person who wrote it.
//!
//! A problem names the key, where it was written, the kind of value that is wanted, the reason, and what to write
//! instead. Its one invariant: the value of a secret key is in none of these.

use std::{error, fmt, path::PathBuf};

use super::{
    mirror::{Key, Secrecy, Shape},
    reason::{Instead, Reason},
    source::Raw,
};

/// Values and names of an operator are quoted up to this length.
const QUOTED_CHARACTERS_MAX: usize = 80;

/// Everything that is wrong with a configuration; never empty.
///
/// `Display` gives one block of lines per problem, with an empty line between two blocks and none at the end.
#[derive(Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// The problems, those of whole sources first, then in the order of `config.toml`.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n\n")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

impl error::Error for Problems {}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    name: String,
    value: Option<String>,
    place: Place,
    wanted: Option<&'static str>,
    reason: Reason,
    instead: String,
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is missing.
    Nowhere,
    /// Nowhere: the default counts.
    Default,
    /// In a file.
    File {
        /// As it was named on the command line, or `config.toml` in the directory that is searched.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// In the environment, under this name.
    Environment(String),
}

impl Problem {
    /// A problem with the value of a key, or with its absence. `item` is the item of a list that is meant, from 0.
    pub(super) fn of_key(key: &Key, written: Option<&Raw>, item: Option<usize>, place: Place, reason: Reason) -> Self {
        let name = match item.filter(|_| key.secrecy == Secrecy::Secret) {
            // The value is not shown, so that its number must tell which one is meant.
            Some(item) => format!("{}, item {}", key.path(), item.saturating_add(1)),
            None => key.path(),
        };
        let value = match key.secrecy {
            Secrecy::Secret => None,
            // What has an '@' may be a URL with a password in it, readable or not.
            Secrecy::Open => written.and_then(|raw| raw.shown(item)).filter(|shown| !shown.contains('@')),
        };
        let instead = match reason.instead() {
            Some(Instead::Words(words)) => words,
            Some(Instead::Value(value)) if item.is_some() => format!("{value} in its place"),
            Some(Instead::Value(value)) => assignment(key, &place, &value),
            None => assignment(key, &place, key.example_text()),
        };
        Self { name, value, place, wanted: Some(key.wanted), reason, instead }
    }

    /// A problem with something that has no key: a file, or a name that is not known.
    pub(super) fn of_source(name: &str, place: Place, reason: Reason) -> Self {
        let instead = match reason.instead() {
            Some(Instead::Words(words) | Instead::Value(words)) => words,
            None => String::new(),
        };
        let place = match place {
            Place::Environment(name) => Place::Environment(shorten(&name)),
            Place::Nowhere | Place::Default | Place::File { .. } => place,
        };
        Self { name: shorten(name), value: None, place, wanted: None, reason, instead }
    }

    /// What the problem is about: `section.name` of a key, or the name that is not known, or the path of a file.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if let Some(value) = &self.value {
            write!(formatter, " = {value}")?;
        }
        match &self.place {
            // A file that cannot be read is no place in itself.
            Place::Nowhere if self.wanted.is_none() => {}
            Place::Nowhere => formatter.write_str(" (not given)")?,
            Place::Default => formatter.write_str(" (default)")?,
            Place::File { path, line } => write!(formatter, " ({}, line {line})", path.display())?,
            Place::Environment(name) if *name == self.name => formatter.write_str(" (environment)")?,
            Place::Environment(name) => write!(formatter, " (environment: {name})")?,
        }
        if let Some(wanted) = self.wanted {
            write!(formatter, "\n  wanted: {wanted}")?;
        }
        write!(formatter, "\n  reason: {}", self.reason)?;
        write!(formatter, "\n  write:  {}", self.instead)
    }
}

impl error::Error for Problem {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        error::Error::source(&self.reason)
    }
}

/// How a value is given to a key, in the notation of the place where the operator writes.
fn assignment(key: &Key, place: &Place, value: &str) -> String {
    let in_file = || format!("{} = {} under [{}]", key.name, literal(key.shape, value), key.section);
    match place {
        Place::File { .. } => in_file(),
        Place::Environment(name) => format!("{name}={value}"),
        Place::Nowhere | Place::Default => {
            let name = key.guide.map_or_else(|| key.environment_name(), str::to_owned);
            format!("{name}={value} in the environment, or {} of config.toml", in_file())
        }
    }
}

/// A value in environment notation, as TOML has it.
fn literal(shape: Shape, value: &str) -> String {
    match shape {
        Shape::Text => format!("\"{value}\""),
        Shape::Whole => value.to_owned(),
        Shape::List => {
            let items: Vec<_> =
                value.split(',').filter(|item| !item.is_empty()).map(|item| format!("\"{item}\"")).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// A text of an operator, in quotes and in one line.
pub(super) fn quote(value: &str) -> String {
    format!("\"{}\"", shorten(value))
}

/// Makes a text fit for one line: without control characters, not too long.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
