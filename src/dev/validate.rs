//! Argument validators: which shapes a function takes, and Convex's sentences for what does not fit.
//!
//! The wording and the order of checks are Convex's (`crates/common/src/schemas/validator.rs`): fields in the order of
//! their names, absent ones first found, then extra ones. Its sentences print the arguments, secret included, as a
//! deployment that does not redact does; whoever stands in front of one has to reckon with that.

use std::collections::BTreeMap;
use std::fmt;

use super::store::Table;
use super::value::{Object, Value, write_list};

/// The shape of a value.
#[derive(Debug, Clone)]
pub enum Validator {
    /// The id of a document in this table.
    Id(Table),
    /// A float.
    Float64,
    /// A boolean.
    Boolean,
    /// A string.
    String,
    /// Exactly this string.
    Literal(&'static str),
    /// An object of exactly these fields.
    Object(Fields),
    /// Any one of these.
    Union(Vec<Self>),
}

/// The fields of an object, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Fields(BTreeMap<&'static str, Field>);

/// One field of an object.
#[derive(Debug, Clone)]
struct Field {
    validator: Validator,
    optional: bool,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a field that must be there.
    #[must_use]
    pub fn required(mut self, name: &'static str, validator: Validator) -> Self {
        self.0.insert(name, Field { validator, optional: false });
        self
    }

    /// With a field that may be absent.
    #[must_use]
    pub fn optional(mut self, name: &'static str, validator: Validator) -> Self {
        self.0.insert(name, Field { validator, optional: true });
        self
    }

    /// The same fields, all of which may be absent.
    #[must_use]
    pub fn partial(mut self) -> Self {
        for field in self.0.values_mut() {
            field.optional = true;
        }
        self
    }

    /// Checks the arguments of a function.
    ///
    /// # Errors
    ///
    /// - [`Mismatch`]: the first thing that does not fit, in Convex's order
    pub fn check(&self, arguments: &Object) -> Result<(), Mismatch> {
        self.check_at(arguments, "")
    }

    fn check_at(&self, object: &Object, path: &str) -> Result<(), Mismatch> {
        for (name, field) in &self.0 {
            match object.field(name) {
                Some(value) => field.validator.check_at(value, &format!("{path}.{name}"))?,
                None if field.optional => {}
                None => {
                    return Err(Mismatch::Missing {
                        field: name,
                        path: Path::of(path),
                        object: object.clone(),
                        validator: self.clone(),
                    });
                }
            }
        }
        match object.0.keys().find(|name| !self.0.contains_key(name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Mismatch::Extra {
                field: name.clone(),
                path: Path::of(path),
                object: object.clone(),
                validator: self.clone(),
            }),
        }
    }
}

impl Validator {
    fn check_at(&self, value: &Value, path: &str) -> Result<(), Mismatch> {
        let fits = match (self, value) {
            (Self::Id(table), Value::String(id)) => match Table::of_id(id) {
                Some(found) if found == *table => true,
                Some(found) => {
                    return Err(Mismatch::OtherTable {
                        id: id.clone(),
                        found: found.name(),
                        expected: table.name(),
                        path: Path::of(path),
                    });
                }
                None => false,
            },
            (Self::Literal(literal), value) => {
                if value.as_str() == Some(literal) {
                    true
                } else {
                    return Err(Mismatch::Literal { value: value.clone(), literal, path: Path::of(path) });
                }
            }
            (Self::Object(fields), Value::Object(object)) => return fields.check_at(object, path),
            (Self::Union(members), value) => members.iter().any(|member| member.check_at(value, path).is_ok()),
            (Self::Float64, Value::Float64(_))
            | (Self::Boolean, Value::Boolean(_))
            | (Self::String, Value::String(_)) => true,
            (Self::Id(_) | Self::Float64 | Self::Boolean | Self::String | Self::Object(_), _) => false,
        };
        if fits {
            Ok(())
        } else {
            Err(Mismatch::Value { value: value.clone(), validator: self.clone(), path: Path::of(path) })
        }
    }
}

/// Why arguments do not fit, printed as Convex prints it.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// A required field is absent.
    #[error(
        "Object is missing the required field `{field}`. Consider wrapping the field validator in `v.optional(...)` if \
         this is expected.\n{path}\nObject: {object}\nValidator: {validator}"
    )]
    Missing {
        /// The absent field.
        field: &'static str,
        /// Where the object stands.
        path: Path,
        /// What was sent.
        object: Object,
        /// What fits.
        validator: Fields,
    },
    /// A field that nobody asked for.
    #[error(
        "Object contains extra field `{field}` that is not in the validator.\n{path}\nObject: {object}\nValidator: \
         {validator}"
    )]
    Extra {
        /// The extra field.
        field: String,
        /// Where the object stands.
        path: Path,
        /// What was sent.
        object: Object,
        /// What fits.
        validator: Fields,
    },
    /// A value of another type, or a text that is no id.
    #[error("Value does not match validator.\n{path}\nValue: {value}\nValidator: {validator}")]
    Value {
        /// What was sent.
        value: Value,
        /// What fits.
        validator: Validator,
        /// Where it stands.
        path: Path,
    },
    /// An id of another table.
    #[error(
        "Found ID \"{id}\" from table `{found}`, which does not match the table name in validator \
         `v.id(\"{expected}\")`.{path}"
    )]
    OtherTable {
        /// The id that was sent.
        id: String,
        /// Its table.
        found: &'static str,
        /// The table that fits.
        expected: &'static str,
        /// Where it stands.
        path: Path,
    },
    /// Another value than the one that a literal allows.
    #[error("`{value}` does not match literal validator `v.literal(\"{literal}\")`.{path}")]
    Literal {
        /// What was sent.
        value: Value,
        /// What fits.
        literal: &'static str,
        /// Where it stands.
        path: Path,
    },
}

