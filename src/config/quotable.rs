//! Which of an operator's texts a message may repeat: only those that cannot be a secret, whatever key they stand
//! under.
//!
//! Not for the values of secret keys, which no message repeats. Its one invariant: what may be repeated shares no eight
//! characters with a secret that any source gives, and is no PEM.

use std::fs;

use memchr::memmem;
use zeroize::Zeroizing;

use super::mirror::{self, Key, Secrecy, Shape};
use crate::keys::check_set;

/// So much of a secret is too much of it.
const PIECE_BYTES: usize = 8;
/// Longer texts are not repeated. Our choice: half a line of a PEM is longer.
const CHARACTERS_MAX: usize = 40;
/// From here on a run without a break must be words. Our choice: no token of a caller is shorter.
const TOKEN_CHARACTERS_MIN: usize = 16;
/// From here on a run without a break is not repeated.
const RUN_CHARACTERS_MIN: usize = 20;
/// Larger files are no secrets.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The secrets that the sources give, in force or not. Wiped when dropped; no `Debug`.
#[derive(Default)]
pub(super) struct Secrets {
    /// In lower case, because a host's name is repeated so.
    texts: Vec<Zeroizing<String>>,
    files: Vec<Zeroizing<String>>,
}

impl Secrets {
    /// Keeps what a source gives for a key, when it is a secret, the name of a file with one, or a key set that is none
    /// to be published.
    pub(super) fn keep_given(&mut self, key: &Key, text: &str) {
        let is_set = key.path() == mirror::TOKEN_JWKS.path();
        if key.secrecy == Secrecy::Open || (is_set && (text.len() < PIECE_BYTES || check_set(text).is_ok())) {
            return;
        }
        if key.file_of.is_some() {
            self.files.push(Zeroizing::new(text.to_owned()));
            return;
        }
        self.keep(text);
        if key.shape == Shape::List {
            text.split(',').for_each(|item| self.keep(item));
        }
    }

    /// Keeps a secret.
    pub(super) fn keep(&mut self, secret: &str) {
        let secret = secret.trim();
        if !secret.is_empty() {
            self.texts.push(Zeroizing::new(secret.to_ascii_lowercase()));
        }
    }

    /// Keeps what stands in the files that were named, those that no one read included. What is not a regular file can
    /// be read only once, and is left to whoever needs it.
    pub(super) fn keep_files(&mut self) {
        for path in self.files.clone() {
            let is_readable =
                fs::metadata(path.as_str()).is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX);
            if let Some(bytes) = is_readable.then(|| fs::read(path.as_str()).ok()).flatten().map(Zeroizing::new) {
                self.keep(&Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }

    /// Whether a text has a secret in it, or a piece of one.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let has_short = || {
            self.texts.iter().any(|secret| secret.len() < PIECE_BYTES && text.contains(secret.as_str()))
                || self.files.iter().any(|path| path.len() >= PIECE_BYTES && text.contains(&path.to_ascii_lowercase()))
        };
        self.have_piece_in(&text) || has_short()
    }

    /// Whether a value may be repeated.
    pub(super) fn allow_value(&self, value: &str) -> bool {
        // Of what URLs, names and filters consist; '@', '?', '%' and the like come with credentials.
        let is_plain =
            |character: char| character.is_alphanumeric() || is_break(character) || "/_-".contains(character);
        let is_word = |run: &str| match run.chars().count() {
            0..TOKEN_CHARACTERS_MIN => true,
            TOKEN_CHARACTERS_MIN..RUN_CHARACTERS_MIN => is_words(run),
            RUN_CHARACTERS_MIN.. => false,
        };
        value.chars().count() <= CHARACTERS_MAX
            && value.chars().all(is_plain)
            && value.split(is_break).all(is_word)
            && !self.are_in(value)
    }

    /// Whether a name that no key has may be repeated. One that is nearly the name of a key always may.
    pub(super) fn allow_name(&self, name: &str, is_near: bool) -> bool {
        let is_harmless = is_near || (name.chars().count() <= CHARACTERS_MAX && is_words(name));
        is_harmless && !self.are_in(name)
    }

