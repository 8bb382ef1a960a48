//! Reading values out of the merged sources, with every refusal noted.
//!
//! A reader hands out either a value or a [`Reported`], which only it can make and only when it has noted a problem.
//! Code that builds a configuration can therefore use `?` and lose nothing.

use std::{fs, rc::Rc};

use zeroize::Zeroizing;

use super::{
    Config,
    finding::{Finding, Notes},
    mirror::Key,
    problem::{Place, Problems},
    reason::Reason,
    source::{Layer, Raw},
};
use crate::secret::Secret;

/// Proof that a problem was noted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported(());

/// Why a value was refused, and which item of a list it is about, from 0.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) item: Option<usize>,
}

/// Everything that is wrong with one value; never empty.
#[derive(Debug)]
pub(super) struct Faults(Vec<Fault>);

impl From<Reason> for Faults {
    fn from(reason: Reason) -> Self {
        Self(vec![Fault { reason, item: None }])
    }
}

/// The merged sources, and what was met so far.
pub(super) struct Reader {
    written: Layer,
    notes: Notes,
}

impl Reader {
    pub(super) fn new(written: Layer, notes: Notes) -> Self {
        Self { written, notes }
    }

    /// The value of a key that must have one.
    pub(super) fn needed<T>(
        &mut self,
        key: &'static Key,
        parse: impl FnOnce(&Raw) -> Result<T, Faults>,
    ) -> Result<T, Reported> {
        self.perhaps(key, parse)?.ok_or_else(|| self.refuse(key, Reason::Missing))
    }

    /// The value of a key, if it was given.
    pub(super) fn perhaps<T>(
        &mut self,
        key: &'static Key,
        parse: impl FnOnce(&Raw) -> Result<T, Faults>,
    ) -> Result<Option<T>, Reported> {
        let Some(written) = self.written.of(key) else { return Ok(None) };
        parse(&written.raw).map(Some).map_err(|Faults(faults)| {
            for Fault { reason, item } in faults {
                let raw = Some(Rc::clone(&written.raw));
                self.notes.add(Finding::of_key(key, raw, item, written.place.clone(), reason));
            }
            Reported(())
        })
    }

    /// The text of a secret that may be given itself or by way of a file, and the key that gave it. One line break at
    /// the end of a file is not part of it.
    pub(super) fn secret(
        &mut self,
        key: &'static Key,
        file_key: &'static Key,
    ) -> Result<Option<(Secret, &'static Key)>, Reported> {
        if let Some(secret) = self.perhaps(key, text(|text| Ok(Secret::new(text))))? {
            return Ok(Some((secret, key)));
        }
        let read = self.perhaps(file_key, line(read_secret))?;
        if let Some(secret) = &read {
            self.notes.secrets.keep(secret.expose());
        }
        Ok(read.map(|secret| (secret, file_key)))
    }

    /// Notes a problem with the value of a key that was found by comparing it with others.
    pub(super) fn refuse(&mut self, key: &'static Key, reason: Reason) -> Reported {
        let written = self.written.of(key);
        let place = written.map_or(Place::Nowhere, |written| written.place.clone());
        let raw = written.map(|written| Rc::clone(&written.raw));
        self.notes.add(Finding::of_key(key, raw, None, place, reason));
        Reported(())
    }

    /// Whether it is worth while to make what costs time: nothing was refused so far.
    pub(super) fn settled(&self) -> Result<(), Reported> {
        if self.notes.are_empty() { Ok(()) } else { Err(Reported(())) }
    }

    /// The configuration, if nothing at all was refused.
    pub(super) fn finish(self, config: Result<Config, Reported>) -> Result<Config, Problems> {
        match config {
            Ok(config) if self.notes.are_empty() => Ok(config),
            Ok(_) | Err(Reported(())) => Err(self.notes.tell()),
        }
    }
}

/// Reads a text of any characters.
pub(super) fn text<T>(parse: impl FnOnce(&str) -> Result<T, Reason>) -> impl FnOnce(&Raw) -> Result<T, Faults> {
    |raw| match raw {
        Raw::Text(text) => Ok(parse(text)?),
        Raw::Items(_) => Err(Reason::Unfit("a list").into()),
        Raw::Whole(_) => Err(Reason::Unfit("a number without quotes").into()),
        Raw::Unfit(kind) => Err(Reason::Unfit(kind).into()),
        Raw::NotUnicode => Err(Reason::NotUnicode.into()),
    }
}

/// Reads a text without control characters.
pub(super) fn line<T>(parse: impl FnOnce(&str) -> Result<T, Reason>) -> impl FnOnce(&Raw) -> Result<T, Faults> {
    text(|text| parse(without_controls(text)?))
}

/// Reads a whole number between two bounds, both included: a TOML integer, or digits with underscores between them.
pub(super) fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> impl FnOnce(&Raw) -> Result<T, Faults> {
    move |raw| {
        let written = match raw {
            Raw::Text(text) => text.as_str(),
            Raw::Whole(digits) => digits,
            Raw::Items(_) => return Err(Reason::Unfit("a list").into()),
            Raw::Unfit(kind) => return Err(Reason::Unfit(kind).into()),
            Raw::NotUnicode => return Err(Reason::NotUnicode.into()),
        };
        let is_grouped =
            written.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
        let number: Option<u64> = written.replace('_', "").parse().ok().filter(|_| is_grouped);
        match number {
            None if is_grouped => Err(Reason::Above(most).into()),
            None => Err(Reason::NotWhole.into()),
            Some(number) if number < least => Err(Reason::Below(least).into()),
            Some(number) if number > most => Err(Reason::Above(most).into()),
            Some(number) => T::try_from(number).map_err(|_| Reason::Above(most).into()),
        }
    }
}

