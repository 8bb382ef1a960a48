//! Function paths, read by the backend's own grammar and written back from what was read.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, LazyLock},
};

use convex_sync_types::{CanonicalizedModulePath, CanonicalizedUdfPath};

use crate::error::Rejection;

/// One function of a deployment, whatever spelling named it. Cheap to clone.
///
/// Two spellings that the backend resolves to one function are equal here, since modules are compared by components.
/// The grammar is `convex_sync_types`'s, which the backend itself uses.
#[derive(Debug, Clone)]
pub struct FunctionPath(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    canonical: CanonicalizedUdfPath,
    /// The components of the module, with a `/` between them.
    module: String,
    written: String,
}

impl FunctionPath {
    /// Reads `module:function`, `module` (its default export), with or without `.js`. The text is untrusted; 4,096 bytes at most.
    ///
    /// An app calls few functions many times, and the grammar allocates for each part of a path: each thread remembers what it read lately.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadFunctionPath`]: the backend's parser refuses it.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        // The grammar takes ASCII alone, and the parser panics on the way to saying so: it cuts long names at a byte.
        // No file system has a longer path, and whatever is long is dear to parse.
        if !text.is_ascii() || text.len() > BYTES_AT_MOST {
            return Err(Rejection::BadFunctionPath);
        }
        if text.len() > REMEMBERED_BYTES {
            return Self::parse_anew(text);
        }
        LATELY.with_borrow_mut(|lately| {
            let place = usize::try_from(KEYED.hash_one(text)).unwrap_or_default() % lately.len();
            match lately.get_mut(place) {
                Some(Some((known, path))) if known == text => Ok(path.clone()),
                place => {
                    let path = Self::parse_anew(text)?;
                    if let Some(place) = place {
                        *place = Some((text.to_owned(), path.clone()));
                    }
                    Ok(path)
                }
            }
        })
    }

    fn parse_anew(text: &str) -> Result<Self, Rejection> {
        let canonical: CanonicalizedUdfPath = text.parse().map_err(|_| Rejection::BadFunctionPath)?;
        Ok(Self::new(canonical))
    }

    fn new(canonical: CanonicalizedUdfPath) -> Self {
        let module = components(canonical.module()).collect::<Vec<_>>().join("/");
        let written = write(&canonical);
        Self(Arc::new(Parsed { canonical, module, written }))
    }

    /// A function of a module, by a name of the adapter's contract.
    pub fn in_module(module: &CanonicalizedModulePath, name: &'static str) -> Self {
        #[expect(clippy::expect_used, reason = "the names are identifiers that stand in this project's own table")]
        let name = name.parse().expect("an identifier");
        Self::new(CanonicalizedUdfPath::new(module.clone(), name))
    }

    /// The one spelling that goes upstream: `module:function`, without `.js` where leaving it out is unambiguous.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }

    /// The exported name; `default` when the path named a module alone.
    pub fn name(&self) -> &str {
        self.0.canonical.function_name()
    }

    /// Whether the function lives in that module, every export included.
    pub fn is_in(&self, module: &CanonicalizedModulePath) -> bool {
        // A text without a slash is its one component, as nearly every adapter's is.
        let other = module.as_str();
        if other.contains('/') { self.0.module.split('/').eq(components(module)) } else { self.0.module == other }
    }
}

const BYTES_AT_MOST: usize = 4_096;
/// Longer paths are read anew each time: what is remembered must be small.
const REMEMBERED_BYTES: usize = 96;

type Lately = [Option<(String, FunctionPath)>; 128];

thread_local! {
    /// What was read lately, by a keyed hash of its text: nobody can choose paths that push out another app's.
    static LATELY: RefCell<Lately> = const { RefCell::new([const { None }; 128]) };
}

static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn write(path: &CanonicalizedUdfPath) -> String {
    let mut written = String::with_capacity(path.module().as_str().len() + path.function_name().len() + 1);
    for component in components(path.module()) {
        if !written.is_empty() {
            written.push('/');
        }
        written.push_str(component);
    }
    // A name with a further dot would lose its meaning without `.js`: `a.b` has the extension `b`.
    if let Some(stem) = written.strip_suffix(".js")
        && !stem.rsplit('/').next().unwrap_or(stem).contains('.')
        && !stem.is_empty()
    {
        written.truncate(stem.len());
    }
    written.push(':');
    written.push_str(path.function_name());
    written
}

