//! A call as a message asks for it: which function, with what, along which of the two lanes.
//!
//! A message without a component path goes the public lane, where a module is found by its components. With one it goes
//! the administrators' lane, which anybody may take to the root component (`""`), but where a module is found by its
//! literal path only. Invariant: nothing is run for another component.

use std::fmt;

use convex_sync_types::types::SerializedArgs;
use convex_sync_types::{CanonicalizedUdfPath, UdfPath};
use serde_json::value::RawValue;

use crate::dev::engine::{is_plainly_spelled, unknown};
use crate::dev::function::FunctionError;

/// What a query, mutation or action asks for. `Debug` prints nothing of it: arguments hold secrets.
#[derive(Clone)]
pub(super) struct Call {
    path: CanonicalizedUdfPath,
    arguments: SerializedArgs,
    component: Option<String>,
}

impl Call {
    pub(super) fn new(path: UdfPath, arguments: SerializedArgs, component: Option<String>) -> Self {
        Self { path: path.canonicalize(), arguments, component }
    }

    /// What to hand to the engine.
    ///
    /// # Errors
    ///
    /// - [`FunctionError::Component`]: a component that is not the root
    /// - [`FunctionError::Unknown`]: another spelling of the path on the lane that knows only one
    /// - [`FunctionError::NoList`]: the arguments are no array. One object is not taken for it, as HTTP would
    pub(super) fn resolve(&self) -> Result<(&CanonicalizedUdfPath, &RawValue), FunctionError> {
        match self.component.as_deref() {
            None => {}
            Some("") if is_plainly_spelled(self.path.module()) => {}
            Some("") => return Err(unknown(&self.path)),
            Some(_) => return Err(FunctionError::Component),
        }
        // The text came out of a JSON value, so that only its kind can be wrong.
        let arguments = serde_json::from_str::<&RawValue>(self.arguments.get()).ok();
        match arguments.filter(|arguments| arguments.get().starts_with('[')) {
            Some(arguments) => Ok((&self.path, arguments)),
            None => Err(FunctionError::NoList { path: self.path.to_string() }),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Call")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(path: &str, arguments: &str, component: Option<&str>) -> Result<String, String> {
        let arguments = SerializedArgs::from_slice(arguments.as_bytes()).unwrap();
        let call = Call::new(path.parse().unwrap(), arguments, component.map(str::to_owned));
        let resolved = call.resolve().map(|(path, arguments)| format!("{path} {arguments}"));
        resolved.map_err(|error| error.to_string().split('.').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_public_lane_takes_every_spelling() {
        for path in ["demo:list", "demo.js:list", "demo/:list", "demo.js/.:list"] {
            assert!(resolve(path, "[{}]", None).is_ok(), "{path}");
        }
    }

    #[test]
    fn the_root_component_is_anybodys_by_the_literal_path() {
        assert_eq!(resolve("demo:list", "[{}]", Some("")), Ok("demo.js:list [{}]".to_owned()));
        assert_eq!(
            resolve("demo.js/:list", "[{}]", Some("")),
            Err("Could not find public function for 'demo:list'".to_owned())
        );
    }

    #[test]
    fn another_component_is_for_administrators() {
        let refused = Err("Only administrators call the functions of a component directly".to_owned());
        assert_eq!(resolve("demo:list", "[{}]", Some("child")), refused);
    }

    #[test]
    fn an_object_or_nothing_is_no_list_of_arguments() {
        for arguments in ["{}", "null", "5"] {
            assert_eq!(resolve("demo:list", arguments, None), Err("Invalid arguments for demo".to_owned()));
        }
        assert!(resolve("demo:list", "[]", None).is_ok(), "the engine says how many there must be");
    }
}
