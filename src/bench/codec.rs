//! The adapter's codec beside serde_json parsing and printing the same bytes as a tree: what a codec that builds one could not be
//! faster than.

use std::hint::black_box;

use serde_json::{Value, json, value::RawValue};

use super::{BenchProblem, Case, Row, Samples, Work, pace::pace};
use crate::{
    adapter::{
        Function, Step,
        wire::{self, Outcome, Run},
    },
    config::Nulls,
    secret::Secret,
};

/// Between two looks at the clock: a piece takes less than such a look.
const BATCH: u32 = 64;

pub(super) fn measure(case: Case) -> Result<Row, BenchProblem> {
    let (samples, secret) = (Samples::new(), Secret::new("dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdXN1YWwgc2l6ZQ=="));
    let (input, wanted, got) = if case.work == Work::CodecIn {
        let run = begin(Function::CreateSession, &samples.create_session, &secret)?;
        let expires = json!(1_798_021_230_456_i64);
        (&samples.create_session, expires, tree(run.arguments()).pointer("/session/expires").cloned())
    } else {
        let answer = write(&samples.session_and_user, &secret)?;
        let expires = json!("2026-12-23T10:20:30.456Z");
        (&samples.session_and_user, expires, tree(&answer).pointer("/session/expires").cloned())
    };
    if got != Some(wanted) {
        return Err(BenchProblem::Wrong("a date"));
    }
    let codec = pace(case.at_once, case.each, BATCH, || {
        let (secret, is_in) = (&secret, case.work == Work::CodecIn);
        Ok(move || {
            let input = black_box(input.as_slice());
            if is_in {
                drop(black_box(begin(Function::CreateSession, input, secret)));
            } else {
                drop(black_box(write(input, secret)));
            }
        })
    })?;
    let tree = pace(case.at_once, case.each, BATCH, || Ok(|| drop(black_box(tree(black_box(input)).to_string()))))?;
    Ok(Row { beside_per_second: Some(tree.per_second), ..Row::new(case, codec) })
}

fn begin(function: Function, body: &[u8], secret: &Secret) -> Result<Run, BenchProblem> {
    let begun = wire::read(function, body).and_then(|request| wire::begin(request, Nulls::Drop, secret));
    begun.map_err(|_| BenchProblem::Wrong("a call"))
}

/// The whole of `getSessionAndUser` but for the deployment: a call is begun, and answered.
fn write(value: &[u8], secret: &Secret) -> Result<Vec<u8>, BenchProblem> {
    let wrong = BenchProblem::Wrong("an answer");
    let body = br#"{"sessionToken":"c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11"}"#;
    let run = begin(Function::GetSessionAndUser, body, secret)?;
    let Ok(value) = serde_json::from_slice::<&RawValue>(value) else { return Err(wrong) };
    match run.resume(Outcome::Returned(value.into()), secret) {
        Ok(Step::Answer(answer)) => Ok(answer),
        Ok(Step::Run(_)) | Err(_) => Err(wrong),
    }
}

fn tree(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_default()
}