/// Where in the arguments a mismatch stands; printed as nothing for the arguments themselves.
#[derive(Debug)]
pub struct Path(String);

impl Path {
    fn of(path: &str) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, "Path: {}", self.0) }
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(table) => write!(formatter, "v.id(\"{}\")", table.name()),
            Self::Float64 => formatter.write_str("v.float64()"),
            Self::Boolean => formatter.write_str("v.boolean()"),
            Self::String => formatter.write_str("v.string()"),
            Self::Literal(literal) => write!(formatter, "v.literal(\"{literal}\")"),
            Self::Object(fields) => fields.fmt(formatter),
            Self::Union(members) => {
                formatter.write_str("v.union(")?;
                write_list(formatter, members.iter())?;
                formatter.write_str(")")
            }
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.0.iter().map(|(name, Field { validator, optional })| {
            if *optional { format!("{name}: v.optional({validator})") } else { format!("{name}: {validator}") }
        });
        formatter.write_str("v.object({")?;
        write_list(formatter, fields)?;
        formatter.write_str("})")
    }
}

#[cfg(test)]
mod tests {
    use super::super::id::encode;
    use super::*;

    fn user() -> Fields {
        let user = Fields::new().required("email", Validator::String).optional("emailVerified", Validator::Float64);
        Fields::new().required("secret", Validator::String).required("user", Validator::Object(user))
    }

    fn complaint(fields: &Fields, arguments: &str) -> String {
        let value = Value::decode(serde_json::from_str(arguments).unwrap()).unwrap();
        fields.check(value.as_object().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn what_fits_passes() {
        let value = Value::decode(serde_json::json!({"user": {"email": "a@b.c", "emailVerified": 5}, "secret": "s"}));
        assert!(user().check(value.unwrap().as_object().unwrap()).is_ok());
    }

    #[test]
    fn an_absent_field_is_named_with_the_object_and_the_validator() {
        insta::assert_snapshot!(complaint(&user(), r#"{"user":{"email":"a@b.c"}}"#), @r#"
        Object is missing the required field `secret`. Consider wrapping the field validator in `v.optional(...)` if this is expected.

        Object: {user: {email: "a@b.c"}}
        Validator: v.object({secret: v.string(), user: v.object({email: v.string(), emailVerified: v.optional(v.float64())})})
        "#);
    }

    #[test]
    fn an_extra_field_is_named_with_its_path() {
        insta::assert_snapshot!(complaint(&user(), r#"{"secret":"s","user":{"email":"a@b.c","role":"x"}}"#), @r#"
        Object contains extra field `role` that is not in the validator.
        Path: .user
        Object: {email: "a@b.c", role: "x"}
        Validator: v.object({email: v.string(), emailVerified: v.optional(v.float64())})
        "#);
    }

    #[test]
    fn a_null_is_no_string_and_no_optional() {
        insta::assert_snapshot!(complaint(&user(), r#"{"secret":"s","user":{"email":null}}"#), @r"
        Value does not match validator.
        Path: .user.email
        Value: null
        Validator: v.string()
        ");
        insta::assert_snapshot!(complaint(&user(), r#"{"secret":"s","user":{"email":"","emailVerified":null}}"#), @r"
        Value does not match validator.
        Path: .user.emailVerified
        Value: null
        Validator: v.float64()
        ");
    }

    #[test]
    fn ids_are_of_the_right_table_and_shape() {
        let fields = Fields::new().required("id", Validator::Id(Table::Users));
        insta::assert_snapshot!(complaint(&fields, r#"{"id":"invalid-user-id"}"#), @r#"
        Value does not match validator.
        Path: .id
        Value: "invalid-user-id"
        Validator: v.id("users")
        "#);
        let session = encode(Table::Sessions.number(), &[0; 16]);
        assert_eq!(
            complaint(&fields, &format!(r#"{{"id":"{session}"}}"#)),
            format!(
                "Found ID \"{session}\" from table `sessions`, which does not match the table name in validator \
                 `v.id(\"users\")`.Path: .id"
            )
        );
    }

    #[test]
    fn a_union_says_all_that_it_takes() {
        let fields = Fields::new()
            .required("type", Validator::Union(vec![Validator::Literal("oidc"), Validator::Literal("oauth")]));
        insta::assert_snapshot!(complaint(&fields, r#"{"type":"credentials"}"#), @r#"
        Value does not match validator.
        Path: .type
        Value: "credentials"
        Validator: v.union(v.literal("oidc"), v.literal("oauth"))
        "#);
    }
}