    /// Whether the path of the configuration file may be repeated.
    pub(super) fn allow_path(&self, path: &str) -> bool {
        !self.have_piece_in(&path.to_ascii_lowercase())
    }

    fn have_piece_in(&self, lower_case: &str) -> bool {
        let is_piece = |piece: &[u8]| self.texts.iter().any(|secret| memmem::find(secret.as_bytes(), piece).is_some());
        lower_case.contains("-----")
            || lower_case.contains("private key")
            || lower_case.as_bytes().windows(PIECE_BYTES).any(is_piece)
    }
}

/// What no random text in base64 or hexadecimal has, but URLs, names and lists have between their parts. A slash is not
/// among these: base64 has it.
fn is_break(character: char) -> bool {
    " .,:=*[]<>\"'".contains(character)
}

/// Whether a text is words: letters of one case or a few digits, joined by what joins the words of a name.
fn is_words(text: &str) -> bool {
    text.split(['_', '-', '.', '/']).all(|word| {
        let is_of = |is_kind: fn(&u8) -> bool| word.bytes().all(|byte| is_kind(&byte));
        (word.len() < TOKEN_CHARACTERS_MIN && (is_of(u8::is_ascii_lowercase) || is_of(u8::is_ascii_uppercase)))
            || (word.len() <= 4 && is_of(u8::is_ascii_digit))
    })
}

#[cfg(test)]
mod tests {
    use super::{Secrets, is_words};

    fn secrets(texts: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        texts.iter().for_each(|text| secrets.keep(text));
        secrets
    }

    #[test]
    fn what_is_written_by_mistake_is_repeated() {
        for value in [
            "localhost:8080",
            "3600",
            "100_000",
            "inof",
            "info,convex_auth_proxy=trce",
            "http://localhost:3000/",
            "\"https://app.example.com\"",
            "https://happy-otter-123.convex.cloud/x",
            "auth:adapter",
            "unix:run/adapter.sock",
            "https://*.example.com",
            "<your deployment>",
            "",
        ] {
            assert!(secrets(&["open sesame"]).allow_value(value), "{value}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for value in [
            "3q2+7wAAESIzRFVm",
            "https://3q2+7wAAESIzRFVm",
            "d41d8cd98f00b204",
            "https://d41d8cd98f00b204e980.convex.cloud",
            "1234567890123456",
            "auth/adapter/aB3/xY9/qq7",
            "correct-horse-battery",
            "-----BEGIN",
            "a private key",
            "p4ss!word",
            "me:word@host",
            "https://a.b?key",
            "one word and many more words up to forty.1",
        ] {
            assert!(!secrets(&[]).allow_value(value), "{value}");
        }
    }

    #[test]
    fn a_secret_that_is_known_is_not_repeated_in_part_or_as_a_part() {
        let secrets = secrets(&["open sesame", "tiny"]);
        for value in ["open sesame", "http://OPEN SESAME", "pen sesam", "open ses", "a tiny one", "TINY"] {
            assert!(!secrets.allow_value(value), "{value}");
        }
        for value in ["open se", "sesame", "tin"] {
            assert!(secrets.allow_value(value), "{value}");
        }
        assert!(!secrets.allow_name("OPEN SESAME", true) && !secrets.allow_path("/open sesame/config.toml"));
        assert!(secrets.allow_path("/tiny/config.toml"), "a few letters in a path tell nothing");
    }

    #[test]
    fn a_name_is_words_or_near_a_key() {
        assert!(is_words("LISTEN__PUBLC") && is_words("cache.colour") && is_words("key-2024"));
        for name in ["3q2q7wAA", "d41d8cd9", "Ab", "123456789", "abcdefghijklmnop", "a b"] {
            assert!(!is_words(name), "{name}");
        }
        assert!(secrets(&[]).allow_name("LISTEN__Pub1ic", true) && !secrets(&[]).allow_name("LISTEN__Pub1ic", false));
    }
}
