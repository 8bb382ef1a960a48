use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, value::RawValue};

use super::{ArgumentProblem, Arguments};
use crate::{
    adapter::{
        contract::{Function, Row},
        date::{self, DateProblem},
    },
    config::Nulls,
    json::any::{any_scalar, any_value},
    secret::Secret,
};

const PROXY_SECRET: &str = "the proxy's \"own\"\n";
const PROXY_SECRET_TEXT: &str = r#""the proxy's \"own\"\n""#;

fn encode_as(function: Option<Function>, nulls: Nulls, args: &str) -> Result<String, ArgumentProblem> {
    let raw: &RawValue = serde_json::from_str(args).unwrap();
    let mut out = b"before".to_vec();
    let result = Arguments::read(function, raw)?.encode(nulls, &Secret::new(PROXY_SECRET), &mut out);
    let out = String::from_utf8(out).unwrap();
    let appended = out.strip_prefix("before").unwrap().to_owned();
    assert!(result.is_ok() || appended.is_empty(), "an error appends nothing");
    result.map(|()| appended)
}

/// What is encoded for a function of the contract, without the secret.
fn encode(function: Function, args: &str) -> String {
    let encoded = encode_as(Some(function), Nulls::Drop, args).unwrap();
    let secret = format!(",\"secret\":{PROXY_SECRET_TEXT}}}");
    assert!(encoded.contains(&secret), "{encoded}");
    encoded.replace(&secret, "}")
}

fn refusal(function: Function, args: &str) -> ArgumentProblem {
    encode_as(Some(function), Nulls::Drop, args).unwrap_err()
}

