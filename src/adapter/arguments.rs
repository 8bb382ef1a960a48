//! The arguments of one call of an adapter function, as spans: what is in them, and what cannot be.
//!
//! Reads the Convex wire's `args`; [`Arguments::encode`] writes it again. The one invariant: no member is there twice,
//! `secret` excepted, so that nobody behind this can read another value than was decided on here.

use std::{borrow::Cow, fmt};

use thiserror::Error;

use super::{
    contract::{Argument, Function},
    date::DateProblem,
};
use crate::{
    json::{
        JsonText,
        members::{Inner, MAX_MEMBERS, Member, MembersProblem, find_duplicate, read_nested},
        read_span,
        scan::Text,
    },
    secret::Secret,
};

/// The member that carries the adapter secret.
pub(super) const SECRET: &str = "secret";

/// The arguments of one call, read but not copied.
///
/// `Debug` output tells the number of members and none of them.
pub struct Arguments<'a> {
    pub(super) function: Option<Function>,
    pub(super) shape: Shape,
    pub(super) members: Vec<Member<'a>>,
    /// The members of the function's nested object, if there is one that is an object.
    pub(super) nested: Option<Inner<'a>>,
}

/// How a caller wrote the argument object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{…}`
    Object,
    /// `[{…}]`
    Array,
}

/// What a caller's own `secret` members are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretCheck {
    /// There is none, or only `null`.
    Absent,
    /// There is at least one, and every one is right.
    Right,
    /// At least one is another text, or no text.
    Wrong,
}

/// Why the arguments of an adapter function are refused before anything goes upstream. Answered with 400.
///
/// The sentence names fields of the contract, and never anything that the caller wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ArgumentProblem {
    /// Neither an object nor an array of exactly one.
    #[error("the arguments must be one JSON object, bare or as the only element of an array")]
    NotOneObject,
    /// The body of the Auth.js wire is no JSON object.
    #[error("the body must be a JSON object with the arguments by name")]
    NotAJsonObject,
    /// An object has more members than Convex takes.
    #[error("an object has more than {MAX_MEMBERS} members")]
    TooManyMembers,
    /// A member's name is no Unicode text.
    #[error("the name of a member is not valid Unicode")]
    UnreadableName,
    /// A member that the contract names is there twice.
    #[error("`{field}` is given twice")]
    Duplicate {
        /// The member.
        field: &'static str,
    },
    /// Another member is there twice.
    #[error("a member of {} is given twice", name_object(*object))]
    DuplicateMember {
        /// The nested object it is in; `None` for the argument object itself.
        object: Option<&'static str>,
    },
    /// A date field holds a text that is no date.
    #[error("`{field}` is not a date: {reason}")]
    NotADate {
        /// The field, e.g. `user.emailVerified`.
        field: &'static str,
        /// What is wrong with the text.
        reason: DateProblem,
    },
    /// The Auth.js wire: an argument is not there, or null.
    #[error("`{field}` is missing")]
    Missing {
        /// The argument.
        field: &'static str,
    },
    /// The Auth.js wire: an argument holds something else than the contract says.
    #[error("`{field}` must be {expected}")]
    IllTyped {
        /// The argument.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl<'a> Arguments<'a> {
    /// Reads the `args` of a call of a function; `None` is a function of the adapter's module that the contract does not know.
    ///
    /// The text is untrusted: an object, or an array that holds exactly one. Names are compared after their escapes were
    /// decoded. What is the matter with the nested object is told later, by [`Arguments::encode`].
    ///
    /// Allocates for the lists of members, and for names with escapes; takes 1,024 of an object at most. Never panics.
    ///
    /// # Errors
    ///
    /// - [`ArgumentProblem::NotOneObject`]: anything else.
    /// - [`ArgumentProblem::TooManyMembers`]: more than Convex takes in an object.
    /// - [`ArgumentProblem::UnreadableName`]: a name holds half a surrogate pair.
    /// - [`ArgumentProblem::Duplicate`], [`ArgumentProblem::DuplicateMember`]: a member is there twice. Our choice: readers
    ///   differ on which of the two counts.
    pub fn read(function: Option<Function>, args: impl Into<JsonText<'a>>) -> Result<Self, ArgumentProblem> {
        let text = args.into().get();
        // The text is valid JSON, so between the brackets stand elements; one object and nothing more is what
        // `read_object` takes.
        let (shape, object) = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inside) => (Shape::Array, inside),
            None => (Shape::Object, text),
        };
        Self::read_object(function, shape, Text::new(object))
    }

    /// Reads the argument object alone. Its text need not be JSON, and [`ArgumentProblem::NotOneObject`] is the answer to that, unless
    /// another problem stands before.
    // Inline as what it calls: moving the lists, just made, from one place to the next took a tenth of the whole way in.
    #[inline(always)]
    pub(super) fn read_object(
        function: Option<Function>,
        shape: Shape,
        object: Text<'a>,
    ) -> Result<Self, ArgumentProblem> {
        let nested = function.and_then(|function| function.contract().nested());
        let (members, nested) =
            read_nested(object, nested.map(|(name, _)| name)).map_err(ArgumentProblem::from_members)?;
        if let Some(name) = find_duplicate(&members, Some(SECRET)) {
            return Err(duplicate_argument(name));
        }
        Ok(Self { function, shape, members, nested })
    }

    /// The function that they are for, if the contract knows it.
    pub fn function(&self) -> Option<Function> {
        self.function
    }

    /// Compares the caller's `secret` with the right one, in constant time.
    ///
    /// `null` counts as absent, since Auth.js code that lacks the secret sends it so. Of several members every one must be
    /// right: whichever the reader behind this picked, it would be the right one.
    pub fn check_secret(&self, secret: &Secret) -> SecretCheck {
        self.members
            .iter()
            .filter(|member| member.is(SECRET) && member.value != b"null")
            .map(|member| read_span(member.value).is_some_and(|candidate| secret.matches(candidate.as_bytes())))
            .fold(SecretCheck::Absent, |so_far, is_right| match (so_far, is_right) {
                (SecretCheck::Absent | SecretCheck::Right, true) => SecretCheck::Right,
                (_, false) | (SecretCheck::Wrong, _) => SecretCheck::Wrong,
            })
    }

    /// The text at a path of member names; escapes decoded. A path is the name of an argument, or that of the nested object and of a
    /// member of it, e.g. `["session", "sessionToken"]`.
    ///
    /// `None` when there is no such member, when it is no string, and when its object has the name twice (which
    /// [`Arguments::encode`] refuses).
    pub fn text(&self, path: &[&str]) -> Option<Cow<'a, str>> {
        let value = match path {
            [name] => find_only(&self.members, name)?,
            [object, name] if self.nested_name() == Some(object) => {
                find_only(self.nested.as_ref()?.as_ref().ok()?, name)?
            }
            _ => return None,
        };
        read_span(value)
    }

    /// Whether there is nothing but this argument, and perhaps the secret.
    pub fn has_only(&self, name: &str) -> bool {
        self.members.iter().all(|member| member.is(name) || member.is(SECRET))
    }

    /// How many members there are.
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// About how long they are as text, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.members.iter().map(|member| member.bytes() + 1).sum()
    }

    /// Leaves out what the contract does not name, the secret included.
    pub(super) fn keep_only(&mut self, known: &[Argument]) {
        self.members.retain(|member| known.iter().any(|argument| member.is(argument.name)));
    }

    fn nested_name(&self) -> Option<&'static str> {
        self.function.and_then(|function| function.contract().nested()).map(|(name, _)| name)
    }

    /// The value of an argument as it was sent.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        find_only(&self.members, name)
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Arguments").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

