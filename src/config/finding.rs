//! Problems as they are met, before they are put in words.
//!
//! A finding holds whatever an operator wrote, secrets too, and has no `Debug`. The one way out of it is
//! [`Notes::tell`], when all secrets of all sources are known: only what is quotable beside them leaves it.

use std::{path::Path, rc::Rc};

use super::{
    mirror::{Key, PREFIX, Secrecy, Shape},
    problem::{Place, Problem, Problems, Shown, shorten},
    quotable::Secrets,
    reason::{Instead, Reason},
    source::Raw,
};

/// What is met while the sources are read: problems, and secrets that no message may repeat.
#[derive(Default)]
pub(super) struct Notes {
    findings: Vec<Finding>,
    /// The secrets met so far.
    pub(super) secrets: Secrets,
}

/// One thing that is wrong.
pub(super) struct Finding {
    about: About,
    place: Place,
    reason: Reason,
}

enum About {
    Value { key: &'static Key, raw: Option<Rc<Raw>>, item: Option<usize> },
    Name { before: String, name: String, after: &'static str },
    File(String),
}

impl Notes {
    /// Notes a problem.
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Whether no problem was noted.
    pub(super) fn are_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Puts the problems in words.
    pub(super) fn tell(mut self) -> Problems {
        self.secrets.keep_files();
        Problems::new(self.findings.into_iter().map(|finding| finding.tell(&self.secrets)).collect())
    }
}

impl Finding {
    /// A problem with the value of a key, or with its absence. `item` is the item of a list that is meant, from 0.
    pub(super) fn of_key(
        key: &'static Key,
        raw: Option<Rc<Raw>>,
        item: Option<usize>,
        place: Place,
        reason: Reason,
    ) -> Self {
        Self { about: About::Value { key, raw, item }, place, reason }
    }

    /// A problem with a name under the prefix in the environment, which is not repeated in `name`.
    pub(super) fn of_variable(name: &str, reason: Reason) -> Self {
        let about = About::Name { before: PREFIX.to_owned(), name: name.to_owned(), after: "" };
        Self { about, place: Place::Environment(String::new()), reason }
    }

    /// A problem with a name in a file, and what is told before and after it.
    pub(super) fn of_name(before: &str, name: &str, after: &'static str, place: Place, reason: Reason) -> Self {
        Self { about: About::Name { before: before.to_owned(), name: name.to_owned(), after }, place, reason }
    }

    /// A problem with a whole file.
    pub(super) fn of_file(path: &Path, reason: Reason) -> Self {
        Self { about: About::File(path.to_string_lossy().into_owned()), place: Place::Nowhere, reason }
    }

    fn tell(self, secrets: &Secrets) -> Problem {
        let Self { about, place, reason } = self;
        let place = match place {
            Place::File { path, line } if !secrets.allow_path(&path.to_string_lossy()) => {
                Place::File { path: "…".into(), line }
            }
            Place::Nowhere | Place::Default | Place::File { .. } | Place::Environment(_) => place,
        };
        match about {
            About::Value { key, raw, item } => tell_value(key, raw.as_deref(), item, place, reason, secrets),
            About::Name { before, name, after } => {
                let is_near = reason.knows_the_name();
                let (name, shown) = if secrets.allow_name(&name, is_near) {
                    (format!("{before}{}{after}", shorten(&name)), Shown::Nothing)
                } else {
                    (format!("{before}…{after}"), Shown::HiddenName)
                };
                let place = match place {
                    Place::Environment(_) => Place::Environment(name.clone()),
                    Place::Nowhere | Place::Default | Place::File { .. } => place,
                };
                let instead = words(reason.instead());
                Problem { name, shown, place, wanted: None, reason, instead }
            }
            About::File(path) => {
                let name = if secrets.allow_path(&path) { shorten(&path) } else { "…".to_owned() };
                let instead = words(reason.instead());
                Problem { name, shown: Shown::Nothing, place, wanted: None, reason, instead }
            }
        }
    }
}

fn tell_value(
    key: &'static Key,
    raw: Option<&Raw>,
    item: Option<usize>,
    place: Place,
    reason: Reason,
    secrets: &Secrets,
) -> Problem {
    let name = match item.filter(|_| key.secrecy == Secrecy::Secret) {
        // The value is not shown, so that its number must tell which one is meant.
        Some(item) => format!("{}, item {}", key.path(), item.saturating_add(1)),
        None => key.path(),
    };
    let shown = match (key.secrecy, raw) {
        (Secrecy::Open, Some(raw)) => raw.shown(item, secrets),
        (Secrecy::Secret, _) | (Secrecy::Open, None) => Shown::Nothing,
    };
    let instead = match reason.instead() {
        Some(Instead::Words(words)) => words,
        // A repaired value is the value in other letters.
        Some(Instead::Value(_)) if !matches!(shown, Shown::Quoted(_)) => assignment(key, &place, key.example_text()),
        Some(Instead::Value(value)) if item.is_some() => format!("{value} in its place"),
        Some(Instead::Value(value)) => assignment(key, &place, &value),
        None => assignment(key, &place, key.example_text()),
    };
    Problem { name, shown, place, wanted: Some(key.wanted), reason, instead }
}

fn words(instead: Option<Instead>) -> String {
    match instead {
        Some(Instead::Words(words) | Instead::Value(words)) => words,
        None => String::new(),
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
