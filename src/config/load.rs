//! From the sources to a [`Config`]: gathered, merged, read, checked.
//!
//! Later sources win: the defaults, then the file, then the guide's names in the environment, then the names under
//! `CONVEX_AUTH_PROXY__`.

use std::{env, ffi::OsString, fmt, path::PathBuf};

use super::{Config, assemble::assemble, finding::Notes, problem::Problems, read::Reader, source};

/// The name of the file that is looked for when none is named.
const FILE_NAME: &str = "config.toml";

/// Where a configuration is read from, and for which command.
#[derive(Clone)]
pub struct Sources {
    /// A file that was named (`--config`); it must exist.
    pub file: Option<PathBuf>,
    /// The directory whose `config.toml` is read when no file was named and it is there; `None`: nowhere.
    pub directory: Option<PathBuf>,
    /// Names and values of the environment. Names that are neither the guide's nor under the prefix do not count. A
    /// value with U+FFFD in it is taken for one that was not UTF-8.
    pub environment: Vec<(String, String)>,
    /// The command.
    pub mode: Mode,
}

/// The command that a configuration is for: defaults and required keys depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `serve`: in front of a deployment.
    Serve,
    /// `dev`: with an embedded deployment; secret and key are made when they are not given.
    Dev,
}

impl Sources {
    /// The environment of this process, and a named file or else the `config.toml` of the working directory.
    pub fn of_process(mode: Mode, file: Option<PathBuf>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        };
        Self { file, directory: Some(PathBuf::from(".")), environment: env::vars_os().map(text).collect(), mode }
    }

    /// Names and values as an environment would have them, and no file.
    ///
    /// ```
    /// use convex_auth_proxy::config::{Mode, Sources, load};
    ///
    /// let refused = load(&Sources::from_pairs(Mode::Serve, &[("CONVEX_URL", "ftp://example.com")])).unwrap_err();
    /// assert!(refused.iter().any(|problem| problem.name() == "upstream.url"));
    /// ```
    pub fn from_pairs(mode: Mode, pairs: &[(&str, &str)]) -> Self {
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { file: None, directory: None, environment, mode }
    }
}

impl fmt::Debug for Sources {
    /// Names of the environment only: its values hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, directory, environment, mode } = self;
        let names: Vec<_> = environment.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("Sources")
            .field("file", file)
            .field("directory", directory)
            .field("environment", &names)
            .field("mode", mode)
            .finish()
    }
}

/// Reads and checks a configuration. Reads files; with [`Mode::Dev`] it may make a key, which takes a moment for RSA.
///
/// # Errors
///
/// All problems of all sources at once. Only a file that cannot be read as TOML ends the reading early, because nobody
/// knows what it would have given: then it is told of that file and of unknown names in the environment.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let mut notes = Notes::default();
    let [guides, prefixed] = source::of_environment(&sources.environment, &mut notes);
    let file = match (&sources.file, &sources.directory) {
        (Some(file), _) => source::of_file(file, true, &mut notes),
        (None, Some(directory)) => source::of_file(&directory.join(FILE_NAME), false, &mut notes),
        (None, None) => Some(source::Layer::default()),
    };
    let Some(file) = file else { return Err(notes.tell()) };
    let mut reader = Reader::new(source::merge([source::defaults(), file, guides, prefixed]), notes);
    let config = assemble(&mut reader, sources.mode);
    reader.finish(config)
}
