//! What is wrong with a configuration, in words for the person who wrote it.
//!
//! A problem names the key, where it was written, the kind of value that is wanted, the reason, and what to write
//! instead. Its one invariant: nothing that may be a secret is in any of these, `Debug` output included.

use std::{error, fmt, path::PathBuf};

use super::reason::Reason;

/// Names and paths of an operator are told up to this length.
const TOLD_CHARACTERS_MAX: usize = 80;

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
pub struct Problem {
    pub(super) name: String,
    pub(super) shown: Shown,
    pub(super) place: Place,
    pub(super) wanted: Option<&'static str>,
    pub(super) reason: Reason,
    pub(super) instead: String,
}

/// What is told of a text of an operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing: there is none, its kind alone is wrong, or it is told elsewhere.
    Nothing,
    /// The value, fit for a message.
    Quoted(String),
    /// That it is a value.
    HiddenValue,
    /// That it is a name.
    HiddenName,
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
    /// What the problem is about: `section.name` of a key, or the name that is not known, or the path of a file.
    /// What may be a secret is "…" in it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        match &self.shown {
            Shown::Nothing => {}
            Shown::Quoted(value) => write!(formatter, " = {value}")?,
            Shown::HiddenValue => formatter.write_str(": a value that is not shown, since it may be a secret")?,
            Shown::HiddenName => formatter.write_str(": a name that is not shown, since it may be a secret")?,
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

impl fmt::Debug for Problem {
    /// The reason as it is told: it may hold a repaired value, which is a value of an operator.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, shown, place, wanted, reason, instead } = self;
        formatter
            .debug_struct("Problem")
            .field("name", name)
            .field("shown", shown)
            .field("place", place)
            .field("wanted", wanted)
            .field("reason", &format_args!("{reason}"))
            .field("instead", instead)
            .finish()
    }
}

impl error::Error for Problem {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        error::Error::source(&self.reason)
    }
}

/// A text of an operator, in quotes and in one line.
pub(super) fn quote(value: &str) -> String {
    format!("\"{}\"", value.escape_debug())
}

/// Makes a text fit for one line: without control characters, not too long.
pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(TOLD_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(TOLD_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