/// The components that the backend resolves by: empty and `.` segments have none.
fn components(module: &CanonicalizedModulePath) -> impl Iterator<Item = &str> {
    Path::new(module.as_str()).components().filter_map(|component| component.as_os_str().to_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FunctionPath, Rejection};

    fn module(text: &str) -> convex_sync_types::CanonicalizedModulePath {
        text.parse().expect("a module")
    }

    #[test]
    fn rule_2_every_spelling_of_the_adapter_module_is_the_adapter_module() {
        for spelling in [
            "authAdapter:getUser",
            "authAdapter.js:getUser",
            "authAdapter/:getUser",
            "authAdapter//:getUser",
            "authAdapter/.:getUser",
            "authAdapter/./:getUser",
            "authAdapter.js/:getUser",
            "authAdapter.js/.:getUser",
        ] {
            let path = FunctionPath::parse(spelling).expect(spelling);
            assert!(path.is_in(&module("authAdapter")), "{spelling}");
            assert_eq!(path.as_str(), "authAdapter:getUser", "rule 3: {spelling}");
            assert_eq!(path.name(), "getUser");
        }
        for spelling in ["auth/./adapter:f", "auth//adapter:f", "auth/adapter/:f", "auth/adapter.js/:f"] {
            let path = FunctionPath::parse(spelling).expect(spelling);
            assert!(path.is_in(&module("auth/adapter")), "{spelling}");
            assert_eq!(path.as_str(), "auth/adapter:f", "{spelling}");
        }
    }

    #[test]
    fn rule_5_the_default_export_belongs_to_the_module() {
        for spelling in ["authAdapter", "authAdapter.js", "authAdapter/", "authAdapter:default"] {
            let path = FunctionPath::parse(spelling).expect(spelling);
            assert!(path.is_in(&module("authAdapter")), "{spelling}");
            assert_eq!(path.as_str(), "authAdapter:default");
        }
    }

    #[test]
    fn rule_4_what_the_backend_cannot_parse_is_refused() {
        for spelling in [
            "",
            ":",
            "authAdapter:",
            "authAdapter::getUser",
            "/authAdapter:getUser",
            "./authAdapter:x",
            "x/../authAdapter:getUser",
            "authAdapter:getUser/",
            " authAdapter:getUser",
            "authAdapter.ts:getUser",
            "authAdapter.JS:getUser",
            "authAdapter.:getUser",
            "authAdapter%3AgetUser",
            "auth\u{0}Adapter:getUser",
            "ａuthAdapter:getUser",
            &"\u{fffc}".repeat(30),
            &format!("{}b:f", "a/".repeat(2_100)),
            "auth-adapter:getUser",
            "auth\\adapter:getUser",
        ] {
            assert_eq!(FunctionPath::parse(spelling).map(|_| ()), Err(Rejection::BadFunctionPath), "{spelling:?}");
        }
    }

    #[test]
    fn other_modules_are_other_modules() {
        for spelling in
            ["AuthAdapter:getUser", "authAdapter.js.js:getUser", "x/authAdapter:getUser", "authAdapter/getUser"]
        {
            let path = FunctionPath::parse(spelling).expect(spelling);
            assert!(!path.is_in(&module("authAdapter")), "{spelling}");
        }
    }

    proptest! {
        /// Law: what is written names the same function as what was read, and writing is idempotent.
        #[test]
        fn l1_what_is_written_is_what_was_read(
            text in "([.]?[a-zA-Z0-9_.]{1,6}(/|//|/[.]/)){0,3}[a-zA-Z0-9_.]{1,8}([.]js)?(/|/[.])?(:[a-zA-Z_]{1,6})?"
        ) {
            if let Ok(read) = FunctionPath::parse(&text) {
                let again = FunctionPath::parse(read.as_str()).expect("what is written can be read");
                prop_assert!(super::components(again.0.canonical.module()).eq(super::components(read.0.canonical.module())));
                prop_assert_eq!(again.name(), read.name());
                prop_assert_eq!(again.as_str(), read.as_str());
            }
        }

        /// Law: no text makes the parser panic.
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = FunctionPath::parse(&text);
        }
    }
}