impl ArgumentProblem {
    pub(super) fn from_members(problem: MembersProblem) -> Self {
        match problem {
            MembersProblem::NotAnObject => Self::NotOneObject,
            MembersProblem::TooMany => Self::TooManyMembers,
            MembersProblem::UnreadableName => Self::UnreadableName,
        }
    }
}

/// The value of the one member of this name.
pub(super) fn find_only<'a>(members: &[Member<'a>], name: &str) -> Option<&'a [u8]> {
    let mut found = members.iter().filter(|member| member.is(name));
    let value = found.next()?.value;
    found.next().is_none().then_some(value)
}

fn name_object(object: Option<&str>) -> Cow<'_, str> {
    object.map_or(Cow::Borrowed("the argument object"), |name| Cow::Owned(format!("`{name}`")))
}

fn duplicate_argument(name: &[u8]) -> ArgumentProblem {
    let known = Function::ALL.into_iter().flat_map(|function| function.contract().arguments);
    match known.map(|argument| argument.name).find(|known| known.as_bytes() == name) {
        Some(field) => ArgumentProblem::Duplicate { field },
        None => ArgumentProblem::DuplicateMember { object: None },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{ArgumentProblem, Arguments, SecretCheck};
    use crate::{adapter::Function, secret::Secret};

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    fn check(args: &str) -> SecretCheck {
        Arguments::read(None, &raw(args)).unwrap().check_secret(&Secret::new("s3cret\n"))
    }

    fn problem(args: &str) -> ArgumentProblem {
        Arguments::read(None, &raw(args)).unwrap_err()
    }

    #[test]
    fn one_object_is_read_bare_or_in_an_array() {
        for args in ["{}", "[{}]", " [ { \"a\" : 1 } ] ", r#"{"a":[{}]}"#] {
            assert!(Arguments::read(None, &raw(args)).is_ok(), "{args}");
        }
        for args in ["null", "1", "\"{}\"", "[]", "[null]", "[[{}]]", "[{},{}]", "[{},null]", "[1,{}]", "true"] {
            assert_eq!(problem(args), ArgumentProblem::NotOneObject, "{args}");
        }
    }

    #[test]
    fn a_member_given_twice_is_refused_and_named_only_if_the_contract_has_it() {
        let session_token = ArgumentProblem::Duplicate { field: "sessionToken" };
        assert_eq!(problem(r#"{"sessionToken":"a","sessionToken":"a"}"#), session_token);
        assert_eq!(problem(r#"[{"sessionToken":"a","\u0073essionToken":null}]"#), session_token);
        assert_eq!(problem(r#"{"canary":1,"canary":2}"#), ArgumentProblem::DuplicateMember { object: None });
        assert!(
            Arguments::read(Some(Function::UpdateUser), &raw(r#"{"user":{"id":1,"id":2}}"#)).is_ok(),
            "told when the arguments are written"
        );
    }

    #[test]
    fn half_a_surrogate_pair_in_a_name_is_refused() {
        assert_eq!(problem(r#"{"\udead":1}"#), ArgumentProblem::UnreadableName);
        assert!(Arguments::read(None, &raw(r#"{"name":"\udead"}"#)).is_ok());
    }

    #[test]
    fn l2_the_right_secret_is_told_from_every_other() {
        for right in [
            r#"{"secret":"s3cret\n"}"#,
            r#"[{"\u0073ecret":"s3cret\u000a"}]"#,
            r#"{"secret":"\u00733cret\n","id":"x","secret":null,"secret":"s3cret\n"}"#,
        ] {
            assert_eq!(check(right), SecretCheck::Right, "{right}");
        }
        for absent in ["{}", r#"{"secret":null}"#, r#"{"secret":null,"secret": null}"#, r#"{"Secret":"s3cret\n"}"#] {
            assert_eq!(check(absent), SecretCheck::Absent, "{absent}");
        }
        for wrong in [
            r#"{"secret":""}"#,
            r#"{"secret":"s3cret"}"#,
            r#"{"secret":"s3cret\\n"}"#,
            r#"{"secret":1}"#,
            r#"{"secret":["s3cret\n"]}"#,
            r#"{"secret":{"secret":"s3cret\n"}}"#,
            r#"{"secret":false}"#,
            r#"{"secret":"\ud800"}"#,
        ] {
            assert_eq!(check(wrong), SecretCheck::Wrong, "{wrong}");
        }
    }

    #[test]
    fn l2_one_wrong_secret_among_right_ones_is_wrong() {
        for wrong in [
            r#"{"secret":"s3cret\n","secret":"other"}"#,
            r#"{"secret":"other","secret":"s3cret\n"}"#,
            r#"{"secret":"s3cret\n","\u0073ecret":0,"secret":"s3cret\n"}"#,
        ] {
            assert_eq!(check(wrong), SecretCheck::Wrong, "{wrong}");
        }
    }

    #[test]
    fn text_is_found_by_its_path() {
        let args =
            raw(r#"[{"sessionToken":"a\u0062","session":{"sessionToken":"c","n":1,"d":"x","d":"y"},"user":"u"}]"#);
        let arguments = Arguments::read(Some(Function::CreateSession), &args).unwrap();
        assert_eq!(arguments.text(&["sessionToken"]).as_deref(), Some("ab"));
        assert_eq!(arguments.text(&["session", "sessionToken"]).as_deref(), Some("c"));
        for path in [&[][..], &["session"], &["session", "n"], &["session", "d"], &["user", "id"], &["none"]] {
            assert_eq!(arguments.text(path), None, "{path:?}");
        }
    }

    #[test]
    fn debug_output_holds_nothing_of_the_arguments() {
        let args = raw(r#"{"secret":"canary","sessionToken":"canary","canary":1}"#);
        insta::assert_snapshot!(format!("{:?}", Arguments::read(None, &args).unwrap()), @"Arguments { members: 3, .. }");
    }

    #[test]
    fn sentences_name_the_field_and_no_value() {
        insta::assert_snapshot!(ArgumentProblem::NotOneObject, @"the arguments must be one JSON object, bare or as the only element of an array");
        insta::assert_snapshot!(ArgumentProblem::TooManyMembers, @"an object has more than 1024 members");
        insta::assert_snapshot!(ArgumentProblem::Duplicate { field: "user.emailVerified" }, @"`user.emailVerified` is given twice");
        insta::assert_snapshot!(ArgumentProblem::DuplicateMember { object: Some("user") }, @"a member of `user` is given twice");
        insta::assert_snapshot!(ArgumentProblem::DuplicateMember { object: None }, @"a member of the argument object is given twice");
        insta::assert_snapshot!(ArgumentProblem::Missing { field: "user.id" }, @"`user.id` is missing");
        insta::assert_snapshot!(ArgumentProblem::IllTyped { field: "sessionToken", expected: "a string" }, @"`sessionToken` must be a string");
    }
}