/// Reads a list: a TOML array, or a text with commas between the items. Blanks around an item of a text do not count,
/// an empty text is an empty list.
pub(super) fn list<T>(parse: impl Fn(&str) -> Result<T, Reason>) -> impl FnOnce(&Raw) -> Result<Vec<T>, Faults> {
    move |raw| {
        let items: Vec<&str> = match raw {
            Raw::Text(text) if text.trim().is_empty() => Vec::new(),
            Raw::Text(text) => text.split(',').map(|item| item.trim_matches([' ', '\t'])).collect(),
            Raw::Items(items) => items.iter().map(|item| item.as_str()).collect(),
            Raw::Whole(_) => return Err(Reason::Unfit("a number").into()),
            Raw::Unfit(kind) => return Err(Reason::Unfit(kind).into()),
            Raw::NotUnicode => return Err(Reason::NotUnicode.into()),
        };
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let is_repeated = items.iter().take(index).any(|earlier| earlier == item);
            let value = match *item {
                "" => Err(Reason::EmptyItem),
                _ if is_repeated => Err(Reason::Twice),
                item => without_controls(item).and_then(&parse),
            };
            match value {
                Ok(value) => values.push(value),
                Err(reason) => faults.push(Fault { reason, item: Some(index) }),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(Faults(faults)) }
    }
}

fn without_controls(text: &str) -> Result<&str, Reason> {
    if text.chars().any(char::is_control) { Err(Reason::ControlCharacter) } else { Ok(text) }
}

/// The text of a file, without one line break at its end.
fn read_secret(path: &str) -> Result<Secret, Reason> {
    if path.is_empty() {
        return Err(Reason::Empty);
    }
    let bytes = fs::read(path).map_err(Reason::FileUnreadable)?;
    let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| Reason::NotUnicode)?);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fault, Faults, Raw, Reason, list, text, whole};

    fn items(written: &str) -> Result<Vec<String>, Faults> {
        list(|item| Ok(item.to_owned()))(&Raw::text(written))
    }

    /// The first reason, and the items that are wrong.
    fn wrong<T>(read: Result<T, Faults>) -> (Option<Reason>, Vec<Option<usize>>) {
        let faults = read.err().map_or_else(Vec::new, |Faults(faults)| faults);
        let items = faults.iter().map(|fault| fault.item).collect();
        (faults.into_iter().next().map(|Fault { reason, .. }| reason), items)
    }

    #[test]
    fn an_empty_text_is_an_empty_list() {
        assert!(items("").expect("a list").is_empty());
        assert!(items("  ").expect("a list").is_empty());
    }

    #[test]
    fn blanks_around_the_items_of_a_text_do_not_count() {
        assert_eq!(items("a, b ,c").expect("a list"), ["a", "b", "c"]);
    }

    #[test]
    fn an_empty_or_repeated_item_is_refused_by_its_number() {
        assert!(matches!(wrong(items("a,,b,")), (Some(Reason::EmptyItem), items) if items == [Some(1), Some(3)]));
        assert!(matches!(wrong(items("a,b,a")), (Some(Reason::Twice), items) if items == [Some(2)]));
    }

    #[test]
    fn a_comma_in_an_item_of_an_array_is_part_of_it() {
        let raw = Raw::Items(vec!["a,b".to_owned().into()]);
        assert_eq!(list(|item| Ok(item.to_owned()))(&raw).expect("a list"), ["a,b"]);
    }

    #[test]
    fn a_number_may_have_underscores_between_its_digits_only() {
        let read = |written: &str| whole::<u64>(1, 1_000)(&Raw::text(written));
        assert_eq!(read("1_000").expect("a number"), 1_000);
        assert_eq!(read("007").expect("a number"), 7);
        for written in ["", "_1", "1_", "1__0", "+1", "-1", "1.0", "1e3", " 1", "0x10", "١"] {
            assert!(matches!(wrong(read(written)), (Some(Reason::NotWhole), _)), "{written}");
        }
        assert!(matches!(wrong(read("0")), (Some(Reason::Below(1)), _)));
        assert!(matches!(wrong(read("1001")), (Some(Reason::Above(1_000)), _)));
        assert!(matches!(wrong(read("99999999999999999999999")), (Some(Reason::Above(1_000)), _)));
    }

    #[test]
    fn a_number_is_not_a_text() {
        let read = text(|text| Ok(text.to_owned()));
        assert!(matches!(wrong(read(&Raw::Whole("5".to_owned()))), (Some(Reason::Unfit(_)), _)));
    }

    proptest! {
        /// Law: every number is read back from its digits, whatever groups they are written in.
        #[test]
        fn a_number_is_what_its_digits_say(number: u64, group in 1_usize..5) {
            let digits = number.to_string();
            let grouped = digits.as_bytes().chunks(group).map(|chunk| std::str::from_utf8(chunk).expect("digits"));
            let written = grouped.collect::<Vec<_>>().join("_");
            prop_assert_eq!(whole::<u64>(0, u64::MAX)(&Raw::text(&written)).expect("a number"), number);
        }
    }
}