#[test]
fn the_callers_shape_is_kept() {
    let user = Some(Function::GetUser);
    let object = encode_as(user, Nulls::Drop, r#" { "id" : "u" } "#).unwrap();
    insta::assert_snapshot!(object, @r#"{"id":"u","secret":"the proxy's \"own\"\n"}"#);
    let array = encode_as(user, Nulls::Drop, r#"[ {"id":"u"} ]"#).unwrap();
    insta::assert_snapshot!(array, @r#"[{"id":"u","secret":"the proxy's \"own\"\n"}]"#);
    let empty = encode_as(user, Nulls::Drop, "[{}]").unwrap();
    insta::assert_snapshot!(empty, @r#"[{"secret":"the proxy's \"own\"\n"}]"#);
}

#[test]
fn dates_that_are_strings_become_epoch_milliseconds() {
    let cases = [
        (Function::CreateUser, r#"{"user":{"email":"e","emailVerified":"2026-01-01"}}"#),
        (Function::UpdateUser, r#"{"user":{"id":"u","emailVerified":"1969-12-31T23:59:59.999Z"}}"#),
        (Function::CreateSession, r#"{"session":{"expires":"2026-01-01T02:00+02:00","userId":"u"}}"#),
        (Function::UpdateSession, r#"[{"session":{"\u0065xpires":"+275760-09-13"}}]"#),
        (Function::CreateVerificationToken, r#"{"verificationToken":{"expires":"2026\u002d01-01"}}"#),
    ];
    let encoded: Vec<_> = cases.into_iter().map(|(function, args)| encode(function, args)).collect();
    insta::assert_snapshot!(encoded.join("\n"), @r#"
    {"user":{"email":"e","emailVerified":1767225600000}}
    {"user":{"id":"u","emailVerified":-1}}
    {"session":{"expires":1767225600000,"userId":"u"}}
    [{"session":{"\u0065xpires":8640000000000000}}]
    {"verificationToken":{"expires":1767225600000}}
    "#);
}

#[test]
fn numbers_keep_their_bytes() {
    for number in ["1.7e12", "1700000000000.0", "1700000000000", "-0", "1E+2", "1e-320", "9007199254740993", "1e999"] {
        let args = format!(r#"{{"session":{{"expires":{number},"n":{number}}},"n":{number}}}"#);
        assert_eq!(encode(Function::CreateSession, &args), args);
    }
}

#[test]
fn what_is_no_string_in_a_date_field_is_left_to_convex() {
    for value in ["true", r#"{"$float":"AAAAAAAAAIA="}"#, r#"["2026"]"#] {
        let args = format!(r#"{{"user":{{"emailVerified":{value}}}}}"#);
        assert_eq!(encode(Function::UpdateUser, &args), args);
    }
}

#[test]
fn a_date_is_found_only_where_the_contract_has_it() {
    for (function, args) in [
        (Function::CreateUser, r#"{"emailVerified":"2026","user":{"expires":"2026","x":{"emailVerified":"2026"}}}"#),
        (Function::CreateSession, r#"{"user":{"emailVerified":"2026"}}"#),
        (Function::LinkAccount, r#"{"account":{"expires_at":"2026","expires":"2026"}}"#),
        (Function::GetUser, r#"{"user":{"emailVerified":"no date"}}"#),
        (Function::CreateUser, r#"{"user":"2026"}"#),
        (Function::CreateUser, r#"{"user":[{"emailVerified":"2026"}]}"#),
    ] {
        assert_eq!(encode(function, args), args);
    }
}

#[test]
fn a_string_that_is_no_date_is_refused_by_the_fields_name() {
    let problem = refusal(Function::CreateUser, r#"{"user":{"emailVerified":"canary"}}"#);
    insta::assert_snapshot!(problem, @"`user.emailVerified` is not a date: write it in ISO 8601 as in 2026-01-31T23:59:59.999Z, or send epoch milliseconds as a number");
    let problem = refusal(Function::CreateSession, r#"{"session":{"expires":"2026-01-01T00:00:00"}}"#);
    assert_eq!(problem, ArgumentProblem::NotADate { field: "session.expires", reason: DateProblem::NoOffset });
    let problem = refusal(Function::CreateVerificationToken, r#"{"verificationToken":{"expires":"\ud800"}}"#);
    let reason = DateProblem::Form;
    assert_eq!(problem, ArgumentProblem::NotADate { field: "verificationToken.expires", reason });
}

#[test]
fn nulls_go_from_the_argument_object_and_the_nested_one_alone() {
    let args = r#"{"a":null,"user":{"name":null,"emailVerified":null,"deep":{"x":null},"list":[null]},"list":[null]}"#;
    insta::assert_snapshot!(encode(Function::UpdateUser, args), @r#"{"user":{"deep":{"x":null},"list":[null]},"list":[null]}"#);
    let kept = encode_as(Some(Function::UpdateUser), Nulls::Keep, args).unwrap();
    assert!(kept.starts_with(args.trim_end_matches('}')), "{kept}");
}

#[test]
fn a_function_outside_the_contract_gets_the_secret_and_nothing_else() {
    let args = r#"{"user":{"emailVerified":"no date","a":1,"a":2,"b":null},"secret":"x","c":null}"#;
    let encoded = encode_as(None, Nulls::Drop, args).unwrap();
    insta::assert_snapshot!(encoded, @r#"{"user":{"emailVerified":"no date","a":1,"a":2,"b":null},"c":null,"secret":"the proxy's \"own\"\n"}"#);
}

#[test]
fn a_member_given_twice_in_the_nested_object_is_refused() {
    let twice = refusal(Function::CreateUser, r#"{"user":{"emailVerified":1,"\u0065mailVerified":"2026"}}"#);
    assert_eq!(twice, ArgumentProblem::Duplicate { field: "user.emailVerified" });
    let twice = refusal(Function::UpdateUser, r#"[{"user":{"canary":1,"canary":1}}]"#);
    assert_eq!(twice, ArgumentProblem::DuplicateMember { object: Some("user") });
    let unreadable = refusal(Function::UpdateUser, r#"[{"user":{"\ud800":1}}]"#);
    assert_eq!(unreadable, ArgumentProblem::UnreadableName);
}

#[test]
fn half_a_surrogate_pair_in_a_value_passes() {
    let args = r#"{"user":{"name":"\ud800"},"id":"\udc00"}"#;
    assert_eq!(encode(Function::UpdateUser, args), args);
}

#[test]
fn l2_the_callers_secret_never_survives_and_the_proxys_goes_once() {
    let args = r#"{"secret":"canary","id":"u","\u0073ecret":["canary"],"secret":null,"s\u0065cret":"canary"}"#;
    for function in [Some(Function::GetUser), None] {
        let encoded = encode_as(function, Nulls::Keep, args).unwrap();
        assert_eq!(encoded, format!("{{\"id\":\"u\",\"secret\":{PROXY_SECRET_TEXT}}}"));
    }
}

/// One member: its name as a caller wrote it, the name that this stands for, the value as written.
#[derive(Debug, Clone)]
struct Written {
    name_text: String,
    name: &'static str,
    value: String,
}

/// A name in one of its spellings in JSON.
fn spelled(name: &'static str) -> impl Strategy<Value = String> {
    (0..=name.len()).prop_map(move |escaped| match name.chars().nth(escaped) {
        Some(letter) => {
            format!("\"{}\\u{:04x}{}\"", &name[..escaped], u32::from(letter), &name[escaped + 1..])
        }
        None => format!("\"{name}\""),
    })
}

fn any_date() -> impl Strategy<Value = String> {
    prop_oneof![
        any_value().prop_filter("strings are drawn below", |value| !value.starts_with('"')),
        (-date::MAX_MILLIS..=date::MAX_MILLIS)
            .prop_map(|millis| format!("\"{}\"", date::to_iso(millis as f64).unwrap())),
        select(vec![r#""2026""#, r#""2026-02-28T24:00+01:00""#, r#""2026-\u00301""#]).prop_map(str::to_owned),
    ]
}

fn member(name: &'static str, value: BoxedStrategy<String>) -> impl Strategy<Value = Written> {
    (spelled(name), value).prop_map(move |(name_text, value)| Written { name_text, name, value })
}

/// Members in any order, each name once.
fn members(choices: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = Vec<Written>> {
    let each: Vec<_> = choices.into_iter().map(|(name, value)| proptest::option::of(member(name, value))).collect();
    each.prop_map(|members| members.into_iter().flatten().collect::<Vec<_>>()).prop_shuffle()
}

fn any_row() -> impl Strategy<Value = Vec<Written>> {
    let names = ["id", "email", "sessionToken", "secret", "", "name"];
    let mut choices: Vec<_> = names.map(|name| (name, any_value().boxed())).into();
    choices.extend([("emailVerified", any_date().boxed()), ("expires", any_date().boxed())]);
    members(choices)
}

fn write_object(members: &[Written]) -> String {
    let members: Vec<_> = members.iter().map(|member| format!("{} : {}", member.name_text, member.value)).collect();
    format!("{{ {}\t}}", members.join("\r\n, "))
}

/// Arguments that are no problem to any function: the text, and its members.
fn any_arguments() -> impl Strategy<Value = (String, Vec<Written>)> {
    let row = || any_row().prop_map(|row| write_object(&row)).boxed();
    let mut choices: Vec<_> = ["id", "sessionToken", "x", "Secret"].map(|name| (name, any_value().boxed())).into();
    choices.extend(["user", "session", "verificationToken", "account"].map(|name| (name, row())));
    let secrets = vec(member("secret", any_scalar().boxed()), 0..3);
    (members(choices), secrets, any::<bool>())
        .prop_map(|(mut members, secrets, is_array)| {
            members.extend(secrets);
            (members, is_array)
        })
        .prop_flat_map(|(members, is_array)| (Just(members).prop_shuffle(), Just(is_array)))
        .prop_map(|(members, is_array)| {
            let object = write_object(&members);
            (if is_array { format!(" [{object} ]") } else { object }, members)
        })
}

fn any_function() -> impl Strategy<Value = Option<Function>> {
    proptest::option::weighted(0.9, select(Function::ALL.to_vec()))
}

fn any_nulls() -> impl Strategy<Value = Nulls> {
    select(vec![Nulls::Drop, Nulls::Keep])
}

/// The law of the codec on a tree: nulls out, dates as numbers, the proxy's secret last.
fn expected_tree(function: Option<Function>, nulls: Nulls, mut args: Value) -> Value {
    let object = if args.is_array() { &mut args[0] } else { &mut args };
    let object = object.as_object_mut().unwrap();
    object.shift_remove("secret");
    let is_dropped = |value: &Value| value.is_null() && nulls == Nulls::Drop && function.is_some();
    object.retain(|_, value| !is_dropped(value));
    if let Some((name, row)) = function.and_then(|function| function.contract().nested())
        && let Some(nested) = object.get_mut(name).and_then(Value::as_object_mut)
    {
        nested.retain(|_, value| !is_dropped(value));
        if let Some(date) = row.date().and_then(|date| nested.get_mut(date.name))
            && let Some(text) = date.as_str()
        {
            *date = date::parse(text).unwrap().0.into();
        }
    }
    object.insert("secret".to_owned(), PROXY_SECRET.into());
    args
}

/// Whether a member of the argument object is copied as it is.
fn is_copied(function: Option<Function>, nulls: Nulls, member: &Written) -> bool {
    let nested = function.and_then(|function| function.contract().nested());
    let is_nested = nested.is_some_and(|(name, _)| name == member.name);
    let is_dropped = member.value == "null" && nulls == Nulls::Drop && function.is_some();
    member.name != "secret" && !is_nested && !is_dropped
}

proptest! {
    #[test]
    fn law_what_is_not_named_is_copied_byte_for_byte(
        (args, members) in any_arguments(), function in any_function(), nulls in any_nulls(),
    ) {
        let encoded = encode_as(function, nulls, &args).unwrap();
        for member in members.iter().filter(|member| is_copied(function, nulls, member)) {
            let span = format!("{}:{}", member.name_text, member.value);
            prop_assert!(encoded.contains(&span), "{span} is not in {encoded}");
        }
    }

    #[test]
    fn law_a_nested_object_loses_nulls_and_gains_numbers_and_nothing_else(row in any_row(), nulls in any_nulls()) {
        let args = format!(r#"{{"user":{}}}"#, write_object(&row));
        let members = row.iter().filter(|member| nulls == Nulls::Keep || member.value != "null").map(|member| {
            let value = match serde_json::from_str(&member.value) {
                Ok(Value::String(text)) if Row::User.date().is_some_and(|date| date.name == member.name) => {
                    date::parse(&text).unwrap().0.to_string()
                }
                _ => member.value.clone(),
            };
            format!("{}:{value}", member.name_text)
        });
        let members: Vec<_> = members.collect();
        let expected = format!(r#"{{"user":{{{}}},"secret":{PROXY_SECRET_TEXT}}}"#, members.join(","));
        prop_assert_eq!(encode_as(Some(Function::UpdateUser), nulls, &args).unwrap(), expected);
    }

    #[test]
    fn law_encoding_what_was_encoded_changes_nothing(
        (args, _) in any_arguments(), function in any_function(), nulls in any_nulls(),
    ) {
        let once = encode_as(function, nulls, &args).unwrap();
        prop_assert_eq!(encode_as(function, nulls, &once).unwrap(), once);
    }

    #[test]
    fn law_the_tree_is_the_callers_without_nulls_and_with_dates_replaced(
        (args, _) in any_arguments(), function in any_function(), nulls in any_nulls(),
    ) {
        let encoded: Value = serde_json::from_str(&encode_as(function, nulls, &args).unwrap()).unwrap();
        prop_assert_eq!(encoded, expected_tree(function, nulls, serde_json::from_str(&args).unwrap()));
    }

    #[test]
    fn law_l2_one_secret_leaves_and_it_is_the_proxys(
        (args, _) in any_arguments(), canary in "canary[0-9a-f]{8}", function in any_function(), nulls in any_nulls(),
    ) {
        let at = args.find('{').unwrap() + 1;
        let comma = if args[at..].trim_start().starts_with('}') { "" } else { "," };
        let args = format!("{}\"s\\u0065cret\":\"{canary}\"{comma}{}", &args[..at], &args[at..]);
        let encoded = encode_as(function, nulls, &args).unwrap();
        prop_assert!(!encoded.contains(&canary));
        let raw: &RawValue = serde_json::from_str(&encoded).unwrap();
        let arguments = Arguments::read(function, raw).unwrap();
        let secrets: Vec<_> = arguments.members.iter().filter(|member| member.is("secret")).collect();
        prop_assert_eq!(secrets.len(), 1);
        prop_assert_eq!(secrets[0].value, PROXY_SECRET_TEXT.as_bytes());
    }

    #[test]
    fn any_json_is_encoded_or_refused_without_a_panic(
        (args, _) in any_arguments(), cut in any::<prop::sample::Index>(), put in "[\\[\\]{}\",:\\\\0-9eE.nu]{0,3}",
        function in any_function(), nulls in any_nulls(), other in any_value(),
    ) {
        let boundaries: Vec<_> = args.char_indices().map(|(at, _)| at).collect();
        let at = boundaries[cut.index(boundaries.len())];
        for text in [format!("{}{put}{}", &args[..at], &args[at..]), other] {
            if serde_json::from_str::<&RawValue>(&text).is_ok() {
                let _ = encode_as(function, nulls, &text);
            }
        }
    }
}
